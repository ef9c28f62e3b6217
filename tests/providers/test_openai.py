"""OpenAI's dialect: requests spliced, answers mended, failures told apart."""

from typing import Any

import msgspec
import pytest
from msgspec import Raw

from deeptoken.catalog.model import Candidate, Channel, Model, Price, Rates
from deeptoken.money import PicoUsd
from deeptoken.providers.base import Asked, Failure, Malformed
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
        (b'{"choices":[]}', "without choices"),
        (b'{"choices":[1]}', "no answer: Expected `object`"),
        (b'{"choices":[{"message":{"content":"\xff"}}]}', "utf-8"),
        (b'{"choices":[{"message":{}}],"own":"\xff"}', "utf-8"),
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
