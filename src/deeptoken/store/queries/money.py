"""Wallets, lots, holds and usage rows: how they are read, and the structs that their rows become."""

import apsw
import msgspec

from deeptoken.ledger.changes import HoldRow, LotRow, WalletRow
from deeptoken.ledger.postings import Call
from deeptoken.money import NanoUsd
from deeptoken.store.sqlite import Value, numbered


class Wallet(msgspec.Struct, frozen=True):
    """A wallet as people see it; `name` is ``user:ops``, or the id where the owner is unknown."""

    id: str
    name: str
    balance: NanoUsd
    held: NanoUsd


class UsageRecord(msgspec.Struct, frozen=True):
    """A usage row as `usage --json` and ``GET /v1/generation`` show it, with names instead of ids.

    `attempts` is JSON, None where a single attempt went well.
    """

    id: str
    request_id: str
    endpoint: str
    model: str
    channel: str | None
    key: str
    wallet: str
    stream: bool
    prompt_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    images: int
    characters: int
    seconds: int
    searches: int
    estimated: bool
    cost: NanoUsd
    charged: NanoUsd
    refunded: NanoUsd
    """Of what was charged, so much was given back."""
    outcome: str
    status: int
    code: str | None
    attempts: str | None
    upstream_id: str | None
    ttft_ms: int | None
    duration_ms: int
    created_us: int
    settled_us: int
    wallets: tuple[str, ...] = ()
    """Both that paid, where there were two: `wallet` first."""


class UsageFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which usage rows; None is any. `after` is the id of the last row of the page before."""

    wallet: str | None = None
    """The wallet's id; `key` is a key's id or name."""
    key: str | None = None
    model: str | None = None
    channel: str | None = None
    outcome: str | None = None
    since_us: int | None = None
    until_us: int | None = None
    after: str | None = None
    key_named: str | None = None
    """A key's id or name, among the rows of a wallet."""
    user: str | None = None
    """Whose keys: the id of a user or organization."""
    from_id: str | None = None
    """Calls that came since then, which their ids say; `before_id`: before then."""
    before_id: str | None = None


WALLETS = "select id, balance, held from wallet order by id"
LOTS = """
select id, wallet_id, source, rank, granted, remaining, expires_us, ref, created_us from lot
"""
OPEN_LOTS = f"{LOTS} where remaining > 0 order by wallet_id, rank"
NEWEST_LOTS = f"""
{LOTS} as newest where remaining = 0 and not exists (
    select 1 from lot where wallet_id = newest.wallet_id and rank > newest.rank
)
"""
WALLET_LOTS = f"{LOTS} where wallet_id = $1 and rank > $2 order by rank limit $3"
GRANTED = "select count(*) from lot where ref = $1"
HOLDS = """
select call, amount, used, tokens, epoch, created_us, subjects, fallback from hold
order by created_us, request_id
"""

