"""What a caller wishes of the routing, in the body and behind the model's id, is kept or refused."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from provider_scene import (
    DONE,
    Provider,
    Scene,
    Script,
    both,
    channel,
    chunk,
    event,
    gone,
    lasting,
    row_of,
    stream_head,
    used,
)

from upstreams import Received, answer
from whole_scene import Reply, chat


def at_pace(wait_s: float, *words: str) -> Script:
    """A stream that waits before each word."""

    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(stream_head())
        for word in words:
            if await gone(reader, after=wait_s):
                return
            writer.write(chunk(word, role=word == words[0]))
        writer.write(chunk(finish="stop") + event({"choices": [], "usage": used(3, len(words))}) + DONE)
        await writer.drain()
        writer.close()

    return script


async def down(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(answer(b"", status="500 Oops"))
    await writer.drain()


SCRIPTS: dict[str, Script] = {
    "first": both("first"),
    "second": both("second"),
    "third": both("third"),
    "down": down,
    "slow": at_pace(0.04, "slow", " and", " steady"),
    "fast": at_pace(0.004, "fast", " and", " good"),
    "claude": both("never asked"),
    "gpt": both("it can"),
}


def configuration(provider: Provider) -> str:
    provider.scripts |= SCRIPTS
    told = []
    for place, name in enumerate(("first", "second", "third")):
        label = f'"{name.title()} Host"'
        told.append(channel(provider, name, "pick", label=label, priority=str(-place)))
    told.append(channel(provider, "down", "ordered", priority="1"))
    told.append(channel(provider, "second", "ordered", name='"ordered-2"'))
    told.append(channel(provider, "slow", "speed", priority="1"))
    told.append(channel(provider, "fast", "speed"))
    told.append(channel(provider, "claude", "able", provider='"anthropic"', priority="1"))
    told.append(channel(provider, "gpt", "able"))
    told.append(channel(provider, "claude", "unable", name='"alone"', provider='"anthropic"'))
    return "".join(told)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with lasting(tmp_path_factory.mktemp("preferences"), configuration) as scene:
        yield scene


def ask(scene: Scene, model: str, provider: dict[str, Any] | None = None, **fields: Any) -> Reply:
    if provider is not None:
        fields["provider"] = provider
    return scene.run(lambda: scene.gateway.ask(chat("hi", model=model, **fields)))


def text(reply: Reply) -> str:
    said: str = reply.json["choices"][0]["message"]["content"]
    return said


PICKED: list[tuple[dict[str, Any], str]] = [
    ({}, "first"),
    ({"only": ["second"]}, "second"),
    ({"only": ["Third Host", "SECOND host"]}, "second"),
    ({"ignore": ["first"]}, "second"),
    ({"ignore": ["First Host", "second"]}, "third"),
    ({"order": ["third", "second"]}, "third"),
    ({"order": ["third", "second"], "ignore": ["third"]}, "second"),
    ({"sort": "price"}, "first"),
    ({"sort": "latency", "only": ["third"]}, "third"),
    ({"max_price": {"prompt": 1, "completion": 2.0}}, "first"),
    ({"data_collection": "allow", "zdr": False}, "first"),
]


@pytest.mark.parametrize(("wishes", "served"), PICKED, ids=[json.dumps(wishes) for wishes, _ in PICKED])
def test_a_wish_decides_who_serves(wishes: dict[str, Any], served: str, scene: Scene) -> None:
    reply = ask(scene, "m/pick", wishes)

    assert (reply.status, text(reply)) == (200, served)
    assert reply.headers["x-deeptoken-channel"] == f"{served.title()} Host"
    assert b"provider" not in scene.provider.requests[served][-1].body


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"only": ["nobody"]}, "provider.only"),
    ({"ignore": ["first", "second", "third"]}, "provider.ignore"),
    ({"order": ["nobody"], "allow_fallbacks": False}, "provider.order"),
    ({"max_price": {"prompt": 0.99}}, "provider.max_price"),
    ({"max_price": {"completion": "1.999999"}}, "provider.max_price"),
    ({"sort": "beauty"}, "provider.sort"),
    ({"onyl": ["first"]}, "provider.onyl"),
    ({"data_collection": "deny"}, "provider.data_collection"),
]


@pytest.mark.parametrize(("wishes", "param"), REFUSED, ids=[json.dumps(wishes) for wishes, _ in REFUSED])
def test_a_wish_that_nobody_can_meet_is_refused_by_its_name(
    wishes: dict[str, Any], param: str, scene: Scene
) -> None:
    before = [len(requests) for requests in scene.provider.requests.values()]

    reply = ask(scene, "m/pick", wishes)

    assert (reply.status, reply.error["param"]) == (400, param)
    assert "hidden" not in reply.body.decode()
    assert [len(requests) for requests in scene.provider.requests.values()] == before


def test_an_order_falls_back_unless_that_is_forbidden(scene: Scene) -> None:
    fallen = ask(scene, "m/ordered", {"order": ["down"]})
    firm = ask(scene, "m/ordered", {"order": ["down"], "allow_fallbacks": False})

    assert (fallen.status, text(fallen)) == (200, "second")
    assert fallen.headers["x-deeptoken-attempts"] == "2"
    assert (firm.status, firm.error["code"]) == (502, "upstream_error")


@pytest.mark.parametrize(
    ("suffix", "wishes"), [(":nitro", {}), ("", {"sort": "throughput"}), ("", {"sort": "latency"})]
)
def test_the_faster_one_is_found_by_what_was_measured(
    suffix: str, wishes: dict[str, Any], scene: Scene
) -> None:
    for name in ("slow", "fast"):
        ask(scene, "m/speed", {"only": [name]}, stream=True)

    reply = ask(scene, f"m/speed{suffix}", wishes, stream=True)

    assert (reply.status, reply.text) == (200, "fast and good")
    assert {said["model"] for said in reply.chunks} == {"m/speed"}


@pytest.mark.parametrize("suffix", [":floor", ":nitro"])
def test_a_suffix_stands_in_no_answer_and_no_bill(suffix: str, scene: Scene) -> None:
    reply = ask(scene, f"m/pick{suffix}")

    assert (reply.status, reply.json["model"]) == (200, "m/pick")
    assert scene.provider.body("first")["model"] == "hidden-pick"
    row = scene.run(lambda: row_of(scene.gateway, reply.headers["x-deeptoken-id"]))
    assert (row.model, row.charged) == ("m/pick", 3_000 + 2 * 2_000)


def test_what_one_provider_cannot_do_goes_to_one_that_can(scene: Scene) -> None:
    reply = ask(scene, "m/able", logprobs=True)
    alone = ask(scene, "m/unable", logprobs=True)

    assert (reply.status, text(reply)) == (200, "it can")
    assert scene.provider.requests["claude"] == []
    assert (alone.status, alone.error["param"]) == (400, "logprobs")
