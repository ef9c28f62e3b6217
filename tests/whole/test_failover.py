"""A provider that fails before its first content is replaced by the next one, and no client notices."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from provider_scene import (
    DONE,
    HEAD,
    SECRET,
    Provider,
    Scene,
    Script,
    both,
    channel,
    chunk,
    completion,
    event,
    gone,
    lasting,
    nothing_is_held,
    row_of,
    says,
    says_and_closes,
    says_and_resets,
    says_and_waits,
    stream_head,
    streamed,
    used,
)

from upstreams import Received, answer
from whole_scene import Reply, chat

HTML = "Content-Type: text/html"
JSON = "Content-Type: application/json"
PAGE = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
LATE = {"timeout": "{ first_byte = 0.2, connect = 2 }"}
"""For a channel whose script lets the gateway wait."""


def refuses(status: str, body: bytes, *fields: str) -> Script:
    return says(answer(body, *(fields or (JSON,)), status=status))


def error(message: str, code: str | None = None) -> bytes:
    return json.dumps({"error": {"message": message, "type": "server_error", "code": code}}).encode()


async def trickles(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Comments for ever, which are no content."""
    writer.write(stream_head())
    while not await gone(reader, after=0.02):
        writer.write(b": still thinking\n\n")
        await writer.drain()


