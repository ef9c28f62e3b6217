"""A channel's stored secret made into fresh headers, where its provider does not take it as it is.

    vertex, a service account's key    a signed statement (RS256) to its token_uri, for a token of an hour;
                                       kept until 5 minutes before its end, fetched once however many wait
    bedrock, a pair of keys            the request's signature (SigV4)
    every other provider               nothing to do: the request is returned as it came, at once

Source: RFC 7523 and developers.google.com/identity/protocols/oauth2/service-account; read 2026-11-25.
"""

import asyncio
import base64
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from deeptoken import clock
from deeptoken.catalog.model import Candidate, Channel
from deeptoken.net import NetError, Response, Stalled, Unreachable
from deeptoken.providers.base import Cause, Failure
from deeptoken.providers.sigv4 import sign
from deeptoken.wire.http import HttpRequest, Unsendable

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
STATED_S = 3_600
"""How long the statement, and the token by it, is good."""
EARLY_S = 300
"""Before its end a token is replaced: a call may take that long to arrive."""
ANSWER_S = 10.0
"""How long a token is waited for."""
FRESH = ("bedrock", "vertex")
"""Providers that do not take every secret as it is."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Sends(Protocol):
    """What is needed of `net.Client`."""

    async def send(self, request: HttpRequest, *, connect_s: float, head_s: float) -> Response: ...


class NoToken(Exception):
    """There is no token for the channel; `failure` is what the attempt comes to."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class ServiceAccount(msgspec.Struct, frozen=True):
    """The key file of a service account, as Google writes it."""

    client_email: str
    private_key: str
    """PEM."""
    token_uri: str
    private_key_id: str | None = None


class _Token(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: int = STATED_S


class _Refusal(msgspec.Struct, frozen=True):
    error: str | dict[str, Any] = ""
    error_description: str = ""


class _Kept:
    """The token of one secret, and who fetches it."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self.token = ""
        self.until = 0.0
        """On the monotonic clock."""
        self.underway: asyncio.Future[Failure | None] | None = None


class Credentials:
    """Fresh headers for a request whose provider does not take its secret as it is."""

    def __init__(
        self,
        client: Sends,
        *,
        wall_s: Callable[[], float] = clock.wall_s,
        monotonic: Callable[[], float] = clock.monotonic,
    ) -> None:
        self._client = client
        self._wall_s = wall_s
        self._monotonic = monotonic
        self._kept: dict[str, _Kept] = {}
        """By the channel's name."""

    async def authorised(self, request: HttpRequest, at: Candidate) -> HttpRequest:
        """`request` with what proves who asks.

        Raises:
            NoToken: the credential is refused, is none, or the one who gives tokens does not answer.
        """
        channel = at.channel
        if channel.provider == "vertex" and channel.secret.startswith("{"):
            token = await self._token(channel)
            headers = (*request.headers, ("authorization", f"Bearer {token}"))
            return msgspec.structs.replace(request, headers=headers)
        if channel.provider == "bedrock":
            return sign(request, channel.secret, channel.options, int(self._wall_s()))
        return request

    async def _token(self, channel: Channel) -> str:
        kept = self._kept.get(channel.name)
        if kept is None or kept.secret != channel.secret:
            kept = self._kept[channel.name] = _Kept(channel.secret)
        while self._monotonic() >= kept.until:
            if kept.underway is None:
                await self._fetch(kept, channel)
            # One who leaves must not take the others with him.
            elif failure := await asyncio.shield(kept.underway):
                raise NoToken(failure)
        return kept.token

    async def _fetch(self, kept: _Kept, channel: Channel) -> None:
        """Fetch a token. Those who wait meanwhile get it too, or the same failure."""
        kept.underway = asyncio.get_running_loop().create_future()
        failure = None
        try:
            told = await self._asked(channel)
            kept.token = told.access_token
            kept.until = self._monotonic() + max(told.expires_in - EARLY_S, 1)
        except NoToken as error:
            failure = error.failure
            raise
        finally:
            kept.underway.set_result(failure)
            kept.underway = None

    async def _asked(self, channel: Channel) -> _Token:
        account = _account(channel.secret)
        # Reading a key takes long enough to be felt by others.
        statement = await asyncio.to_thread(signed, account, self._wall_s())
        request = HttpRequest(
            account.token_uri,
            (("content-type", "application/x-www-form-urlencoded"),),
            urlencode({"grant_type": GRANT, "assertion": statement}).encode(),
        )
        try:
            response = await self._client.send(request, connect_s=channel.timeout.connect, head_s=ANSWER_S)
            return _token_of(response.status, await response.whole(ANSWER_S))
        except NetError as error:
            raise NoToken(Failure(cause=_cause(error), message="No token could be fetched.")) from None
        except Unsendable:
            raise _refused("The address for tokens cannot be asked.") from None


def _cause(error: NetError) -> Cause:
    match error:
        case Unreachable():
            return "connect"
        case Stalled():
            return "slow"
    return "outage"


def signed(account: ServiceAccount, now_s: float) -> str:
    """The statement that the account asks for a token now, as a JWT.

    Raises:
        NoToken: its key is none.
    """
    try:
        key = load_pem_private_key(account.private_key.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise _refused("The private_key of the service account is no RSA key in PEM.")
    head = {"alg": "RS256", "typ": "JWT", "kid": account.private_key_id}
    claims = {
        "iss": account.client_email,
        "scope": SCOPE,
        "aud": account.token_uri,
        "iat": int(now_s),
        "exp": int(now_s) + STATED_S,
    }
    said = f"{_base64(msgspec.json.encode(head))}.{_base64(msgspec.json.encode(claims))}"
    return f"{said}.{_base64(key.sign(said.encode(), PKCS1v15(), SHA256()))}"


def _account(secret: str) -> ServiceAccount:
    try:
        account = msgspec.json.decode(secret.encode(), type=ServiceAccount)
        where = urlsplit(account.token_uri)
        host = where.hostname
    except (msgspec.DecodeError, ValueError):
        raise _refused("The secret is no key of a service account.") from None
    if where.scheme != "https" and not (where.scheme == "http" and host in LOOPBACK):
        raise _refused("The token_uri of the service account is not https.")
    return account


def _token_of(status: int, body: bytes) -> _Token:
    if 200 <= status < 300:
        try:
            told = msgspec.json.decode(body, type=_Token)
        except msgspec.DecodeError:
            told = _Token("")
        if told.access_token.isascii() and told.access_token.isprintable() and told.access_token:
            return told
        raise NoToken(Failure(cause="outage", message="What came is no token.", status=status))
    if status == 429 or status >= 500:
        raise NoToken(Failure(cause="outage", message="No token could be fetched.", status=status))
    try:
        refusal = msgspec.json.decode(body, type=_Refusal)
    except msgspec.DecodeError:
        refusal = _Refusal()
    why = refusal.error_description or (refusal.error if isinstance(refusal.error, str) else "")
    raise _refused(f"The service account is refused with {status}: {why[:500]}", status)


def _refused(message: str, status: int | None = None) -> NoToken:
    return NoToken(Failure(cause="credential", message=message, status=status))


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