NAMED_WALLETS = """
select wallet.id, coalesce((select name from owner where owner.id = wallet.id), wallet.id), balance, held
from wallet
where $1 is null or wallet.id = $1
order by 2
"""
RECORD = """
select usage.request_id, request_label, endpoint, usage.model, channel, coalesce(key.name, key_id),
    coalesce((select name from owner where owner.id = wallet_id), wallet_id), stream,
    prompt_tokens, cached_tokens, cache_write_tokens,
    completion_tokens, reasoning_tokens, images, characters, seconds, searches, estimated, cost, charged,
    (select coalesce(sum(amount), 0) from entry where ref = usage.request_id and kind = 'refund'),
    outcome, status, code, attempts, upstream_id, ttft_ms, duration_ms, usage.created_us, settled_us,
    case when split then (
        select coalesce((select name from owner where owner.id = debit), debit) from entry
        where ref = usage.request_id and kind = 'draw' and debit <> wallet_id limit 1
    ) end
from usage
left join key on key.id = key_id
"""
RECORD_BY_ID = f"{RECORD} where usage.request_id = $1 and ($2 is null or key.owner = $2)"
RECORD_BY_LABEL = f"""
{RECORD} where request_label = $1 and request_label <> usage.request_id and ($2 is null or key.owner = $2)
order by usage.request_id desc limit 1
"""
KEY_OWNER = "(select owner from key where id = key_id)"
"""As a value: a condition on the joined key would let the planner begin with the keys."""
PAID_BY_ID = f"""
{RECORD} where usage.request_id = $1 and wallet_id = $2 and ($3 is null or {KEY_OWNER} = $3)
"""
PAID_BY_LABEL = f"""
{RECORD} where request_label = $1 and request_label <> usage.request_id and wallet_id = $2
    and ($3 is null or {KEY_OWNER} = $3)
order by usage.request_id desc limit 1
"""
MADE_BY = f"select (select name from owner where id = {KEY_OWNER}) from usage where request_id = $1"
RECENT_ANSWERS = """
select completion_tokens from (
    select model, outcome, completion_tokens from usage where wallet_id = $1 order by request_id desc limit $3
) where model = $2 and outcome = 'complete'
"""
RECENT_CALLS = 200
"""So many calls of a wallet are looked at for those of one model: few rows, by an index."""
CONDITIONS = {
    "wallet": "wallet_id = $1",
    "key": "key_id in (select id from key where id = $2 or name = $2)",
    "model": "usage.model = $3",
    "channel": "channel = $4",
    "outcome": "outcome = $5",
    "since_us": "settled_us >= $6",
    "until_us": "settled_us < $7",
    "after": "usage.request_id < $8",
    "key_named": "(key_id = $9 or (select name from key where id = key_id) = $9)",
    "user": f"{KEY_OWNER} = $10",
    "from_id": "usage.request_id >= $11",
    "before_id": "usage.request_id < $12",
}

FAILED = "outcome <> 'complete'"
"""What the index of outcomes leaves out: nearly every row is complete."""
OF_A_PART = {"wallet", "model", "key_named", "user"}
"""The conditions that `PAGE_OF_KEYS` has itself."""
NAMED = "select $9 as id union select id from key where name = $9"
OWNED = "select id from key where owner = $10"
PAGE_OF_KEYS = f"""
{RECORD}
where usage.request_id in (
    with recursive part (key_id, model) as (
        select id, (select min(model) from usage where wallet_id = $1 and key_id = id) from ({{keys}})
        union all
        select key_id, (
            select min(model) from usage where wallet_id = $1 and key_id = part.key_id and model > part.model
        ) from part where part.model is not null
    )
    select value from part, json_each((
        select json_group_array(request_id) from (
            select request_id from usage
            where wallet_id = $1 and key_id = part.key_id and usage.model = part.model {{more}}
            order by request_id desc limit ${{limit}}
        )
    ))
    where part.model is not null {{models}}
    order by value desc limit ${{limit}}
)
order by usage.request_id desc limit ${{limit}}
"""
"""The newest rows of a wallet that some keys made: of each key and each of its models the newest, by an index
that has them in this order, and of those the newest. What is rare is found as fast as what is not."""

_call = msgspec.json.Decoder(Call)
_subjects = msgspec.json.Decoder(tuple[str, ...])
_call_text = msgspec.json.Encoder()


def wallet_rows(connection: apsw.Connection) -> list[WalletRow]:
    return [WalletRow(*row) for row in connection.execute(WALLETS)]


def live_lots(connection: apsw.Connection) -> list[LotRow]:
    """The lots that the book must know: what has money, and each wallet's newest (ranks count on from it)."""
    lots = [LotRow(*row) for row in connection.execute(OPEN_LOTS)]
    return lots + [LotRow(*row) for row in connection.execute(NEWEST_LOTS)]


