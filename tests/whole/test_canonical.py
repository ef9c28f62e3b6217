"""What a channel calls a model stays between it and the gateway: everybody else sees the canonical id."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from provider_scene import (
    DONE,
    Provider,
    Scene,
    Script,
    both,
    channel,
    chunk,
    completion,
    event,
    events,
    gone,
    lasting,
    row_of,
    says,
    stream_head,
    streamed,
)

from log_scene import Logged
from upstreams import Received, answer
from whole_scene import Reply, chat

JSON = "Content-Type: application/json"
NAMING = ("OpenAI-Model: hidden-{0}", "X-Served-By: hidden-{0}", "Retry-After: 9")
SAID = "The model hidden-{0} (hidden-{0}-0613) is not what it was."


def refuses(status: str, name: str, code: str | None = None) -> Script:
    error = {"message": SAID.format(name), "type": "server_error", "code": code, "param": "model"}
    fields = [field.format(name) for field in NAMING]
    return says(answer(json.dumps({"error": error}).encode(), JSON, *fields, status=status))


def died(name: str) -> bytes:
    return event({"error": {"message": SAID.format(name), "code": 500}})


async def breaks(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(stream_head() + chunk("begun", role=True))
    if not await gone(reader, after=0.05):
        writer.write(died("broken"))
        writer.close()


def scripts() -> dict[str, Script]:
    """By the model's name: what the provider says, its own name for it in each."""
    hidden: dict[str, Any] = {"model": "hidden-whole"}
    head = {"id": "chatcmpl-up", "object": "chat.completion.chunk", "created": 1, "model": "hidden-stream"}
    return {
        "whole": says(completion("fine", **hidden)),
        "stream": says(
            streamed(events("fine", "too").replace(b'"model": "hidden"', b'"model": "hidden-stream"'))
        ),
        "odd": says(streamed(event({**head, "choices": [{"index": 0, "delta": {"content": "x"}}]}) + DONE)),
        "opens": says(streamed(died("opens"))),
        "broken": breaks,
        "400": refuses("400 Bad Request", "400", "invalid_value"),
        "401": refuses("401 Unauthorized", "401"),
        "404": refuses("404 Not Found", "404", "model_not_found"),
        "429": refuses("429 Too Many Requests", "429"),
        "500": refuses("500 Oops", "500"),
        "503": refuses("503 Service Unavailable", "503"),
    }


STREAMED = ("stream", "odd", "opens", "broken", "500", "404")


def configuration(provider: Provider) -> str:
    told = []
    for name, script in scripts().items():
        provider.scripts[name] = script
        told.append(channel(provider, name))
        models = f'{{ "m/spared-{name}" = "hidden-{name}" }}'
        told.append(channel(provider, name, name=f'"{name}-1"', models=models, priority="1"))
        told.append(channel(provider, "spare", f"spared-{name}", name=f'"{name}-2"'))
    provider.scripts["spare"] = both("from the spare one")
    return "".join(told)


async def everything(scene: Scene, logged: Logged, replies: list[Reply]) -> dict[str, str]:
    """All that anybody is told of these calls, by where it is told."""
    ask: Callable[..., Awaitable[Reply]] = scene.gateway.ask
    said = {f"reply {place}": f"{reply.headers}{reply.body!r}" for place, reply in enumerate(replies)}
    for reply in replies:
        id = reply.headers["x-deeptoken-id"]
        said[f"row {id}"] = msgspec.json.encode(await row_of(scene.gateway, id)).decode()
        said[f"generation {id}"] = (await ask(path=f"/v1/generation?id={id}")).body.decode()
    for path in ("/v1/models", "/v1/models/m/whole", "/metrics", "/readyz"):
        said[path] = (await ask(path=path)).body.decode()
    log = ""
    for _ in range(5_000):
        log += logged.news()
        if all(f'"request","id":"{reply.headers["x-deeptoken-id"]}"' in log for reply in replies):
            break
        await ask(path="/healthz")
    else:
        raise AssertionError("there are log lines missing")
    return said | {"log": log}


def test_the_upstreams_name_is_told_nowhere(tmp_path: Path, logged: Logged) -> None:
    with lasting(tmp_path, configuration) as scene:

        async def main() -> None:
            replies = []
            for name in scripts():
                for model in (f"m/{name}", f"m/spared-{name}"):
                    body = chat("hi", model=model, stream=name in STREAMED, usage={"include": True})
                    replies.append(await scene.gateway.ask(body))

            said = await everything(scene, logged, replies)

            telling = {place: text for place, text in said.items() if "hidden" in text}
            assert telling == {}
            asked = {request.body for requests in scene.provider.requests.values() for request in requests}
            assert all(b"hidden-" in body for body in asked)
            statuses = [reply.status for reply in replies[::2]]
            assert statuses == [200, 200, 200, 502, 200, 400, 502, 404, 429, 502, 503]
            for name, reply in zip(scripts(), replies[::2], strict=True):
                if reply.status >= 400 and name != "401":
                    assert f"m/{name}" in reply.error["message"]
            for place in ("log", "/v1/models"):
                assert "m/whole" in said[place]

        scene.run(main)
