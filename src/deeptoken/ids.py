"""The only chance there is: ids and secrets.

    dtk_ + 40 random base62 characters + 6 of checksum   an API key
    usr_, key_, lot_ + UUIDv7                            things in the database
    UUIDv7                                               a request

A UUIDv7 starts with the time in milliseconds (RFC 9562, section 5.7), so ids sort as they were made.
"""

import hashlib
import os
import random  # noqa: TID251
import secrets  # noqa: TID251
import zlib

from deeptoken import clock

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
KEY_PREFIX = "dtk_"
KEY_RANDOM = 40
KEY_CHECKSUM = 6
KEY_LENGTH = len(KEY_PREFIX) + KEY_RANDOM + KEY_CHECKSUM
KEY_SHOWN = 8
"""How many characters of a key are stored and shown."""


def uuid7() -> str:
    """A new UUIDv7 as text: unique, not secret.

    The 12 bits after the version are the microseconds, so that ids of one process hardly ever sort otherwise
    than they were made (RFC 9562, section 6.2, method 3).
    """
    ms, us = divmod(clock.wall_us(), 1_000)
    chance = random.getrandbits(62) | 1 << 63
    text = f"{ms:012x}7{us * 4096 // 1_000:03x}{chance:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def since(at_us: int) -> str:
    """What the ids of that millisecond begin with: those that are older sort before it, the others behind."""
    text = f"{max(0, at_us) // 1_000:012x}"
    return f"{text[:8]}-{text[8:]}"


def new_id(prefix: str) -> str:
    """An id for a thing in the database: ``new_id("key")`` is ``key_`` and a UUIDv7."""
    return f"{prefix}_{uuid7()}"


def new_secret() -> str:
    """A new API key. It is shown once and never stored."""
    body = "".join(secrets.choice(ALPHABET) for _ in range(KEY_RANDOM))
    return f"{KEY_PREFIX}{body}{checksum(body)}"


def new_token() -> str:
    """A random token for URLs and cookies: 256 bits."""
    return secrets.token_urlsafe(32)


def new_code(length: int) -> str:
    """Random characters of base32, 5 bits each, for people to type."""
    return "".join(secrets.choice(BASE32) for _ in range(length))


def checksum(body: str) -> str:
    """The CRC-32 of an API key's random part, in base62."""
    number = zlib.crc32(body.encode())
    digits = ""
    for _ in range(KEY_CHECKSUM):
        number, digit = divmod(number, 62)
        digits = ALPHABET[digit] + digits
    return digits


def well_formed(secret: str) -> bool:
    """Is this an API key without a typo in it? No look-up is needed to refuse one that is not."""
    if len(secret) != KEY_LENGTH or not secret.startswith(KEY_PREFIX) or not secret.isascii():
        return False
    body = secret[len(KEY_PREFIX) : -KEY_CHECKSUM]
    return secret[-KEY_CHECKSUM:] == checksum(body)


def digest(secret: str) -> bytes:
    """What is stored of an API key: its SHA-256."""
    return hashlib.sha256(secret.encode()).digest()


def random_bytes(count: int) -> bytes:
    """Random bytes for keys and nonces."""
    return os.urandom(count)


def draw() -> float:
    """A random number in [0, 1), for what needs chance and no secrecy."""
    return random.random()
