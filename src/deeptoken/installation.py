"""What the file declares and what the database knows, made one.

    declare    the file's users, keys and prices become rows; what left the file goes out of use
    snapshot   keys and catalog as the gateway uses them

The file owns what it declares; money and people that leave it stay.
"""

import asyncio
from collections.abc import Iterable

import msgspec

from deeptoken import clock, ids
from deeptoken.accounts import administration, keys, prices
from deeptoken.accounts.administration import change_price, create_user, new_user
from deeptoken.accounts.callers import people
from deeptoken.accounts.change import FILE as BY_FILE
from deeptoken.accounts.channels import opened
from deeptoken.accounts.declared import granted_once, member_rows, organization_rows
from deeptoken.catalog.catalog import Catalog
from deeptoken.catalog.model import Channel
from deeptoken.catalog.seed import load_seed
from deeptoken.gateway.snapshot import Snapshot
from deeptoken.identity.keys import declared_limits, milliseconds
from deeptoken.ledger.postings import Answer, OpenWallet, Posting, Rejected
from deeptoken.settings import DeclaredKey, Settings
from deeptoken.store.ledger import Ledger
from deeptoken.store.queries import statements
from deeptoken.store.queries.people import Key
from deeptoken.store.reads import Reader
from deeptoken.store.secrets import Secrets
from deeptoken.store.sqlite import StoreError


async def declare(settings: Settings, ledger: Ledger, reader: Reader) -> None:
    """Write what the file declares. Doing it again changes nothing.

    Raises:
        StoreError: a name is taken by something that contradicts the file.
    """
    await _declare_prices(settings, ledger, reader)
    users = await _declare_users(settings, ledger, reader)
    await post_all(ledger, organization_rows(settings.organizations, reader))
    await post_all(ledger, member_rows(settings.organizations, reader, users))
    owners = {name: id for id, name in reader.owners().items()}
    await _declare_keys(settings, ledger, reader, owners)


async def _declare_prices(settings: Settings, ledger: Ledger, reader: Reader) -> None:
    now_us = clock.wall_us()
    known = prices.current(reader)
    rows: list[Posting] = [
        change_price(
            BY_FILE,
            entry.id,
            (was.price.rates, was.price.tiers) if (was := known.get(entry.id)) else None,
            (entry.rates, entry.tiers),
            from_us=now_us,
            source=prices.FILE,
        )
        for entry in settings.models
        if entry.rates is not None
    ]
    if not reader.models():
        seed = load_seed()
        rows += [
            statements.add_price(
                prices.book_key(entry), entry.rates, entry.tiers, from_us=0, source=prices.BOOK
            )
            for entry in seed
            if entry.rates is not None
        ]
        rows += [statements.set_model(prices.book_key(entry), entry) for entry in seed]
    await post_all(ledger, rows)


async def _declare_users(settings: Settings, ledger: Ledger, reader: Reader) -> dict[str, str]:
    """The ids of all users, by name."""
    known = {user.name: user for user in reader.users()}
    named = {user.name for user in settings.users}
    changes: list[Posting] = []
    for declared in settings.users:
        user = known.get(declared.name)
        if user is None:
            user = new_user(declared.name, tier=declared.tier, operator=declared.operator, from_file=True)
            known[user.name] = user
            changes += create_user(BY_FILE, user)
            continue
        wanted = msgspec.structs.replace(user, tier=declared.tier, operator=declared.operator, from_file=True)
        if wanted != user:
            changes.append(administration.change_user(BY_FILE, user, wanted))
    for user in list(known.values()):
        if user.from_file and user.name not in named:
            left = msgspec.structs.replace(user, from_file=False)
            changes.append(administration.change_user(BY_FILE, user, left))
    await post_all(ledger, changes)
    await post_all(ledger, [OpenWallet(wallet=known[name].id) for name in named])
    grants: list[Posting] = []
    for declared in settings.users:
        grants += granted_once(reader, known[declared.name].id, f"user:{declared.name}", declared.grant)
    await post_all(ledger, grants)
    return {user.name: user.id for user in known.values()}


async def _declare_keys(settings: Settings, ledger: Ledger, reader: Reader, owners: dict[str, str]) -> None:
    rows = reader.keys()
    known = {(key.owner, key.name): key for key in rows}
    names = {id: name for name, id in owners.items()}
    changes: list[Posting] = []
    named = set()
    for declared in settings.keys:
        owner = owners[declared.owner]
        named.add((owner, declared.name))
        key = known.get((owner, declared.name))
        wanted = _declared(declared, owner, key)
        if key is None:
            changes.append(keys.create(BY_FILE, wanted, declared.owner))
        elif wanted != key:
            changes.append(keys.edit(BY_FILE, key, wanted, declared.owner))
    now_us = clock.wall_us()
    changes += [
        keys.edit(
            BY_FILE, key, msgspec.structs.replace(key, out_of_file_us=now_us), names.get(key.owner, key.owner)
        )
        for place, key in known.items()
        if key.from_file and place not in named and key.out_of_file_us is None
    ]
    await post_all(ledger, changes)


def _declared(declared: DeclaredKey, owner: str, key: Key | None) -> Key:
    """The row that a declared key wants; what the file does not know stays as it is."""
    known = key or Key(
        id=ids.new_id("key"),
        name=declared.name,
        owner=owner,
        sha256=b"",
        prefix="",
        created_us=clock.wall_us(),
    )
    return msgspec.structs.replace(
        known,
        sha256=declared.digest,
        prefix=declared.shown,
        limits=declared_limits(declared),
        timeout_ms=milliseconds(declared.timeout_s),
        models=declared.models,
        ips=tuple(str(network) for network in declared.networks),
        scope=declared.scope,
        cheaper_model=declared.cheaper_model,
        webhook=declared.webhook,
        children=declared.children,
        expires_us=declared.expires_us,
        from_file=True,
        out_of_file_us=None,
    )


async def post_all(ledger: Ledger, postings: Iterable[Posting]) -> list[Answer]:
    answers = await asyncio.gather(*(ledger.post(posting) for posting in postings))
    for answer in answers:
        if isinstance(answer, Rejected):
            raise StoreError(f"The configuration and the database disagree: {answer.why}")
    return answers


def snapshot(settings: Settings, reader: Reader, secrets: Secrets) -> Snapshot:
    """Keys and catalog as of now.

    Raises:
        StoreError: a channel's credential cannot be opened.
    """
    now = prices.current(reader)
    keys, organizations, operators = people(reader, {group.name: group for group in settings.groups})
    catalog = Catalog.build(
        channels=[*settings.channels, *_stored_channels(settings, reader, secrets)],
        models=[prices.priced(entry, now) for entry in settings.models],
        book=[prices.priced(entry, now) for entry in reader.models()],
        groups=settings.groups,
    )
    return Snapshot(keys=keys, catalog=catalog, organizations=organizations, operators=operators)


def _stored_channels(settings: Settings, reader: Reader, secrets: Secrets) -> list[Channel]:
    """The database's channels; a name that the file has too is the file's."""
    owned = {channel.name for channel in settings.channels}
    return [opened(stored, secrets) for stored in reader.channels() if stored.name not in owned]
