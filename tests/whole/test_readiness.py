"""What `/readyz` and `/metrics` say of providers: to operators alone."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from provider_scene import MODELS, Provider, Script, both, channel, says

from deeptoken.settings import Database
from upstreams import answer
from whole_scene import Reply, Whole, chat, whole

TURNS_MAX = 2_000


def refuses(status: str) -> Script:
    return says(answer(b"no", "Content-Type: text/plain", status=status))


Main = Callable[[Whole, Provider], Awaitable[None]]


def run(folder: Path, main: Main, *, server: str = "") -> None:
    async def scene() -> None:
        async with Provider() as provider:
            provider.scripts |= {"up": both("fine"), "down": refuses("401 Unauthorized")}
            more = MODELS + channel(provider, "up") + channel(provider, "down")
            pattern = {"models": '{ "m/*" = "*" }', "name": '"wide"', "priority": "-1"}
            more += channel(provider, "down", **pattern)
            async with whole(folder, more, server=server) as gateway:
                await main(gateway, provider)

    asyncio.run(scene())


async def readyz(gateway: Whole, **headers: Any) -> Reply:
    return await gateway.ask(path="/readyz", authorization="", **headers)


async def health(gateway: Whole) -> dict[tuple[str, str | None], dict[str, Any]]:
    told = (await readyz(gateway)).json["health"]
    return {(one["channel"], one["model"]): one for one in told}


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(TURNS_MAX):
        if await holds():
            return
    raise AssertionError("it never came to hold")


def test_a_provider_that_refuses_the_account_shows_and_the_gateway_stays_ready(tmp_path: Path) -> None:
    async def main(gateway: Whole, provider: Provider) -> None:
        before = await health(gateway)
        assert (await gateway.ask(chat("hi", model="m/up"))).status == 200
        assert (await gateway.ask(chat("hi", model="m/down"))).status == 502

        reply = await readyz(gateway)

        assert set(before) == {("up", None), ("down", None), ("wide", None)}
        assert reply.status == 200
        told = {(one["channel"], one["model"]): one for one in reply.json["health"]}
        assert set(told) - set(before) == {("up", "m/up"), ("down", "m/down"), ("wide", "m/down")}
        assert (told["up", None]["state"], told["up", "m/up"]["state"]) == ("closed", "closed")
        assert told["up", "m/up"]["ttft_s"] is not None
        assert (told["down", None]["state"], told["down", None]["why"]) == ("open", "credential")
        assert 500 < told["down", None]["wait_s"] <= 630
        assert reply.json["health_left_out"] == 0
        assert reply.json["installation"] == Database("", gateway.folder / "deeptoken.db").installation

    run(tmp_path, main)


@pytest.mark.parametrize(
    ("server", "headers", "shown"),
    [
        ("", {}, True),
        ("", {"x_forwarded_for": "198.51.100.7"}, False),
        ('metrics_token = "let-me-in"', {}, False),
        ('metrics_token = "let-me-in"', {"authorization": "Bearer other"}, False),
        ('metrics_token = "let-me-in"', {"authorization": "Bearer let-me-in"}, True),
    ],
)
def test_the_names_of_channels_and_what_is_wrong_with_them_are_the_operator_s(
    server: str, headers: dict[str, Any], shown: bool, tmp_path: Path
) -> None:
    async def main(gateway: Whole, provider: Provider) -> None:
        reply = await gateway.ask(path="/readyz", **{"authorization": "", **headers})
        page = await gateway.ask(path="/metrics", **{"authorization": "", **headers})

        assert (reply.status, "health" in reply.json) == (200, shown)
        assert reply.json["ready"] is True
        assert ("wide" in reply.body.decode()) is shown
        assert page.status == (200 if shown else 403)

    run(tmp_path, main, server=server)


def test_metrics_count_an_open_breaker_under_a_listed_id_or_its_pattern(tmp_path: Path) -> None:
    async def main(gateway: Whole, provider: Provider) -> None:
        provider.scripts["down"] = refuses("404 Not Found")
        for model in ("m/down", "m/made-up"):
            assert (await gateway.ask(chat("hi", model=model))).status == 404

        page = (await gateway.ask(path="/metrics")).body.decode().splitlines()

        assert sorted(line for line in page if line.startswith("deeptoken_breaker_open")) == [
            'deeptoken_breaker_open{channel="down",model=""} 0.0',
            'deeptoken_breaker_open{channel="down",model="m/down"} 1.0',
            'deeptoken_breaker_open{channel="up",model=""} 0.0',
            'deeptoken_breaker_open{channel="wide",model=""} 0.0',
            'deeptoken_breaker_open{channel="wide",model="m/*"} 1.0',
            'deeptoken_breaker_open{channel="wide",model="m/down"} 1.0',
        ]
        assert "deeptoken_queue_length 0.0" in page
        assert not any("made-up" in line for line in page)

    run(tmp_path, main)


def test_a_channel_that_is_put_into_use_again_starts_anew(tmp_path: Path) -> None:
    async def main(gateway: Whole, provider: Provider) -> None:
        file = gateway.folder / "deeptoken.toml"
        assert (await gateway.ask(chat("hi", model="m/down"))).status == 502
        provider.scripts["down"] = both("paid again")
        in_use = 'name = "down"\n'

        file.write_text(file.read_text().replace(in_use, in_use + "enabled = false\n"))
        gateway.orders.reload.set()

        async def out_of_use() -> bool:
            return (await health(gateway))["down", None]["enabled"] is False

        await until(out_of_use)
        assert (await health(gateway))["down", None]["why"] == "credential"
        file.write_text(file.read_text().replace("enabled = false\n", ""))
        gateway.orders.reload.set()

        async def well() -> bool:
            return not (await health(gateway))["down", None]["why"]

        await until(well)
        assert (await health(gateway))["wide", None]["why"] == "credential"
        reply = await gateway.ask(chat("hi", model="m/down"))
        assert (reply.status, reply.headers["x-deeptoken-attempts"]) == (200, "1")

    run(tmp_path, main)
