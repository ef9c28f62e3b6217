"""OpenAI's dialect: requests spliced, answers and streams mended, failures told apart."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from deeptoken.catalog.model import Candidate, Channel, Model, Price, Rates
from deeptoken.money import PicoUsd
from deeptoken.providers.base import Asked, Failure, Malformed, Piece
from deeptoken.providers.compatible import PROVIDERS
from deeptoken.wire.chat import Chat, ChatRequest
from deeptoken.wire.usage import Usage

encode, decode = msgspec.json.encode, msgspec.json.decode

ASKED = Asked(model="acme/one", id="chatcmpl-ours", created=77)
MODEL = Model("acme/one", Price(1, "acme/one", Rates(prompt=PicoUsd(1), completion=PicoUsd(1))))


def candidate(upstream: str = "one-2026", **channel: Any) -> Candidate:
    fields: dict[str, Any] = {"base_url": "", "secret": "sk-1", "models": {}, **channel}
    return Candidate(Channel(name="c", provider="p", label="C", **fields), MODEL, upstream)


def chat(body: bytes) -> Chat:
    fields = msgspec.json.decode(body, type=dict[str, Raw])
    request = msgspec.json.decode(body, type=ChatRequest)
    fields.pop("model")
    return Chat(request=request, fields=fields, extra={}, size=len(body))


def sent(
    body: bytes,
    *,
    host: str = "openai",
    stream: bool = False,
    limit: int | None = None,
    at: Candidate | None = None,
) -> dict[str, Any]:
    """The body that goes upstream."""
    request = PROVIDERS[host].request(chat(body), at or candidate(), stream=stream, limit=limit)
    fields = decode(request.body)
    assert isinstance(fields, dict)
    return fields


PLAIN = b'{"model":"acme/one","messages":[{"role":"user","content":"Hi"}]'


def test_everything_but_the_model_goes_on_byte_for_byte() -> None:
    body = PLAIN + b',"temperature":1.0,"tomorrow":{"a" : [1e2]},"seed":9007199254740993}'

    request = PROVIDERS["openai"].request(chat(body), candidate(), stream=False, limit=None)

    assert request.body == (
        b'{"messages":[{"role":"user","content":"Hi"}],"temperature":1.0,"tomorrow":{"a" : [1e2]},'
        b'"seed":9007199254740993,"model":"one-2026"}'
    )
    assert request.url == "https://api.openai.com/v1/chat/completions"
    assert request.headers == (("content-type", "application/json"), ("authorization", "Bearer sk-1"))


def test_a_stream_is_always_asked_for_its_usage() -> None:
    assert sent(PLAIN + b"}", stream=True)["stream_options"] == {"include_usage": True}
    asked = PLAIN + b',"stream":true,"stream_options":{"include_usage":false,"include_obfuscation":false}}'
    assert sent(asked, stream=True)["stream_options"] == {"include_usage": True, "include_obfuscation": False}
    assert sent(PLAIN + b',"stream_options":null}', stream=True)["stream"] is True


def test_stream_options_without_a_stream_are_dropped() -> None:
    fields = sent(PLAIN + b',"stream":false,"stream_options":{"include_usage":true}}')

    assert fields.keys() == {"messages", "model"}


@pytest.mark.parametrize(
    ("asked", "limit", "sent_as"),
    [
        (b"", None, {}),
        (b"", 7, {"max_completion_tokens": 7}),
        (b',"max_tokens":50', None, {"max_tokens": 50}),
        (b',"max_tokens":50', 7, {"max_tokens": 7}),
        (b',"max_completion_tokens":50', 7, {"max_completion_tokens": 7}),
        (b',"max_completion_tokens":50,"max_tokens":9', None, {"max_completion_tokens": 50}),
        (b',"max_completion_tokens":50,"max_tokens":9', 7, {"max_completion_tokens": 7}),
        (b',"max_completion_tokens":null,"max_tokens":9', None, {"max_tokens": 9}),
        (b',"max_completion_tokens":null,"max_tokens":null', None, {}),
    ],
)
def test_the_limit_has_the_name_that_the_caller_used(
    asked: bytes, limit: int | None, sent_as: dict[str, int]
) -> None:
    fields = sent(PLAIN + asked + b"}", limit=limit)

    assert {key: value for key, value in fields.items() if key.startswith("max")} == sent_as


@pytest.mark.parametrize("host", ["together", "mistral", "deepseek", "ollama"])
def test_a_host_that_knows_one_limit_gets_the_caller_s_by_that_name(host: str) -> None:
    newer = sent(PLAIN + b',"max_completion_tokens":50}', host=host)
    clamped = sent(PLAIN + b',"max_completion_tokens":50,"max_tokens":60}', host=host, limit=7)

    assert "max_completion_tokens" not in newer | clamped
    assert (newer["max_tokens"], clamped["max_tokens"]) == (50, 7)


def test_a_host_that_knows_only_the_newer_limit_gets_it() -> None:
    fields = sent(PLAIN + b',"max_tokens":50}', host="cerebras")

    assert fields["max_completion_tokens"] == 50
    assert "max_tokens" not in fields


@pytest.mark.parametrize("upstream", ["o3", "o4-mini", "gpt-5-nano"])
def test_reasoning_models_get_the_newer_limit(upstream: str) -> None:
    fields = sent(PLAIN + b',"max_tokens":50}', at=candidate(upstream))

    assert fields["max_completion_tokens"] == 50
    assert "max_tokens" not in fields


def answer(**fields: Any) -> bytes:
    """A whole answer that keeps the rules, but for `fields`."""
    message = {"role": "assistant", "content": "Hello", "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    whole = {"id": "x1", "object": "chat.completion", "created": 5, "model": "one-2026", "choices": [choice]}
    return encode({**whole, **fields})


def test_an_answer_goes_back_with_the_canonical_model_and_its_usage_apart() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}

    reply = PROVIDERS["openai"].reply(answer(usage=usage, own=[1]), ASKED)

    assert decode(encode(reply.fields)) == {**decode(answer(own=[1])), "model": "acme/one"}
    assert (reply.text, reply.usage, reply.upstream_id) == ("Hello", Usage(prompt=3, completion=2), "x1")
    assert reply.told == Raw(encode(usage))


@pytest.mark.parametrize("absent", [None, "", 0])
def test_what_the_provider_does_not_know_is_ours(absent: object) -> None:
    body = answer(id=absent, created=absent, object=absent)

    reply = PROVIDERS["openai"].reply(body, ASKED)

    whole = decode(encode(reply.fields))
    assert (whole["id"], whole["created"], whole["object"]) == ("chatcmpl-ours", 77, "chat.completion")
    assert (reply.upstream_id, reply.usage, reply.told) == (None, None, None)


def test_text_is_all_that_was_generated() -> None:
    message = {
        "role": "assistant",
        "content": "b",
        "refusal": "c",
        "reasoning_content": "a",
        "tool_calls": [{"id": "1", "type": "function", "function": {"name": "d", "arguments": "e"}}],
        "function_call": {"name": "f", "arguments": "g"},
    }
    choices = [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}]

    assert PROVIDERS["openai"].reply(answer(choices=choices), ASKED).text == "abcdefg"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "empty"),
        (b"  \n ", "empty"),
        (b"<!DOCTYPE html><html>", "HTML"),
        (b"upstream timed out", "no JSON object"),
        (b"[1]", "no JSON object"),
        (answer()[:-9], "cut"),
        (b'{"id":"x"}', "without choices"),
        (b'{"choices":null}', "choices"),
        (b'{"choices":[]}', "without a choice"),
        (b'{"choices":[1]}', "choices"),
        (b'{"choices":[{"message":{"content":"\xff"}}]}', "choices"),
        (b'{"error":{"message":"Overloaded"}}', "Overloaded"),
        (b'{"object":"error","message":"No slots"}', "No slots"),
        (b'{"choices":[{"message":{},"finish_reason":"error"}]}', "error"),
    ],
)
def test_a_200_that_is_no_answer_says_what_it_is(body: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        PROVIDERS["openai"].reply(body, ASKED)


def test_an_error_that_is_null_is_none() -> None:
    assert PROVIDERS["openai"].reply(answer(error=None), ASKED).text == "Hello"


def test_blank_lines_before_an_answer_are_skipped() -> None:
    assert PROVIDERS["deepseek"].reply(b"\n\n\n" + answer(), ASKED).text == "Hello"


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **fields: Any) -> bytes:
    """One event of a stream that keeps the rules, but for `fields`."""
    choice = {"index": 0, "delta": delta or {}, "logprobs": None, "finish_reason": finish}
    whole = {
        "id": "x1",
        "object": "chat.completion.chunk",
        "created": 5,
        "model": "one-2026",
        "choices": [choice],
    }
    return b"data: " + encode({**whole, **fields}) + b"\n\n"


DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
USUAL = (
    chunk({"role": "assistant", "content": ""}, usage=None)
    + chunk({"content": "Caf"}, usage=None)
    + chunk({"content": "é"}, usage=None)
    + chunk(finish="stop", usage=None)
    + chunk(choices=[], usage=USAGE)
    + DONE
)


def pieces(*reads: bytes, host: str = "openai") -> list[Piece]:
    """A stream as it comes out, to its end."""
    stream = PROVIDERS[host].stream(ASKED)

    def all_of() -> Iterator[Piece]:
        for data in reads:
            yield from stream.feed(data)
        yield from stream.end()

    out = list(all_of())
    assert stream.done
    return out


def deltas(out: list[Piece]) -> list[Any]:
    return [decode(piece.data)["choices"][0]["delta"] for piece in out if piece.data]


def test_a_usual_stream_comes_out_chunk_by_chunk() -> None:
    out = pieces(USUAL)

    assert [decode(piece.data) for piece in out[:4]] == [
        {**decode(event.removeprefix(b"data: ")), "model": "acme/one"}
        for event in USUAL.replace(b',"usage":null', b"").split(b"\n\n")[:4]
    ]
    assert [(piece.text, piece.content, piece.finish) for piece in out] == [
        ("", False, False),
        ("Caf", True, False),
        ("é", True, False),
        ("", False, True),
        ("", False, False),
    ]
    assert (out[4].data, out[4].usage, out[4].told) == (
        b"",
        Usage(prompt=3, completion=2),
        Raw(encode(USAGE)),
    )


def test_a_stream_that_is_cut_anywhere_comes_out_the_same() -> None:
    whole = pieces(USUAL)

    for cut in range(len(USUAL)):
        assert pieces(USUAL[:cut], USUAL[cut:]) == whole
    assert pieces(*[bytes([byte]) for byte in USUAL]) == whole


def test_the_id_is_kept_and_the_same_in_every_chunk() -> None:
    stream = PROVIDERS["openai"].stream(ASKED)
    events = (
        chunk({"content": "a"})
        + chunk({"content": "b"}, id="other", created=6)
        + chunk({"content": "c"}, id=None)
    )

    out = [decode(piece.data) for piece in stream.feed(events)]

    assert {(one["id"], one["created"]) for one in out} == {("x1", 5)}
    assert stream.upstream_id == "x1"


def test_a_stream_without_an_id_gets_ours() -> None:
    out = pieces(
        chunk({"content": "a"}, id="", created=0, object="") + chunk(finish="stop", id="late") + DONE
    )

    assert [decode(piece.data)["id"] for piece in out] == ["chatcmpl-ours"] * 2
    assert decode(out[0].data)["created"] == 77
    assert decode(out[0].data)["object"] == "chat.completion.chunk"


def test_what_comes_before_the_id_goes_with_the_first_chunk() -> None:
    early = chunk(choices=[], id="", model="", object="", created=0, prompt_filter_results=[{"a": 1}])

    out = pieces(early + chunk({"content": "a"}) + chunk(finish="stop") + DONE, host="azure")

    first = decode(out[0].data)
    assert (first["id"], first["created"], first["prompt_filter_results"]) == ("x1", 5, [{"a": 1}])
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "a"}
    assert len(out) == 2


def test_a_chunk_without_choices_is_passed_on_and_is_no_content() -> None:
    out = pieces(chunk({"content": "a"}) + chunk(choices=[], note="n") + chunk(finish="stop") + DONE)

    assert decode(out[1].data)["note"] == "n"
    assert (out[1].content, out[1].text) == (False, "")


def test_usage_on_a_content_chunk_is_withheld() -> None:
    out = pieces(chunk({"content": "a"}, usage=USAGE) + chunk(finish="stop", usage=USAGE) + DONE)

    assert all(b"usage" not in piece.data for piece in out)
    assert [piece.usage for piece in out] == [Usage(prompt=3, completion=2)] * 2


def test_usage_in_groqs_own_field_counts() -> None:
    groq = {"id": "req", "usage": {**USAGE, "queue_time": 0.1}}

    out = pieces(chunk({"content": "a"}) + chunk(finish="stop", x_groq=groq) + DONE, host="groq")

    assert out[-1].usage == Usage(prompt=3, completion=2)


def test_usage_after_a_doubled_finish_still_counts() -> None:
    out = pieces(chunk({"content": "a"}, finish="stop") + chunk(finish="stop", usage=USAGE) + DONE)

    assert [(bool(piece.data), piece.usage) for piece in out] == [
        (True, None),
        (False, Usage(prompt=3, completion=2)),
    ]


def test_usage_without_a_choice_and_without_an_id_counts() -> None:
    out = pieces(
        chunk({"content": "a"}, finish="stop"), b'data: {"choices":[],"usage":%b}\n\n' % encode(USAGE), DONE
    )

    assert out[-1].usage == Usage(prompt=3, completion=2)


def test_role_id_and_name_come_once() -> None:
    first = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{"}}
    again = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "}"}}

    out = pieces(
        chunk({"role": "assistant", "tool_calls": [first]})
        + chunk({"role": "assistant", "tool_calls": [again]})
        + chunk({"role": "assistant"}, finish="tool_calls")
        + DONE
    )

    assert deltas(out) == [
        {"role": "assistant", "tool_calls": [{**first, "index": 0}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]},
        {},
    ]
    assert "".join(piece.text for piece in out) == "f{}"


def test_a_finish_without_done_is_complete() -> None:
    out = pieces(chunk({"content": "a"}) + chunk(finish="length"))

    assert [piece.finish for piece in out] == [False, True]


@pytest.mark.parametrize(
    ("delta", "reason"),
    [({"content": "a"}, "stop"), ({"tool_calls": [{"id": "a", "function": {"name": "f"}}]}, "tool_calls")],
)
def test_done_without_a_finish_gets_one(delta: dict[str, Any], reason: str) -> None:
    out = pieces(chunk(delta) + DONE)

    last = decode(out[-1].data)
    assert out[-1].finish
    assert (last["id"], last["model"], last["created"]) == ("x1", "acme/one", 5)
    assert last["choices"] == [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": reason}]


def test_a_done_without_its_blank_line_counts() -> None:
    assert pieces(chunk({"content": "a"}) + b"data: [DONE]")[-1].finish


@pytest.mark.parametrize(
    "cut",
    [
        chunk({"content": "a"}),
        chunk({"content": "a"}) + chunk(finish="stop")[:-20],
        chunk({"content": "a"}) + chunk(choices=[], usage=USAGE),
        chunk({"content": "a"}, finish="stop") + chunk(choices=[{"index": 1, "delta": {"content": "b"}}]),
    ],
)
def test_neither_finish_nor_done_is_a_cut(cut: bytes) -> None:
    with pytest.raises(Malformed, match="cut"):
        pieces(cut)


def test_a_cut_after_the_finish_loses_nothing() -> None:
    assert pieces(chunk({"content": "a"}, finish="stop") + chunk(choices=[], usage=USAGE)[:-9])[-1].finish


def test_nothing_comes_after_done() -> None:
    stream = PROVIDERS["openai"].stream(ASKED)

    out = list(stream.feed(USUAL + chunk({"content": "late"}))) + list(
        stream.feed(chunk({"content": "late"}))
    )

    assert stream.done
    assert "late" not in "".join(piece.text for piece in out)
    assert list(stream.end()) == []


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b": keep-alive\n\n" * 3, "no events"),
        (answer(), "no events, but JSON"),
        (b"<html><body>Bad gateway</body></html>", "HTML"),
        (b'{"error":{"message":"Overloaded"}}', "Overloaded"),
        (DONE, "without a choice"),
        (b"data: oops\n\n", "no JSON object"),
        (b'data: {"choices":[1]}\n\n', "choices"),
        (b'data: {"choices":[{"delta":{"content":"\xff"}}]}\n\n', "choices"),
        (b"data: " + b"x" * 9_000_000, "larger than"),
    ],
)
def test_a_200_that_is_no_stream_says_what_it_is(data: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        pieces(data)


@pytest.mark.parametrize(
    ("event", "cause", "message"),
    [
        (b'data: {"error":{"message":"Overloaded","type":"server_error"}}\n\n', "outage", "Overloaded"),
        (b'data: {"error":{"message":"Slow down","code":429}}\n\n', "capacity", "Slow down"),
        (b'data: {"error":{"message":"Pay","code":"402"}}\n\n', "credential", "Pay"),
        (b'event: error\ndata: {"message":"Broke"}\n\n', "outage", "Broke"),
        (b"event: error\ndata: Broke\n\n", "outage", "Broke"),
        (b'data: {"object":"error","message":"No slots","code":503}\n\n', "outage", "No slots"),
        (b'data: {"error":"Broke"}\n\n', "outage", "Broke"),
        (chunk({"content": ""}, "error", error={"message": "Broke", "code": 502}), "outage", "Broke"),
        (chunk({"content": ""}, "error"), "outage", "ended the answer with 'error'"),
        (chunk({}, x_groq={"error": "over capacity"}), "outage", "over capacity"),
    ],
)
def test_an_error_inside_a_stream_is_a_failure(event: bytes, cause: str, message: str) -> None:
    out = pieces(chunk({"content": "a"}) + event + chunk({"content": "late"}))

    assert len(out) == 2
    failure = out[1].failure
    assert failure is not None
    assert failure.cause == cause
    assert message in failure.message


def test_an_error_that_is_null_in_a_stream_is_none() -> None:
    out = pieces(chunk({"content": "a"}, error=None) + chunk(finish="stop") + DONE)

    assert [piece.failure for piece in out] == [None, None]


def test_events_that_are_no_chunks_are_skipped() -> None:
    out = pieces(b'data: {"type":"ping"}\n\ndata:\n\n' + chunk({"content": "a"}, finish="stop") + DONE)

    assert len(out) == 1


def test_a_chunk_on_several_lines_becomes_one_line() -> None:
    event = chunk({"content": "a b"}).replace(b",", b",\ndata: ")

    out = pieces(event + chunk(finish="stop"))

    assert b"\n" not in out[0].data
    assert out[0].text == "a b"


def test_tool_calls_commit_an_answer_and_an_empty_first_delta_does_not() -> None:
    out = pieces(
        chunk({"role": "assistant", "content": None, "refusal": None})
        + chunk({"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {}}]})
        + chunk(finish="tool_calls")
    )

    assert [piece.content for piece in out] == [False, True, False]


def failed(status: int, body: bytes = b"", **headers: str) -> Failure:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return PROVIDERS["openai"].failure(status, named, body)


def test_a_failure_carries_the_providers_words() -> None:
    body = b'{"error":{"message":"Bad n","type":"invalid_request_error","param":"n","code":"bad_value"}}'

    assert failed(400, body) == Failure(
        cause="caller",
        message="Bad n",
        status=400,
        code="bad_value",
        param="n",
        kind="invalid_request_error",
    )


def test_how_long_to_wait_is_told_with_a_failure() -> None:
    assert failed(429, retry_after="7").retry_after_s == 7
    assert failed(503).retry_after_s is None
