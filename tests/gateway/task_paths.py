"""Tasks on the path of a call, against sim."""

import asyncio
from typing import Any

import msgspec
from path_scene import Heard, Scene

from deeptoken.catalog.model import Rates
from deeptoken.money import PicoUsd
from deeptoken.providers.base import Asked, Reply
from deeptoken.providers.openai import OpenAI
from deeptoken.wire import embeddings, images, moderations, rerank, speech

FREE = {"prompt": PicoUsd(0), "completion": PicoUsd(0)}
BY_IMAGE = Rates(**FREE, image=PicoUsd(40_000_000_000))
BY_CHARACTER = Rates(**FREE, character=PicoUsd(15_000_000))
BY_SEARCH = Rates(**FREE, search=PicoUsd(2_000_000_000))
READS = {
    "embeddings": embeddings.read,
    "moderations": moderations.read,
    "images": images.read,
    "speech": speech.read,
    "rerank": rerank.read,
}
WORDS = " ".join(f"word{number}" for number in range(400))


class Silent(OpenAI):
    """A host that never tells what was used."""

    def reply(self, body: bytes, asked: Asked) -> Reply:
        return msgspec.structs.replace(super().reply(body, asked), usage=None, told=None, units=None)


def scene(money: str = "100", rates: Rates | None = None, **more: Any) -> Scene:
    models = {f"m/{name}": name for name in ("text", "error-503", "cut", "stall")}
    return Scene(money, models=models, rates=rates, **more)


async def ask(scene: Scene, task: str, /, model: str = "m/text", **fields: Any) -> Heard:
    return await scene.ask({"model": model, **fields}, read=READS[task], endpoint=f"/v1/{task}")


def done(scene: Scene, task: str, /, **fields: Any) -> Heard:
    return asyncio.run(ask(scene, task, **fields))


def kinds(scene: Scene) -> list[str]:
    return [type(posting).__name__ for posting in scene.ledger.asked]
