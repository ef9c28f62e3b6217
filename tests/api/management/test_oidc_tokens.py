"""What an issuer says is believed when it is shown to be its own, for us, for this sign-in, and of now."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from browser_scene import code
from deeptoken.accounts import issuer as asking
from issuer_scene import (
    CLIENT,
    DROPPED,
    START,
    Issuer,
    Traveller,
    by_the_public_key,
    declared,
    elliptic,
    issuing,
    part,
    rsa,
    said,
    short,
    unsigned,
    with_issuer,
)  # fmt: skip
from management_scene import Managed
from upstreams import answer

CREATING = "create_users = true"
REFUSED = (401, "sign_in_failed")
DOWN = (502, "upstream_error")
Story = Callable[[Managed, Issuer], Awaitable[None]]


def tell(folder: Path, story: Story, more: str = CREATING) -> None:
    async def told() -> None:
        async with with_issuer(folder, more) as (there, issuer):
            await story(there, issuer)

    asyncio.run(told())


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another-client"},
        {"aud": ["another-client"]},
        {"aud": "another-client", "azp": CLIENT},
        {"aud": DROPPED},
        {"aud": [CLIENT, "another-client"]},
        {"aud": [CLIENT, "another-client"], "azp": "another-client"},
        {"azp": "another-client"},
        {"iss": "https://issuer.example"},
        {"iss": DROPPED},
        {"nonce": "another-nonce"},
        {"nonce": DROPPED},
        {"exp": lambda now: now - 120},
        {"exp": DROPPED},
        {"exp": "tomorrow"},
        {"iat": lambda now: now + 3_600},
        {"iat": DROPPED},
        {"nbf": lambda now: now + 3_600},
        {"sub": ""},
        {"sub": DROPPED},
        {"sub": 17},
        {"sub": "s" * 256},
        {"at_hash": part(b"another token....")},
        {"at_hash": 17},
    ],
    ids=[
        "for another", "for others", "for another and given to us", "for nobody", "for several",
        "for several and given to another",
        "given to another", "of another issuer", "of no issuer", "of another sign-in", "of no sign-in",
        "expired", "never expires", "expires in words", "of tomorrow", "of no time", "not yet",
        "of an empty name", "of nobody", "of a number", "of a long name", "with another access token",
        "with a number for a hash",
    ],
)  # fmt: skip
def test_a_token_that_says_something_else_signs_nobody_in(tmp_path: Path, claims: dict[str, Any]) -> None:
    async def story(there: Managed, issuer: Issuer) -> None:
        issuer.claims |= claims
        traveller = Traveller(there, issuer)
        assert code(await traveller.sign_in()) == REFUSED
        assert traveller.session is None

    tell(tmp_path, story)


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": [CLIENT]},
        {"aud": [CLIENT, "another-client"], "azp": CLIENT},
        {"exp": lambda now: now - 20},
        {"iat": lambda now: now + 20},
        {"at_hash": part(hashlib.sha256(b"the-access-token").digest()[:16])},
    ],
    ids=[
        "a list of us",
        "for several, given to us",
        "just expired",
        "a clock ahead",
        "with its access token",
    ],
)
def test_a_token_within_the_rules_signs_in(tmp_path: Path, claims: dict[str, Any]) -> None:
    async def story(there: Managed, issuer: Issuer) -> None:
        issuer.claims |= claims
        traveller = Traveller(there, issuer)
        reply = await traveller.sign_in()
        assert reply.status == 303, reply.body
        assert await traveller.who() == "mia@example.com"

    tell(tmp_path, story)


@pytest.mark.parametrize(
    "sign",
    [
        unsigned,
        by_the_public_key,
        lambda claims: "no token",
        lambda claims: "a.b.c",
        lambda claims: f"{part({'alg': 'RS256', 'kid': 'one'})}.{part(claims)}.{part(b'forged' * 43)}",
        lambda claims: f"{part({'alg': 'RS256', 'kid': 'one', 'crit': ['x'], 'x': 1})}.{part(claims)}.AAAA",
        lambda claims: f"{part({'alg': ['RS256'], 'kid': 'one'})}.{part(claims)}.AAAA",
        lambda claims: f"{part(b'[' * 50_000)}.{part(claims)}.AAAA",
        lambda claims: f"{part(['RS256'])}.{part(claims)}.AAAA",
    ],
    ids=[
        "by nobody",
        "by the public key",
        "a word",
        "no JSON",
        "by a forger",
        "critically",
        "by a list",
        "deeply",
        "by no object",
    ],
)
def test_a_token_that_is_not_signed_by_the_issuers_key_signs_nobody_in(
    tmp_path: Path, sign: Callable[[dict[str, Any]], str]
) -> None:
    async def story(there: Managed, issuer: Issuer) -> None:
        issuer.document = {"id_token_signing_alg_values_supported": ["RS256", "HS256", "none"]}
        issuer.sign = sign
        assert code(await Traveller(there, issuer).sign_in()) == REFUSED

    tell(tmp_path, story)


def test_an_algorithm_that_the_issuer_does_not_name_is_refused(tmp_path: Path) -> None:
    async def story(there: Managed, issuer: Issuer) -> None:
        issuer.algorithm = "PS256"
        assert code(await Traveller(there, issuer).sign_in()) == REFUSED

    tell(tmp_path, story)


def test_a_new_key_is_fetched_once_it_signs_and_not_more_often_than_once_a_minute(tmp_path: Path) -> None:
    async def story(there: Managed, issuer: Issuer) -> None:
        assert (await Traveller(there, issuer).sign_in()).status == 303
        assert (await Traveller(there, issuer).sign_in()).status == 303
        assert issuer.paths().count("/keys") == 1
        issuer.key, issuer.algorithm = elliptic("two"), "ES256"
        issuer.published = [rsa("one"), elliptic("two")]
        assert (await Traveller(there, issuer).sign_in()).status == 303
        assert issuer.paths().count("/keys") == 2
        issuer.key = elliptic("three")
        for _ in range(3):
            assert code(await Traveller(there, issuer).sign_in()) == REFUSED
        assert issuer.paths().count("/keys") == 2
        assert issuer.paths().count("/.well-known/openid-configuration") == 1

    tell(tmp_path, story)


@pytest.mark.parametrize("right", [False, True], ids=["alone", "beside the right one"])
def test_keys_that_cannot_sign_are_passed_over(tmp_path: Path, right: bool) -> None:
    async def story(there: Managed, issuer: Issuer) -> None:
        public = rsa("one").as_dict(private=False)
        keys: list[Any] = [
            {"kty": "oct", "k": part(b"secret"), "kid": "one"},
            {"kty": "ML-DSA", "kid": "one"},
            {"kty": "RSA", "kid": "one", "n": "AQAB", "e": "AQAB"},
            {"kty": "RSA", "kid": "one"},
            {"kty": "EC", "kid": "one", "crv": "P-256", "x": "!", "y": "!"},
            {**public, "use": "enc"},
            {**public, "alg": "RS512"},
        ]
        if right:
            keys.append({**public, "use": "sig", "x5t": "abc"})
        issuer.answers["/keys"] = said({"keys": keys})
        assert (await Traveller(there, issuer).sign_in()).status == (303 if right else 401)

    tell(tmp_path, story)


def test_a_key_that_is_too_short_is_passed_over(tmp_path: Path) -> None:
    async def story(there: Managed, issuer: Issuer) -> None:
        issuer.key = short("one")
        issuer.published = [issuer.key]
        assert code(await Traveller(there, issuer).sign_in()) == REFUSED

    tell(tmp_path, story)


def test_an_answer_says_whose_it_is_where_the_issuer_promises_it(tmp_path: Path) -> None:
    async def story(there: Managed, issuer: Issuer) -> None:
        issuer.says_iss = issuer.url
        assert (await Traveller(there, issuer).sign_in()).status == 303
        traveller = Traveller(there, issuer)
        back = await issuer.visit(await traveller.leave())
        assert code(await traveller.come_back(back.partition("&iss=")[0])) == REFUSED
        issuer.says_iss = "https://evil.example"
        assert code(await Traveller(there, issuer).sign_in()) == REFUSED
        assert issuer.paths().count("/token") == 1

    tell(tmp_path, story)


def test_what_one_issuer_began_another_does_not_end(tmp_path: Path) -> None:
    """A code of the one must not be shown to the other (mix-up)."""

    async def story() -> None:
        async with issuing() as other:
            other_block = declared(other, CREATING, name="other")
            async with with_issuer(tmp_path, CREATING, other_block) as (there, issuer):
                traveller = Traveller(there, issuer)
                back = await issuer.visit(await traveller.leave())
                elsewhere = back.replace("/oidc/issuer/", "/oidc/other/")
                assert code(await traveller.come_back(elsewhere)) == REFUSED
                assert other.asked == []
                # The same person elsewhere is somebody else.
                assert (await traveller.come_back(back)).status == 303
                stranger = Traveller(there, other)
                assert code(await stranger.sign_in("/api/session/oidc/other")) == (409, "conflict")

    asyncio.run(story())


@pytest.mark.parametrize(
    ("path", "raw"),
    [
        ("/.well-known/openid-configuration", said({"issuer": "https://evil.example"})),
        ("/.well-known/openid-configuration", answer(b"<html>", "Content-Type: text/html")),
        ("/.well-known/openid-configuration", b"SSH-2.0-garbage\r\n\r\n"),
        ("/.well-known/openid-configuration", said("x" * (asking.BYTES_MAX + 1))),
        ("/.well-known/openid-configuration", answer(b"", "Location: /else", status="302 Found")),
        ("/.well-known/openid-configuration", said({}, "500 Internal Server Error")),
        ("/keys", said({"keys": "none"})),
        ("/keys", answer(b"[" * 100_000)),
        ("/keys", answer(b"", "Location: /else", status="307 Temporary Redirect")),
        ("/token", said({"error": "invalid_client"}, "401 Unauthorized")),
        ("/token", said({"access_token": "x"})),
        ("/token", said({"id_token": "x" * asking.BYTES_MAX})),
        ("/token", answer(b"", "Location: /else", status="308 Permanent Redirect")),
    ],
    ids=[
        "another's document", "no document", "no HTTP", "a huge document", "a document elsewhere", "an error",
        "keys that are none", "keys that are deep", "keys elsewhere", "we are refused", "no token",
        "a huge token", "tokens elsewhere",
    ],
)  # fmt: skip
def test_an_issuer_that_does_not_answer_as_one_is_said_to_be_at_fault(
    tmp_path: Path, path: str, raw: bytes
) -> None:
    async def story(there: Managed, issuer: Issuer) -> None:
        issuer.answers[path] = raw
        traveller = Traveller(there, issuer)
        if path.startswith("/.well-known"):
            reply = await traveller.send("GET", START)
        else:
            reply = await traveller.sign_in()
        assert code(reply) == DOWN
        assert "The Issuer" in reply.error["message"]
        assert "/else" not in issuer.paths()

    tell(tmp_path, story)


@pytest.mark.parametrize(
    "wrong",
    [
        {"issuer": "https://evil.example"},
        {"issuer": "{url}/"},
        {"token_endpoint": "http://evil.example/token"},
        {"token_endpoint": "ftp://127.0.0.1/token"},
        {"jwks_uri": "http://[/keys"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"userinfo_endpoint": "//evil.example"},
    ],
    ids=["another issuer", "a slash more", "in the clear", "by FTP", "no address", "a script", "no scheme"],
)
def test_a_document_that_leads_astray_is_refused(tmp_path: Path, wrong: dict[str, str]) -> None:
    async def story(there: Managed, issuer: Issuer) -> None:
        issuer.document = {name: value.format(url=issuer.url) for name, value in wrong.items()}
        assert code(await Traveller(there, issuer).send("GET", START)) == DOWN

    tell(tmp_path, story)


def test_an_issuer_that_is_down_is_said_to_be(tmp_path: Path) -> None:
    async def story() -> None:
        async with issuing() as down:
            block = declared(down, name="down")
        async with with_issuer(tmp_path, CREATING, block) as (there, issuer):
            traveller = Traveller(there, issuer)
            assert code(await traveller.send("GET", "/api/session/oidc/down")) == DOWN
            # The other one is as it was.
            assert (await traveller.sign_in()).status == 303

    asyncio.run(story())


def test_an_issuer_that_is_not_there_is_not_asked_again_at_once(tmp_path: Path) -> None:
    async def story(there: Managed, issuer: Issuer) -> None:
        issuer.answers["/.well-known/openid-configuration"] = said({}, "503 Service Unavailable")
        for _ in range(3):
            assert code(await Traveller(there, issuer).send("GET", START)) == DOWN
        assert len(issuer.asked) == 1

    tell(tmp_path, story)


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token"], ids=["document", "token"])
def test_an_issuer_that_never_answers_is_waited_for_a_while(
    tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(there: Managed, issuer: Issuer) -> None:
        issuer.answers[path] = b""
        traveller = Traveller(there, issuer)
        if path == "/token":
            reply = await traveller.sign_in()
        else:
            reply = await traveller.send("GET", START)
        assert code(reply) == (504, "upstream_timeout")
        assert path in issuer.paths()

    monkeypatch.setattr(asking, "ANSWER_S", 0.2)
    tell(tmp_path, story)


def test_the_address_is_asked_for_where_the_token_has_none_and_only_of_the_same_person(
    tmp_path: Path,
) -> None:
    async def story(there: Managed, issuer: Issuer) -> None:
        issuer.claims |= {"email": None, "email_verified": DROPPED}
        issuer.userinfo = {"sub": "subject-2", "email": "eve@example.com", "email_verified": True}
        assert code(await Traveller(there, issuer).sign_in()) == REFUSED
        issuer.userinfo["sub"] = "subject-1"
        traveller = Traveller(there, issuer)
        assert (await traveller.sign_in()).status == 303
        assert await traveller.who() == "eve@example.com"
        asked = issuer.paths().count("/userinfo")
        issuer.answers["/userinfo"] = said({}, "500 Internal Server Error")
        assert (await Traveller(there, issuer).sign_in()).status == 303
        assert issuer.paths().count("/userinfo") == asked == 2

    tell(tmp_path, story)


def test_a_refusal_by_the_issuer_is_told(tmp_path: Path) -> None:
    async def story(there: Managed, issuer: Issuer) -> None:
        traveller = Traveller(there, issuer)
        (state,) = parse_qs(urlsplit(await traveller.leave()).query)["state"]
        reply = await traveller.send("GET", f"{START}/callback?error=access_denied%3Cb%3E&state={state}")
        assert code(reply) == REFUSED
        assert "access_denied" in reply.error["message"]
        assert reply.headers["content-type"].startswith("application/json")
        assert "/token" not in issuer.paths()

    tell(tmp_path, story)


def test_the_secret_goes_as_the_issuer_takes_it(tmp_path: Path) -> None:
    async def story(there: Managed, issuer: Issuer) -> None:
        issuer.document = {"token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_post"]}
        assert (await Traveller(there, issuer).sign_in()).status == 303
        (asked,) = [received for received in issuer.asked if received.line.startswith("POST /token ")]
        assert "authorization" not in asked.fields
        assert b"client_secret=" in asked.body

    tell(tmp_path, story)
