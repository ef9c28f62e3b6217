"""Other processes post through the writer's socket; here they are on the same loop."""

import asyncio
import stat
from pathlib import Path

import pytest
from store_scene import COST, WALLET, call, fund, hold, settle, until

from deeptoken.ledger.postings import Done, Grant, Held, OpenWallet, Posting, Rejected, Settled
from deeptoken.money import usd
from deeptoken.store.frames import (
    HEAD,
    Answers,
    Failed,
    Operations,
    Register,
    Registered,
    decode_reply,
    read_frame,
    write_frame,
)
from deeptoken.store.ledger import open_ledger, open_writer
from deeptoken.store.queries.people import User
from deeptoken.store.queries.statements import add_user
from deeptoken.store.reads import Reader
from deeptoken.store.remote import RemoteLedger, connect
from deeptoken.store.socket import socket_path
from deeptoken.store.sqlite import StoreError
from deeptoken.store.writer import Writer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deeptoken.db"


def test_a_command_posts_through_the_writer_that_runs(path: Path) -> None:
    notices: list[str] = []

    async def story() -> None:
        async with open_writer(path, changed=lambda: notices.append("changed")) as gateway:
            async with open_ledger(path) as ledger:
                assert isinstance(ledger, RemoteLedger)
                answers = await asyncio.gather(
                    ledger.post(OpenWallet(WALLET)),
                    ledger.post(Grant(WALLET, "lot_1", usd("1"), "grant", "ref_1")),
                    ledger.post(add_user(User(id=WALLET, name="ops", operator=True, created_us=1))),
                    ledger.post(add_user(User(id="usr_2", name="ops", created_us=1))),
                )
            *done, taken = answers
            assert done == [Done(changed=True)] * 3
            assert taken == Rejected("There is a user of that name already.")
            assert type(await gateway.post(hold(call()))) is Held

    asyncio.run(story())
    assert notices
    with Reader(path) as reader:
        assert [(wallet.name, wallet.balance) for wallet in reader.wallets()] == [("user:ops", usd("1"))]


def test_a_command_is_the_writer_itself_where_none_runs(path: Path) -> None:
    async def story() -> None:
        async with open_ledger(path) as ledger:
            assert isinstance(ledger, Writer)
            assert await ledger.post(OpenWallet(WALLET)) == Done(changed=True)

    asyncio.run(story())


def test_a_batch_that_is_sent_again_gets_the_same_answers_and_changes_nothing(path: Path) -> None:
    async def story() -> None:
        async with open_writer(path) as ledger:
            await fund(ledger)
            epoch = await ledger.register()
            made = call()
            operations: list[Posting] = [
                hold(made),
                settle(made),
                Grant(WALLET, "lot_9", usd("1"), "grant", "ref_9"),
            ]

            first = await ledger.apply(epoch, 1, operations)
            second = await ledger.apply(epoch, 1, operations)

            assert first == second
            assert first[1:] == [Settled(charged=COST), Done(changed=True)]
            with pytest.raises(StoreError, match="does not follow"):
                await ledger.apply(epoch, 3, operations)

    asyncio.run(story())


def test_a_connection_that_is_lost_has_its_holds_settled_at_their_checkpoints(path: Path) -> None:
    async def story() -> None:
        async with open_writer(path) as gateway:
            await fund(gateway)
            made = call()
            async with connect(path) as ledger:
                assert ledger is not None
                assert type(await ledger.post(hold(made))) is Held
                assert made.id in gateway.book.holds

            await until(lambda: made.id not in gateway.book.holds)
            with pytest.raises(StoreError, match="is over"):
                await gateway.apply(ledger.epoch, 2, [])
        with Reader(path) as reader:
            row = reader.usage(made.id)
            assert row is not None
            assert row.outcome == "orphan"

    asyncio.run(story())


def test_the_socket_is_for_its_owner_only_and_goes_with_the_writer(path: Path) -> None:
    async def story() -> None:
        async with open_writer(path):
            assert stat.S_IMODE(socket_path(path).stat().st_mode) == 0o600

    asyncio.run(story())
    assert not socket_path(path).exists()


def test_a_path_that_is_too_long_for_a_socket_moves_it_to_the_temporary_folder(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    path = folder / "deeptoken.db"

    async def story() -> None:
        async with open_writer(path), open_ledger(path) as ledger:
            assert isinstance(ledger, RemoteLedger)

    asyncio.run(story())
    assert socket_path(path).parent != folder
    assert socket_path(path) != socket_path(folder / "other.db")


def test_a_socket_that_a_killed_writer_left_does_not_stop_the_next(path: Path) -> None:
    socket_path(path).touch()

    async def story() -> None:
        async with open_writer(path), open_ledger(path) as ledger:
            assert isinstance(ledger, RemoteLedger)

    asyncio.run(story())


@pytest.mark.parametrize("frame", [HEAD.pack(2**31), HEAD.pack(3) + b"\xc1no", HEAD.pack(1) + b"\x01"])
def test_a_frame_that_is_too_long_or_no_request_ends_the_connection_and_nothing_else(
    path: Path, frame: bytes
) -> None:
    async def story() -> None:
        async with open_writer(path) as gateway:
            reader, writer = await asyncio.open_unix_connection(socket_path(path))
            writer.write(frame)
            assert await reader.read() == b""
            writer.close()
            assert await gateway.post(OpenWallet(WALLET)) == Done(changed=True)

    asyncio.run(story())


def test_another_epoch_than_its_own_is_refused(path: Path) -> None:
    async def story() -> None:
        async with open_writer(path):
            reader, writer = await asyncio.open_unix_connection(socket_path(path))
            replies: list[Registered | Answers | Failed] = []
            for request in (Register(), Operations(epoch=1, batch_no=1, operations=())):
                await write_frame(writer, request)
                frame = await read_frame(reader)
                assert frame is not None
                replies.append(decode_reply(frame))
            writer.close()

            assert isinstance(replies[0], Registered)
            assert replies[0].epoch > 1
            assert isinstance(replies[1], Failed)

    asyncio.run(story())


def test_a_command_whose_writer_goes_away_is_told_so(path: Path) -> None:
    async def story() -> None:
        async with connect_after_close(path) as ledger:
            with pytest.raises(StoreError, match=r"has gone|does not answer"):
                await ledger.post(OpenWallet(WALLET))

    asyncio.run(story())


class connect_after_close:  # noqa: N801  # used as a function
    """A remote ledger whose writer has stopped since."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def __aenter__(self) -> RemoteLedger:
        async with open_writer(self._path):
            reader, writer = await asyncio.open_unix_connection(socket_path(self._path))
            ledger = RemoteLedger(reader, writer)
            await ledger.register()
        return ledger

    async def __aexit__(self, *error: object) -> None:
        return None