ROLE = chunk("", role=True)
ANYHOW: dict[str, tuple[str, Script]] = {
    "reset": ("outage", says_and_resets()),
    "closed": ("outage", says_and_closes()),
    "500": ("outage", refuses("500 Oops", error("boom"))),
    "502-html": ("outage", refuses("502 Bad Gateway", PAGE, HTML)),
    "503": ("outage", refuses("503 Service Unavailable", error("busy"))),
    "504": ("outage", refuses("504 Gateway Timeout", b"")),
    "524": ("outage", refuses("524 A Timeout Occurred", PAGE, HTML)),
    "529": ("outage", refuses("529 Overloaded", error("overloaded"))),
    "redirect": ("outage", refuses("302 Found", b"", "Location: http://127.0.0.1:1/")),
    "429": ("capacity", refuses("429 Too Many Requests", error("slow down"), JSON, "Retry-After: 7")),
    "429-bare": ("capacity", refuses("429 Too Many Requests", error("slow down"))),
    "408": ("slow", refuses("408 Request Timeout", error("late"))),
    "401": ("credential", refuses("401 Unauthorized", error(f"wrong key {SECRET}"))),
    "402": ("credential", refuses("402 Payment Required", error("pay"))),
    "403": ("credential", refuses("403 Forbidden", error("no"))),
    "broke": ("credential", refuses("429 Too Many Requests", error("no money", "insufficient_quota"))),
    "404": ("misconfigured", refuses("404 Not Found", error("no such model", "model_not_found"))),
    "empty": ("outage", says(answer(b"", JSON))),
    "cut": (
        "outage",
        says_and_closes(
            b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{"id":'
        ),
    ),
    "no-json": ("outage", says(answer(b'{"id": "x", "choices": [', JSON))),
    "200-html": ("outage", says(answer(PAGE, HTML))),
    "200-error": ("outage", says(answer(error("inside"), JSON))),
    "no-http": ("outage", says_and_closes(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")),
    "no-gzip": ("outage", says(answer(b"this is not gzip", JSON, "Content-Encoding: gzip"))),
    "never": ("slow", says_and_waits()),
}
STREAMED: dict[str, tuple[str, Script]] = {
    "head-only": ("slow", says_and_waits(stream_head())),
    "role-only": ("slow", says_and_waits(stream_head() + ROLE)),
    "comments": ("slow", trickles),
    "no-events": ("outage", says(streamed(b""))),
    "role-then-end": ("outage", says_and_closes(stream_head() + ROLE)),
    "role-then-reset": ("outage", says_and_resets(stream_head() + ROLE)),
    "done-only": ("outage", says(streamed(DONE))),
    "error-event": ("outage", says(streamed(b"data: " + error("overloaded") + b"\n\n"))),
    "named-error": ("outage", says(streamed(b'event: error\ndata: {"message": "overloaded"}\n\n'))),
    "role-then-error": ("outage", says(streamed(ROLE + b"data: " + error("overloaded") + b"\n\n"))),
    "429-event": ("capacity", says(streamed(event({"error": {"message": "slow down", "code": 429}})))),
    "bad-event": ("outage", says(streamed(ROLE + b'data: {"id": "chat\n\n'))),
    "whole": ("outage", says(completion("not streamed"))),
}
FAILING = ANYHOW | STREAMED
FOUR_HUNDREDS = {
    "400": ("400 Bad Request", "invalid_value", 400),
    "context": ("400 Bad Request", "context_length_exceeded", 400),
    "filter": ("403 Forbidden", "content_filter", 403),
    "413": ("413 Payload Too Large", None, 413),
    "422": ("422 Unprocessable Entity", "bad_schema", 422),
}


def configuration(provider: Provider) -> str:
    """For each way to fail a model with two channels; for those of a whole answer another with just one."""
    configured = []
    for stream in (False, True):
        configured += pair(provider, asked("refused", stream=stream), base_url='"http://127.0.0.1:1/v1"')
        secure = f'"https://127.0.0.1:{provider.plain.port}/v1"'
        configured += pair(provider, asked("tls", stream=stream), base_url=secure)
        for plain, (_, script) in FAILING.items():
            name = asked(plain, stream=stream)
            provider.scripts[name] = script
            configured += pair(provider, name, **LATE)
            configured.append(channel(provider, name, f"only-{name}", name=f'"only-{name}"', **LATE))
    for name, (status, code, _) in FOUR_HUNDREDS.items():
        message = f"flagged by moderation: model hidden-caller-{name} with key {SECRET} cannot do that"
        provider.scripts[f"caller-{name}"] = refuses(status, error(message, code))
        configured += pair(provider, f"caller-{name}")
    for told in (None, 70):
        configured += pair(provider, f"begins-{told}", base_url=f'"{provider.url("begins")}"')
    for place in range(6):
        provider.scripts[f"six-{place}"] = FAILING["500"][1]
        configured.append(channel(provider, f"six-{place}", "six", priority=str(-place)))
    provider.scripts["second"] = both("from the second")
    return "".join(configured)


def asked(name: str, *, stream: bool) -> str:
    """The channel that fails so. Each is asked once: what it did would count against it the next time."""
    return f"{name}-streamed" if stream else name


def pair(provider: Provider, name: str, **settings: str) -> list[str]:
    """Two channels of one model; the first one fails."""
    good = channel(provider, "second", name, name=f'"{name}-2"', label='"second"', priority="1")
    return [good, channel(provider, name, name, priority="2", **settings)]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with lasting(tmp_path_factory.mktemp("failover"), configuration) as scene:
        yield scene


def one_beginning(reply: Reply, *, stream: bool) -> bool:
    """The client has one whole answer."""
    if not stream:
        return bool(reply.json["choices"][0]["message"]["content"] == "from the second")
    roles = [1 for said in reply.chunks for choice in said["choices"] if choice["delta"].get("role")]
    return len(roles) == 1 and reply.text == "fromthesecond" and reply.events[-1] == "[DONE]"


async def attempts(scene: Scene, reply: Reply) -> list[dict[str, Any]]:
    await row_of(scene.gateway, reply.headers["x-deeptoken-id"])
    told = (await scene.gateway.ask(path=f"/v1/generation?id={reply.headers['x-deeptoken-id']}")).json
    found: list[dict[str, Any]] = told["attempts"]
    return found


CAUSES = {"refused": "connect", "tls": "connect"} | {name: cause for name, (cause, _) in FAILING.items()}


ASKED = [(name, stream) for name in CAUSES for stream in (False, True) if stream or name not in STREAMED]


@pytest.mark.parametrize(("name", "stream"), ASKED)
def test_what_fails_before_its_first_content_is_replaced_unnoticed(
    name: str, stream: bool, scene: Scene
) -> None:
    async def main() -> None:
        failing = asked(name, stream=stream)
        reply = await scene.gateway.ask(chat("hi", model=f"m/{failing}", stream=stream))

        assert reply.status == 200, reply.body
        assert one_beginning(reply, stream=stream), reply.body
        assert reply.headers["x-deeptoken-channel"] == "second"
        assert reply.headers["x-deeptoken-attempts"] == "2"
        failed, *_ = await attempts(scene, reply)
        assert (failed["channel"], failed["cause"]) == (failing, CAUSES[name])
        assert SECRET not in json.dumps(failed)
        assert ("cost" in failed) == failed.get("accepted", False)
        row = await row_of(scene.gateway, reply.headers["x-deeptoken-id"])
        assert (row.outcome, row.channel, row.status) == ("complete", f"{failing}-2", 200)
        assert row.charged == row.cost == 3_000 + 2 * (3_000 if stream else 2_000)
        await nothing_is_held(scene.gateway)

    scene.run(main)


LOST = 'deeptoken_operator_loss_credits_total{cause="failover"}'


@pytest.mark.parametrize("told", [None, 70], ids=["counted", "told"])
def test_what_a_begun_attempt_that_failed_may_cost_the_operator_is_kept_and_summed(
    told: int | None, scene: Scene
) -> None:
    async def main() -> None:
        usage = event({**HEAD, "choices": [], "usage": used(told, 0)}) if told else b""
        scene.provider.scripts["begins"] = says_and_closes(stream_head() + ROLE + usage)
        before = await lost(scene)
        reply = await scene.gateway.ask(chat("one two", model=f"m/begins-{told}", stream=True))

        failed, answered = await attempts(scene, reply)
        # Two words, and what stands around a message.
        counted = 9 if told is None else told
        assert (failed["accepted"], failed["cost"]) == (True, counted)
        assert "cost" not in answered
        assert await lost(scene) - before == counted
        await nothing_is_held(scene.gateway)

    scene.run(main)


async def lost(scene: Scene) -> float:
    """In credits, to attempts that failed over."""
    page = (await scene.gateway.ask(path="/metrics")).body.decode()
    return sum(float(line.split()[-1]) for line in page.splitlines() if line.startswith(LOST))


@pytest.mark.parametrize("name", FOUR_HUNDREDS)
def test_the_callers_own_mistake_is_returned_and_asked_of_nobody_else(name: str, scene: Scene) -> None:
    async def main() -> None:
        before = len(scene.provider.requests["second"])
        reply = await scene.gateway.ask(chat("hi", model=f"m/caller-{name}"))

        _, code, status = FOUR_HUNDREDS[name]
        assert (reply.status, reply.error["type"]) == (status, "user")
        assert reply.error["code"] == (code or "invalid_request_error")
        assert f"model m/caller-{name} with key [secret]" in reply.error["message"]
        assert "hidden" not in reply.body.decode()
        assert len(scene.provider.requests["second"]) == before
        row = await row_of(scene.gateway, reply.headers["x-deeptoken-id"])
        assert (row.outcome, row.charged, row.status) == ("failed", 0, status)

    scene.run(main)


EXHAUSTED = {
    "429": (429, "upstream_rate_limited"),
    "503": (503, "upstream_error"),
    "529": (503, "upstream_error"),
    "404": (404, "model_not_found"),
    "never": (504, "upstream_timeout"),
    "408": (504, "upstream_timeout"),
    "401": (502, "upstream_error"),
    "402": (502, "upstream_error"),
    "403": (502, "upstream_error"),
    "500": (502, "upstream_error"),
    "502-html": (502, "upstream_error"),
    "504": (502, "upstream_error"),
    "reset": (502, "upstream_error"),
    "redirect": (502, "upstream_error"),
    "empty": (502, "upstream_invalid_response"),
    "cut": (502, "upstream_error"),
    "no-json": (502, "upstream_invalid_response"),
    "200-html": (502, "upstream_invalid_response"),
    "200-error": (502, "upstream_invalid_response"),
    "no-http": (502, "upstream_invalid_response"),
    "no-gzip": (502, "upstream_invalid_response"),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", EXHAUSTED)
def test_when_nobody_is_left_the_last_answer_decides(name: str, stream: bool, scene: Scene) -> None:
    async def main() -> None:
        model = f"m/only-{asked(name, stream=stream)}"
        reply = await scene.gateway.ask(chat("hi", model=model, stream=stream))

        status, code = EXHAUSTED[name]
        assert (reply.status, reply.error["code"]) == (status, code), reply.body
        assert reply.headers["content-type"] == "application/json"
        category = "user" if status == 404 else "upstream"
        assert reply.error["type"] == reply.headers["x-gateway-error-category"] == category
        assert "<" not in reply.error["message"]
        assert SECRET.encode() not in reply.body
        assert b"hidden" not in reply.body
        assert reply.headers.get("retry-after") == ("7" if name == "429" else None)
        row = await row_of(scene.gateway, reply.headers["x-deeptoken-id"])
        assert (row.outcome, row.charged, row.code) == ("failed", 0, code)
        await nothing_is_held(scene.gateway)

    scene.run(main)


def test_four_attempts_are_made_at_most_in_the_order_of_priority(scene: Scene) -> None:
    async def main() -> None:
        reply = await scene.gateway.ask(chat("hi", model="m/six"))

        assert reply.status == 502
        tried = [attempt["channel"] for attempt in await attempts(scene, reply)]
        assert tried == ["six-0", "six-1", "six-2", "six-3"]
        assert not scene.provider.requests["six-4"]

    scene.run(main)
