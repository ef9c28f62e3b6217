"""Readers of values: each takes what TOML says and gives what the settings hold, or says what was expected.

Texts are never quoted back: one of them may be a secret in the wrong place.
"""

import difflib
import ipaddress
import json
import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from email.utils import parseaddr
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from deeptoken.catalog.patterns import is_valid
from deeptoken.config_lines import Path
from deeptoken.money import NanoUsd, PicoUsd, ppm, usd, usd_per_million
from deeptoken.settings import Network, Secret

WHOLE_MAX = 10**15
"""No count is larger; it keeps sums far from the end of 64 bits."""
REGION = "{region}"
"""Stands in the address of a provider that has one for each region."""
SECONDS_MAX = 10**8
"""Three years. What should last longer is no timeout."""

CALLS = ("/chat/completions", "/completions", "/embeddings", "/responses", "/v1/messages", "/messages")
"""What is put behind a base URL, and often written into it."""

_ADDRESS = re.compile(r"[^\s@<>\"(),:;\\\[\]]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*")
_REGION = re.compile(r"[a-z0-9-]{1,63}")


class Wrong(Exception):
    """A value that cannot be, and where it stands."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path
        self.message = message


class Field(NamedTuple):
    """One key of a table. From the environment a `textual` one comes as it is, a `listed` one with commas."""

    read: Callable[[Any, Path], Any]
    textual: bool = False
    listed: bool = False
    needed: bool = False
    inner: "Mapping[str, Field] | None" = None


def read_table(raw: Any, path: Path, fields: Mapping[str, Field]) -> dict[str, Any]:
    """The values of a table by key, each read; no key that is not known, none missing that is needed."""
    for key in table(raw, path):
        if key not in fields:
            raise Wrong((*path, key), f"unknown key {quote(key)}{nearest(key, fields)}")
    for key, field in fields.items():
        if field.needed and key not in raw:
            raise Wrong(path, f"{quote(key)} is missing")
    return {key: fields[key].read(value, (*path, key)) for key, value in raw.items()}


def nearest(key: str, known: Collection[str]) -> str:
    """What was probably meant, or all that could be."""
    found = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if found:
        return f"; did you mean {quote(found[0])}?"
    return f"; known: {', '.join(sorted(known))}" if known else ""


def quote(text: str) -> str:
    return f'"{text}"'


def expected(what: str, value: Any, path: Path) -> Wrong:
    return Wrong(path, f"expected {what}, found {kind(value)}")


def kind(value: Any) -> str:
    """What a value is, for people; a number is shown, a text is not."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | Decimal():
            return str(value)
        case str():
            return "a text" if value else "an empty text"
        case list():
            return "a list"
        case dict():
            return "a table"
        case datetime() | date():
            return "a date"
    return "something else"


