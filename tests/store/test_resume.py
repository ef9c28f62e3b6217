"""A writer dies, and the processes that posted through it go on with the next one.

What a crash leaves is a copy of the database's files: what was in the writer's memory only is not in it.
"""

import asyncio
import shutil
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from store_scene import COST, WALLET, broken, call, fund, hold, settle, until

from deeptoken.errors import Overloaded
from deeptoken.ledger.postings import (
    Claim,
    Done,
    Extend,
    Grant,
    Held,
    Hold,
    OpenWallet,
    Posting,
    Rejected,
    Repeat,
    Settled,
)
from deeptoken.money import NanoUsd, usd
from deeptoken.store.ledger import open_writer
from deeptoken.store.link import Link
from deeptoken.store.queries.people import User
from deeptoken.store.queries.statements import add_user
from deeptoken.store.reads import Reader
from deeptoken.store.socket import Door
from deeptoken.store.sqlite import StoreError
from deeptoken.store.writer import Writer

SUFFIXES = ("", "-wal")


def crash(path: Path, to: Path) -> Path:
    """What is on the disk at this moment."""
    to.mkdir()
    for suffix in SUFFIXES:
        with suppress(FileNotFoundError):
            shutil.copy(path.with_name(path.name + suffix), to / (path.name + suffix))
    return to / path.name


def told(path: Path, story: Callable[[Writer, int], Coroutine[Any, Any, Any]]) -> Any:
    async def main() -> Any:
        async with open_writer(path) as ledger:
            await fund(ledger)
            return await story(ledger, await ledger.register())

    return asyncio.run(main())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deeptoken.db"


def test_a_hold_that_was_in_memory_only_is_told_to_the_next_writer_and_is_charged_as_it_was(
    path: Path,
) -> None:
    made, claim = call(), Claim("mine", b"x" * 32)

    async def before(ledger: Writer, epoch: int) -> Any:
        asked = Hold(call=made, minimum=COST, wanted=COST, claim=claim)
        (answer,) = await ledger.apply(epoch, 1, [asked])
        assert type(answer) is Held
        image = crash(path, path.with_name("image"))
        return epoch, ledger.book.rows(made.id), image

    epoch, rows, image = told(path, before)
    with Reader(image) as reader:
        assert reader.wallets()[0].held == 0, "the hold was on the disk: nothing is shown"

    async def after() -> None:
        async with open_writer(image, heirs=1) as ledger:
            with pytest.raises(Overloaded):
                await ledger.post(hold(call()))
            ledger.resume(epoch, 1, rows, {made.id: claim})
            again = Hold(call=call(), minimum=COST, wanted=COST, claim=claim)
            assert await ledger.apply(epoch, 2, [again]) == [Repeat("running", made.id)]
            assert await ledger.apply(epoch, 3, [settle(made)]) == [Settled(charged=COST)]
            assert type(await ledger.post(hold(call()))) is Held

    asyncio.run(after())
    assert broken(image) == []
    with Reader(image) as reader:
        assert reader.wallets()[0].balance == usd("1.00") - COST


def test_a_batch_that_was_durable_and_not_answered_gets_its_answers(path: Path) -> None:
    made = call()
    operations: list[Posting] = [settle(made), Grant(WALLET, "lot_9", usd("1"), "grant", "ref_9")]

    async def before(ledger: Writer, epoch: int) -> Any:
        await ledger.apply(epoch, 1, [hold(made)])
        rows = ledger.book.rows(made.id)
        answers = await ledger.apply(epoch, 2, operations)
        return epoch, rows, answers, crash(path, path.with_name("image"))

    epoch, rows, answers, image = told(path, before)

    async def after() -> None:
        async with open_writer(image, heirs=1) as ledger:
            # The process has had no answer: to it the hold is open.
            ledger.resume(epoch, 1, rows, {})
            assert ledger.book.holds == {}
            assert await ledger.apply(epoch, 2, operations) == answers

    asyncio.run(after())
    assert broken(image) == []
    with Reader(image) as reader:
        assert reader.wallets()[0].balance == usd("2.00") - COST


def test_a_batch_that_was_not_durable_is_applied_by_the_next_writer(path: Path) -> None:
    made = call()

    async def before(ledger: Writer, epoch: int) -> Any:
        await ledger.apply(epoch, 1, [hold(made)])
        await ledger.post(OpenWallet("usr_2"))
        grown = Extend(made.id, more=NanoUsd(5), used=NanoUsd(7))
        await ledger.apply(epoch, 2, [grown])
        return epoch, ledger.book.rows(made.id), crash(path, path.with_name("image"))

    epoch, rows, image = told(path, before)

    async def after() -> None:
        async with open_writer(image, heirs=1) as ledger:
            assert ledger.book.holds[made.id].amount == COST, "what was durable of it"
            ledger.resume(epoch, 2, rows, {})
            assert ledger.book.holds[made.id].amount == COST + 5
            assert ledger.book.holds[made.id].used == 7
            assert await ledger.apply(epoch, 3, [settle(made)]) == [Settled(charged=COST)]

    asyncio.run(after())
    assert broken(image) == []


def test_who_does_not_come_has_its_holds_settled_once_all_others_have(path: Path) -> None:
    made = call()

    async def before(ledger: Writer, epoch: int) -> Any:
        await ledger.apply(epoch, 1, [hold(made)])
        other = await ledger.register()
        await ledger.post(OpenWallet("usr_2"))
        return other, crash(path, path.with_name("image"))

    other, image = told(path, before)

    async def after() -> None:
        async with open_writer(image, heirs=2) as ledger:
            ledger.resume(other, 0, [], {})
            assert made.id in ledger.book.holds
            await ledger.register(follows=True)
            assert made.id not in ledger.book.holds
            with pytest.raises(StoreError, match="is over"):
                ledger.resume(other, 0, [], {})

    asyncio.run(after())
    assert broken(image) == []


