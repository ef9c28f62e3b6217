"""An HTTP request as the providers write it and `net.py` sends it."""

from typing import Protocol

import msgspec


class Unsendable(ValueError):
    """A credential, an address or a header that no request can carry. Its text may have a secret in it."""


class Upload(Protocol):
    """A body that comes in pieces and is sent as it comes. It can be read once."""

    @property
    def size(self) -> int | None:
        """Its bytes in all. None: nobody knows; it is sent in chunks."""

    async def read(self) -> bytes:
        """The next piece; empty at the end. Whatever it raises is the end of the request."""


class HttpRequest(msgspec.Struct, frozen=True):
    """One request. `url` is absolute; header names are lower case; `body` is sent with its length."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    method: str = "POST"
    upload: Upload | None = None
    """Sent instead of `body`."""
    lost: tuple[str, ...] = ()
    """What of the caller's JSON schemas is not in it, each as a place and a keyword; the caller is told."""
