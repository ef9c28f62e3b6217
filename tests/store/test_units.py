"""What is no token is counted in the row, billed by its own price, and stands where rows are shown."""

import asyncio
from pathlib import Path

import apsw
import msgspec
from store_scene import RATES, broken, call, fund, hold, settle

from deeptoken.catalog.model import Price
from deeptoken.catalog.price import charge
from deeptoken.ledger.postings import Call
from deeptoken.money import PicoUsd
from deeptoken.store.ledger import open_writer
from deeptoken.store.migrate import ensure_current, migrate, migrations
from deeptoken.store.queries.money import UsageFilter
from deeptoken.store.queries.statements import add_price
from deeptoken.store.reads import Reader
from deeptoken.store.shown import shown
from deeptoken.store.sqlite import open_writer_connection
from deeptoken.wire.usage import Usage

DRAWN = msgspec.structs.replace(
    RATES,
    completion_image=PicoUsd(32_000_000),
    image=PicoUsd(40_000_000_000),
    character=PicoUsd(15_000_000),
    second=PicoUsd(100_000_000),
    search=PicoUsd(2_000_000_000),
)
USED = Usage(prompt=7, completion=2, images=2, characters=30, seconds=4, searches=1, completion_image=500)
ROW = """
insert into usage (request_id, request_label, endpoint, key_id, wallet_id, model, price_id, ratio_ppm, stream,
    classes, estimated, cost, charged, split, outcome, status, duration_ms, created_us, settled_us, epoch,
    batch_no, n)
values ('u', 'u', '/v1', 'k', 'w', 'm', 1, 1, 0, '{"prompt":7,"completion":2,"completion_audio":3}', 0, 1, 1,
    0, 'complete', 200, 1, 1, 1, 1, 1, 1)
"""


def written(path: Path, cost_more: int = 0) -> Call:
    """A ledger with one call of `USED`."""
    made = call()

    async def story() -> None:
        async with open_writer(path) as ledger:
            await fund(ledger)
            await ledger.post(add_price("m/draws", DRAWN, (), from_us=0, source="test"))
            with Reader(path) as reader:
                price = next(one.price for one in reader.prices(1) if one.price.model == "m/draws")
            dear = msgspec.structs.replace(made, price=price.id)
            cost = charge(Price(price.id, "m/draws", DRAWN), USED, made.ratio_ppm)
            await ledger.post(hold(dear))
            await ledger.post(settle(dear, cost=type(cost)(cost + cost_more), usage=USED))

    asyncio.run(story())
    return made


def test_a_bill_of_images_characters_seconds_and_searches_can_be_computed_again(tmp_path: Path) -> None:
    written(tmp_path / "deeptoken.db")

    assert broken(tmp_path / "deeptoken.db") == []


def test_a_bill_of_units_that_is_wrong_is_found(tmp_path: Path) -> None:
    made = written(tmp_path / "deeptoken.db", cost_more=1)

    (finding,) = broken(tmp_path / "deeptoken.db")

    assert (finding.name, finding.problems[0].subject) == ("bills", made.id)


def test_a_row_shows_its_units_and_counts_the_tokens_of_images_as_completion(tmp_path: Path) -> None:
    made = written(tmp_path / "deeptoken.db")

    with Reader(tmp_path / "deeptoken.db") as reader:
        record = reader.usage(made.id)
        (listed,) = reader.usages(UsageFilter())

    assert record is not None
    assert record == listed
    assert (record.prompt_tokens, record.completion_tokens) == (7, 502)
    row = shown(record)
    assert [row[unit] for unit in ("images", "characters", "seconds", "searches")] == [2, 30, 4, 1]


def test_a_database_of_the_schema_before_keeps_its_rows_and_what_they_count(tmp_path: Path) -> None:
    path = tmp_path / "deeptoken.db"
    connection = open_writer_connection(path)
    migrate(connection, migrations()[:2])
    connection.execute(ROW)

    migrate(connection, migrations())

    counts = connection.execute("select prompt_tokens, completion_tokens, images from usage").fetchall()
    indexes = connection.execute("select name from pragma_index_list('usage')").fetchall()
    assert counts == [(7, 5, 0)]
    assert ("usage_window",) in indexes
    ensure_current(connection, migrations())
    connection.close()
    assert apsw.Connection(str(path)).execute("pragma integrity_check").get == "ok"
