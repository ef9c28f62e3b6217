"""The usage page of an organization at ten million usage rows, over the management API, with each filter.

Half of the rows are the organization's, over a year; the others are of 10,000 keys of 1,000 others. They are
written without the gateway, many to a statement, as calls that it answered: with ids in the order of their
times, of keys that are there, paid from the organization's lot. Only the chain of hashes has no batch of
them, so `verify` would complain; no page reads it.
"""

import http.client
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlencode

import apsw
import crowd
import msgspec
from processes import Server
from results import Run
from stage import Stage

from deeptoken import clock, ids

ROWS = 10_000_000
STATEMENT_ROWS = 100_000
YEAR_US = 365 * 86_400_000_000
PAGE_ROWS = 100
ASKS = 15
PATIENCE_S = 10.0
"""Of a page that is asked again and again."""
SELDOM = 200_000
"""One row in so many has what a filter for something rare finds."""
CHARGED = 90_000
ORGANIZATION = "big"
KEYS = 18
DECLARED = """
[[users]]
name = "often"

[[users]]
name = "seldom"

[[organizations]]
slug = "big"
owner = "ops"
grant_usd = 1000000.0
members = [{{ user = "often", role = "member" }}, {{ user = "seldom", role = "member" }}]

[[keys]]
name = "manage"
owner = "ops"
scope = "manage"
secret = "{manage}"
"""
KEY = """
[[keys]]
name = "{name}"
owner = "{owner}"
sha256 = "{digest}"
"""

PLACES = """
create temp table place (number integer primary key, key_id text not null, wallet_id text not null);
"""
CROWD = """
insert into temp.place select row_number() over (order by id) - 1, id, owner from key
where name like 'key-%' and owner like 'org%' and owner <> $1
"""
FILL = """
with recursive number (n) as (
    select $1 union all select n + 1 from number where n + 1 < $2
), row as (
    select n, $3 + n * $4 as at_us, n % 2 = 0 as ours, n / 2 as m from number
)
insert into usage (
    request_id, request_label, endpoint, key_id, wallet_id, model, price_id, ratio_ppm, stream,
    classes, estimated, cost, charged, lot_id, split, outcome, status, code, channel, attempts,
    upstream_id, ttft_ms, duration_ms, created_us, settled_us, epoch, batch_no, n
)
select id, id, '/v1/chat/completions', key, wallet, model, 1, 1000000, 0,
    '{"prompt":200,"completion":100}', 0, charged, charged, lot, 0, outcome,
    iif(outcome = 'complete', 200, 502), null, 'whole', null,
    'chatcmpl-bench0123456789', 30, 300, at_us, at_us + 300000, 0, 0, n
from (
    select n, at_us,
        format(
            '%08x-%04x-7%03x-8%03x-%012x', at_us / 65536000, at_us / 1000 % 65536, n % 4096, m % 4096, n
        ) as id,
        iif(ours, (
            select value from json_each($5) where key = iif(m % $8 = 7, 'seldom', iif(
                m % $8 = 9, 'personal', iif(m % 10 = 1, 'often', 'key-' || (m % $9))
            ))
        ), (select key_id from temp.place where number = m * 7919 % $10)) as key,
        iif(ours, $6, (select wallet_id from temp.place where number = m * 7919 % $10)) as wallet,
        iif(m % $8 = 11, 'bench-rare', 'bench-' || (m % 7)) as model,
        iif(m % $8 = 13, 'failed', 'complete') as outcome,
        iif(ours, $11, 0) as charged, iif(ours, $7, null) as lot
    from row
)
"""
PAID = (
    "update wallet set balance = balance - $2 where id = $1",
    "update lot set remaining = remaining - $2 where id = $1",
)


class Filled(msgspec.Struct, frozen=True):
    """What stands in the database: how many rows, and when the first and the last were."""

    rows: int
    first_us: int
    step_us: int
    seconds: float
    megabytes: float

    def id_at(self, share: float) -> str:
        """What the ids of calls at that part of the year begin with."""
        return ids.since(self.first_us + int(share * self.rows) * self.step_us)


def measure(stage: Stage, rows: int, run: Run, whole: Server, streams: Server) -> list[str]:
    """Put the figures into `run`; what stands behind them is returned as sentences."""
    home, manage = stage.folder / "pages", ids.new_secret()
    declared = DECLARED.format(manage=manage) + "".join(
        KEY.format(name=name, owner=owner, digest=ids.digest(ids.new_secret()).hex())
        for name, owner in (
            *((f"key-{number}", f"org:{ORGANIZATION}") for number in range(KEYS)),
            ("seldom", f"org:{ORGANIZATION}"),
            ("often", "often"),
            ("personal", "seldom"),
        )
    )
    stage.gateway(whole, streams, folder=home, declared=declared).stop()
    crowd.fill(home / "bench.db")
    filled = fill(home / "bench.db", rows)
    began = clock.monotonic()
    gateway = stage.gateway(whole, streams, folder=home, declared=declared, again=True)
    ready_s = clock.monotonic() - began
    told = [
        f"{rows:,} usage rows, {filled.megabytes:,.0f} MB, written in {filled.seconds:.0f} s; the gateway "
        f"was ready with them in {ready_s:.1f} s, {gateway.resident_mb():.0f} MB"
    ]
    medians, worst = [], 0.0
    for what, query in asked(filled).items():
        took_ms = ask(gateway, manage, query, what)
        medians.append(median(took_ms))
        worst = max(worst, *took_ms)
        told.append(f"usage page, {what}: median {medians[-1]:.1f} ms, worst {max(took_ms):.1f} ms")
        print(f"  {told[-1]}")
    gateway.stop()
    shutil.rmtree(home)
    run.figures["usage_page"], run.figures["usage_page_worst"] = max(medians), worst
    return told


