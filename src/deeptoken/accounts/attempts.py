"""Guessing is slow: how often a password may be tried for one account, and from one address.

A name has `burst` attempts at once, and one more each `every_us` (the generic cell rate algorithm). Who
succeeds gets the attempt back. An unknown account is counted as a known one is, so that the answer does not
tell them apart. An IPv6 address counts as its /64, which is what one subscriber has.

What counts is written down, so that it is the same at every worker and after a restart. A process refuses by
what it remembers, without asking, whom it knows to be too fast: who guesses makes few writes.
"""

import asyncio
import ipaddress
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from deeptoken import ids
from deeptoken.errors import BadRequest, Overloaded, TooManyAttempts
from deeptoken.ledger.postings import Answer, Done, Edit, Posting
from deeptoken.store.queries.sign_in import give_attempt_back, take_attempt
from deeptoken.store.reads import Reader

Found = TypeVar("Found")
SECOND_US = 1_000_000
NAMES_MAX = 50_000
PASSWORD_MIN, PASSWORD_MAX = 10, 256
HASHING, WAITING_MAX = 2, 32
"""Passwords that are hashed at once, 64 MiB of memory each, and that wait for it."""


class Kept(Protocol):
    """Where attempts are written down."""

    async def post(self, *postings: Posting) -> list[Answer]: ...
    async def read(self, ask: Callable[[Reader], Found]) -> Found: ...


class Throttle:
    """How often something may be done under one name, as far as this process remembers."""

    def __init__(self, kind: str, burst: int, every_us: int) -> None:
        self.slack_us = (burst - 1) * every_us
        self.every_us = every_us
        self._kind = kind
        self._free_us: dict[str, int] = {}
        """When all of a name's attempts are free again."""

    def key(self, name: str) -> bytes:
        """What it is written down under: a guessed name stands nowhere."""
        return ids.digest(f"{self._kind} {name}")

    def wait_us(self, name: str, now_us: int) -> int:
        """How long until one is free; 0: now."""
        return max(0, self._free_us.get(name, 0) - self.slack_us - now_us)

    def take(self, name: str, now_us: int) -> None:
        self.learn(name, max(self._free_us.get(name, 0), now_us) + self.every_us, now_us)

    def learn(self, name: str, free_us: int, now_us: int) -> None:
        """What is written down of it."""
        if len(self._free_us) >= NAMES_MAX and name not in self._free_us:
            self._forget(now_us)
        self._free_us[name] = free_us

    def give_back(self, name: str) -> None:
        if name in self._free_us:
            self._free_us[name] -= self.every_us

    def _forget(self, now_us: int) -> None:
        """Those that have all attempts free; of others the half that has them soonest."""
        rest = sorted((free, name) for name, free in self._free_us.items() if free > now_us)
        kept = rest if len(rest) < NAMES_MAX // 2 else rest[len(rest) // 2 :]
        self._free_us = {name: free for free, name in kept}


Place = tuple[Throttle, str]
"""What an attempt counts under."""


class Attempts:
    """Passwords, tried and made: seldom, few at once, and never in the event loop's thread."""

    def __init__(self, kept: Kept, hasher: PasswordHasher | None = None) -> None:
        self.accounts = Throttle("account", 5, 60 * SECOND_US)
        self.addresses = Throttle("address", 20, 6 * SECOND_US)
        self._kept = kept
        self._hasher = hasher or PasswordHasher()
        self._room = asyncio.Semaphore(HASHING)
        self._waiting = 0
        self._nobody: str | None = None

    async def take(self, account: str, address: str | None, now_us: int) -> None:
        """Count an attempt, before it is made.

        Raises:
            TooManyAttempts: with the time at which the next one is heard.
        """
        await self._take(((self.accounts, account), (self.addresses, place_of(address))), now_us)

    async def give_back(self, account: str, address: str | None) -> None:
        await self._give_back(((self.accounts, account), (self.addresses, place_of(address))))

    async def take_from(self, address: str | None, now_us: int) -> None:
        """The same of what is no account's yet."""
        await self._take(((self.addresses, place_of(address)),), now_us)

    async def give_back_from(self, address: str | None) -> None:
        await self._give_back(((self.addresses, place_of(address)),))

    async def _take(self, places: Sequence[Place], now_us: int) -> None:
        _ensure_free(places, now_us)
        for throttle, name in places:
            # Others must not come by while it is written.
            throttle.take(name, now_us)
        steps = [
            take_attempt(throttle.key(name), now_us, throttle.every_us, throttle.slack_us)
            for throttle, name in places
        ]
        if await self._kept.post(Edit(tuple(steps))) == [Done(changed=True)]:
            return
        free = await self._kept.read(
            lambda reader: reader.attempts([throttle.key(n) for throttle, n in places])
        )
        _learn(places, free, now_us)
        _ensure_free(places, now_us)
        raise TooManyAttempts(retry_after_s=1)

    async def _give_back(self, places: Sequence[Place]) -> None:
        for throttle, name in places:
            throttle.give_back(name)
        await self._kept.post(
            *(give_attempt_back(throttle.key(name), throttle.every_us) for throttle, name in places)
        )

    async def right(self, hash: str | None, password: str) -> bool:
        """Is it the password? Where there is none it takes as long, and is not."""
        if hash is None and self._nobody is None:
            self._nobody = await self.hash(ids.new_token())
        known = hash or self._nobody or ""
        return await self._in_thread(self._verify, known, password) and hash is not None

    async def hash(self, password: str) -> str:
        """Argon2id, with its parameters and salt in the text (RFC 9106)."""
        return await self._in_thread(self._hasher.hash, _normal(password))

    def _verify(self, hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(hash, _normal(password))
        except (VerificationError, InvalidHashError):
            return False

    async def _in_thread(self, work: Callable[..., Found], *values: str) -> Found:
        """Raises `Overloaded`: too many wait for it."""
        if self._waiting >= WAITING_MAX:
            raise Overloaded("Too many people sign in at once. Try again shortly.")
        self._waiting += 1
        try:
            async with self._room:
                return await asyncio.to_thread(work, *values)
        finally:
            self._waiting -= 1


def _ensure_free(places: Sequence[Place], now_us: int) -> None:
    wait_us = max(throttle.wait_us(name, now_us) for throttle, name in places)
    if wait_us:
        raise TooManyAttempts(retry_after_s=wait_us / SECOND_US)


def _learn(places: Sequence[Place], free: Mapping[bytes, int], now_us: int) -> None:
    for throttle, name in places:
        throttle.learn(name, free.get(throttle.key(name), 0), now_us)


def place_of(address: str | None) -> str:
    """What attempts from an address count under."""
    if address is None:
        return ""
    parsed = ipaddress.ip_address(address)
    if parsed.version == 4:
        return str(parsed)
    mapped = parsed.ipv4_mapped
    return str(mapped or ipaddress.ip_network((parsed, 64), strict=False))


def checked_password(password: str, name: str) -> str:
    """Raises `BadRequest`: too short, too long, or the user's own name."""
    length = len(_normal(password))
    if not PASSWORD_MIN <= length <= PASSWORD_MAX:
        raise BadRequest(
            f"password: {PASSWORD_MIN} to {PASSWORD_MAX} characters, of whatever kind.", param="password"
        )
    if _normal(password).casefold() == _normal(name).casefold():
        raise BadRequest("password: not the user's own name.", param="password")
    return password


def _normal(password: str) -> str:
    """However the keyboard composed it (RFC 8265: OpaqueString)."""
    return unicodedata.normalize("NFKC", password)
