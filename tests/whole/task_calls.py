"""A gateway with sim and scripted providers for calls that are no chats."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

import openai
from provider_scene import Provider, Scene, channel, lasting

from whole_scene import Reply

T = TypeVar("T")
SERVED = ("sim/text", "s/voice", "s/draws", "s/ranks", "omni-moderation-latest")
MODELS = """
[[channels]]
name = "sim"
provider = "sim"
models = {{ {served} }}
[[models]]
id = "s/voice"
character = 15
[[models]]
id = "s/draws"
image = 0.04
[[models]]
id = "s/ranks"
search = 0.002
[[models]]
id = "m/spoken"
character = 15
[[models]]
id = "m/silent"
character = 15
"""


def configuration(provider: Provider) -> str:
    channels = (
        channel(provider, "first", "model", priority="2"),
        channel(provider, "second", "model", priority="1"),
        *(channel(provider, name) for name in ("plain", "refuses", "drawn", "spoken", "silent")),
    )
    served = ", ".join(f'"{name}" = "text"' for name in SERVED)
    return MODELS.format(served=served) + "".join(channels)


def gateway(folder: Path) -> AbstractContextManager[Scene]:
    return lasting(folder, configuration)


def with_openai(scene: Scene, ask: Callable[[openai.AsyncOpenAI], Awaitable[T]], *, strict: bool = True) -> T:
    """What OpenAI's client reads; strict: every field is checked, before it makes numbers of base64."""

    async def main() -> T:
        base_url = f"http://127.0.0.1:{scene.gateway.port}/v1"
        async with openai.AsyncOpenAI(
            base_url=base_url, api_key=scene.gateway.key, max_retries=0, _strict_response_validation=strict
        ) as client:
            return await ask(client)

    return scene.run(main)


async def post(scene: Scene, path: str, /, **fields: Any) -> Reply:
    headers = fields.pop("headers", {})
    return await scene.gateway.ask(fields, path=f"/v1/{path}", **headers)
