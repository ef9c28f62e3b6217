"""A host that speaks Responses: requests go on, answers come back, the meter sees what it needs."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from deeptoken.catalog.model import Candidate, Channel, Model, Price, Rates
from deeptoken.errors import BadRequest
from deeptoken.money import PicoUsd
from deeptoken.providers.base import Asked, Malformed, Piece, Provider
from deeptoken.providers.openai import OpenAI
from deeptoken.providers.openai_responses import Responses
from deeptoken.providers.registry import PROVIDERS, speaking
from deeptoken.wire.chat import Chat
from deeptoken.wire.responses import read
from deeptoken.wire.responses_reasoning import OURS
from deeptoken.wire.usage import Usage

AZURE = "https://r.openai.azure.com"
ASKED = Asked(model="acme/one", id="chatcmpl-ours", created=77)
MODEL = Model("acme/one", Price(1, "acme/one", Rates(prompt=PicoUsd(1), completion=PicoUsd(1))))
USAGE = {
    "input_tokens": 10,
    "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
    "output_tokens": 6,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 16,
}
COUNTED = Usage(prompt=7, cached=3, completion=4, reasoning=2)
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "status": "completed",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "Café.", "annotations": [], "logprobs": []}],
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 5,
    "status": "completed",
    "error": None,
    "model": "one-2026",
    "output": [{"id": "rs_1", "type": "reasoning", "summary": []}, MESSAGE],
    "service_tier": "default",
    "usage": USAGE,
    "own": [1e2],
}
BEGUN = {**RESPONSE, "status": "in_progress", "output": [], "usage": None}


def candidate(provider: str = "openai", upstream: str = "one-2026", **channel: Any) -> Candidate:
    fields: dict[str, Any] = {"base_url": "", "secret": "sk-1", "models": {}, **channel}
    return Candidate(Channel(name="c", provider=provider, label="C", **fields), MODEL, upstream)


def chat(**fields: Any) -> Chat:
    return read(json.dumps({"model": "acme/one", "input": "Hi", **fields}).encode())


def adapter(host: str = "openai") -> Responses:
    provider = PROVIDERS[host]
    assert isinstance(provider, OpenAI)
    return Responses(provider)


def test_what_came_goes_on_but_for_the_model() -> None:
    body = (
        b'{"model":"acme/one","input":"H\\u0069", "store" : true,"tomorrow":{"a" : [1e2]},"max_cost_usd":1}'
    )

    request = adapter().request(read(body), candidate(), stream=False, limit=None)

    assert request.body == (b'{"model":"one-2026","input":"H\\u0069","store":true,"tomorrow":{"a" : [1e2]}}')
    assert request.url == "https://api.openai.com/v1/responses"
    assert ("authorization", "Bearer sk-1") in request.headers


def test_the_limit_of_the_wallet_counts_and_streams_are_asked_for_as_they_are_needed() -> None:
    wanted = chat(max_output_tokens=50, stream=True, stream_options={"include_obfuscation": False})

    streamed = json.loads(adapter().request(wanted, candidate(), stream=True, limit=20).body)
    whole = json.loads(adapter().request(wanted, candidate(), stream=False, limit=None).body)

    assert (streamed["max_output_tokens"], streamed["stream"]) == (20, True)
    assert streamed["stream_options"] == {"include_obfuscation": False}
    assert whole["max_output_tokens"] == 50
    assert not {"stream", "stream_options"} & whole.keys()


def test_thoughts_of_other_providers_do_not_go_to_a_host_that_cannot_read_them() -> None:
    ours = {"type": "reasoning", "summary": [], "encrypted_content": f"{OURS}e30="}
    theirs = {**ours, "encrypted_content": "gAAA"}

    said = {"role": "user", "content": "Hi"}

    request = adapter().request(chat(input=[ours, theirs, said]), candidate(), stream=False, limit=None)

    assert json.loads(request.body)["input"] == [theirs, said]


def test_a_whole_answer_goes_back_with_the_canonical_model_alone() -> None:
    reply = adapter().reply(json.dumps(RESPONSE).encode(), ASKED)

    assert reply.native is not None
    assert json.loads(msgspec.json.encode(reply.native)) == {**RESPONSE, "model": "acme/one"}
    assert (reply.text, reply.usage, reply.upstream_id) == ("Café.", COUNTED, "resp_1")
    assert reply.told is not None
    assert json.loads(bytes(reply.told))["prompt_tokens"] == 10


def test_all_that_was_generated_is_text_for_the_meter() -> None:
    output = [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "a"}], "content": [{"text": "b"}]},
        {**MESSAGE, "content": [{"type": "output_text", "text": "c"}, {"type": "refusal", "refusal": "d"}]},
        {"type": "function_call", "name": "e", "arguments": "f"},
        {"type": "custom_tool_call", "name": "g", "input": "h"},
        {"type": "tomorrow", "content": "i"},
        5,
    ]

    assert adapter().reply(json.dumps({**RESPONSE, "output": output}).encode(), ASKED).text == "abcdefgh"


def test_what_a_reseller_charges_is_not_passed_on() -> None:
    body = json.dumps(
        {**RESPONSE, "usage": {**USAGE, "cost": 0.1, "cost_in_usd_ticks": 9}, "service_tier": "own"}
    )

    reply = adapter("openrouter").reply(body.encode(), ASKED)

    assert reply.native is not None
    shown = json.loads(msgspec.json.encode(reply.native))
    assert (shown["usage"], shown["service_tier"], reply.usage) == (USAGE, "default", COUNTED)


@pytest.mark.parametrize(
    "left_out", [{}, {"input_tokens_details": None}, {"input_tokens_details": {"cached_tokens": 3}}]
)
def test_counts_that_the_host_leaves_out_are_told_all_the_same(left_out: dict[str, Any]) -> None:
    counts = {"input_tokens": 10, "output_tokens": 6, "own": {"a": None}, **left_out}

    reply = adapter().reply(json.dumps({**RESPONSE, "usage": counts}).encode(), ASKED)

    assert reply.native is not None
    shown = json.loads(msgspec.json.encode(reply.native))["usage"]
    cached = 3 if left_out.get("input_tokens_details") else 0
    assert shown == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
        "output_tokens": 6,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 16,
        "own": {"a": None},
    }


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "no response"),
        (b"<html>", "no response"),
        (b'{"id":"resp_1"', "no response"),
        (b"[]", "no response"),
        (json.dumps(RESPONSE).encode()[:-2] + b'\xff"}', "no response"),
        (json.dumps({**RESPONSE, "output": None}).encode(), "not ended"),
        (json.dumps({**RESPONSE, "status": "in_progress"}).encode(), "not ended"),
        (b'{"error":{"message":"Too busy"}}', "Too busy"),
        (json.dumps({**RESPONSE, "status": "failed", "error": {"message": "Broke"}}).encode(), "Broke"),
    ],
)
def test_a_2xx_that_is_no_answer_is_malformed(body: bytes, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        adapter().reply(body, ASKED)


def event(kind: str, **fields: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps({"type": kind, **fields}).encode())


HEAD = (
    event("response.created", sequence_number=0, response=BEGUN)
    + event("response.in_progress", sequence_number=1, response=BEGUN)
    + event("response.output_item.added", output_index=0, item={**MESSAGE, "content": []})
)
TEXT = (
    event("response.output_text.delta", output_index=0, delta="Caf")
    + event("response.output_text.delta", output_index=0, delta="é.")
    + event("response.output_item.done", output_index=0, item=MESSAGE)
)
STREAM = HEAD + TEXT + event("response.completed", sequence_number=6, response=RESPONSE)


def pieces(*reads: bytes, host: str = "openai") -> list[Piece]:
    """A stream as it comes out, to its end."""
    stream = adapter(host).stream(ASKED)

    def all_of() -> Iterator[Piece]:
        for data in reads:
            yield from stream.feed(data)
        yield from stream.end()

    out = list(all_of())
    assert stream.done
    return out


def test_a_stream_s_events_go_back_as_they_came_but_for_the_model() -> None:
    out = pieces(STREAM)

    sent = b"".join(b"event: %b\ndata: %b\n\n" % (one.native_name.encode(), one.native) for one in out)
    assert [json.loads(line[6:]) for line in sent.split(b"\n") if line.startswith(b"data: ")] == [
        json.loads(line[6:].replace(b"one-2026", b"acme/one"))
        for line in STREAM.split(b"\n")
        if line.startswith(b"data: ")
    ]
    assert out[3].native in STREAM
    assert [(piece.text, piece.content, piece.finish) for piece in out] == [
        ("", False, False),
        ("", False, False),
        ("", False, False),
        ("Caf", True, False),
        ("é.", True, False),
        ("", False, False),
        ("", False, True),
    ]
    assert out[-1].usage == COUNTED
    assert not any(piece.data for piece in out)


def test_a_stream_that_is_cut_anywhere_comes_out_the_same() -> None:
    whole = pieces(STREAM)

    for cut in range(0, len(STREAM), 7):
        assert pieces(STREAM[:cut], STREAM[cut:]) == whole
    assert pieces(*[bytes([byte]) for byte in STREAM]) == whole


def test_an_item_that_had_no_deltas_is_counted_when_it_is_done() -> None:
    called = {"type": "function_call", "name": "add", "arguments": ""}
    done = {**called, "arguments": "{}"}
    stream = (
        event("response.output_item.added", output_index=0, item=called)
        + event("response.output_item.done", output_index=0, item=done)
        + event("response.completed", response=RESPONSE)
    )

    out = pieces(stream)

    assert [(piece.text, piece.content) for piece in out[:2]] == [("add", True), ("{}", True)]


def test_an_incomplete_response_has_ended() -> None:
    out = pieces(HEAD + TEXT + event("response.incomplete", response={**RESPONSE, "status": "incomplete"}))

    assert (out[-1].finish, out[-1].native_name) == (True, "response.incomplete")


def test_the_upstream_s_id_is_known_once_the_response_began() -> None:
    stream = adapter().stream(ASKED)

    list(stream.feed(HEAD))

    assert stream.upstream_id == "resp_1"


@pytest.mark.parametrize(
    ("told", "cause", "message"),
    [
        ({"code": "server_error", "message": "Broke."}, "outage", "Broke."),
        ({"code": "rate_limit_exceeded", "message": "Slow."}, "capacity", "Slow."),
        ({"code": "context_length_exceeded", "message": "Long."}, "caller", "Long."),
        ({"code": "invalid_prompt", "message": "Bad."}, "caller", "Bad."),
        ({"code": "insufficient_quota", "message": "Poor."}, "outage", "Poor."),
        (None, "outage", "The provider failed while it answered."),
    ],
)
def test_a_response_that_failed_is_a_failure(told: Any, cause: str, message: str) -> None:
    failed = event("response.failed", response={**BEGUN, "status": "failed", "error": told})

    out = pieces(HEAD + failed + event("response.completed", response=RESPONSE))

    assert out[-1].failure is not None
    assert (out[-1].failure.cause, out[-1].failure.message) == (cause, message)
    assert not out[-1].native


@pytest.mark.parametrize(
    "told",
    [
        event("error", code="server_error", message="Broke.", param=None, sequence_number=2),
        event("error", error={"code": "server_error", "message": "Broke."}, sequence_number=2),
        b'data: {"error":{"message":"Broke."}}\n\n',
        b'event: error\ndata: {"message":"Broke."}\n\n',
    ],
)
def test_an_error_event_is_a_failure_in_whichever_shape(told: bytes) -> None:
    out = pieces(HEAD + told)

    assert out[-1].failure is not None
    assert (out[-1].failure.cause, out[-1].failure.message) == ("outage", "Broke.")


@pytest.mark.parametrize(
    ("stream", "words"),
    [
        (b"", "no events"),
        (b'{"error":{"message":"Busy"}}', "Busy"),
        (b"<html>", "no events"),
        (HEAD + TEXT, "cut"),
        (b"data: {no json}\n\n", "no JSON"),
        (b"data: []\n\n", "no JSON"),
        (b'data: {"type":"response.completed","response":5}\n\n', "no JSON"),
    ],
)
def test_a_stream_that_is_none_or_was_cut_is_malformed(stream: bytes, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        pieces(stream)


def test_what_comes_after_the_end_or_is_no_event_is_skipped() -> None:
    out = pieces(STREAM + b"data: [DONE]\n\n" + event("response.output_text.delta", delta="more"))
    kept = pieces(b": hi\n\ndata: \n\ndata: {}\n\n" + STREAM)

    assert out == kept == pieces(STREAM)


def test_bytes_that_are_no_utf_8_are_replaced() -> None:
    broken = b'data: {"type":"response.output_text.delta","output_index":0,"delta":"a\xff"}\n\n'

    out = pieces(broken + event("response.completed", response=RESPONSE))

    assert (out[0].text, out[0].native.decode()[-3:]) == ("a\ufffd", '\ufffd"}')


@pytest.mark.parametrize(
    ("provider", "channel", "native"),
    [
        ("openai", {}, True),
        ("openai", {"base_url": "https://api.openai.com/v1/"}, True),
        ("openai", {"base_url": "http://proxy/v1"}, False),
        ("openai", {"base_url": "http://proxy/v1", "options": {"responses": True}}, True),
        ("openai", {"options": {"responses": False}}, False),
        ("azure", {"base_url": AZURE}, True),
        ("azure", {"base_url": AZURE, "options": {"api_version": "2024-10-21"}}, False),
        ("xai", {}, True),
        ("openrouter", {}, True),
        ("groq", {}, False),
        ("vllm", {"options": {"responses": True}}, True),
        ("anthropic", {}, False),
        ("sim", {}, False),
    ],
)
def test_who_speaks_the_dialect_gets_it_as_it_came(
    provider: str, channel: dict[str, Any], native: bool
) -> None:
    at = candidate(provider, **channel)

    chosen = speaking(PROVIDERS[provider], chat(), at)

    assert isinstance(chosen, Responses) == native
    assert chosen.name == provider


def test_a_chat_that_came_as_one_has_the_usual_adapter() -> None:
    usual: Provider = PROVIDERS["openai"]
    plain = chat()
    plain.native = None
    assert speaking(usual, plain, candidate()) is usual


def test_what_no_chat_can_carry_goes_to_a_host_of_the_dialect_or_nowhere() -> None:
    wanted = chat(tools=[{"type": "custom", "name": "patch"}])

    assert isinstance(speaking(PROVIDERS["openai"], wanted, candidate()), Responses)
    with pytest.raises(BadRequest) as refused:
        speaking(PROVIDERS["groq"], wanted, candidate("groq"))
    assert refused.value.param == "tools[0].type"


@pytest.mark.parametrize(("host", "kept"), [("groq", False), ("openai", False), ("deepseek", True)])
def test_what_an_assistant_thought_goes_back_to_hosts_that_take_it(host: str, kept: bool) -> None:
    thought = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]}
    wanted = chat(input=[thought, {"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}])

    request = PROVIDERS[host].request(wanted, candidate(host), stream=False, limit=None)

    message = json.loads(request.body)["messages"][0]
    assert message == {"role": "assistant", "content": "a"} | ({"reasoning_content": "Hm."} if kept else {})


def test_the_address_of_azure_is_that_of_its_v1() -> None:
    at = candidate("azure", base_url=AZURE)

    request = adapter("azure").request(chat(), at, stream=False, limit=None)

    assert request.url == f"{AZURE}/openai/v1/responses"
