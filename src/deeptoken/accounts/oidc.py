"""Who somebody is, by the word of an issuer: OpenID Connect, the code flow with PKCE.

    discovery    the issuer's document, which must name the issuer to the letter; an hour
    begin        where the browser is sent, with a state, a nonce and a challenge
    person       what the code is good for: a signed token, of whom it says that it is

Tokens, keys and claims are read by joserfc and authlib, and by nobody else here.

Source: OpenID Connect Core 1.0 (3.1), Discovery 1.0 (4), RFC 7636, RFC 9207, RFC 9700.
"""

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri  # type: ignore[import-untyped]  # no stubs
from authlib.oauth2.rfc7636 import create_s256_code_challenge  # type: ignore[import-untyped]  # no stubs
from authlib.oidc.core import CodeIDToken  # type: ignore[import-untyped]  # no stubs
from authlib.oidc.discovery import get_well_known_url  # type: ignore[import-untyped]  # no stubs
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, Key, RSAKey
from joserfc.jws import JWSRegistry, extract_compact

from deeptoken import clock
from deeptoken.accounts.issuer import (
    TEXT_MAX,
    Discovery,
    Sends,
    ask,
    checked,
    down,
    failed,
    in_time,
)
from deeptoken.accounts.person import ADDRESS, Person, may_tell_address, verified_address
from deeptoken.errors import UpstreamError
from deeptoken.settings import Oidc
from deeptoken.wire.http import HttpRequest

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
"""Only those whose signing key nobody here has."""
KEPT_S = 3_600.0
KEYS_AGAIN_S = 60.0
"""An unknown key has the keys fetched again, that seldom."""
FAILED_S = 5.0
"""So long an issuer that did not answer is not asked again."""
LEEWAY_S = 60
KEYS_MAX = 100
RSA_BITS_MIN = 2_048
JSON = (("accept", "application/json"), ("user-agent", "deeptoken"))
FORM = (*JSON, ("content-type", "application/x-www-form-urlencoded"))

Wanted = Callable[[str], Awaitable[bool]]
"""Whether the address of that subject is needed."""


class Sent(msgspec.Struct, frozen=True):
    """What a browser was sent to the issuer with, and what it must come back by."""

    state: str
    nonce: str
    verifier: str
    redirect_uri: str


class _Keys(msgspec.Struct, frozen=True):
    keys: list[dict[str, Any]]


class _Tokens(msgspec.Struct, frozen=True):
    id_token: str
    access_token: str = ""


class _Kept:
    """What is known of one issuer."""

    def __init__(self) -> None:
        self.asking = asyncio.Lock()
        self.discovery: Discovery | None = None
        self.discovery_until = 0.0
        self.keys: tuple[Key, ...] = ()
        self.keys_until = self.keys_again = 0.0
        self.failed_until = 0.0


