"""The file is read again while the gateway serves: channels come, go, heal; a bad file changes nothing."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from provider_scene import MODELS, SECRET, Provider, both, channel, completion

from log_scene import Logged
from upstreams import Received, answer
from whole_scene import Reply, Whole, chat, whole

RELOAD_S = 2.0
"""After so many seconds a change is in force."""
OPEN = 5
"""Failures that open a breaker."""


async def down(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(answer(b"", status="500 Oops"))
    await writer.drain()


async def strict(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes the new credential alone."""
    good = request.fields["authorization"] == "Bearer sk-new"
    writer.write(completion("welcome") if good else answer(b"", status="401 Unauthorized"))
    await writer.drain()


def reload(gateway: Whole, *changes: tuple[str, str]) -> None:
    """Change the file and have it read again."""
    file = gateway.folder / "deeptoken.toml"
    told = file.read_text()
    for old, new in changes:
        assert told.count(old) == 1
        told = told.replace(old, new)
    file.write_text(told)
    gateway.orders.reload.set()


async def within(seconds: float, holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(seconds):
        while not await holds():
            pass


def pair(provider: Provider) -> str:
    """Two channels of a model, one above the other."""
    return (
        channel(provider, "first", "x", priority="1", enabled="true", label='"first"')
        + channel(provider, "second", "x", label='"second"')
        + channel(provider, "other", label='"other"')
    )


async def served_by(gateway: Whole, model: str = "m/x") -> str:
    reply: Reply = await gateway.ask(chat("hi", model=model))
    assert reply.status == 200
    return reply.headers["x-deeptoken-channel"]


def test_a_channel_that_is_disabled_is_asked_no_more_and_comes_back_when_it_is_enabled(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with Provider() as provider:
            provider.scripts |= {"first": both("1"), "second": both("2")}
            async with whole(tmp_path, MODELS + pair(provider)) as gateway:
                assert await served_by(gateway) == "first"

                async def second() -> bool:
                    return await served_by(gateway) == "second"

                reload(gateway, ("enabled = true", "enabled = false"))
                await within(RELOAD_S, second)
                before = len(provider.requests["first"])
                assert {await served_by(gateway) for _ in range(5)} == {"second"}
                assert len(provider.requests["first"]) == before

                async def first() -> bool:
                    return await served_by(gateway) == "first"

                reload(gateway, ("enabled = false", "enabled = true"))
                await within(RELOAD_S, first)

    asyncio.run(main())


def test_a_channel_with_a_new_credential_starts_anew(tmp_path: Path) -> None:
    async def main() -> None:
        async with Provider() as provider:
            provider.scripts |= {"first": strict, "second": both("2"), "other": both("3")}
            # The other one serves meanwhile: no last hope finds out what a reload does not tell.
            more = MODELS + pair(provider).replace(SECRET, "sk-old", 1)
            async with whole(tmp_path, more) as gateway:
                assert [await served_by(gateway) for _ in range(3)] == ["second"] * 3
                assert len(provider.requests["first"]) == 1

                async def first() -> bool:
                    return await served_by(gateway) == "first"

                reload(gateway, ("sk-old", "sk-new"))
                await within(RELOAD_S, first)
                assert {await served_by(gateway) for _ in range(5)} == {"first"}

    asyncio.run(main())


def test_a_reload_forgets_nothing_of_a_channel_that_stays_as_it_is(tmp_path: Path) -> None:
    async def main() -> None:
        async with Provider() as provider:
            provider.scripts |= {"first": down, "second": both("2"), "other": both("3")}
            async with whole(tmp_path, MODELS + pair(provider)) as gateway:
                assert {await served_by(gateway) for _ in range(OPEN)} == {"second"}
                before = len(provider.requests["first"])

                async def renamed() -> bool:
                    return await served_by(gateway, "m/other") == "renamed"

                reload(gateway, ('label = "other"', 'label = "renamed"'))
                await within(RELOAD_S, renamed)

                assert await served_by(gateway) == "second"
                assert len(provider.requests["first"]) == before == OPEN

    asyncio.run(main())


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("weight = 7", "weight = -1", "weight"),
        ("weight = 7", "wieght = 1", "wieght"),
        ('provider = "openai"', 'provider = "nobody"', "nobody"),
        ("weight = 7", "weight = ", "deeptoken.toml"),
    ],
)
def test_a_bad_file_changes_nothing_and_says_why(
    old: str, new: str, why: str, tmp_path: Path, logged: Logged
) -> None:
    async def main() -> None:
        async with Provider() as provider:
            provider.scripts["up"] = both("fine")
            more = MODELS + channel(provider, "up", weight="7", label='"before"')
            async with whole(tmp_path, more) as gateway:
                reload(gateway, ('label = "before"', 'label = "after"'), (old, new))
                said = ""

                async def told() -> bool:
                    nonlocal said
                    assert await served_by(gateway, "m/up") == "before"
                    said += logged.news()
                    return '"reload_failed"' in said and said.endswith("\n")

                await within(10, told)
                lines = [json.loads(line) for line in said.splitlines()]
                (failed,) = [line for line in lines if line["event"] == "reload_failed"]
                assert why in failed["error"]
                assert SECRET not in said
                assert await served_by(gateway, "m/up") == "before"

    asyncio.run(main())
