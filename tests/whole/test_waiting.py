"""Full channels: a call waits for its place, the heavier group less, and who waits too long is told."""

import asyncio
from collections.abc import Iterator

import pytest
from provider_scene import Provider, Scene, both, channel, completion, lasting, nothing_is_held

from deeptoken import ids
from upstreams import Received
from whole_scene import Reply, Whole, chat

QUEUE_S = 1.0
KEYS = {"enterprise": ids.new_secret(), "free": ids.new_secret()}


class Gate:
    """Answers when it is let, in the order in which it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._waiting: list[asyncio.Event] = []
        self._arrived = asyncio.Event()

    async def __call__(
        self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        event = asyncio.Event()
        self._waiting.append(event)
        self.asked.append(request.body.decode().partition('"content": "')[2].partition('"')[0])
        self._arrived.set()
        await event.wait()
        writer.write(completion(f"answer {len(self.asked)}"))
        await writer.drain()

    async def came(self, count: int) -> None:
        """Wait until so many have asked."""
        while len(self.asked) < count:
            self._arrived.clear()
            await self._arrived.wait()

    def open(self) -> None:
        """Let the one go that waits longest."""
        self._waiting.pop(0).set()


def configuration(provider: Provider) -> str:
    told = []
    for name in ("served", "late", "passed", "weights", "gone"):
        provider.scripts[name] = Gate()
        told.append(channel(provider, name, max_concurrency="1", priority="1"))
    provider.scripts["spare"] = both("from the spare one")
    told.append(channel(provider, "spare", "passed", name='"passed-2"'))
    provider.scripts["minute"] = both("of two a minute")
    told.append(channel(provider, "minute", rpm="2"))
    for tier, weight in (("enterprise", 100), ("free", 1)):
        told.append(
            f"[groups.{tier}]\nweight = {weight}\n"
            f'[[users]]\nname = "{tier}"\ntier = "{tier}"\ngrant_usd = 100.0\n'
            f'[[keys]]\nname = "{tier}"\nowner = "{tier}"\nsecret = "{KEYS[tier]}"\n'
        )
    return "".join(told)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("waiting")
    with lasting(folder, configuration, server=f"queue_seconds = {QUEUE_S}") as scene:
        yield scene


def gate(scene: Scene, name: str) -> Gate:
    script = scene.provider.scripts[name]
    assert isinstance(script, Gate)
    return script


def asks(gateway: Whole, name: str, said: str = "hi", *, tier: str = "") -> "asyncio.Task[Reply]":
    """A call that is under way."""
    key = KEYS.get(tier, gateway.key)
    body = chat(said, model=f"m/{name}")
    return asyncio.create_task(gateway.ask(body, authorization=f"Bearer {key}"))


async def queued(scene: Scene, count: int) -> None:
    """Wait until so many calls stand in line."""
    line = f"deeptoken_queue_length {count}.0"
    for _ in range(2_000):
        page = await scene.gateway.ask(path="/metrics")
        if line in page.body.decode():
            return
    raise AssertionError(f"there are never {count} calls in line")


def test_a_call_waits_for_a_full_channel_and_is_served_when_it_has_room(scene: Scene) -> None:
    async def main() -> None:
        script = gate(scene, "served")
        first = asks(scene.gateway, "served")
        await script.came(1)
        before = await scene.gateway.credits()
        second = asks(scene.gateway, "served")
        await queued(scene, 1)
        assert await scene.gateway.credits() == before
        assert len(script.asked) == 1

        script.open()
        await script.came(2)
        script.open()

        replies = [await first, await second]
        assert [reply.status for reply in replies] == [200, 200]
        assert {reply.headers["x-deeptoken-attempts"] for reply in replies} == {"1"}
        await nothing_is_held(scene.gateway)

    scene.run(main)


def test_who_waits_too_long_is_told_to_come_again_and_pays_nothing(scene: Scene) -> None:
    async def main() -> None:
        script = gate(scene, "late")
        first = asks(scene.gateway, "late")
        await script.came(1)
        loop = asyncio.get_running_loop()
        began = loop.time()

        refused = await asks(scene.gateway, "late")

        assert QUEUE_S - 0.01 <= loop.time() - began < QUEUE_S + 1
        assert (refused.status, refused.error["code"]) == (503, "overloaded")
        assert int(refused.headers["retry-after"]) >= 1
        script.open()
        assert (await first).status == 200
        assert len(script.asked) == 1

    scene.run(main)


def test_a_call_goes_to_a_channel_with_room_at_once(scene: Scene) -> None:
    async def main() -> None:
        script = gate(scene, "passed")
        first = asks(scene.gateway, "passed")
        await script.came(1)

        other = await asks(scene.gateway, "passed")

        assert other.json["choices"][0]["message"]["content"] == "from the spare one"
        script.open()
        await first

    scene.run(main)


def test_the_heavier_group_is_served_before_those_who_came_earlier_and_all_are_in_the_end(
    scene: Scene,
) -> None:
    async def main() -> None:
        script = gate(scene, "weights")
        running = [asks(scene.gateway, "weights", "first")]
        await script.came(1)
        order = [("free", "free 1"), ("free", "free 2"), ("enterprise", "paid 1"), ("enterprise", "paid 2")]
        for place, (tier, said) in enumerate(order, 1):
            running.append(asks(scene.gateway, "weights", said, tier=tier))
            await queued(scene, place)

        for count in range(1, 6):
            script.open()
            await script.came(min(5, count + 1))

        assert {(await one).status for one in running} == {200}
        assert script.asked == ["first", "paid 1", "free 1", "paid 2", "free 2"]

    scene.run(main)


def test_a_client_that_leaves_the_line_takes_no_place(scene: Scene) -> None:
    async def main() -> None:
        script = gate(scene, "gone")
        first = asks(scene.gateway, "gone")
        await script.came(1)
        client = await scene.gateway.connect()
        client.write(scene.gateway.request(chat("hi", model="m/gone")))
        await queued(scene, 1)
        client.close()
        await queued(scene, 0)
        third = asks(scene.gateway, "gone")
        await queued(scene, 1)

        script.open()
        await script.came(2)
        script.open()

        assert [(await first).status, (await third).status] == [200, 200]
        assert len(script.asked) == 2

    scene.run(main)


def test_a_full_minute_is_told_with_its_length(scene: Scene) -> None:
    async def main() -> None:
        replies = [await asks(scene.gateway, "minute") for _ in range(3)]

        assert [reply.status for reply in replies] == [200, 200, 503]
        assert replies[2].error["code"] == "overloaded"
        assert 50 < int(replies[2].headers["retry-after"]) <= 60

    scene.run(main)
