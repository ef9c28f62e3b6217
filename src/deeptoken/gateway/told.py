"""What a caller is told of the head of a provider's answer: its id of the request, and what its limits leave.

    x-request-id, request-id, ...                       x-deeptoken-upstream-id
    x-ratelimit-..., anthropic-ratelimit-...            x-deeptoken-upstream-ratelimit-...

Under names of their own: `x-request-id` and `x-ratelimit-` are the gateway's, of the caller's key.

Source: platform.openai.com/docs/api-reference/debugging-requests, platform.claude.com/docs/en/api/errors
and .../rate-limits, the SDKs of AWS, Mistral and Azure; read 2026-11-26. Cohere and Google tell no id.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

IDS = frozenset(
    (
        *("x-request-id", "request-id", "x-amzn-requestid", "apim-request-id", "mistral-correlation-id"),
        "x-kong-request-id",
    )
)
LIMITS = ("x-ratelimit-", "anthropic-ratelimit-")
OURS = b"x-deeptoken-upstream-"
ID = OURS + b"id"
TOLD_MAX = 24
VALUE_MAX = 200
LOST = b"x-deeptoken-schema-lost"
LOST_BYTES_MAX = 1_000


def told(headers: Mapping[str, str], lost: Sequence[str] = ()) -> list[tuple[bytes, bytes]]:
    """Of the headers, by lower-case name, those that the caller is told, as it is told them.

    `lost` is what of the caller's schemas the provider was not told: places and keywords.
    """
    found: list[tuple[bytes, bytes]] = []
    id: str | None = None
    for name in _worth_telling(tuple(headers)):
        value = headers[name]
        if name in IDS:
            id = id or value
        elif len(found) < TOLD_MAX and _plain(value):
            found.append((OURS + name[name.index("ratelimit-") :].encode("latin-1"), value.encode()))
    if id is not None and _plain(id):
        found.append((ID, id.encode()))
    if lost:
        found.append((LOST, _listed(lost)))
    return found


@lru_cache(maxsize=256)
def _worth_telling(names: tuple[str, ...]) -> tuple[str, ...]:
    """Of these those that are told. A provider's answers have the same ones each time."""
    return tuple([name for name in names if name in IDS or name.startswith(LIMITS)])


def id_of(headers: Mapping[str, str]) -> str | None:
    """The provider's own id of the request."""
    found = next((headers[name] for name in headers if name in IDS), None)
    return found if found is not None and _plain(found) else None


def _listed(places: Sequence[str]) -> bytes:
    """As many as a header has room for."""
    text, left = "", 0
    for place in places:
        plain = "".join(c if c.isascii() and c.isprintable() and c != "," else "?" for c in place)
        if left or len(text) + len(plain) > LOST_BYTES_MAX:
            left += 1
        else:
            text += f", {plain}" if text else plain
    return (f"{text}, and {left} more" if left else text).encode()


def _plain(value: str) -> bool:
    return 0 < len(value) <= VALUE_MAX and value.isascii() and value.isprintable()
