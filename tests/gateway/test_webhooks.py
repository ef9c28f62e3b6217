"""Webhooks: told once a day of a limit, tried three times, and nothing beside the gateway is reached."""

import asyncio

import msgspec
import pytest

from deeptoken.catalog.model import Group
from deeptoken.gateway.webhooks import Webhooks, is_public
from deeptoken.identity.caller import Caller
from deeptoken.ledger.postings import Near
from deeptoken.net import Stalled
from deeptoken.wire.http import HttpRequest

CALLER = Caller("key_1", "ci", "user:ops", "usr_1", Group("default"), webhook="https://hooks.example/x")
NEAR = Near("1d", "", 830_000)


class Wire:
    """Answers what it is told to, in turn."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.sent: list[HttpRequest] = []

    async def send(self, request: HttpRequest) -> int:
        self.sent.append(request)
        status = self.statuses.pop(0) if self.statuses else 200
        if not status:
            raise Stalled("Nothing came.")
        return status


async def public(host: str) -> bool:
    return not host.startswith("internal")


def told(wire: Wire, *callers: Caller, times: int = 1) -> list[HttpRequest]:
    async def main() -> None:
        webhooks = Webhooks(wire.send, public)
        for caller in callers:
            webhooks.note(caller, NEAR)
        for _ in range(times):
            await webhooks.deliver()

    asyncio.run(main())
    return wire.sent


def test_it_says_whose_limit_is_nearly_used_once() -> None:
    (request,) = told(Wire(), CALLER, CALLER, times=3)

    said = msgspec.json.decode(request.body)
    assert request.url == "https://hooks.example/x"
    assert said.pop("at") > 0
    assert said == {
        "event": "budget.warning",
        "key": "ci",
        "owner": "user:ops",
        "limit": "1d ceiling",
        "used_percent": 83,
    }


@pytest.mark.parametrize(("statuses", "sent"), [((0, 200), 2), ((500, 0, 503, 200), 3), ((404, 204), 2)])
def test_one_that_does_not_take_it_is_tried_three_times_at_most(statuses: tuple[int, ...], sent: int) -> None:
    assert len(told(Wire(*statuses), CALLER, times=5)) == sent


@pytest.mark.parametrize(
    "url",
    ["http://hooks.example/x", "https://internal.example/x", "https:///x"],
    ids=["plain", "inside", "none"],
)
def test_nothing_beside_the_gateway_is_reached(url: str) -> None:
    assert told(Wire(), msgspec.structs.replace(CALLER, webhook=url), times=3) == []


def test_a_key_without_one_tells_nobody() -> None:
    assert told(Wire(), msgspec.structs.replace(CALLER, webhook=None)) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.7", "169.254.169.254", "::1", "no.invalid"])
def test_addresses_that_are_not_public_are_known(host: str) -> None:
    assert asyncio.run(is_public(host)) is False
