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


def test_a_price_that_is_set_holds_and_an_update_leaves_it_alone(place: Installation) -> None:
    shown = place.row("models", "price", "sim", "sim/text", "--prompt", "5", "--completion", "7.5")
    assert (shown["prices"]["prompt"], shown["source"]) == ("5", "operator")
    assert "prompt 5, completion 7.5" in place.done("models", "show", "sim/text")

    updated = place.run("models", "update", "--apply")

    assert "1 prices that an operator set stay" in updated.stderr
    assert place.row("models", "show", "sim/text")["prices"]["prompt"] == "5"
    told = place.done("models", "price", "sim", "sim/text", "--prompt", "5", "--completion", "7.5")
    assert "sim:sim/text" in told
    assert len(place.rows("models", "history", "sim/text")) == 2, "the same price again is none"
    assert (place.rows("models", "history", "sim/text"))[1]["source"] == "operator"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("sim", "m"), "a price is needed"),
        (("sim", "m", "--context", "5"), "a price is needed"),
        (("sim", "m", "--prompt", "-1"), "--prompt"),
        (("sim", "m", "--prompt", "much"), "no amount"),
    ],
    ids=["nothing", "a fact alone", "negative", "no number"],
)
def test_a_price_that_cannot_be_is_refused_by_its_option(
    words: tuple[str, ...], why: str, place: Installation
) -> None:
    assert why.lower() in place.refusal("models", "price", *words).lower()
    assert "there is no provider" in place.refusal("models", "price", "nobody", "m", code=1)


def test_update_needs_an_installation(tmp_path: Path) -> None:
    place = Installation(tmp_path)
    place.file.write_text("")

    assert "deeptoken init" in place.refusal("models", "update", code=1)


async def reprice(place: Installation) -> None:
    async with open_writer(place.database) as ledger:
        posting = add_price("sim:sim/text", DEARER, (), from_us=1_700_000_000_000_000, source="test")
        await ledger.post(posting)
