"""An issuer, asked: what it answers is taken only over TLS (or on this machine), in time, in size, and never
from where it redirects to.

Source: OpenID Connect Discovery 1.0, section 4.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

import msgspec

from deeptoken.errors import DeeptokenError, SignInFailed, UpstreamError, UpstreamTimeout
from deeptoken.net import NetError, Response, Stalled
from deeptoken.settings import Oidc
from deeptoken.wire.http import HttpRequest, Unsendable

CONNECT_S, ANSWER_S, WHOLE_S = 5.0, 10.0, 20.0
"""For a connection, for one answer, and for all that one step of a sign-in asks of an issuer."""
BYTES_MAX = 256 * 1024
"""Of an answer."""
TEXT_MAX = 255
LOOPBACK = ("localhost", "127.0.0.1", "::1")

log = logging.getLogger("deeptoken.accounts")
Read = TypeVar("Read")


class Sends(Protocol):
    """What is needed of `net.Client`."""

    async def send(self, request: HttpRequest, *, connect_s: float, head_s: float) -> Response: ...


class Discovery(msgspec.Struct, frozen=True):
    """What is needed of an issuer's document."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    id_token_signing_alg_values_supported: tuple[str, ...] = ("RS256",)
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class _Refusal(msgspec.Struct, frozen=True):
    error: str = ""


async def ask(client: Sends, at: Oidc, request: HttpRequest, kind: type[Read]) -> Read:
    """What an issuer answers. A redirect is no answer: nobody follows it."""
    try:
        response = await client.send(request, connect_s=CONNECT_S, head_s=ANSWER_S)
        body = await response.whole(ANSWER_S)
    except Stalled:
        raise UpstreamTimeout(told_of(at, "it does not answer in time")) from None
    except (NetError, Unsendable) as error:
        raise down(at, type(error).__name__) from None
    if response.status != 200:
        raise _refusal(at, response.status, body)
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise down(at, "what it answers is not what an issuer does") from None


def checked(at: Oidc, told: Discovery) -> Discovery:
    """Raises `UpstreamError`: it is another issuer's, or leads to where secrets could be read on the way."""
    if told.issuer != at.issuer:
        raise down(
            at, f"its document is of the issuer {told.issuer[:TEXT_MAX]!r}, which is not the one configured"
        )
    plain = urlsplit(at.issuer).scheme == "http"
    for url in (told.authorization_endpoint, told.token_endpoint, told.jwks_uri, told.userinfo_endpoint):
        if url is None:
            continue
        try:
            where = urlsplit(url)
            host = where.hostname
        except ValueError:
            host = None
        if not host or not (
            where.scheme == "https" or (plain and where.scheme == "http" and host in LOOPBACK)
        ):
            raise down(at, "its document has an address that is not https")
    return told


@asynccontextmanager
async def in_time(at: Oidc) -> AsyncIterator[None]:
    """Raises `UpstreamTimeout`: all of it takes too long."""
    try:
        async with asyncio.timeout(WHOLE_S):
            yield
    except TimeoutError:
        raise UpstreamTimeout(told_of(at, "it does not answer in time")) from None


def told_of(at: Oidc, why: str) -> str:
    log.warning("the issuer of oidc %r: %s", at.name, why)
    return f"{at.label} cannot be asked who you are: {why}. Try again, or sign in another way."


def down(at: Oidc, why: str) -> UpstreamError:
    return UpstreamError(told_of(at, why))


def _refusal(at: Oidc, status: int, body: bytes) -> DeeptokenError:
    try:
        error = msgspec.json.decode(body, type=_Refusal).error[:TEXT_MAX]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        error = ""
    if error == "invalid_grant":
        return failed(at, "the code is not good, or not any more")
    return down(at, f"it answers with {status} {error!r}" if error else f"it answers with {status}")


def failed(at: Oidc, why: str) -> SignInFailed:
    log.warning("a sign-in by oidc %r is refused: %s", at.name, why)
    return SignInFailed(f"What {at.label} answered does not show who you are. Begin again.")
