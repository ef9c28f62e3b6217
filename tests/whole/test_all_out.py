"""Every channel of a model is out: callers are told so soon and pay nothing, and it is tried again."""

import asyncio
import json
from collections.abc import Iterator

import pytest
from provider_scene import (
    Provider,
    Scene,
    Script,
    both,
    channel,
    gone,
    lasting,
    nothing_is_held,
    says,
    says_and_waits,
)

from upstreams import Received, answer
from whole_scene import Reply, chat

JSON = "Content-Type: application/json"
HANG_S = 2.3


def refuses(status: str, *fields: str) -> Script:
    body = json.dumps({"error": {"message": "it is out", "type": "server_error", "code": None}})
    return says(answer(body.encode(), JSON, *fields, status=status))


WAYS: dict[str, tuple[Script | None, set[int]]] = {
    "refused": (None, {502, 503}),
    "503": (refuses("503 Service Unavailable"), {503}),
    "500": (refuses("500 Oops"), {502, 503}),
    "401": (refuses("401 Unauthorized"), {502, 503}),
    "404": (refuses("404 Not Found"), {404, 503}),
    "429": (refuses("429 Too Many Requests", "Retry-After: 30"), {429}),
    "hang": (says_and_waits(), {503, 504}),
}
"""What both channels of a model do, and what its callers are told then."""
NOWHERE = '"http://127.0.0.1:1/v1"'
QUICK = f"{{ first_byte = {HANG_S} }}"


def configuration(provider: Provider) -> str:
    told = []
    for way in [*WAYS, "hope"]:
        provider.scripts[way] = refuses("503 Service Unavailable")
        where = {"base_url": NOWHERE} if way == "refused" else {}
        for place in (1, 2):
            told.append(channel(provider, way, name=f'"{way}-{place}"', timeout=QUICK, **where))
    silent = provider.url("deaf").replace("http:", "https:")
    told.append(channel(provider, "deaf", base_url=f'"{silent}"', priority="1"))
    provider.scripts["good"] = both("in time")
    told.append(channel(provider, "good", "deaf", name='"deaf-2"'))
    told.append(channel(provider, "patient", priority="1", label='"patient"'))
    told.append(channel(provider, "good", "patient", name='"patient-2"', label='"good"'))
    return "".join(told)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with lasting(tmp_path_factory.mktemp("out"), configuration) as scene:
        yield scene


async def asked(scene: Scene, name: str, count: int, **headers: str) -> list[tuple[Reply, float]]:
    """The replies to so many calls at once, and the seconds that each took."""
    loop = asyncio.get_running_loop()

    async def one(number: int) -> tuple[Reply, float]:
        began = loop.time()
        reply = await scene.gateway.ask(chat("hi", model=f"m/{name}", stream=number % 2 == 0), **headers)
        return reply, loop.time() - began

    return await asyncio.gather(*(one(number) for number in range(count)))


class Watched:
    """Does as `script`, a moment later; `most` is how many were there at once."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._here = self.most = 0

    async def __call__(
        self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._here += 1
        self.most = max(self.most, self._here)
        try:
            if not await gone(reader, after=0.02):
                await self._script(request, reader, writer)
        finally:
            self._here -= 1


@pytest.mark.parametrize("way", WAYS)
def test_when_all_are_out_every_call_is_told_soon_and_when_to_come_again_and_costs_nothing(
    way: str, scene: Scene
) -> None:
    script, statuses = WAYS[way]

    async def main() -> None:
        # It takes five failures to know; with the hanging ones those come quickly.
        if script is not None and way != "hang":
            scene.provider.scripts[way] = script
        await asked(scene, way, 6)
        watched = Watched(script or both("nobody is there"))
        scene.provider.scripts[way] = watched

        money = await nothing_is_held(scene.gateway)

        told = await asked(scene, way, 12)

        assert {reply.status for reply, _ in told} <= statuses
        for reply, _ in told:
            # A model that the last channel does not have is its caller's to mend: that is not worth a wait.
            assert reply.status == 404 or int(reply.headers["retry-after"]) >= 1
            assert reply.error["type"] in ("upstream", "user")
        late = [seconds for _, seconds in told if seconds > 2.5]
        assert len(late) <= (way == "hang")
        assert watched.most == (way not in ("refused", "429"))
        assert await nothing_is_held(scene.gateway) == money
        assert (await scene.gateway.ask(path="/readyz")).status == 200

    scene.run(main)


def test_the_first_call_after_a_recovery_is_answered_and_so_are_all_that_follow(scene: Scene) -> None:
    async def main() -> None:
        await asked(scene, "hope", 6)
        (refused, _), *_ = await asked(scene, "hope", 1)
        assert refused.status == 503

        scene.provider.scripts["hope"] = both("well again")
        told = await asked(scene, "hope", 10)

        assert [reply.status for reply, _ in told] == [200] * 10
        assert {reply.headers["x-deeptoken-attempts"] for reply, _ in told} == {"1"}

    scene.run(main)


def test_a_deadline_of_the_callers_own_opens_no_breaker(scene: Scene) -> None:
    async def main() -> None:
        scene.provider.scripts["patient"] = says_and_waits()
        short = await asked(scene, "patient", 12, x_deeptoken_timeout="0.1")
        assert {(reply.status, reply.error["code"]) for reply, _ in short} == {(504, "upstream_timeout")}

        scene.provider.scripts["patient"] = both("here")
        told = await asked(scene, "patient", 4)

        # Were it out, the other one would serve.
        assert {(reply.status, reply.headers["x-deeptoken-channel"]) for reply, _ in told} == {
            (200, "patient")
        }

    scene.run(main)


def test_a_deadline_that_passes_while_it_connects_ends_the_call_and_opens_no_breaker(scene: Scene) -> None:
    async def main() -> None:
        for count in (8, 2):
            told = await asked(scene, "deaf", count, x_deeptoken_timeout="0.1")

            assert {(reply.status, reply.error["code"]) for reply, _ in told} == {(504, "upstream_timeout")}
            assert max(seconds for _, seconds in told) < 2

    scene.run(main)
