"""An HTTP request as the providers write it and `net.py` sends it."""

import msgspec


class Unsendable(ValueError):
    """A credential, an address or a header that no request can carry. Its text may have a secret in it."""


class HttpRequest(msgspec.Struct, frozen=True):
    """One request. `url` is absolute; header names are lower case; `body` is sent with its length."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    method: str = "POST"
