"""A service account's key becomes a token: once, in time, and as a failure that says whose it is."""

import asyncio
import base64
import json
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_curve
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from path_scene import Scene, chat

from deeptoken import errors
from deeptoken.catalog.model import Candidate, Channel, Model, Price, Rates
from deeptoken.config_fields import secret_of
from deeptoken.gateway.credentials import Credentials, NoToken
from deeptoken.money import PicoUsd
from deeptoken.net import Client
from deeptoken.wire.http import HttpRequest
from upstreams import (
    Handler,
    Received,
    Run,
    ScriptedServer,
    answer,
    answering,
    both_loops,
    read_request,
    reset,
)

NOW_S = 1_790_000_000
NO_PRICE = Price(id=1, model="m", rates=Rates(prompt=PicoUsd(0), completion=PicoUsd(0)))
REQUEST = HttpRequest("https://h.test/v1", (("content-type", "application/json"),), b"{}")


def pem(key: Any) -> str:
    written = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return str(written, "ascii")


@pytest.fixture(scope="module")
def key() -> Any:
    return generate_private_key(65_537, 2048)


def account(private_key: str, token_uri: str, **fields: Any) -> str:
    told = {
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "k7",
        "private_key": private_key,
        "client_email": "gate@p.iam.test",
        "token_uri": token_uri,
        **fields,
    }
    # As an operator would have it: pretty, and through the configuration.
    return secret_of(json.dumps(told, indent=2), ())


def at(secret: str, provider: str = "vertex", name: str = "v") -> Candidate:
    channel = Channel(name, provider, name, "", {}, secret=secret, options={"project": "p"})
    return Candidate(channel=channel, model=Model("m", NO_PRICE), upstream_model="gemini-x")


def token(name: str = "ya29.t", lasts_s: int = 3600) -> bytes:
    return answer(json.dumps({"access_token": name, "expires_in": lasts_s, "token_type": "Bearer"}).encode())


class Time:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.passed = 100.0

    def monotonic(self) -> float:
        return self.passed


def credentials(client: Client, time: Time) -> Credentials:
    return Credentials(client, wall_s=lambda: NOW_S, monotonic=time.monotonic)


def bearer(request: HttpRequest) -> str:
    return dict(request.headers)["authorization"]


def unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@both_loops
def test_a_token_is_asked_for_with_a_statement_that_the_key_signed(run: Run, key: Any) -> None:
    async def main() -> None:
        seen: list[Received] = []
        async with ScriptedServer(answering(token(), into=seen)) as server:
            client, uri = Client(), server.url("/token")

            made = await credentials(client, Time()).authorised(REQUEST, at(account(pem(key), uri)))

            assert made.headers == (*REQUEST.headers, ("authorization", "Bearer ya29.t"))
            assert (made.url, made.body) == (REQUEST.url, REQUEST.body)
            form = parse_qs(seen[0].body.decode())
            assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
            head, claims, signature = form["assertion"][0].split(".")
            assert json.loads(unpadded(head)) == {"alg": "RS256", "typ": "JWT", "kid": "k7"}
            assert json.loads(unpadded(claims)) == {
                "iss": "gate@p.iam.test",
                "scope": "https://www.googleapis.com/auth/cloud-platform",
                "aud": uri,
                "iat": NOW_S,
                "exp": NOW_S + 3600,
            }
            key.public_key().verify(unpadded(signature), f"{head}.{claims}".encode(), PKCS1v15(), SHA256())
            assert seen[0].fields["content-type"] == "application/x-www-form-urlencoded"
            await client.close()

    run(main)


def test_a_token_is_kept_until_five_minutes_before_its_end(key: Any) -> None:
    async def main() -> list[str]:
        tokens = [token("a"), token("b")]
        async with ScriptedServer(answering(*tokens)) as server:
            client, time = Client(), Time()
            ours = credentials(client, time)
            where = at(account(pem(key), server.url()))
            told = []
            for passed in (0, 3299, 1):
                time.passed += passed
                told.append(bearer(await ours.authorised(REQUEST, where)))
            await client.close()
            return told

    assert asyncio.run(main()) == ["Bearer a", "Bearer a", "Bearer b"]