def table(value: Any, path: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise expected("a table", value, path)
    return value


def listed(value: Any, path: Path) -> list[Any]:
    if not isinstance(value, list):
        raise expected("a list", value, path)
    return value


def tables(value: Any, path: Path) -> list[Any]:
    """The tables of ``[[name]]``."""
    if not isinstance(value, list):
        raise Wrong(path, f"expected [[{path[-1]}]], one for each, found {kind(value)}")
    return value


def text(value: Any, path: Path) -> str:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise expected("a text", value, path)
    return value


def secret_of(said: str, path: Path) -> Secret:
    """A secret, without what surrounds it. It goes into a header, so it is printable ASCII without spaces.

    One that is a JSON object (the key of a service account) becomes one line of that kind.
    """
    found = said.strip()
    if found.startswith("{"):
        try:
            found = json.dumps(json.loads(found), separators=(",", ":")).replace(" ", "\\u0020")
        except ValueError:
            raise Wrong(path, "this secret begins as JSON and is none: copy the whole file again") from None
    if not all("!" <= character <= "~" for character in found):
        raise Wrong(
            path,
            "a secret is printable ASCII without spaces, and this one is not: copy it again, on one line",
        )
    return Secret(found)


def flag(value: Any, path: Path) -> bool:
    if not isinstance(value, bool):
        raise expected("true or false", value, path)
    return value


def whole(low: int, high: int = WHOLE_MAX) -> Callable[[Any, Path], int]:
    """A whole number, within its limits."""
    what = f"a whole number from {low} to {high}" if high < WHOLE_MAX else f"a whole number, at least {low}"

    def read(value: Any, path: Path) -> int:
        if type(value) is not int or value < low or value > high:
            raise expected(what, value, path)
        return value

    return read


def seconds(*, zero: bool = False) -> Callable[[Any, Path], float]:
    """A time in seconds, above zero (or at least zero)."""
    what = "a number of seconds, at least 0" if zero else "a number of seconds above 0"

    def read(value: Any, path: Path) -> float:
        if type(value) not in (int, Decimal) or not Decimal(value).is_finite():
            raise expected(what, value, path)
        if value < 0 or (value == 0 and not zero) or value > SECONDS_MAX:
            raise expected(what, value, path)
        return float(value)

    return read


def one_of(names: Collection[str], what: str) -> Callable[[Any, Path], str]:
    """One of some names, such as those of the groups."""

    def read(value: Any, path: Path) -> str:
        if text(value, path) not in names:
            raise Wrong(path, f"there is no {what} {quote(value)}{nearest(value, names)}")
        return str(value)

    return read


def many(read_one: Callable[[Any, Path], Any]) -> Callable[[Any, Path], tuple[Any, ...]]:
    """A list, each of its values read."""

    def read(value: Any, path: Path) -> tuple[Any, ...]:
        return tuple(read_one(one, (*path, position)) for position, one in enumerate(listed(value, path)))

    return read


def pattern(value: Any, path: Path) -> str:
    """A model's id, or a pattern."""
    if not is_valid(text(value, path)):
        raise Wrong(path, f'a pattern has one "*", at its end; {quote(value)} has not')
    return str(value)


def key_name(value: Any, path: Path) -> str:
    """The name of an API key."""
    if "/" in text(value, path):
        raise Wrong(path, "a key's name has no slash: owner/name is how two of one name are told apart")
    return str(value)


def sha256(value: Any, path: Path) -> bytes:
    """The SHA-256 of a secret."""
    try:
        digest = bytes.fromhex(text(value, path))
    except ValueError:
        digest = b""
    if len(digest) != 32:
        raise Wrong(path, "expected a SHA-256: 64 hexadecimal digits")
    return digest


def network(value: Any, path: Path) -> Network:
    """An address or a CIDR range, v4 or v6."""
    try:
        return ipaddress.ip_network(text(value, path))
    except ValueError:
        raise Wrong(path, 'expected an address or a range such as "10.0.0.0/8" or "2001:db8::/32"') from None


def mailbox(value: Any, path: Path) -> str:
    """From whom mails are: an address, or a name and the address in angle brackets."""
    said = text(value, path)
    name, address = parseaddr(said)
    shapes = (address, f"{name} <{address}>", f'"{name}" <{address}>')
    if not said.isprintable() or not _ADDRESS.fullmatch(address) or said not in shapes:
        raise Wrong(path, 'expected an e-mail address, or "DeepToken <noreply@gateway.example>"')
    return said


def address_of(value: Any, path: Path) -> str:
    """A base URL, without the slash at its end."""
    if not text(value, path).startswith(("http://", "https://")):
        raise Wrong(path, "expected a URL that starts with https:// or http://")
    try:
        told = urlsplit(value)
        whole = bool(told.hostname) and told.port != 0
    except ValueError:
        whole = False
    if not whole:
        raise Wrong(path, "expected a URL such as https://api.example.com/v1, its port from 1 to 65535")
    if "?" in value or "#" in value:
        raise Wrong(path, 'a base URL has no "?" and no "#": the path of a call is put behind it')
    base = str(value).rstrip("/")
    for end in CALLS:
        if base.endswith(end):
            raise Wrong(path, f'this is the address of a call: leave "{end}" at its end out')
    return base


def own_address(provider: str, known: str | None, place: str | None, path: Path) -> str:
    """The base URL of a provider, for a channel that tells none; `place` is the channel's region."""
    if known is None:
        raise Wrong(path, f'"base_url" is missing: the provider {quote(provider)} has none of its own')
    if REGION in known and place is None:
        raise Wrong(path, f'"region" is missing: the provider {quote(provider)} has an address for each')
    return known.replace(REGION, place or "")


def region(value: Any, path: Path) -> str:
    """A part of a cloud, as it stands in addresses."""
    if not _REGION.fullmatch(text(value, path)):
        raise expected("a region such as us-east-1", value, path)
    return str(value)


def moment(value: Any, path: Path) -> int:
    """A TOML date and time as microseconds since 1970; UTC unless it says otherwise."""
    if not isinstance(value, datetime):
        raise expected("a date and time such as 2027-01-31T00:00:00Z, without quotes", value, path)
    there = value if value.tzinfo else value.replace(tzinfo=UTC)
    passed = there - datetime(1970, 1, 1, tzinfo=UTC)
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds


def amount(value: Any, path: Path) -> NanoUsd:
    """USD, not negative."""
    return NanoUsd(_decimal(usd, "an amount in USD, at least 0", value, path))


def price(value: Any, path: Path) -> PicoUsd:
    """USD per million tokens or characters, not negative."""
    return PicoUsd(_decimal(usd_per_million, "a price in USD per 1M tokens, at least 0", value, path))


def ratio(value: Any, path: Path) -> int:
    """A multiplier, not negative, in parts per million."""
    return _decimal(ppm, "a ratio, at least 0", value, path)


def fee(value: Any, path: Path) -> PicoUsd:
    """USD for one call, image, second or search, not negative."""
    return PicoUsd(amount(value, path) * 1_000)


def _decimal(read: Callable[[str], int], what: str, value: Any, path: Path) -> int:
    if type(value) not in (int, Decimal) or not Decimal(value).is_finite() or value < 0:
        raise expected(what, value, path)
    try:
        return read(str(value))
    except ValueError as error:
        raise Wrong(path, str(error)) from None
    except ArithmeticError:
        raise expected(what, value, path) from None
