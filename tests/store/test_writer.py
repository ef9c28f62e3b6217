"""The writer: what is answered when, what is durable, what happens while the disk refuses."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import apsw
import msgspec
import pytest
from store_scene import COST, WALLET, broken, call, fund, hold, pay, settle, until

from deeptoken.errors import Overloaded
from deeptoken.ledger.postings import (
    Answer,
    Checkpoint,
    Claim,
    Done,
    Extend,
    Held,
    Hold,
    Rejected,
    Repeat,
    Settled,
    Statement,
    StoredReply,
)
from deeptoken.money import NanoUsd, usd
from deeptoken.store import writer as writer_module
from deeptoken.store.ledger import open_writer
from deeptoken.store.queries.people import User
from deeptoken.store.queries.statements import add_user
from deeptoken.store.reads import Reader, read
from deeptoken.store.sqlite import StoreError, WriterRuns


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deeptoken.db"


@pytest.fixture
def connections() -> Iterator[list[apsw.Connection]]:
    """Every connection that is opened, in order; the first one of a writer writes."""
    opened: list[apsw.Connection] = []
    apsw.connection_hooks.append(opened.append)
    yield opened
    apsw.connection_hooks.remove(opened.append)


def test_a_settlement_is_in_the_database_when_it_is_answered(path: Path) -> None:
    async def story() -> None:
        async with open_writer(path) as ledger:
            await fund(ledger)
            made = call()
            await ledger.post(hold(made))

            answer = await ledger.post(settle(made))

            with Reader(path) as reader:
                row = reader.usage(made.id)
            assert answer == Settled(charged=COST)
            assert row is not None
            assert (row.charged, row.prompt_tokens, row.cached_tokens) == (COST, 1_200, 200)
            assert (row.completion_tokens, row.reasoning_tokens) == (75, 25)

    asyncio.run(story())
    assert broken(path) == []


def test_a_hold_an_extension_and_a_checkpoint_are_answered_without_a_turn_of_the_loop(path: Path) -> None:
    async def story() -> None:
        async with open_writer(path) as ledger:
            await fund(ledger)
            made = call()

            answers = []
            for posting in (
                hold(made),
                Extend(id=made.id, more=NanoUsd(5), used=NanoUsd(1)),
                Checkpoint(id=made.id, used=NanoUsd(2)),
            ):
                asking = ledger.post(posting)
                with pytest.raises(StopIteration) as ended:
                    asking.send(None)
                answers.append(ended.value.value)

            assert [type(answer) for answer in answers] == [Held, Held, Done]
            await ledger.post(settle(made))

    asyncio.run(story())


def test_balances_lots_and_usage_are_the_same_after_a_restart(path: Path) -> None:
    async def story() -> None:
        async with open_writer(path) as ledger:
            await fund(ledger, "0.01")
            for _ in range(5):
                await pay(ledger)
        async with open_writer(path) as ledger:
            room = ledger.book.room(WALLET, 2**61)
            assert room is not None
            assert room.available == usd("0.01") - 5 * COST
            assert await pay(ledger) == Settled(charged=COST)

    asyncio.run(story())
    assert broken(path) == []


def test_what_a_killed_writer_left_open_is_settled_at_its_checkpoint_before_the_next_serves(
    path: Path, tmp_path: Path
) -> None:
    async def story() -> None:
        copy = tmp_path / "copy.db"
        async with open_writer(path) as ledger:
            await fund(ledger)
            made = call()
            await ledger.post(hold(made))
            await ledger.post(Checkpoint(id=made.id, used=NanoUsd(1_000)))
            await fund(ledger, wallet="usr_2")  # Something that waits takes the hold with it to the disk.
            for suffix in ("", "-wal"):
                copy.with_name(copy.name + suffix).write_bytes(
                    path.with_name(path.name + suffix).read_bytes()
                )
            await ledger.post(settle(made))

        async with open_writer(copy) as next_ledger:
            with Reader(copy) as reader:
                row = reader.usage(made.id)
            assert row is not None
            assert (row.outcome, row.charged) == ("orphan", 1_000)
            assert await next_ledger.post(settle(made)) == Settled(charged=COST)  # Late, booked beside it.
        assert broken(copy) == []

    asyncio.run(story())


def test_changes_that_nobody_waits_for_reach_the_disk_by_themselves(path: Path) -> None:
    async def story() -> None:
        async with open_writer(path) as ledger:
            await fund(ledger)
            await ledger.post(hold(call()))

            for _ in range(500):
                wallet = await read(path, lambda reader: reader.wallet(WALLET))
                if wallet is not None and wallet.held:
                    break

            assert wallet is not None
            assert wallet.held == COST

    asyncio.run(story())


def test_a_caller_that_is_cancelled_loses_no_settlement(path: Path) -> None:
    async def story() -> None:
        async with open_writer(path) as ledger:
            await fund(ledger)
            made = call()
            await ledger.post(hold(made))
            settling = asyncio.create_task(ledger.post(settle(made)))
            await asyncio.sleep(0)

            settling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await settling

            assert await ledger.post(settle(made)) == Settled(charged=COST)
            with Reader(path) as reader:
                assert [row.charged for row in reader.usages()] == [COST]

    asyncio.run(story())
    assert broken(path) == []


def test_a_linger_that_ends_while_a_commit_is_about_to_begin_loses_nobody_who_waits(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "LINGER_S", 0)

    async def story() -> None:
        async with open_writer(path) as ledger:
            await fund(ledger)
            async with asyncio.timeout(20):
                for _ in range(20):
                    made = call()
                    await ledger.post(hold(made))  # Its timer ends in the loop's next turn,
                    await asyncio.create_task(ledger.post(settle(made)))  # which begins with this.

    asyncio.run(story())
    assert broken(path) == []


def test_settlements_that_wait_together_are_one_commit(path: Path) -> None:
    commits: list[float] = []

    async def story() -> int:
        async with open_writer(path, timed=commits.append) as ledger:
            await fund(ledger)
            calls = [call() for _ in range(50)]
            for made in calls:
                await ledger.post(hold(made))
            commits.clear()
            await asyncio.gather(*(ledger.post(settle(made)) for made in calls))
        with Reader(path) as reader:
            return len(reader.usages())

    assert asyncio.run(story()) == 50
    connection = apsw.Connection(str(path))
    batches = connection.execute("select count(distinct batch_no) from usage").get
    connection.close()
    assert batches == 1
    assert len(commits) == 2  # That one, and the one of the stop.


def test_while_a_commit_fails_no_hold_is_given_and_settlements_wait_until_it_succeeds(
    path: Path, connections: list[apsw.Connection]
) -> None:
    async def story() -> None:
        async with open_writer(path) as ledger:
            await fund(ledger)
            calls = [call() for _ in range(200)]
            for made in calls:
                await ledger.post(hold(made))
            pages = connections[0].execute("pragma page_count").get
            connections[0].execute(f"pragma max_page_count = {pages}")

            settling = asyncio.gather(*(ledger.post(settle(made)) for made in calls))
            await until(lambda: ledger.failing)
            with pytest.raises(Overloaded):
                await ledger.post(hold(call()))
            assert not settling.done()
            connections[0].execute("pragma max_page_count = 1000000")

            assert await settling == [Settled(charged=COST)] * 200
            assert type(await ledger.post(hold(call()))) is Held

    asyncio.run(story())
    assert broken(path) == []


def test_a_stop_that_cannot_write_says_so_to_all_who_wait_and_ends(
    path: Path, connections: list[apsw.Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "STOP_SECONDS", 0.01)

    async def story() -> None:
        settling: list[asyncio.Future[Answer]] = []
        try:
            async with open_writer(path) as ledger:
                await fund(ledger)
                calls = [call() for _ in range(200)]
                for made in calls:
                    await ledger.post(hold(made))
                pages = connections[0].execute("pragma page_count").get
                connections[0].execute(f"pragma max_page_count = {pages}")
                settling = [asyncio.ensure_future(ledger.post(settle(made))) for made in calls]
                await until(lambda: ledger.failing)
        finally:
            told = await asyncio.gather(*settling, return_exceptions=True)
            assert {type(answer) for answer in told} == {StoreError}

    with pytest.raises(StoreError, match="could not be written"):
        asyncio.run(story())


def test_a_queue_that_is_too_old_refuses_holds_and_no_settlement(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "QUEUE_US", 0)

    async def story() -> None:
        async with open_writer(path) as ledger:
            await fund(ledger)
            first, second = call(), call()
            await ledger.post(hold(first))
            await ledger.post(hold(second))
            settling = asyncio.ensure_future(ledger.post(settle(first)))
            await asyncio.sleep(0)

            with pytest.raises(Overloaded):
                await ledger.post(hold(call()))

            assert await ledger.post(settle(second)) == Settled(charged=COST)
            assert await settling == Settled(charged=COST)

    asyncio.run(story())


def test_a_second_writer_is_refused_with_the_pid_of_the_first(path: Path) -> None:
    async def story() -> None:
        async with open_writer(path), open_writer(path):
            pass

    with pytest.raises(WriterRuns, match=r"pid \d+"):
        asyncio.run(story())


def test_an_unsound_balance_stops_the_start_and_names_the_wallet(path: Path) -> None:
    async def story() -> None:
        async with open_writer(path) as ledger:
            await fund(ledger)
        connection = apsw.Connection(str(path))
        connection.execute("update wallet set balance = balance + 1")
        connection.close()
        async with open_writer(path):
            pass

    with pytest.raises(StoreError, match=f"Wallet {WALLET} has a balance"):
        asyncio.run(story())


def test_the_repeat_of_an_idempotent_call_gets_the_stored_answer_also_after_a_restart(path: Path) -> None:
    reply = StoredReply(200, "application/json", b'{"id": 1}', "mine", COST)
    claim = Claim(name="order-7", fingerprint=b"f" * 32)

    async def story() -> None:
        made = call()
        async with open_writer(path) as ledger:
            await fund(ledger)
            await ledger.post(Hold(call=made, minimum=COST, wanted=COST, claim=claim))
            await ledger.post(msgspec.structs.replace(settle(made), reply=reply))
            again = Hold(call=call(), minimum=COST, wanted=COST, claim=claim)
            assert await ledger.post(again) == Repeat("done", made.id, reply)
        async with open_writer(path) as ledger:
            again = Hold(call=call(), minimum=COST, wanted=COST, claim=claim)
            assert await ledger.post(again) == Repeat("done", made.id, reply)

    asyncio.run(story())


def test_a_statement_is_answered_when_it_is_durable_and_tells_of_a_name_that_is_taken(path: Path) -> None:
    notices: list[str] = []

    async def story() -> None:
        async with open_writer(path, changed=lambda: notices.append("changed")) as ledger:
            first = await ledger.post(add_user(User(id="usr_1", name="ops", created_us=1)))
            second = await ledger.post(add_user(User(id="usr_2", name="ops", created_us=1)))
            unknown = await ledger.post(Statement(name="drop_all", parameters=()))

            assert first == Done(changed=True)
            assert second == Rejected("There is a user of that name already.")
            assert type(unknown) is Rejected
            with Reader(path) as reader:
                assert [user.id for user in reader.users()] == ["usr_1"]

    asyncio.run(story())
    assert notices


def test_ledger_time_goes_on_after_a_restart_even_if_the_clock_went_back(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def settled_us(wallet: str) -> list[int]:
        async with open_writer(path) as ledger:
            await fund(ledger, wallet=wallet)
            await pay(ledger, call(wallet=wallet))
        with Reader(path) as reader:
            return [row.settled_us for row in reader.usages()]

    before = asyncio.run(settled_us("1"))
    monkeypatch.setattr("deeptoken.clock.wall_us", lambda: 1_000_000)

    after = asyncio.run(settled_us("2"))

    assert max(after) > max(before)
