"""What a call took is free when it has ended, and not when somebody looks for it."""

import asyncio
import gc
from collections import Counter
from pathlib import Path

import pytest

from whole_scene import Connection, chat, whole

CONFIGURATION = """
[[channels]]
name = "one"
provider = "sim"
models = { "m/one" = "text", "m/two" = "text", "m/bad" = "error-503" }

[[channels]]
name = "two"
provider = "sim"
max_concurrency = 100
models = { "m/two" = "text", "m/bad" = "text" }

[[models]]
id = "m/*"
prompt = 1.0
completion = 2.0
"""


async def ask(client: Connection, request: bytes) -> None:
    client.write(request)
    reply = await client.reply()
    assert reply.status == 200, reply.body


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("model", ["m/one", "m/two", "m/bad"])
def test_no_call_leaves_a_circle_behind(model: str, stream: bool, tmp_path: Path) -> None:
    async def main() -> Counter[str]:
        async with whole(tmp_path, CONFIGURATION) as gateway:
            client = await gateway.connect()
            request = gateway.request(chat("hi", model=model, stream=stream))
            await ask(client, request)
            gc.collect()
            gc.disable()
            gc.set_debug(gc.DEBUG_SAVEALL)
            try:
                for _ in range(5):
                    await ask(client, request)
                gc.collect()
                return Counter(
                    type(left).__qualname__
                    for left in gc.garbage
                    if type(left).__module__.startswith("deeptoken")
                )
            finally:
                gc.set_debug(0)
                gc.garbage.clear()
                gc.enable()

    assert asyncio.run(main()) == Counter()
