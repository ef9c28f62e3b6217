"""Random histories are played to the writer with its database and to the naive model: they must agree."""

import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from unittest.mock import patch

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from store_scene import broken

from deeptoken.clock import LedgerClock
from deeptoken.ledger import past, windows
from deeptoken.ledger.postings import Answer, Fence, Held, OpenWallet, Posting, Refused, Rejected
from deeptoken.store.ledger import open_writer
from deeptoken.store.peers import Busy
from deeptoken.store.reads import Reader
from deeptoken.store.writer import Writer
from reference_book import START_US, ReferenceBook, epoch_of, histories
from reference_histories import Step

PAUSES = st.lists(st.sampled_from(["", "", "write", "restart"]), min_size=1, max_size=6)


class Told(LedgerClock):
    """The time of the history."""

    now = START_US

    def now_us(self) -> int:
        return self.now


class Player:
    """A writer that is opened again and again, and two processes that post through it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ledger: Writer
        self.epochs: dict[int, int] = {}
        self.batches: dict[int, int] = {}
        self._stack = AsyncExitStack()

    async def open(self) -> None:
        self.ledger = await self._stack.enter_async_context(open_writer(self.path))
        self.epochs = {number: await self.ledger.register() for number in (1, 2)}
        self.batches = dict.fromkeys(self.epochs, 0)

    async def close(self) -> None:
        await self._stack.aclose()

    async def post(self, posting: Posting) -> Answer:
        process = epoch_of(posting)
        if isinstance(posting, Fence):
            posting = Fence(epoch=self.epochs[posting.epoch])
        self.batches[process] += 1
        batch_no = self.batches[process]
        (answer,) = await self.ledger.apply(self.epochs[process], batch_no, [posting])
        assert await self.ledger.apply(self.epochs[process], batch_no, [posting]) == [answer]
        assert not isinstance(answer, Busy)
        return answer


def plain(answer: Answer) -> Answer:
    match answer:
        case Rejected():
            return Rejected("")
        case Held():
            return msgspec.structs.replace(answer, rates=(), near=None)
        case Refused():
            return msgspec.structs.replace(answer, rates=())
    return answer


def assert_stored(path: Path, model: ReferenceBook) -> None:
    with Reader(path) as reader:
        for wallet in reader.wallets():
            assert (wallet.balance, wallet.held) == (model.balance(wallet.id), model.held(wallet.id))
            left = [(lot.id, lot.remaining) for lot in reader.lots(wallet.id) if lot.remaining]
            assert left == [(coins.id, coins.left) for coins in model.lots(wallet.id)]
        assert {row.id: (row.cost, row.charged) for row in reader.usages(limit=1_000)}.keys() == {
            run.call.id for run in model.runs.values() if run.end is not None
        }


async def play(path: Path, history: list[Step], pauses: list[str]) -> None:
    model, player, told = ReferenceBook(), Player(path), Told()
    with patch("deeptoken.store.ledger.LedgerClock", lambda not_before_us: told):
        await player.open()
        try:
            for number, (delta, posting) in enumerate(history):
                told.now += delta
                answer = await player.post(posting)
                expected = model.post(posting, told.now, epoch_of(posting))
                assert plain(answer) == plain(expected), (number, posting)
                pause = pauses[number % len(pauses)]
                if pause:
                    await player.ledger.post(OpenWallet("w1"))
                    assert_stored(path, model)
                if pause == "restart":
                    await player.close()
                    await player.open()
                    model.restart()
                    for process in (1, 2):
                        model.post(Fence(process), told.now)
                    assert_stored(path, model)
        finally:
            await player.close()


@given(history=histories, pauses=PAUSES)
@settings(max_examples=20, deadline=None)
def test_the_database_answers_as_the_model_does_and_the_same_after_a_restart(
    history: list[Step], pauses: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "deeptoken.db"
        asyncio.run(play(path, history, pauses))

        # A history's costs are made up, so its bills cannot be computed again.
        assert [finding for finding in broken(path) if finding.name != "bills"] == []


@given(history=histories, pauses=PAUSES)
@settings(max_examples=10, deadline=None)
def test_what_is_no_longer_in_memory_is_read_again_and_changes_no_answer(
    history: list[Step], pauses: list[str]
) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(windows, "KEPT_MAX", 10),
        patch.object(past, "RECENT_MAX", 1),
    ):
        asyncio.run(play(Path(folder) / "deeptoken.db", history, pauses))
