"""What a call owes whose answer cannot be written."""

import asyncio

import msgspec
import pytest
from path_scene import Heard, Scene, chat, sim

from deeptoken.errors import UpstreamInvalid
from deeptoken.gateway.trace import Bill
from deeptoken.ledger.postings import StoredReply
from deeptoken.money import usd
from deeptoken.providers.base import Piece


class Unwritable(Heard):
    """It cannot say how an answer ends."""

    def compose(self, bill: Bill) -> None:
        raise AttributeError("no such field")


class Unreadable(Heard):
    """It reads what no reader takes."""

    def compose(self, bill: Bill) -> None:
        msgspec.json.decode(b"1e400")


class Unkept(Heard):
    """It does not know what to keep of an answer."""

    def kept(self) -> StoredReply | None:
        raise AttributeError("no such field")


class Stuck(Heard):
    """It writes the first pieces of a stream and no others."""

    def send(self, pieces: list[Piece]) -> None:
        if len(self.text) > 3:
            raise AttributeError("no such field")
        super().send(pieces)


class Mute(Heard):
    """It writes nothing at all."""

    def send(self, pieces: list[Piece]) -> None:
        if pieces:
            raise AttributeError("no such field")


def test_a_whole_answer_that_cannot_be_written_costs_nothing_and_leaves_one_row() -> None:
    scene = Scene("1")

    with pytest.raises(AttributeError):
        asyncio.run(scene.ask(chat("one two three"), outlet=Unwritable))

    (row,) = scene.ledger.rows()
    assert (row.outcome, row.charged, row.status, row.code) == ("failed", 0, 500, "internal_error")
    assert (scene.ledger.held, scene.ledger.balance) == (0, usd("1"))


def test_an_answer_that_nobody_can_read_is_the_providers_fault() -> None:
    scene = Scene("1")

    with pytest.raises(UpstreamInvalid):
        asyncio.run(scene.ask(chat("one two three"), outlet=Unreadable))

    (row,) = scene.ledger.rows()
    assert (row.outcome, row.charged, row.status) == ("failed", 0, 502)
    assert row.code == "upstream_invalid_response"
    assert b'"cause":"outage"' in (row.attempts or "").encode()
    assert scene.ledger.held == 0


def test_a_stream_whose_end_cannot_be_written_is_charged_for_what_was_delivered() -> None:
    scene = Scene("1")

    with pytest.raises(AttributeError):
        asyncio.run(scene.ask(chat("one two three", stream=True), outlet=Unwritable))

    (row,) = scene.ledger.rows()
    assert (row.outcome, row.status) == ("cut", 500)
    assert row.charged == 3 * 1_000 + 3 * 2_000
    assert scene.ledger.held == 0


def test_of_a_stream_only_what_could_be_written_is_charged() -> None:
    paced = sim("sim", {"m/echo": "echo"}, options={"sim": {"delay": 0.01, "pace": 50}})
    scene = Scene("1", channels=(paced,))

    with pytest.raises(AttributeError):
        asyncio.run(scene.ask(chat("one two three four five", stream=True), outlet=Stuck))

    (row,) = scene.ledger.rows()
    assert (row.outcome, row.status) == ("cut", 500)
    assert 0 < row.usage.completion < 5
    assert scene.ledger.held == 0


def test_a_stream_of_which_nothing_could_be_written_costs_nothing() -> None:
    scene = Scene("1")

    with pytest.raises(AttributeError):
        asyncio.run(scene.ask(chat("one", stream=True), outlet=Mute))

    (row,) = scene.ledger.rows()
    assert (row.outcome, row.charged) == ("failed", 0)
    assert scene.ledger.held == 0


@pytest.mark.parametrize("outlet", [Unwritable, Unkept])
def test_the_name_of_a_call_whose_answer_cannot_be_written_is_free_again(outlet: type[Heard]) -> None:
    scene = Scene("1")

    with pytest.raises(AttributeError):
        asyncio.run(scene.ask(chat("one"), outlet=outlet, idempotency_key="once"))
    again = asyncio.run(scene.ask(chat("one"), idempotency_key="once"))

    assert again.finished
    assert [row.outcome for row in scene.ledger.rows()] == ["failed", "complete"]
