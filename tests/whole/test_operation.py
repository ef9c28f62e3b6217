"""What an operator does to a gateway that serves: read its file again, stop it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from provider_scene import (
    DONE,
    MODELS,
    Provider,
    Script,
    both,
    channel,
    chunk,
    gone,
    problems,
    stream_head,
)

from log_scene import Logged
from upstreams import Received
from whole_scene import Connection, Whole, chat, whole

TURNS_MAX = 2_000


class Paused:
    """A stream that goes on when it is told."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()

    async def __call__(
        self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(stream_head() + chunk("begun", role=True))
        await self.go_on.wait()
        writer.write(chunk("ended", finish="stop") + DONE)
        writer.close()


async def begun(gateway: Whole, model: str = "m/up") -> Connection:
    """A stream whose beginning is there."""
    client = await gateway.connect()
    client.write(gateway.request(chat("hi", model=model, stream=True)))
    assert (await client.head())[0] == 200
    while b"begun" not in await client.chunk():
        pass
    return client


async def rest(client: Connection) -> bytes:
    said = b""
    while piece := await client.chunk():
        said += piece
    return said


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(TURNS_MAX):
        if await holds():
            return
    raise AssertionError("it never came to hold")


def reload(gateway: Whole, *, old: str = "", new: str = "", more: str = "") -> None:
    """Change the file and have it read again."""
    file = gateway.folder / "deeptoken.toml"
    told = file.read_text()
    assert old in told
    file.write_text((told.replace(old, new) if old else told) + more)
    gateway.orders.reload.set()


def test_a_channel_that_is_added_serves_and_one_that_is_removed_does_not(tmp_path: Path) -> None:
    async def main() -> None:
        async with Provider() as provider:
            paused = Paused()
            provider.scripts |= {"up": paused, "new": both("new words")}
            first = channel(provider, "up")
            async with whole(tmp_path, MODELS + first) as gateway:
                running = await begun(gateway)
                assert (await gateway.ask(chat("hi", model="m/new"))).status == 404

                reload(gateway, old=first, more=channel(provider, "new"))

                async def serves() -> bool:
                    return (await gateway.ask(chat("hi", model="m/new"))).status == 200

                await until(serves)
                assert (await gateway.ask(chat("hi", model="m/up"))).status == 404
                paused.go_on.set()
                assert (await rest(running)).endswith(DONE)

    asyncio.run(main())


def test_a_changed_server_table_is_told_to_hold_from_a_restart_on(tmp_path: Path, logged: Logged) -> None:
    async def main() -> None:
        async with whole(tmp_path, "", server="in_flight_max = 7") as gateway:
            said: list[str] = []

            async def reloaded(times: int) -> None:
                async def told() -> bool:
                    assert (await gateway.ask(path="/healthz")).status == 200
                    said.extend(line for line in logged.news().splitlines() if "reloaded" in line)
                    return len(said) == times

                await until(told)

            reload(gateway, more="# a word\n")
            await reloaded(1)
            # The second time it is still another one than at the start.
            for times in (2, 3):
                reload(gateway, old="in_flight_max = 7" if times == 2 else "", new="in_flight_max = 8")
                await reloaded(times)

            assert ["ignored" in line and "[server] has changed" in line for line in said] == [
                False,
                True,
                True,
            ]

    asyncio.run(main())


def test_a_file_that_is_wrong_changes_nothing_and_a_good_one_is_read_after_it(
    tmp_path: Path, logged: Logged
) -> None:
    async def main() -> None:
        async with Provider() as provider:
            provider.scripts |= {"up": both("fine"), "new": both("new")}
            async with whole(tmp_path, MODELS + channel(provider, "up")) as gateway:
                good = (tmp_path / "deeptoken.toml").read_text()
                for wrong in ("[[channels]]\nname = 1\n", "= nonsense", '[[users]]\nname = "ops"\n'):
                    reload(gateway, more=wrong)

                    async def told() -> bool:
                        assert (await gateway.ask(chat("hi", model="m/up"))).status == 200
                        return "reload_failed" in logged.news()

                    await until(told)
                    assert (await gateway.ask(chat("hi", model="m/up"))).status == 200
                    (tmp_path / "deeptoken.toml").write_text(good)
                reload(gateway, more=channel(provider, "new"))

                async def serves() -> bool:
                    return (await gateway.ask(chat("hi", model="m/new"))).status == 200

                await until(serves)
                assert gateway.key.encode() not in logged.getvalue()

    asyncio.run(main())


def test_a_key_that_leaves_the_file_is_refused_at_its_next_call(tmp_path: Path) -> None:
    async def main() -> None:
        async with Provider() as provider:
            provider.scripts["up"] = both("fine")
            async with whole(tmp_path, MODELS + channel(provider, "up")) as gateway:
                assert (await gateway.ask(chat("hi", model="m/up"))).status == 200
                key = f'[[keys]]\nname = "ci"\nowner = "ops"\nsecret = "{gateway.key}"\n'

                reload(gateway, old=key)

                async def refused() -> bool:
                    return (await gateway.ask(chat("hi", model="m/up"))).status == 401

                await until(refused)

    asyncio.run(main())


def test_a_stop_lets_a_stream_finish_and_takes_no_new_connection(tmp_path: Path) -> None:
    async def main() -> None:
        async with Provider() as provider:
            paused = Paused()
            provider.scripts |= {"up": paused, "other": both("fine")}
            more = MODELS + channel(provider, "up") + channel(provider, "other")
            async with whole(tmp_path, more, server="notice_seconds = 0.5") as gateway:
                kept, running = await gateway.connect(), await begun(gateway)
                assert (await gateway.ask(path="/readyz")).status == 200

                gateway.orders.stop.set()

                async def unready() -> bool:
                    return (await gateway.ask(path="/readyz")).status == 503

                await until(unready)
                assert (await gateway.ask(path="/healthz")).status == 200
                late = await gateway.ask(chat("hi", model="m/other"))
                assert (late.status, late.headers["connection"]) == (200, "close")

                async def closed() -> bool:
                    try:
                        (await gateway.connect()).close()
                    except ConnectionError:
                        return True
                    await asyncio.sleep(0.01)
                    return False

                await until(closed)
                assert await kept.closed() == b""
                paused.go_on.set()
                assert (await rest(running)).endswith(DONE)
            assert {row.outcome for row in gateway.rows()} == {"complete"}
            assert problems(gateway) == []

    asyncio.run(main())


async def never(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(stream_head() + chunk("begun", role=True))
    await gone(reader)
    writer.close()


def test_what_does_not_end_in_time_is_cut_off_at_a_stop_and_settled(tmp_path: Path) -> None:
    async def main() -> None:
        async with Provider() as provider:
            script: Script = never
            provider.scripts["up"] = script
            more = MODELS + channel(provider, "up")
            async with whole(tmp_path, more, server="drain_seconds = 0.1") as gateway:
                running = await begun(gateway)
                gateway.orders.stop.set()
                said = await running.closed()
                assert b"[DONE]" not in said
                assert b'"code":"overloaded"' in said
            (row,) = gateway.rows()
            assert (row.outcome, row.charged) == ("orphan", 0)
            assert problems(gateway) == []

    asyncio.run(main())
