"""What operators see and do: ``/api/admin/...``. What the configuration file declares is changed there."""

import re
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from deeptoken import __version__, ids
from deeptoken.accounts import administration, keys, sign_in
from deeptoken.accounts.administration import Credited, UserShown
from deeptoken.accounts.keys import KeyShown, in_credits
from deeptoken.api.management.audit import AuditQuery, AuditShown, page_of
from deeptoken.api.management.route import Asked, Lines, Page, Route, Slice, limit_of, one, sliced
from deeptoken.api.management.usage import UsageShown
from deeptoken.api.management.usage import row as usage_row
from deeptoken.api.management.wallet import WalletShown
from deeptoken.errors import BadRequest, Conflict, PreconditionFailed
from deeptoken.money import NanoUsd, usd
from deeptoken.store.queries.money import UsageFilter
from deeptoken.store.queries.people import User
from deeptoken.store.reads import Reader

ADMIN = "/api/admin"
NAME = re.compile(r"[^\s:/]{1,200}")


class NewUser(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A user to be made, with a wallet."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    tier: str | None = None
    operator: bool = False


class UserSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is not there stays as it is."""

    tier: str | UnsetType | None = UNSET
    operator: bool | UnsetType = UNSET


class NewLink(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For who has lost the second factor too, it is taken away."""

    without_second_factor: bool = False


class LinkShown(msgspec.Struct, frozen=True, kw_only=True):
    """The token sets the user's password once: ``PUT /api/password``. It is shown once."""

    token: str
    expires_us: int


class NewGrant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Credits; a `ref` stands for one grant, and is made where none is given."""

    amount_usd: Decimal
    ref: Annotated[str, Meta(min_length=1, max_length=200)] | None = None


class NewRefund(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of what is left of a charge, where no amount is given."""

    amount_usd: Decimal | None = None
    ref: Annotated[str, Meta(min_length=1, max_length=200)] | None = None


class GroupShown(msgspec.Struct, frozen=True, kw_only=True):
    """A group of the configuration file."""

    name: str
    ratio: Decimal
    weight: int


class System(msgspec.Struct, frozen=True, kw_only=True):
    """What runs."""

    version: str
    workers: int
    channels: int
    users: int
    organizations: int


async def list_users(asked: Asked) -> Slice:
    limit, after = limit_of(asked.query), asked.query.after
    rows = await asked.world.read(lambda reader: reader.users())
    page = [user for user in rows if user.name > after][: limit + 1]
    return sliced([administration.shown(user) for user in page], limit, lambda user: str(user.name))


async def _user(asked: Asked) -> User:
    name = asked.path["name"]
    rows = await asked.world.read(lambda reader: reader.users())
    return one(next((user for user in rows if user.name == name), None), "user", name)


async def show_user(asked: Asked) -> UserShown:
    return administration.shown(await _user(asked))


async def create_user(asked: Asked) -> UserShown:
    body = asked.body
    if not NAME.fullmatch(body.name):
        raise BadRequest("name: a user's name has no spaces, no colon and no slash.", param="name")
    known_tier(asked, body.tier)
    if any(user.name == body.name for user in await asked.world.read(lambda reader: reader.users())):
        raise Conflict(f"There is a user {body.name!r} already.", param="name")
    user = administration.new_user(body.name, tier=body.tier, operator=body.operator)
    await asked.change(*administration.create_user(asked.actor, user))
    return administration.shown(user)


async def change_user(asked: Asked) -> UserShown:
    user, body = await _user(asked), asked.body
    _not_of_file(user)
    asked.matched(user.version)
    wanted = user
    if body.tier is not UNSET:
        known_tier(asked, body.tier)
        wanted = msgspec.structs.replace(wanted, tier=body.tier)
    if body.operator is not UNSET:
        wanted = msgspec.structs.replace(wanted, operator=body.operator)
    if wanted != user:
        await asked.change(administration.change_user(asked.actor, user, wanted))
    return await show_user(asked)


async def suspend_user(asked: Asked) -> UserShown:
    """A second time it changes nothing."""
    user = await _user(asked)
    if user.id == asked.actor.account:
        raise Conflict("You cannot suspend yourself: another operator can.")
    if user.suspended_us is None:
        await asked.change(administration.suspend(asked.actor, user))
    return await show_user(asked)


async def resume_user(asked: Asked) -> UserShown:
    user = await _user(asked)
    if user.suspended_us is not None:
        await asked.change(administration.suspend(asked.actor, user, lift=True))
    return await show_user(asked)


async def link_user(asked: Asked) -> LinkShown:
    user = await _user(asked)
    edit, token, expires_us = sign_in.new_link(
        asked.actor, user.id, user.name, without_second_factor=asked.body.without_second_factor
    )
    try:
        await asked.change(edit)
    except PreconditionFailed:
        raise Conflict(
            f"The user {user.name!r} has no second factor.", param="without_second_factor"
        ) from None
    return LinkShown(token=token, expires_us=expires_us)


def known_tier(asked: Asked, tier: str | None) -> None:
    """Raises `BadRequest`: there is no such group."""
    if tier is not None and tier not in asked.groups:
        raise BadRequest(f"tier: there is no group {tier!r} in the configuration.", param="tier")


def _not_of_file(user: User) -> None:
    if user.from_file:
        raise Conflict(f"The configuration file declares the user {user.name!r}: change it there.")


async def list_keys(asked: Asked) -> Slice:
    limit, after = limit_of(asked.query), asked.query.after

    def ask(reader: Reader) -> list[KeyShown]:
        owners = reader.owners()
        rows = reader.keys_after(after, limit + 1)
        return [keys.shown(key, owners.get(key.owner, key.owner)) for key in rows]

    return sliced(await asked.world.read(ask), limit, lambda key: str(key.id))


async def revoke_key(asked: Asked) -> KeyShown:
    id = asked.path["id"]
    found, owners = await asked.world.read(lambda reader: (reader.key(id), reader.owners()))
    key = one(found, "key", id)
    owner = owners.get(key.owner, key.owner)
    if key.revoked_us is None:
        await asked.change(keys.revoke(asked.actor, key, owner))
    return keys.shown(one(await asked.world.read(lambda reader: reader.key(id)), "key", id), owner)


async def list_wallets(asked: Asked) -> Slice:
    limit, after = limit_of(asked.query), asked.query.after
    rows = await asked.world.read(lambda reader: reader.wallets())
    page = [
        WalletShown(
            wallet=wallet.name,
            balance=in_credits(wallet.balance),
            held=in_credits(wallet.held),
            available=in_credits(wallet.balance - wallet.held),
        )
        for wallet in rows
        if wallet.name > after
    ]
    return sliced(page[: limit + 1], limit, lambda wallet: str(wallet.wallet))


async def grant(asked: Asked) -> Credited:
    name, body = asked.path["wallet"], asked.body
    owners = await asked.world.read(lambda reader: reader.owners())
    owner = one(next((id for id, known in owners.items() if known == name), None), "wallet", name)
    amount = _amount(body.amount_usd)
    ref = f"admin:{body.ref or ids.new_id('lot')}"
    if await asked.world.read(lambda reader: reader.granted(ref)):
        raise Conflict(f"The reference {body.ref!r} was granted before: nothing was changed.", param="ref")
    postings, credited = administration.grant(asked.actor, owner, name, amount, ref=ref)
    wallet, *rest = postings
    await asked.world.post(wallet)
    await asked.change(*rest)
    return credited


async def refund(asked: Asked) -> Credited:
    id, body = asked.path["id"], asked.body
    record, owners = await asked.world.read(lambda reader: (reader.usage(id), reader.owners()))
    row = one(record, "usage row", id)
    left = row.charged - row.refunded
    amount = left if body.amount_usd is None else _amount(body.amount_usd)
    if not 0 < amount <= left:
        raise Conflict(f"Of this call's charge {in_credits(left)} credits can be given back, and no more.")
    ref = f"admin:{body.ref or ids.new_id('lot')}"
    if await asked.world.read(lambda reader: reader.granted(ref)):
        raise Conflict(f"The reference {body.ref!r} was used before: nothing was changed.", param="ref")
    owner = next((id for id, name in owners.items() if name == row.wallet), row.wallet)
    postings, credited = administration.refund(asked.actor, row, owner, NanoUsd(amount), ref=ref)
    await asked.change(*postings)
    return credited


def _amount(dollars: Decimal) -> NanoUsd:
    try:
        amount = usd(str(dollars))
    except ValueError as error:
        raise BadRequest(f"amount_usd: {error}.", param="amount_usd") from None
    if amount <= 0:
        raise BadRequest("amount_usd: expected an amount in US dollars above 0.", param="amount_usd")
    return amount


async def list_usage(asked: Asked) -> Slice:
    limit, which = limit_of(asked.query), UsageFilter(after=asked.query.after or None)

    def ask(reader: Reader) -> list[UsageShown]:
        return [
            usage_row(record, reader.made_by(record.id)) for record in reader.usages(which, limit=limit + 1)
        ]

    return sliced(await asked.world.read(ask), limit, lambda row: str(row.id))


async def list_groups(asked: Asked) -> Slice:
    groups = [
        GroupShown(name=group.name, ratio=Decimal(group.ratio_ppm).scaleb(-6), weight=group.weight)
        for group in asked.world.settings.groups
    ]
    return Slice(groups, None)


async def list_audit(asked: Asked) -> Slice | Lines:
    return await page_of(asked, None)


async def system(asked: Asked) -> System:
    users, orgs = await asked.world.read(lambda reader: (len(reader.users()), len(reader.organizations())))
    return System(
        version=__version__,
        workers=asked.world.settings.server.workers,
        channels=len(asked.world.snapshot.catalog.channels),
        users=users,
        organizations=orgs,
    )


def _route(method: Any, path: str, handler: Any, summary: str, answer: Any, **more: Any) -> Route:
    return Route(
        method=method,
        path=ADMIN + path,
        needs="operator",
        handler=handler,
        summary=summary,
        answer=answer,
        **more,
    )


ROUTES = [
    _route("GET", "/users", list_users, "All users, by name", list[UserShown], query=Page),
    _route("POST", "/users", create_user, "A user, with a wallet", UserShown, body=NewUser, status=201),
    _route("GET", "/users/{name}", show_user, "One user", UserShown),
    _route(
        "PATCH", "/users/{name}", change_user, "Tier, operator", UserShown, body=UserSettings, matched=True
    ),
    _route("POST", "/users/{name}/suspend", suspend_user, "Refuse all calls of a user's keys", UserShown),
    _route("POST", "/users/{name}/resume", resume_user, "Let a suspended user call again", UserShown),
    _route(
        "POST",
        "/users/{name}/link",
        link_user,
        "A one-time link that sets a user's password",
        LinkShown,
        body=NewLink,
        status=201,
    ),
    _route("GET", "/keys", list_keys, "All keys", list[KeyShown], query=Page),
    _route("POST", "/keys/{id}/revoke", revoke_key, "End a key, at once and for good", KeyShown),
    _route("GET", "/wallets", list_wallets, "All wallets", list[WalletShown], query=Page),
    _route("POST", "/wallets/{wallet}/grant", grant, "Credits", Credited, body=NewGrant, status=201),
    _route("GET", "/usage", list_usage, "All usage, newest first", list[UsageShown], query=Page),
    _route("POST", "/usage/{id}/refund", refund, "Give back", Credited, body=NewRefund, status=201),
    _route("GET", "/groups", list_groups, "The groups of the configuration file", list[GroupShown]),
    _route("GET", "/audit", list_audit, "All changes, newest first", list[AuditShown], query=AuditQuery),
    _route("GET", "/system", system, "What runs", System),
]
