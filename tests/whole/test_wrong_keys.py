"""Guessing at API keys costs no reads of the database, and tells nothing."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from deeptoken import ids
from deeptoken.store import reads
from deeptoken.store.sqlite import open_reader_connection
from whole_scene import chat, whole

SIM = """
[[channels]]
name = "sim"
provider = "sim"
"""
TRIES = 1_000


def wrong(key: str, number: int) -> str:
    """Well-formed and unknown; one letter off; the right beginning with another end."""
    match number % 3:
        case 0:
            return ids.new_secret()
        case 1:
            return key[:-1] + ("A" if key[-1] != "A" else "B")
    body = key[len(ids.KEY_PREFIX) : -ids.KEY_CHECKSUM - 1] + ("A" if key[-7] != "A" else "B")
    return f"{ids.KEY_PREFIX}{body}{ids.checksum(body)}"


def test_a_thousand_wrong_keys_read_nothing_and_the_right_one_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with whole(tmp_path, SIM) as gateway:
            opened: list[Path] = []

            def counted(path: Path) -> Any:
                opened.append(path)
                return open_reader_connection(path)

            monkeypatch.setattr(reads, "open_reader_connection", counted)
            told = set()
            for first in range(0, TRIES, 50):
                replies = await asyncio.gather(
                    *(
                        gateway.ask(chat("hi"), authorization=f"Bearer {wrong(gateway.key, number)}")
                        for number in range(first, first + 50)
                    )
                )
                told |= {(reply.status, reply.error["code"]) for reply in replies}

            assert told == {(401, "invalid_api_key")}
            # A start looks once more at what it declared, whenever that is; a try looks at nothing.
            assert len(opened) < TRIES // 100
            assert (await gateway.ask(chat("hi"))).status == 200

    asyncio.run(story())
