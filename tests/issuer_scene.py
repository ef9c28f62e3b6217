"""An issuer of OpenID Connect on a real socket, with keys of its own, that errs and lies on demand; and a
browser that goes from a gateway to it and back."""

import asyncio
import base64
import hashlib
import hmac
import json
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, RSAKey

from deeptoken import clock
from management_scene import Managed, managed
from upstreams import Received, ScriptedServer, answer, read_request
from whole_scene import Reply

PUBLIC = "https://gateway.example"
CLIENT, SECRET = "gateway-client", "s3cret~of:the+client"
START = "/api/session/oidc/issuer"
DROPPED = object()
"""A claim that is not said."""


@cache
def rsa(kid: str) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": kid})


def short(kid: str) -> RSAKey:
    """One that could be guessed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)
        return RSAKey.generate_key(1024, {"kid": kid})


@cache
def elliptic(kid: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid})


def part(value: Any) -> str:
    """A part of a token."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unsigned(claims: dict[str, Any]) -> str:
    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}."


def by_the_public_key(claims: dict[str, Any]) -> str:
    """As if the issuer's public key were a secret that both know."""
    said = f"{part({'alg': 'HS256', 'typ': 'JWT', 'kid': 'one'})}.{part(claims)}"
    return f"{said}.{part(hmac.digest(rsa('one').as_pem(private=False), said.encode(), 'sha256'))}"


class Issuer:
    """What it knows, and what it says instead of it."""

    def __init__(self) -> None:
        self.url = ""
        self.claims: dict[str, Any] = {
            "sub": "subject-1", "email": "mia@example.com", "email_verified": True
        }  # fmt: skip
        """Of who sits at the browser; what stands here overrules what the token would say, and may depend on
        the time."""
        self.userinfo: dict[str, Any] = {"sub": "subject-1"}
        self.key: RSAKey | ECKey = rsa("one")
        self.algorithm = "RS256"
        self.published: list[RSAKey | ECKey] = [rsa("one")]
        self.sign: Callable[[dict[str, Any]], str] = self._signed
        self.document: dict[str, Any] = {}
        """Overrules its document."""
        self.answers: dict[str, bytes] = {}
        """What a path answers instead; empty: nothing ever."""
        self.asked: list[Received] = []
        self.says_iss: str | None = None
        self._given = 0
        self._codes: dict[str, dict[str, str]] = {}
        self._more = asyncio.Condition()

    def paths(self) -> list[str]:
        return [received.line.split()[1].partition("?")[0] for received in self.asked]

    async def reached(self, path: str) -> None:
        """Until that was asked."""
        async with self._more:
            await self._more.wait_for(lambda: path in self.paths())

    async def visit(self, url: str) -> str:
        """What a browser does that is sent here: it is sent back there."""
        assert url.startswith(self.url), url
        query = parse_qs(urlsplit(url).query, strict_parsing=True)
        told = {name: value for name, (value,) in query.items()}
        assert (told["response_type"], told["client_id"]) == ("code", CLIENT)
        assert (told["code_challenge_method"], len(told["code_challenge"])) == ("S256", 43)
        code = f"code-{self._given}"
        self._given += 1
        self._codes[code] = told
        back = {"code": code, "state": told["state"], "session_state": "whatever"}
        if self.says_iss is not None:
            back["iss"] = self.says_iss
        return f"{told['redirect_uri']}?{urlencode(back)}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (received := await read_request(reader)) is not None:
            path = received.line.split()[1].partition("?")[0]
            async with self._more:
                self.asked.append(received)
                self._more.notify_all()
            raw = self.answers.get(path)
            if raw == b"":
                await asyncio.Event().wait()
            writer.write(raw or self._answered(path, received))
            await writer.drain()

    def _answered(self, path: str, received: Received) -> bytes:
        match path:
            case "/.well-known/openid-configuration":
                return said(self._document())
            case "/keys":
                return said({"keys": [key.as_dict(private=False) for key in self.published]})
            case "/token":
                return self._token(received)
            case "/userinfo":
                assert received.fields["authorization"] == "Bearer the-access-token"
                return said(self.userinfo)
        return answer(status="404 Not Found")

    def _document(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            "authorization_response_iss_parameter_supported": self.says_iss is not None,
        } | self.document

    def _token(self, received: Received) -> bytes:
        form = dict(parse_qsl(received.body.decode(), strict_parsing=True))
        begun = self._codes.pop(form["code"], None)
        challenge = part(hashlib.sha256(form["code_verifier"].encode()).digest())
        if not self._knows(received, form):
            return said({"error": "invalid_client"}, "401 Unauthorized")
        if (
            begun is None
            or begun["redirect_uri"] != form["redirect_uri"]
            or (begun["code_challenge"] != challenge)
        ):
            return said({"error": "invalid_grant"}, "400 Bad Request")
        token = self.sign(self.told(begun["nonce"]))
        return said({"access_token": "the-access-token", "token_type": "Bearer", "id_token": token})

    def _knows(self, received: Received, form: dict[str, str]) -> bool:
        if "client_secret" in form:
            return (form["client_id"], form["client_secret"]) == (CLIENT, SECRET)
        sent = base64.b64decode(received.fields["authorization"].removeprefix("Basic ")).decode()
        return sent == "gateway-client:s3cret~of%3Athe%2Bclient"

    def told(self, nonce: str) -> dict[str, Any]:
        now = int(clock.wall_s())
        claims = {"iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": nonce} | self.claims
        return {
            name: value(now) if callable(value) else value
            for name, value in claims.items()
            if value is not DROPPED
        }

    def _signed(self, claims: dict[str, Any]) -> str:
        return jwt.encode(
            {"alg": self.algorithm, "kid": self.key.kid}, claims, self.key, algorithms=[self.algorithm]
        )