def wallet_lots(connection: apsw.Connection, wallet: str, after: int = -1, limit: int = -1) -> list[LotRow]:
    """The lots of a wallet, oldest first, the empty ones too; from behind that rank on."""
    return [LotRow(*row) for row in connection.execute(WALLET_LOTS, numbered(wallet, after, limit))]


def granted(connection: apsw.Connection, ref: str) -> bool:
    """Is there a lot with this reference?"""
    return bool(connection.execute(GRANTED, numbered(ref)).get)


def hold_rows(connection: apsw.Connection) -> list[HoldRow]:
    return [
        HoldRow(_call.decode(call), amount, used, tokens, epoch, at_us, _subjects.decode(subjects), fallback)
        for call, amount, used, tokens, epoch, at_us, subjects, fallback in connection.execute(HOLDS)
    ]


def wallets(connection: apsw.Connection, id: str | None = None) -> list[Wallet]:
    return [Wallet(*row) for row in connection.execute(NAMED_WALLETS, numbered(id))]


def usage_record(connection: apsw.Connection, id: str, owner: str | None = None) -> UsageRecord | None:
    """By its id, else the newest with that ``X-Request-Id``; of keys of `owner` only, if given."""
    for statement in (RECORD_BY_ID, RECORD_BY_LABEL):
        row = connection.execute(statement, numbered(id, owner)).fetchone()
        if row is not None:
            return _record(row)
    return None


def paid_record(
    connection: apsw.Connection, id: str, wallet: str, user: str | None = None
) -> UsageRecord | None:
    """The same among what a wallet paid; of the keys of `user` only, if given."""
    for statement in (PAID_BY_ID, PAID_BY_LABEL):
        row = connection.execute(statement, numbered(id, wallet, user)).fetchone()
        if row is not None:
            return _record(row)
    return None


def usage_records(connection: apsw.Connection, which: UsageFilter, limit: int) -> list[UsageRecord]:
    """The newest `limit` rows of those that match, newest first."""
    rows = connection.execute(
        records_statement(which), numbered(*(getattr(which, name) for name in CONDITIONS), limit)
    )
    return [_record(row) for row in rows]


def made_by(connection: apsw.Connection, id: str) -> str | None:
    """Whose key made a call: ``user:ops``, ``org:acme``."""
    row = connection.execute(MADE_BY, numbered(id)).fetchone()
    return None if row is None else row[0]


def records_statement(which: UsageFilter) -> str:
    """What `usage_records` asks; its last parameter is the limit."""
    limit = len(CONDITIONS) + 1
    asked = {name: text for name, text in CONDITIONS.items() if getattr(which, name) is not None}
    failed = which.outcome not in (None, "complete")
    keys = " intersect ".join(
        text for name, text in (("key_named", f"select id from ({NAMED})"), ("user", OWNED)) if name in asked
    )
    if which.wallet is not None and not failed and keys:
        more = "".join(f" and {text}" for name, text in asked.items() if name not in OF_A_PART)
        models = "and part.model = $3" if "model" in asked else ""
        return PAGE_OF_KEYS.format(keys=keys, more=more, models=models, limit=limit)
    conditions = [*asked.values(), *([FAILED] if failed else [])]
    where = f"where {' and '.join(conditions)}" if conditions else ""
    return f"{RECORD} {where} order by usage.request_id desc limit ${limit}"


def recent_answers(connection: apsw.Connection, wallet: str, model: str) -> list[int]:
    """The completion tokens of the wallet's latest whole answers of a model, newest first."""
    rows = connection.execute(RECENT_ANSWERS, numbered(wallet, model, RECENT_CALLS))
    return [row[0] for row in rows]


def _record(row: tuple[Value, ...]) -> UsageRecord:
    record = msgspec.convert(
        dict(zip(UsageRecord.__struct_fields__[:-1], row[:-1], strict=True)), UsageRecord, strict=False
    )
    other = row[-1]
    return record if other is None else msgspec.structs.replace(record, wallets=(record.wallet, str(other)))
