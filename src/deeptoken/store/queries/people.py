"""Users, keys, channels, prices: how they are read, and the structs that their rows become."""

from typing import Any

import apsw
import msgspec

from deeptoken.catalog.entry import Entry
from deeptoken.catalog.model import Price, Rates, Tier
from deeptoken.ledger.postings import Limit
from deeptoken.store.sqlite import Row, numbered


class User(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    tier: str | None = None
    operator: bool = False
    from_file: bool = False
    suspended_us: int | None = None
    version: int = 1
    created_us: int


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """An API key; of its secret only the SHA-256 and the first characters are known.

    `owner` is the id of a user or organization, which is the id of its wallet too. A key that the file
    declared and no longer names has `out_of_file_us`, and is out of use until it is named again.
    """

    id: str
    name: str
    owner: str
    sha256: bytes
    prefix: str
    limits: tuple[Limit, ...] = ()
    models: tuple[str, ...] = ()
    ips: tuple[str, ...] = ()
    scope: str = "call"
    timeout_ms: int | None = None
    """The most that one of its calls may take."""
    expires_us: int | None = None
    revoked_us: int | None = None
    deleted_us: int | None = None
    last_used_us: int | None = None
    from_file: bool = False
    out_of_file_us: int | None = None
    parent: str | None = None
    """The key that made it, where it is a child: its id. Its calls count at that one's limits too."""
    cheaper_model: str | None = None
    """What is called instead once a budget is nearly used."""
    webhook: str | None = None
    """Who is told when a budget is nearly used."""
    created_by: str | None = None
    """The user who made it."""
    children: bool = False
    """It may make child keys."""
    version: int = 1
    created_us: int


class StoredChannel(msgspec.Struct, frozen=True, kw_only=True):
    """A channel that lives in the database; `settings` are as in the file, `secret` is sealed."""

    id: str
    name: str
    settings: dict[str, Any]
    secret: bytes | None = None
    enabled: bool = True
    version: int = 1
    created_us: int


class PriceVersion(msgspec.Struct, frozen=True):
    """One row of the price book: the price of a model from `from_us` on."""

    price: Price
    from_us: int
    source: str


USERS = """
select id, name, tier, operator, from_file, suspended_us, version, created_us from "user" order by name
"""
TIER = 'select tier from "user" where id = $1'
USER_NAMED = 'select id from "user" where name = $1'
KEYS = """
select id, name, owner, sha256, prefix, limits, models, ips, scope, timeout_ms, expires_us, revoked_us,
    deleted_us, last_used_us, from_file, out_of_file_us, parent_id, cheaper_model, webhook, created_by,
    children, version, created_us
from key
"""
ALL_KEYS = f"{KEYS} where deleted_us is null order by created_us, id"
KEYS_OF = f"{KEYS} where owner = $1 and id > $2 and deleted_us is null order by id limit $3"
KEYS_AFTER = f"{KEYS} where id > $1 and deleted_us is null order by id limit $2"
KEY = f"{KEYS} where id = $1 and deleted_us is null"
CHANNELS = "select id, name, settings, secret, enabled, version, created_us from channel order by name"
CURRENT_PRICES = """
select id, model, rates, tiers, from_us, source from price
where id in (
    select max(id) from price join (
        select model as latest_model, max(from_us) as latest_us from price where from_us <= $1 group by model
    ) on model = latest_model and from_us = latest_us
    group by model
)
order by model
"""
MODELS = "select facts from model order by key"
ALL_PRICES = "select id, model, rates, tiers, from_us, source from price order by id"

_limits = msgspec.json.Decoder(tuple[Limit, ...])
_texts = msgspec.json.Decoder(tuple[str, ...])
_settings = msgspec.json.Decoder(dict[str, Any])
_rates = msgspec.json.Decoder(Rates)
_facts = msgspec.json.Decoder(Entry)
_tiers = msgspec.json.Decoder(tuple[Tier, ...])


def users(connection: apsw.Connection) -> list[User]:
    return [
        User(
            id=id,
            name=name,
            tier=tier,
            operator=bool(operator),
            from_file=bool(from_file),
            suspended_us=suspended_us,
            version=version,
            created_us=created_us,
        )
        for id, name, tier, operator, from_file, suspended_us, version, created_us in connection.execute(
            USERS
        )
    ]


def tier(connection: apsw.Connection, user: str) -> str | None:
    row = connection.execute(TIER, numbered(user)).fetchone()
    return None if row is None else row[0]


def user_named(connection: apsw.Connection, name: str) -> str | None:
    """The id of that user."""
    row = connection.execute(USER_NAMED, numbered(name)).fetchone()
    return None if row is None else row[0]


def keys(connection: apsw.Connection) -> list[Key]:
    """Every key that is not deleted: revoked, expired and out of file ones too."""
    return [_key(row) for row in connection.execute(ALL_KEYS)]


def keys_after(connection: apsw.Connection, after: str, limit: int) -> list[Key]:
    """The same by id, from behind that one on."""
    return [_key(row) for row in connection.execute(KEYS_AFTER, numbered(after, limit))]


def keys_of(connection: apsw.Connection, owner: str, after: str, limit: int) -> list[Key]:
    """The same of an owner, by id, from behind that one on."""
    return [_key(row) for row in connection.execute(KEYS_OF, numbered(owner, after, limit))]


def key(connection: apsw.Connection, id: str) -> Key | None:
    row = connection.execute(KEY, numbered(id)).fetchone()
    return None if row is None else _key(row)


def _key(row: Row) -> Key:
    values: dict[str, Any] = dict(zip(Key.__struct_fields__, row, strict=True))
    values["limits"] = _limits.decode(values["limits"])
    values["models"] = _texts.decode(values["models"])
    values["ips"] = _texts.decode(values["ips"])
    values["from_file"] = bool(values["from_file"])
    values["children"] = bool(values["children"])
    return Key(**values)


def channels(connection: apsw.Connection) -> list[StoredChannel]:
    return [
        StoredChannel(
            id=id,
            name=name,
            settings=_settings.decode(settings),
            secret=secret,
            enabled=bool(enabled),
            version=version,
            created_us=created_us,
        )
        for id, name, settings, secret, enabled, version, created_us in connection.execute(CHANNELS)
    ]


def current_prices(connection: apsw.Connection, now_us: int) -> list[PriceVersion]:
    """For each model the version that holds at `now_us`: of the latest day, the one added last."""
    return [_price(*row) for row in connection.execute(CURRENT_PRICES, numbered(now_us))]


def models(connection: apsw.Connection) -> list[Entry]:
    """What is known of models besides their prices."""
    return [_facts.decode(facts) for (facts,) in connection.execute(MODELS)]


def all_prices(connection: apsw.Connection) -> list[PriceVersion]:
    return [_price(*row) for row in connection.execute(ALL_PRICES)]


def _price(id: int, model: str, rates: str, tiers: str, from_us: int, source: str) -> PriceVersion:
    price = Price(id=id, model=model, rates=_rates.decode(rates), tiers=_tiers.decode(tiers))
    return PriceVersion(price=price, from_us=from_us, source=source)
