"""When a key was used last is written down, off the path of a call."""

import asyncio
from pathlib import Path

from deeptoken import clock
from deeptoken.store.reads import Reader
from whole_scene import chat, whole

SIM = '[[channels]]\nname = "sim"\nprovider = "sim"\n'


def test_a_key_tells_when_it_was_used_last(tmp_path: Path) -> None:
    before = clock.wall_us()

    async def main() -> None:
        async with whole(tmp_path, SIM) as gateway:
            assert (await gateway.ask(chat("hi"))).status == 200

    asyncio.run(main())

    with Reader(tmp_path / "deeptoken.db") as reader:
        (key,) = reader.keys()  # no dict
    assert key.last_used_us is not None
    assert before <= key.last_used_us <= clock.wall_us()