def test_many_who_wait_cause_one_fetch(key: Any) -> None:
    async def main() -> tuple[set[str], int]:
        seen: list[Received] = []
        async with ScriptedServer(answering(token(), into=seen)) as server:
            client = Client()
            ours, where = credentials(client, Time()), at(account(pem(key), server.url()))
            made = await asyncio.gather(*(ours.authorised(REQUEST, where) for _ in range(20)))
            await client.close()
            return {bearer(one) for one in made}, len(seen)

    assert asyncio.run(main()) == ({"Bearer ya29.t"}, 1)


def test_one_who_leaves_takes_nobody_with_him(key: Any) -> None:
    async def main() -> list[str]:
        seen: list[Received] = []
        asked, go_on = asyncio.Event(), asyncio.Event()

        async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while (request := await read_request(reader)) is not None:
                seen.append(request)
                asked.set()
                await go_on.wait()
                writer.write(token())
                await writer.drain()

        async with ScriptedServer(slow) as server:
            client = Client()
            ours, where = credentials(client, Time()), at(account(pem(key), server.url()))
            first, second, third = (asyncio.ensure_future(ours.authorised(REQUEST, where)) for _ in range(3))
            await asked.wait()
            second.cancel()
            first.cancel()
            go_on.set()
            made = await third
            left = await asyncio.gather(first, second, return_exceptions=True)
            assert all(isinstance(one, asyncio.CancelledError) for one in left)
            await client.close()
            return [bearer(made), str(len(seen))]

    assert asyncio.run(main()) == ["Bearer ya29.t", "2"]


def test_another_secret_gets_another_token_and_another_channel_too(key: Any) -> None:
    async def main() -> list[str]:
        tokens = [token(name) for name in "abc"]
        async with ScriptedServer(answering(*tokens)) as server:
            client = Client()
            ours, uri = credentials(client, Time()), server.url()
            old, new = account(pem(key), uri), account(pem(key), uri, private_key_id="k8")
            places = [at(old), at(new), at(new, name="w"), at(new)]
            told = [bearer(await ours.authorised(REQUEST, place)) for place in places]
            await client.close()
            return told

    assert asyncio.run(main()) == ["Bearer a", "Bearer b", "Bearer c", "Bearer b"]


@pytest.mark.parametrize(
    ("provider", "secret"), [("vertex", "ya29.x"), ("vertex", ""), ("gemini", "{}"), ("openai", "sk")]
)
def test_a_secret_that_is_taken_as_it_is_changes_nothing(provider: str, secret: str) -> None:
    made = asyncio.run(credentials(Client(), Time()).authorised(REQUEST, at(secret, provider)))

    assert made is REQUEST


@pytest.mark.parametrize(
    ("raw", "cause", "words"),
    [
        (
            answer(b'{"error": "invalid_grant", "error_description": "Invalid JWT."}', status="400 Bad"),
            "credential",
            "refused with 400: Invalid JWT.",
        ),
        (answer(b'{"error": {"message": "x"}}', status="401 No"), "credential", "refused with 401"),
        (answer(b"<html>", status="403 No"), "credential", "refused with 403"),
        (answer(b"", status="503 Busy"), "outage", "No token"),
        (answer(b"", status="429 Wait"), "outage", "No token"),
        (answer(b"<html>"), "outage", "no token"),
        (answer(b'{"access_token": ""}'), "outage", "no token"),
        (answer(b'{"access_token": "a\\r\\nx: y"}'), "outage", "no token"),
    ],
)
def test_what_is_no_token_is_a_failure_that_says_whose(key: Any, raw: bytes, cause: str, words: str) -> None:
    failure = asyncio.run(failed(answering(raw), pem(key)))

    assert failure.failure.cause == cause
    assert words in str(failure)
    assert "PRIVATE" not in str(failure)


async def failed(handler: Handler, private_key: str) -> NoToken:
    async with ScriptedServer(handler) as server:
        client = Client()
        with pytest.raises(NoToken) as refused:
            await credentials(client, Time()).authorised(REQUEST, at(account(private_key, server.url())))
        await client.close()
        return refused.value


