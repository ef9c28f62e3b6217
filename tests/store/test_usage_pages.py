"""Pages of usage: whatever is asked for, they are the newest rows that match, and found by an index."""

import asyncio
import itertools
from pathlib import Path
from typing import Any

import pytest
from store_scene import plan

from deeptoken import ids
from deeptoken.store.ledger import open_writer
from deeptoken.store.queries import money, statements
from deeptoken.store.queries.money import UsageFilter
from deeptoken.store.queries.people import Key
from deeptoken.store.reads import Reader
from deeptoken.store.sqlite import numbered, open_writer_connection

WALLETS = ("org_1", "org_2")
OWNERS = ("org_1", "usr_1", "usr_2")
MODELS = ("a", "b", "c")
LIMIT = 7
KEYS = {f"key_{owner}_{name}": (owner, name) for owner in OWNERS for name in ("ci", "web")}
FORGOTTEN = "key_forgotten"
"""Whose key is no longer in the database."""
ROW = """
insert into usage (
    request_id, request_label, endpoint, key_id, wallet_id, model, price_id, ratio_ppm, stream, classes,
    estimated, cost, charged, split, outcome, status, duration_ms, created_us, settled_us, epoch, batch_no, n
) values ($1, $1, '/v1', $2, $3, $4, 1, 1, 0, '{}', 0, 0, 0, 0, $5, 200, 1, 1, $6, 1, 1, 1)
"""


def row(number: int) -> dict[str, Any]:
    """Rows of every wallet, key, model and outcome; what is rare among them is rare in the newest, too."""
    key = FORGOTTEN if number % 17 == 3 else list(KEYS)[number * 5 % 7 % len(KEYS)]
    return {
        "id": f"{number:04}",
        "key": key,
        "wallet": WALLETS[number % 11 == 5],
        "model": MODELS[2] if number % 31 == 2 else MODELS[number * 3 % 5 % 2],
        "outcome": "failed" if number % 13 == 4 else "complete",
        "settled": number * 10,
    }


ROWS = [row(number) for number in range(600)]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("pages") / "deeptoken.db"
    keys = [
        Key(id=id, name=name, owner=owner, sha256=ids.digest(id), prefix="dtk_1234", created_us=1)
        for id, (owner, name) in KEYS.items()
    ]

    async def make() -> None:
        async with open_writer(file) as ledger:
            for key in keys:
                await ledger.post(statements.add_key(key))

    asyncio.run(make())
    connection = open_writer_connection(file)
    for one in ROWS:
        connection.execute(ROW, numbered(*one.values()))
    connection.close()
    return file


def matches(one: dict[str, Any], which: UsageFilter) -> bool:
    owner, name = KEYS.get(one["key"], (None, None))
    return (
        one["wallet"] == which.wallet
        and which.model in (None, one["model"])
        and which.outcome in (None, one["outcome"])
        and which.key_named in (None, one["key"], name)
        and which.user in (None, owner)
        and (which.after is None or one["id"] < which.after)
        and (which.from_id is None or one["id"] >= which.from_id)
        and (which.before_id is None or one["id"] < which.before_id)
        and (which.since_us is None or one["settled"] >= which.since_us)
    )


CHOICES: dict[str, tuple[Any, ...]] = {
    "wallet": WALLETS,
    "model": (None, "a", "c", "none"),
    "outcome": (None, "complete", "failed"),
    "key_named": (None, "ci", "key_usr_1_web", FORGOTTEN, "none"),
    "user": (None, "usr_1", "org_1", "nobody"),
}
TIMES: tuple[dict[str, Any], ...] = (
    {},
    {"after": "0300"},
    {"from_id": "0100", "before_id": "0500"},
    {"since_us": 4_000},
)


@pytest.mark.parametrize("limit", [pytest.param(LIMIT, id="a page"), pytest.param(1_000, id="all")])
def test_a_page_has_the_newest_rows_of_those_that_match(path: Path, limit: int) -> None:
    found_some = 0
    with Reader(path) as reader:
        for chosen in itertools.product(*CHOICES.values(), TIMES):
            which = UsageFilter(**dict(zip(CHOICES, chosen[:-1], strict=True)), **chosen[-1])

            page = [record.id for record in reader.usages(which, limit=limit)]

            expected = [one["id"] for one in reversed(ROWS) if matches(one, which)][:limit]
            assert page == expected, which
            found_some += bool(page)
    assert found_some > 300


@pytest.mark.parametrize(
    ("which", "index"),
    [
        pytest.param(UsageFilter(wallet="w", model="m"), "usage_model (wallet_id=? AND model=?", id="model"),
        pytest.param(
            UsageFilter(wallet="w", key_named="k"),
            "usage_key (wallet_id=? AND key_id=? AND model=?",
            id="key",
        ),
        pytest.param(
            UsageFilter(wallet="w", user="u"), "usage_key (wallet_id=? AND key_id=? AND model=?", id="member"
        ),
        pytest.param(
            UsageFilter(wallet="w", user="u", key_named="k", model="m", outcome="complete"),
            "usage_key (wallet_id=? AND key_id=? AND model=?",
            id="a model of a member's key",
        ),
        pytest.param(
            UsageFilter(wallet="w", outcome="failed"),
            "usage_outcome (wallet_id=? AND outcome=?",
            id="outcome",
        ),
        pytest.param(
            UsageFilter(wallet="w", outcome="failed", key_named="k", model="m"),
            "usage_outcome (wallet_id=? AND outcome=?",
            id="an outcome of a key",
        ),
        pytest.param(
            UsageFilter(wallet="w", outcome="complete"), "usage_wallet (wallet_id=?", id="what is complete"
        ),
    ],
)
def test_what_is_rare_is_found_by_an_index(path: Path, which: UsageFilter, index: str) -> None:
    steps = plan(path, money.records_statement(which))

    assert any(index in step for step in steps), steps
    assert not any(step.startswith(("SCAN usage", "SCAN key")) for step in steps), steps
