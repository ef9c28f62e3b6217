"""`deeptoken models`."""

import asyncio
from pathlib import Path

import pytest
from cli_scene import Installation, install

from deeptoken.catalog.model import Rates
from deeptoken.money import PicoUsd
from deeptoken.store.ledger import open_writer
from deeptoken.store.queries.statements import add_price

DEARER = Rates(prompt=PicoUsd(9_000_000), completion=PicoUsd(18_000_000))


@pytest.fixture
def place(tmp_path: Path) -> Installation:
    return install(tmp_path)


def test_list_shows_what_can_be_called_with_prices_and_channels(place: Installation) -> None:
    rows = {row["id"]: row for row in place.rows("models", "list")}

    assert set(rows) == {"sim/text", "sim/echo", "sim/slow"}
    assert rows["sim/text"]["channels"] == [{"channel": "sim", "model": "text"}]
    assert rows["sim/text"]["prices"]["prompt"] == "1"
    assert "sim/echo" in place.done("models", "list")


def test_a_group_sees_what_it_pays(place: Installation) -> None:
    row = place.row("models", "show", "sim/text", "--group", "pro")

    assert (row["prices"]["prompt"], row["prices"]["completion"]) == ("0.5", "1")
    assert "there is no group" in place.refusal("models", "list", "--group", "gold")


def test_a_disabled_channel_takes_its_models_along(place: Installation) -> None:
    place.done(
        "channels", "create", "house", "--provider", "vllm", "--model", "house/a", "--model", "house/b"
    )
    before = [row["id"] for row in place.rows("models", "list")]

    place.done("channels", "disable", "house")

    assert before == ["house/a", "house/b", "sim/echo", "sim/slow", "sim/text"]
    assert [row["id"] for row in place.rows("models", "list")] == before[2:]


def test_show_knows_what_is_not_listed_and_refuses_what_is_not_served(place: Installation) -> None:
    assert "prompt 1, completion 2" in place.done("models", "show", "sim/text")
    assert 'did you mean "sim/text"?' in place.refusal("models", "show", "sim/txt")
    assert "no enabled channel" in place.refusal("models", "show", "nothing-like-it")


def test_history_shows_every_price_with_its_day(place: Installation) -> None:
    asyncio.run(reprice(place))

    rows = place.rows("models", "history", "sim/text")

    assert [(row["prices"]["prompt"], row["source"]) for row in rows] == [("1", "book"), ("9", "test")]
    assert rows[1]["from_us"] == 1_700_000_000_000_000
    assert "prompt 9, completion 18" in place.done("models", "history", "sim/text")
    assert "does not know" in place.refusal("models", "history", "nothing")


def test_update_shows_the_difference_and_changes_nothing(place: Installation) -> None:
    asyncio.run(reprice(place))

    result = place.run("models", "update")

    assert "sim:sim/text" in result.stdout
    assert "prompt 9, completion 18" in result.stdout
    assert "prompt 1, completion 2" in result.stdout
    assert "--apply" in result.stderr
    assert place.row("models", "show", "sim/text")["prices"]["prompt"] == "9"


def test_update_writes_the_difference_with_apply(place: Installation) -> None:
    asyncio.run(reprice(place))

    changes = place.rows("models", "update", "--apply")
    again = place.run("models", "update", "--apply")

    (change,) = [change for change in changes if change["provider"] == "sim"]
    assert (change["change"], change["id"]) == ("changed", "sim/text")
    assert (change["before"]["prompt"], change["after"]["prompt"]) == ("9", "1")
    assert place.row("models", "show", "sim/text")["prices"]["prompt"] == "1"
    assert len(place.rows("models", "history", "sim/text")) == 3
    assert "as the price-data package says" in again.stderr


def test_update_needs_an_installation(tmp_path: Path) -> None:
    place = Installation(tmp_path)
    place.file.write_text("")

    assert "deeptoken init" in place.refusal("models", "update", code=1)


async def reprice(place: Installation) -> None:
    async with open_writer(place.database) as ledger:
        posting = add_price("sim:sim/text", DEARER, (), from_us=1_700_000_000_000_000, source="test")
        await ledger.post(posting)