def test_a_broken_connection_is_no_fault_of_the_credential(key: Any) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        reset(writer)

    failure = asyncio.run(failed(hang_up, pem(key)))

    assert failure.failure.cause == "outage"


def test_an_address_where_nobody_is_is_no_fault_of_the_credential(key: Any) -> None:
    async def main() -> NoToken:
        client, secret = Client(), account(pem(key), "http://127.0.0.1:1/token")
        with pytest.raises(NoToken) as refused:
            await credentials(client, Time()).authorised(REQUEST, at(secret))
        await client.close()
        return refused.value

    assert asyncio.run(main()).failure.cause == "connect"


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        ('{"type":"authorized_user"}', "no key of a service account"),
        ('{"broken"', "no key of a service account"),
        (account("x", "http://tokens.test/token"), "not https"),
        (account("x", "ftp://127.0.0.1/token"), "not https"),
        (account("x", "https://[h"), "no key of a service account"),
        (account("no PEM", "https://h.test/token"), "no RSA key"),
        (account(pem(generate_curve(SECP256R1())), "https://h.test/token"), "no RSA key"),
    ],
)
def test_a_secret_that_no_token_can_be_had_for_is_the_credentials_fault(secret: str, words: str) -> None:
    with pytest.raises(NoToken) as refused:
        asyncio.run(credentials(Client(), Time()).authorised(REQUEST, at(secret)))

    assert refused.value.failure.cause == "credential"
    assert words in str(refused.value)


def test_a_failure_is_told_to_all_who_waited_and_the_next_one_asks_again(key: Any) -> None:
    async def main() -> tuple[list[str], str]:
        raw = answer(b"", status="503 Busy")
        async with ScriptedServer(answering(raw, token())) as server:
            client = Client()
            ours, where = credentials(client, Time()), at(account(pem(key), server.url()))
            waited = [ours.authorised(REQUEST, where) for _ in range(3)]
            told = await asyncio.gather(*waited, return_exceptions=True)
            made = await ours.authorised(REQUEST, where)
            await client.close()
            return [type(one).__name__ for one in told], bearer(made)

    assert asyncio.run(main()) == (["NoToken"] * 3, "Bearer ya29.t")


def vertex_channel(secret: str, base_url: str) -> Channel:
    return Channel("v", "vertex", "v", base_url, {"m": "gemini-x"}, secret=secret)


def test_a_call_through_the_gateway_carries_the_token(key: Any) -> None:
    said = {"candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}]}

    async def main() -> tuple[str, list[Received]]:
        seen: list[Received] = []
        answers = [token(), answer(b"data: " + json.dumps(said).encode() + b"\n\n")]
        async with ScriptedServer(answering(*answers, into=seen)) as server:
            channel = vertex_channel(account(pem(key), server.url("/token")), server.url("/v1"))
            scene = Scene("1", channels=(channel,))
            heard = await scene.ask(chat("Hello.", "m"))
            return heard.text, seen

    text, seen = asyncio.run(main())

    assert text == "Hi"
    assert [one.line.split()[1] for one in seen] == [
        "/token",
        "/v1/projects/p/locations/global/publishers/google/models/gemini-x:streamGenerateContent?alt=sse",
    ]
    assert seen[1].fields["authorization"] == "Bearer ya29.t"


def test_a_call_whose_channel_gets_no_token_fails_without_its_words(key: Any) -> None:
    raw = answer(b'{"error": "invalid_grant", "error_description": "Account gate@p gone."}', status="400 Bad")

    async def main() -> errors.UpstreamError:
        async with ScriptedServer(answering(raw)) as server:
            scene = Scene("1", channels=(vertex_channel(account(pem(key), server.url()), server.url()),))
            with pytest.raises(errors.UpstreamError) as refused:
                await scene.ask(chat("Hello.", "m"))
            return refused.value

    error = asyncio.run(main())

    assert (error.status, error.code) == (502, "upstream_error")
    assert "gate@p" not in error.message
    assert "operator has to look" in error.message