def asked(filled: Filled) -> dict[str, dict[str, str]]:
    """Each filter of the page: with what is on every page, and with what hardly any row has."""
    middle = filled.first_us + filled.rows // 2 * filled.step_us
    since = datetime.fromtimestamp(middle // 1_000_000, UTC)
    day = {"since": since.isoformat(), "until": (since + timedelta(days=1)).isoformat()}
    return {
        "the newest": {},
        "after half of them": {"after": filled.id_at(0.5)},
        "the oldest": {"after": filled.id_at(300 / filled.rows)},
        "a day": day,
        "a model": {"model": "bench-3"},
        "a rare model": {"model": "bench-rare"},
        "a model that nobody called": {"model": "other"},
        "a key": {"key": "key-3"},
        "a rare key": {"key": "seldom"},
        "a member": {"user": "often"},
        "a member who seldom calls": {"user": "seldom"},
        "an outcome": {"outcome": "complete"},
        "a rare outcome": {"outcome": "failed"},
        "a rare model on a day": {"model": "bench-rare", **day},
        "a rare model of a key": {"model": "bench-rare", "key": "key-3"},
    }


def ask(gateway: Server, secret: str, query: dict[str, str], what: str) -> list[float]:
    """How long each of several asks took, in milliseconds; once before they count.

    Raises:
        RuntimeError: an answer was not right.
    """
    path = f"/api/orgs/{ORGANIZATION}/usage?{urlencode({**query, 'limit': PAGE_ROWS})}"
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=120)
    took: list[float] = []
    began = clock.monotonic()
    while len(took) < ASKS and (len(took) < 2 or clock.monotonic() - began < PATIENCE_S):
        at = clock.monotonic()
        connection.request("GET", path, headers={"authorization": f"Bearer {secret}"})
        answer = connection.getresponse()
        body = answer.read()
        took.append((clock.monotonic() - at) * 1e3)
        if answer.status != 200 or not right(msgspec.json.decode(body)["data"], query):
            raise RuntimeError(f"usage page, {what}: a wrong answer: {answer.status} {body[:300]!r}")
    connection.close()
    return took[1:]


def right(page: list[dict[str, Any]], query: dict[str, str]) -> bool:
    """Newest first, and nothing that the filter leaves out; full, but for what is rare."""
    order = [row["id"] for row in page]
    if order != sorted(set(order), reverse=True):
        return False
    fields = {name: query[name] for name in ("model", "key", "outcome") if name in query}
    if any(row[name] != value for row in page for name, value in fields.items()):
        return False
    if "user" in query and any(row["owner"] != f"user:{query['user']}" for row in page):
        return False
    if "after" in query and any(id >= query["after"] for id in order):
        return False
    rare = {"bench-rare", "other", "seldom", "failed"} & set(query.values())
    return bool(rare) or len(page) == PAGE_ROWS


def fill(database: Path, rows: int) -> Filled:
    """So many calls of the year that ends now."""
    began = clock.monotonic()
    step_us = YEAR_US // rows
    filled = Filled(rows, clock.wall_us() - rows * step_us, step_us, 0.0, 0.0)
    connection = apsw.Connection(str(database))
    for pragma in ("journal_mode = wal", "synchronous = off", "cache_size = -262144"):
        connection.execute(f"pragma {pragma}")
    wallet, keys = _organization(connection)
    connection.execute(PLACES)
    connection.execute(CROWD, {"1": wallet})
    places = connection.execute("select count(*) from temp.place").get
    lot = connection.execute("select id from lot where wallet_id = $1", {"1": wallet}).get
    fixed = (step_us, keys, wallet, lot, SELDOM, KEYS, places, CHARGED)
    for first in range(0, rows, STATEMENT_ROWS):
        last = min(rows, first + STATEMENT_ROWS)
        given = (first, last, filled.first_us, *fixed)
        connection.execute(FILL, {str(number): value for number, value in enumerate(given, 1)})
    for statement, id in zip(PAID, (wallet, lot), strict=True):
        connection.execute(statement, {"1": id, "2": (rows + 1) // 2 * CHARGED})
    connection.execute("pragma wal_checkpoint(truncate)")
    connection.close()
    return msgspec.structs.replace(
        filled, seconds=clock.monotonic() - began, megabytes=database.stat().st_size / 1e6
    )


def _organization(connection: apsw.Connection) -> tuple[str, str]:
    """Its wallet, and the ids of its keys by name, and of those of its members."""
    wallet = connection.execute("select id from organization where slug = $1", {"1": ORGANIZATION}).get
    keys = connection.execute(
        "select json_group_object(name, id) from key where owner = $1 or name in ('often', 'personal')",
        {"1": wallet},
    ).get
    return str(wallet), str(keys)
