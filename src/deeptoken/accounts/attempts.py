"""Guessing is slow: how often a password may be tried for one account, and from one address.

A name has `burst` attempts at once, and one more each `every_us` (the generic cell rate algorithm). Who
succeeds gets the attempt back. An unknown account is counted as a known one is, so that the answer does not
tell them apart. An IPv6 address counts as its /64, which is what one subscriber has.
"""

import asyncio
import ipaddress
import unicodedata
from collections.abc import Callable
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from deeptoken import ids
from deeptoken.errors import BadRequest, Overloaded, TooManyAttempts

Found = TypeVar("Found")
SECOND_US = 1_000_000
NAMES_MAX = 50_000
PASSWORD_MIN, PASSWORD_MAX = 10, 256
HASHING, WAITING_MAX = 2, 32
"""Passwords that are hashed at once, 64 MiB of memory each, and that wait for it."""


class Throttle:
    """How often something may be done under one name."""

    def __init__(self, burst: int, every_us: int) -> None:
        self._slack_us = (burst - 1) * every_us
        self._every_us = every_us
        self._free_us: dict[str, int] = {}
        """When all of a name's attempts are free again."""

    def wait_us(self, name: str, now_us: int) -> int:
        """How long until one is free; 0: now."""
        return max(0, self._free_us.get(name, 0) - self._slack_us - now_us)

    def take(self, name: str, now_us: int) -> None:
        if len(self._free_us) >= NAMES_MAX and name not in self._free_us:
            self._forget(now_us)
        self._free_us[name] = max(self._free_us.get(name, 0), now_us) + self._every_us

    def give_back(self, name: str) -> None:
        if name in self._free_us:
            self._free_us[name] -= self._every_us

    def _forget(self, now_us: int) -> None:
        """Those that have all attempts free; of others the half that has them soonest."""
        rest = sorted((free, name) for name, free in self._free_us.items() if free > now_us)
        kept = rest if len(rest) < NAMES_MAX // 2 else rest[len(rest) // 2 :]
        self._free_us = {name: free for free, name in kept}


class Attempts:
    """Passwords, tried and made: seldom, few at once, and never in the event loop's thread."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self.accounts = Throttle(5, 60 * SECOND_US)
        self.addresses = Throttle(20, 6 * SECOND_US)
        self._hasher = hasher or PasswordHasher()
        self._room = asyncio.Semaphore(HASHING)
        self._waiting = 0
        self._nobody: str | None = None

    def take(self, account: str, address: str | None, now_us: int) -> None:
        """Count an attempt, before it is made.

        Raises:
            TooManyAttempts: with the time at which the next one is heard.
        """
        places = ((self.accounts, account), (self.addresses, place_of(address)))
        wait_us = max(throttle.wait_us(name, now_us) for throttle, name in places)
        if wait_us:
            raise TooManyAttempts(retry_after_s=wait_us / SECOND_US)
        for throttle, name in places:
            throttle.take(name, now_us)

    def give_back(self, account: str, address: str | None) -> None:
        self.accounts.give_back(account)
        self.addresses.give_back(place_of(address))

    def take_from(self, address: str | None, now_us: int) -> None:
        """The same of what is no account's yet."""
        place = place_of(address)
        if wait_us := self.addresses.wait_us(place, now_us):
            raise TooManyAttempts(retry_after_s=wait_us / SECOND_US)
        self.addresses.take(place, now_us)

    def give_back_from(self, address: str | None) -> None:
        self.addresses.give_back(place_of(address))

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