def test_holds_of_another_epoch_or_wallet_are_not_taken(path: Path) -> None:
    made = call()

    async def before(ledger: Writer, epoch: int) -> Any:
        await ledger.apply(epoch, 1, [hold(made)])
        return epoch, ledger.book.rows(made.id), crash(path, path.with_name("image"))

    epoch, (row,), image = told(path, before)

    async def after() -> None:
        async with open_writer(image, heirs=1) as ledger:
            for wrong in (
                msgspec.structs.replace(row, epoch=epoch + 1),
                msgspec.structs.replace(row, call=msgspec.structs.replace(row.call, wallet="usr_9")),
            ):
                with pytest.raises(StoreError, match="is over"):
                    ledger.resume(epoch, 1, [wrong], {})
            ledger.resume(epoch, 1, [row], {})

    asyncio.run(after())


# The worker's side, through the socket.


class Worker:
    """A link, and what it was told."""

    def __init__(self, path: Path) -> None:
        self.notices: list[str] = []
        self.link = Link(
            path,
            changed=lambda: self.notices.append("changed"),
            reread=lambda: self.notices.append("reread"),
            report=lambda: b"report",
        )


def test_a_worker_posts_asks_and_hears_what_changed_before_the_answer(path: Path) -> None:
    async def story() -> None:
        door = Door(lambda: b"writer")
        async with open_writer(path, door=door) as ledger:
            await fund(ledger)
            worker, other = Worker(path), Worker(path)
            async with worker.link as link, other.link:
                made = call()
                held, room = await asyncio.gather(link.post(hold(made)), link.room_of(WALLET))
                assert type(held) is Held
                assert room is not None
                assert room.balance == usd("1.00")
                assert link.holds_open == 1
                assert {one.name for one in await link.left_for(hold(call()))} == {"wallet"}
                worker.notices.clear()
                other.notices.clear()
                added = await link.post(add_user(User(id="usr_7", name="eve", created_us=1)))
                assert added == Done(changed=True)
                assert worker.notices == ["changed"]
                await until(lambda: other.notices == ["changed"])
                assert await link.post(settle(made)) == Settled(charged=COST)
                assert link.holds_open == link.queue_length == 0
                assert sorted(await link.gather()) == [b"report", b"writer"]
                door.reread()
                await until(lambda: "reread" in worker.notices)

    asyncio.run(story())


def test_a_hold_that_nobody_waits_for_any_more_is_released(path: Path) -> None:
    async def story() -> None:
        async with open_writer(path) as ledger:
            await fund(ledger)
            async with Worker(path).link as link:
                made = call()
                asking = asyncio.ensure_future(link.post(hold(made)))
                await asyncio.sleep(0)
                asking.cancel()
                await until(lambda: link.queue_length == 0 and made.id not in ledger.book.holds)
                assert ledger.book.wallets[WALLET].held == 0
        with Reader(path) as reader:
            row = reader.usage(made.id)
            assert row is not None
            assert (row.outcome, row.charged) == ("cancelled", 0)

    asyncio.run(story())


def test_without_a_writer_holds_are_refused_and_all_else_waits_for_the_next(path: Path) -> None:
    async def story() -> None:
        made, late = call(), call()
        worker = Worker(path)
        async with open_writer(path) as ledger:
            await fund(ledger)
            link = await worker.link.__aenter__()
            await link.post(hold(made))
            await link.post(hold(late))
        # That writer has stopped in order: the epoch is over, and what was held is settled.
        await until(lambda: link.failing)
        with pytest.raises(Overloaded):
            await link.post(hold(call()))
        with pytest.raises(Overloaded):
            await link.room_of(WALLET)
        assert await link.gather() == []
        settling = asyncio.ensure_future(link.post(settle(made)))
        adding = asyncio.ensure_future(link.post(add_user(User(id="usr_7", name="eve", created_us=1))))
        async with open_writer(path):
            assert await settling == Settled(charged=COST), "booked as a late one"
            assert await adding == Done(changed=True)
            assert type(await link.post(hold(call()))) is Held
            assert type(await link.post(settle(late))) is Settled
            await link.__aexit__()

    asyncio.run(story())
    assert broken(path) == []


def test_a_change_that_was_on_its_way_to_a_writer_whose_epoch_is_over_is_told_as_lost(path: Path) -> None:
    async def story() -> None:
        worker = Worker(path)
        async with open_writer(path) as ledger:
            await fund(ledger)
            link = await worker.link.__aenter__()
            # The disk does not answer: the batch is on its way when the writer ends.
            stuck = asyncio.get_running_loop().create_future()

            async def never(epoch: int, batch_no: int, operations: object) -> Any:
                return await stuck

            ledger.apply = never  # type: ignore[method-assign] # of this writer only
            adding = asyncio.ensure_future(link.post(add_user(User(id="usr_7", name="eve", created_us=1))))
            holding = asyncio.ensure_future(link.post(hold(call())))
            await until(lambda: link.queue_length == 2)
            await asyncio.sleep(0)
        async with open_writer(path):
            with pytest.raises(StoreError, match="not known"):
                await adding
            with pytest.raises(Overloaded):
                await holding
            assert await link.post(OpenWallet("usr_8")) == Done(changed=True)
            assert await link.post(settle(call())) == Rejected("No such hold was ever made.")
            await link.__aexit__()

    asyncio.run(story())