def said(value: Any, status: str = "200 OK") -> bytes:
    return answer(json.dumps(value).encode(), "Content-Type: application/json", status=status)


@asynccontextmanager
async def issuing() -> AsyncIterator[Issuer]:
    issuer = Issuer()
    async with ScriptedServer(issuer.serve) as server:
        issuer.url = f"http://127.0.0.1:{server.port}"
        yield issuer


def declared(issuer: Issuer, more: str = "", *, name: str = "issuer") -> str:
    return (
        f'\n[[oidc]]\nname = "{name}"\nlabel = "The Issuer"\nissuer = "{issuer.url}"\n'
        f'client_id = "{CLIENT}"\nclient_secret = "{SECRET}"\n{more}\n'
    )


class Traveller:
    """A browser that keeps every cookie."""

    def __init__(self, there: Managed, issuer: Issuer) -> None:
        self.there = there
        self.issuer = issuer
        self.cookies: dict[str, str] = {}
        self.csrf = ""

    async def send(self, method: str, path: str, body: Any = None) -> Reply:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        raw = None if body is None else json.dumps(body).encode()
        reply = await self.there.ask(
            None, method, path, raw, cookie=cookie, x_csrf_token=self.csrf, sec_fetch_site="same-origin"
        )
        for name, morsel in SimpleCookie(reply.headers.get("set-cookie", "")).items():
            flags = (morsel["httponly"], morsel["secure"], morsel["samesite"], morsel["path"])
            assert flags == (True, True, "Lax", "/")
            self.cookies[name] = morsel.value
        if reply.status in (200, 201) and "csrf" in reply.json:
            self.csrf = reply.json["csrf"]
        return reply

    @property
    def session(self) -> str | None:
        return self.cookies.get("__Host-deeptoken")

    async def leave(self, start: str = START) -> str:
        """Where the gateway sends it."""
        reply = await self.send("GET", start)
        assert (reply.status, reply.body) == (303, b""), reply.body
        return reply.headers["location"]

    async def come_back(self, url: str) -> Reply:
        """To where the issuer sends it, which is a path of the gateway's."""
        assert url.startswith(f"{PUBLIC}/api/session/oidc/"), url
        return await self.send("GET", url.removeprefix(PUBLIC))

    async def sign_in(self, start: str = START) -> Reply:
        return await self.come_back(await self.issuer.visit(await self.leave(start)))

    async def who(self) -> str | None:
        """Who is signed in."""
        reply = await self.send("GET", "/api/session")
        return str(reply.json["user"]) if reply.status == 200 else None

    async def link(self, **body: Any) -> Reply:
        """Begin to link, and come back from the issuer."""
        begun = await self.send("POST", "/api/me/identities", {"provider": "issuer", **body})
        if begun.status != 200:
            return begun
        return await self.come_back(await self.issuer.visit(begun.json["url"]))


@asynccontextmanager
async def with_issuer(
    folder: Path, more: str = "", others: str = ""
) -> AsyncIterator[tuple[Managed, Issuer]]:
    """A gateway, and an issuer that it believes; `more` is of its block, `others` of the configuration."""
    async with issuing() as issuer:
        blocks = declared(issuer, more) + others
        async with managed(folder, blocks, server=f'public_url = "{PUBLIC}"') as there:
            yield there, issuer