class Issuers:
    """The issuers that are asked, with what is remembered of them."""

    def __init__(self, client: Sends, *, now: Callable[[], float] = clock.monotonic) -> None:
        self._client = client
        self._now = now
        self._kept: dict[str, _Kept] = {}
        """By the issuer's URL."""

    async def begin(self, at: Oidc, sent: Sent) -> str:
        """Where the browser goes.

        Raises:
            UpstreamError: the issuer does not answer, or not as one does.
        """
        async with in_time(at):
            discovery = await self._discovery(at)
        uri: str = prepare_grant_uri(
            discovery.authorization_endpoint,
            at.client_id,
            "code",
            redirect_uri=sent.redirect_uri,
            scope=" ".join(at.scopes),
            state=sent.state,
            nonce=sent.nonce,
            code_challenge=create_s256_code_challenge(sent.verifier),
            code_challenge_method="S256",
        )
        return uri

    async def ensure_from(self, at: Oidc, iss: str | None) -> None:
        """Whether an answer that says `iss` is this issuer's (RFC 9207).

        Raises:
            SignInFailed: it is another's.
            UpstreamError: the issuer does not answer, or not as one does.
        """
        async with in_time(at):
            discovery = await self._discovery(at)
        if iss is None and discovery.authorization_response_iss_parameter_supported:
            raise failed(at, "the answer does not say whose it is")
        if iss is not None and iss != at.issuer:
            raise failed(at, "the answer is another issuer's")

    async def person(self, at: Oidc, sent: Sent, code: str, *, address: Wanted) -> Person:
        """Whom the code is for. Where the token has no address, one is asked for of whom it is wanted.

        Raises:
            SignInFailed: the issuer refuses the code, or what it says is not to be believed.
            UpstreamError: it does not answer, or not as one does.
        """
        async with in_time(at):
            discovery = await self._discovery(at)
            tokens = await self._exchange(at, discovery, sent, code)
            claims = await self._claims(at, discovery, tokens, sent)
            where, token = discovery.userinfo_endpoint, tokens.access_token
            if where and token and may_tell_address(at.issuer, claims) and await address(claims["sub"]):
                told = await self._userinfo(at, where, token)
                if told.get("sub") != claims["sub"]:
                    raise failed(at, "what it tells of the person is somebody else's")
                claims = {**claims, **{name: told[name] for name in ADDRESS if name in told}}
        return Person(at.issuer, claims["sub"], verified_address(at.issuer, claims))

    async def _discovery(self, at: Oidc) -> Discovery:
        kept = self._kept.setdefault(at.issuer, _Kept())
        async with kept.asking:
            if kept.discovery is None or self._now() >= kept.discovery_until:
                if self._now() < kept.failed_until:
                    raise down(at, "it did not answer just now")
                try:
                    url = get_well_known_url(at.issuer, external=True)
                    kept.discovery = checked(
                        at, await ask(self._client, at, HttpRequest(url, JSON, method="GET"), Discovery)
                    )
                    kept.discovery_until = self._now() + KEPT_S
                except UpstreamError:
                    kept.failed_until = self._now() + FAILED_S
                    raise
            return kept.discovery

    async def _exchange(self, at: Oidc, discovery: Discovery, sent: Sent, code: str) -> _Tokens:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": sent.redirect_uri,
            "code_verifier": sent.verifier,
        }
        headers: tuple[tuple[str, str], ...] = FORM
        if "client_secret_post" in discovery.token_endpoint_auth_methods_supported:
            form |= {"client_id": at.client_id, "client_secret": at.client_secret}
        else:
            # RFC 6749, section 2.3.1: each is encoded as in a form before.
            said = f"{quote(at.client_id, safe='')}:{quote(at.client_secret, safe='')}"
            headers = (*FORM, ("authorization", f"Basic {b64encode(said.encode()).decode()}"))
        request = HttpRequest(discovery.token_endpoint, headers, urlencode(form).encode())
        return await ask(self._client, at, request, _Tokens)

    async def _claims(self, at: Oidc, discovery: Discovery, tokens: _Tokens, sent: Sent) -> Mapping[str, Any]:
        """What the token says, once it is shown to be the issuer's, for us, for this sign-in, and of now."""
        allowed = [name for name in ALGORITHMS if name in discovery.id_token_signing_alg_values_supported]
        try:
            header = extract_compact(tokens.id_token.encode()).headers()
            if header.get("alg") not in allowed:
                raise failed(at, "its token is signed as none of its own is")
            key = await self._key(at, discovery, header)
            # What is not known in a header is to be ignored (RFC 7515, section 4), but for what is critical.
            registry = JWSRegistry(algorithms=allowed, strict_check_header=False)
            token = jwt.decode(tokens.id_token, key, registry=registry)
            claims = CodeIDToken(
                token.claims,
                token.header,
                options={
                    "iss": {"essential": True, "value": at.issuer},
                    "aud": {"essential": True, "value": at.client_id},
                    "sub": {"essential": True},
                },
                params={
                    "nonce": sent.nonce, "client_id": at.client_id, "access_token": tokens.access_token,
                },
            )  # fmt: skip
            claims.validate(now=int(clock.wall_s()), leeway=LEEWAY_S)
        except JoseError as error:
            raise failed(
                at, f"its token is not to be believed ({error.error}: {error.description})"
            ) from None
        except (ValueError, TypeError, RecursionError):
            raise failed(at, "its token is none") from None
        subject: str = token.claims["sub"]
        if not (0 < len(subject) <= TEXT_MAX and subject.isascii()):
            raise failed(at, "its token is of nobody")
        return token.claims

    async def _key(self, at: Oidc, discovery: Discovery, header: Mapping[str, Any]) -> Key:
        kept = self._kept[at.issuer]
        async with kept.asking:
            if self._now() >= kept.keys_until:
                await self._fetch_keys(at, discovery, kept)
            key = _fitting(kept.keys, header)
            if key is None and self._now() >= kept.keys_again:
                kept.keys_again = self._now() + KEYS_AGAIN_S
                await self._fetch_keys(at, discovery, kept)
                key = _fitting(kept.keys, header)
        if key is None:
            raise failed(at, "its token is signed by a key that is not among its own")
        return key

    async def _fetch_keys(self, at: Oidc, discovery: Discovery, kept: _Kept) -> None:
        told = await ask(self._client, at, HttpRequest(discovery.jwks_uri, JSON, method="GET"), _Keys)
        kept.keys = tuple(_usable(told.keys[:KEYS_MAX]))
        kept.keys_until = self._now() + KEPT_S

    async def _userinfo(self, at: Oidc, url: str, token: str) -> dict[str, Any]:
        headers = (*JSON, ("authorization", f"Bearer {token}"))
        return await ask(self._client, at, HttpRequest(url, headers, method="GET"), dict[str, Any])


def _usable(told: Iterable[Mapping[str, Any]]) -> Iterable[Key]:
    """Public keys that sign; others are passed over (RFC 7517, section 5)."""
    for one in told:
        if one.get("kty") not in ("RSA", "EC") or one.get("use", "sig") != "sig":
            continue
        public: dict[str, str | list[str]] = {
            name: value for name, value in one.items() if isinstance(value, str) and len(name) < TEXT_MAX
        }
        try:
            if public["kty"] == "EC" or _bits(str(public["n"])) >= RSA_BITS_MIN:
                yield JWKRegistry.import_key(public)
        except (JoseError, ValueError, TypeError, KeyError):
            continue


def _bits(modulus: str) -> int:
    """Of a number in base64: at least so many."""
    return (len(modulus.rstrip("=")) * 6) // 8 * 8


def _fitting(keys: tuple[Key, ...], header: Mapping[str, Any]) -> Key | None:
    """The one that may have signed; None: none, or it cannot be told which."""
    kind = ECKey if header["alg"].startswith("ES") else RSAKey
    found = [key for key in keys if isinstance(key, kind) and key.alg in (None, header["alg"])]
    if header.get("kid") is not None:
        found = [key for key in found if key.kid == header["kid"]]
    return found[0] if len(found) == 1 else None
