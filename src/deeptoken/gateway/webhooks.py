"""Tells an owner's webhook, once a day, that a budget is nearly used.

    {"event": "budget.warning", "key", "owner", "limit", "used_percent", "at"}

Only ``https``, and only addresses of the public internet: a tenant must not reach what stands beside the
gateway. One that does not answer is tried three times in all, and forgotten until the next warning.
"""

import asyncio
import ipaddress
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import msgspec

from deeptoken import clock
from deeptoken.gateway.rates import PERCENT_PPM, limit_name
from deeptoken.identity.caller import Caller
from deeptoken.ledger.postings import DAY_US, Near
from deeptoken.net import Client, NetError
from deeptoken.wire.http import HttpRequest, Unsendable

TRIES = 3
WAIT_S = 10.0
TOLD_MAX = 10_000
WAITING_MAX = 1_000

Send = Callable[[HttpRequest], Awaitable[int]]

log = logging.getLogger("deeptoken.gateway")


class Notice(msgspec.Struct):
    """What is to be sent, where to, and how often it was tried."""

    url: str
    body: bytes
    tries: int = 0


class Webhooks:
    """Collects warnings; `deliver` sends them."""

    def __init__(self, send: Send, is_public: Callable[[str], Awaitable[bool]]) -> None:
        self._send = send
        self._is_public = is_public
        self._told: OrderedDict[tuple[str, str, str], int] = OrderedDict()
        """When a key's owner was told of a limit."""
        self._waiting: list[Notice] = []

    def note(self, caller: Caller, near: Near) -> None:
        """A call has found a budget nearly used."""
        if caller.webhook is None or len(self._waiting) >= WAITING_MAX:
            return
        now_us, what = clock.wall_us(), (caller.key, near.name, near.subject)
        if now_us - self._told.get(what, -DAY_US) < DAY_US:
            return
        self._told[what] = now_us
        self._told.move_to_end(what)
        if len(self._told) > TOLD_MAX:
            self._told.popitem(last=False)
        told = {
            "event": "budget.warning",
            "key": caller.key_name,
            "owner": caller.owner,
            "limit": limit_name(near.name, near.subject),
            "used_percent": near.used_ppm // PERCENT_PPM,
            "at": now_us // 1_000_000,
        }
        self._waiting.append(Notice(caller.webhook, msgspec.json.encode(told)))

    async def deliver(self) -> None:
        """Send what waits; what fails waits for the next time."""
        waiting, self._waiting = self._waiting, []
        for notice in waiting:
            notice.tries += 1
            if not await self._delivered(notice) and notice.tries < TRIES:
                self._waiting.append(notice)

    async def _delivered(self, notice: Notice) -> bool:
        parts = urlsplit(notice.url)
        if parts.scheme != "https" or not parts.hostname or not await self._is_public(parts.hostname):
            log.warning("a webhook is no https address of the public internet: %s", parts.hostname)
            return True
        headers = (("content-type", "application/json"), ("user-agent", "deeptoken"))
        try:
            status = await self._send(HttpRequest(notice.url, headers, notice.body))
        except (NetError, Unsendable):
            return False
        return 200 <= status < 300


def sending(client: Client) -> Send:
    """Sends with the gateway's own client; the answer's body is not read."""

    async def send(request: HttpRequest) -> int:
        response = await client.send(request, connect_s=WAIT_S, head_s=WAIT_S)
        response.close()
        return response.status

    return send


async def is_public(host: str) -> bool:
    """Whether all addresses of a host are of the public internet."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, 443)
    except OSError:
        return False
    return bool(found) and all(ipaddress.ip_address(place[0]).is_global for *_, place in found)
