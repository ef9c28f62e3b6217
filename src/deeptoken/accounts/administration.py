"""What an operator changes, by the command line or the management API: users, their tiers, credits."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from deeptoken import clock, ids
from deeptoken.accounts.change import Actor, audit, change
from deeptoken.accounts.keys import in_credits
from deeptoken.catalog.model import Rates, Tier
from deeptoken.ledger.postings import Edit, Grant, OpenWallet, Posting, Refund
from deeptoken.money import NanoUsd
from deeptoken.store.queries.money import UsageRecord
from deeptoken.store.queries.people import User
from deeptoken.store.queries.statements import add_price, add_user, set_user, suspend_user


class UserShown(msgspec.Struct, frozen=True, kw_only=True):
    """A user as operators read it."""

    id: str
    name: str
    tier: str
    operator: bool
    state: Literal["active", "suspended"]
    source: Literal["file", "database"]
    created_us: int
    version: int


class Credited(msgspec.Struct, frozen=True, kw_only=True):
    """Credits that came into a wallet: a lot."""

    wallet: str
    lot: str
    amount: Decimal
    ref: str


def new_user(name: str, *, tier: str | None = None, operator: bool = False, from_file: bool = False) -> User:
    return User(
        id=ids.new_id("usr"),
        name=name,
        tier=tier,
        operator=operator,
        from_file=from_file,
        created_us=clock.wall_us(),
    )


def shown(user: User) -> UserShown:
    return UserShown(
        id=user.id,
        name=user.name,
        tier=user.tier or "default",
        operator=user.operator,
        state="active" if user.suspended_us is None else "suspended",
        source="file" if user.from_file else "database",
        created_us=user.created_us,
        version=user.version,
    )


def create_user(actor: Actor, user: User) -> tuple[Edit, OpenWallet]:
    """With its wallet."""
    edit = change(
        actor, "user.create", f"user:{user.name}", add_user(user), tenant=user.id, after=shown(user)
    )
    return edit, OpenWallet(wallet=user.id)


def change_user(actor: Actor, before: User, after: User) -> Edit:
    """Its tier, and whether it is an operator; nothing if it has changed since it was read."""
    return change(
        actor,
        "user.change",
        f"user:{before.name}",
        set_user(after),
        tenant=before.id,
        before=shown(before),
        after=shown(msgspec.structs.replace(after, version=before.version + 1)),
    )


def suspend(actor: Actor, user: User, *, lift: bool = False) -> Edit:
    at_us = None if lift else clock.wall_us()
    after = msgspec.structs.replace(user, suspended_us=at_us, version=user.version + 1)
    return change(
        actor,
        "user.change",
        f"user:{user.name}",
        suspend_user(user.id, at_us),
        tenant=user.id,
        before=shown(user),
        after=shown(after),
    )


def grant(
    actor: Actor, wallet: str, name: str, amount: NanoUsd, *, ref: str, expires_us: int | None = None
) -> tuple[Sequence[Posting], Credited]:
    """Credits for the wallet of this id; `ref` stands for one grant, and must not have been used."""
    lot = ids.new_id("lot")
    made = Grant(wallet=wallet, lot=lot, amount=amount, source="grant", ref=ref, expires_us=expires_us)
    credited = Credited(wallet=name, lot=lot, amount=in_credits(amount), ref=ref)
    row = audit(actor, "wallet.grant", f"wallet:{name}", tenant=wallet, after=credited)
    return (OpenWallet(wallet=wallet), made, row), credited


def change_price(
    actor: Actor,
    model: str,
    before: tuple[Rates, tuple[Tier, ...]] | None,
    after: tuple[Rates, tuple[Tier, ...]],
    *,
    from_us: int,
    source: str,
) -> Edit:
    """Another version of a model's price, filed under that key; nothing if it is the same as the latest."""
    return change(
        actor,
        "price.change",
        f"model:{model}",
        add_price(model, *after, from_us=from_us, source=source),
        tenant=None,
        before=None if before is None else {"rates": before[0], "tiers": before[1]},
        after={"rates": after[0], "tiers": after[1], "from_us": from_us, "source": source},
    )


def refund(
    actor: Actor, usage: UsageRecord, owner: str, amount: NanoUsd, *, ref: str
) -> tuple[Sequence[Posting], Credited]:
    """What a call was charged, or part of it, to who paid; `owner` is the id of that wallet."""
    lot = ids.new_id("lot")
    credited = Credited(wallet=usage.wallet, lot=lot, amount=in_credits(amount), ref=ref)
    row = audit(actor, "wallet.refund", f"usage:{usage.id}", tenant=owner, after=credited)
    return (Refund(usage=usage.id, lot=lot, amount=amount, ref=ref), row), credited
