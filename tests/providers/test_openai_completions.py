"""A host that speaks legacy completions: prompts go on, texts come back, the meter sees what it needs."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from deeptoken.catalog.model import Candidate, Channel, Model, Price, Rates
from deeptoken.errors import BadRequest
from deeptoken.money import PicoUsd
from deeptoken.providers.base import Asked, Malformed, Piece
from deeptoken.providers.openai import OpenAI
from deeptoken.providers.openai_completions import Completions
from deeptoken.providers.registry import PROVIDERS, speaking
from deeptoken.wire.chat import Chat
from deeptoken.wire.completions import read
from deeptoken.wire.usage import Usage

ASKED = Asked(model="acme/one", id="cmpl-ours", created=77)
MODEL = Model("acme/one", Price(1, "acme/one", Rates(prompt=PicoUsd(1), completion=PicoUsd(1))))
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
LOGPROBS = {"tokens": ["a"], "token_logprobs": [-1], "top_logprobs": None, "text_offset": [0]}


def candidate(provider: str = "vllm", upstream: str = "one-2026") -> Candidate:
    channel = Channel(name="c", provider=provider, label="C", base_url="", models={}, secret="sk-1")
    return Candidate(channel, MODEL, upstream)


def chat(**fields: Any) -> Chat:
    return read(json.dumps({"model": "acme/one", "prompt": "Once", **fields}).encode())


def adapter(host: str = "vllm") -> Completions:
    provider = PROVIDERS[host]
    assert isinstance(provider, OpenAI)
    return Completions(provider)


def sent(wanted: Chat, *, stream: bool = False, limit: int | None = None) -> dict[str, Any]:
    request = adapter().request(wanted, candidate(), stream=stream, limit=limit)
    assert request.url == "http://localhost:8000/v1/completions"
    body: dict[str, Any] = json.loads(request.body)
    return body


def test_what_came_goes_on_but_for_the_model_and_the_limit() -> None:
    wanted = chat(prompt=[[1, 2], [3]], suffix="end", best_of=2, top_k=4)

    assert sent(wanted) == {
        "model": "one-2026",
        "prompt": [[1, 2], [3]],
        "suffix": "end",
        "best_of": 2,
        "top_k": 4,
        "max_tokens": 16,
    }
    assert sent(chat(max_tokens=50))["max_tokens"] == 50
    assert sent(chat(max_tokens=50), limit=20)["max_tokens"] == 20


def test_a_stream_is_always_asked_for_its_usage() -> None:
    assert sent(chat(), stream=True)["stream_options"] == {"include_usage": True}
    assert sent(chat(stream=True, stream_options={"include_usage": False, "a": 1}), stream=True)[
        "stream_options"
    ] == {"include_usage": True, "a": 1}
    assert "stream_options" not in sent(chat(stream=True, stream_options={"a": 1}))


def answer(**fields: Any) -> bytes:
    choice = {"text": " upon", "index": 0, "logprobs": None, "finish_reason": "stop"}
    whole = {"id": "x1", "object": "text_completion", "created": 5, "model": "one-2026", "choices": [choice]}
    return json.dumps({**whole, **fields}).encode()


def test_a_whole_answer_goes_back_with_the_canonical_model_and_its_usage_apart() -> None:
    reply = adapter().reply(answer(usage=USAGE, own=[1]), ASKED)

    assert reply.native is not None
    assert json.loads(msgspec.json.encode(reply.native)) == json.loads(answer(own=[1], model="acme/one"))
    assert (reply.text, reply.usage, reply.upstream_id) == (" upon", Usage(prompt=3, completion=2), "x1")


def test_what_a_host_leaves_out_is_put_in() -> None:
    choices = [{"text": "a", "seed": 1, "finish_reason": "eos"}, {"text": None, "logprobs": LOGPROBS}]

    reply = adapter("together").reply(
        answer(id="", created=0, object="text.completion", choices=choices), ASKED
    )

    assert reply.native is not None
    assert json.loads(msgspec.json.encode(reply.native)) == {
        "id": "cmpl-ours",
        "object": "text_completion",
        "created": 77,
        "model": "acme/one",
        "choices": [
            {"text": "a", "seed": 1, "finish_reason": "stop", "index": 0, "logprobs": None},
            {"text": "", "logprobs": LOGPROBS, "index": 1, "finish_reason": "stop"},
        ],
    }


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "no completion"),
        (b"<html>", "no completion"),
        (answer()[:-3], "no completion"),
        (answer(choices=[]), "without choices"),
        (answer(choices=None), "without choices"),
        (answer(choices=5), "no completion"),
        (answer(error={"message": "Busy"}), "Busy"),
    ],
)
def test_a_2xx_that_is_no_answer_is_malformed(body: bytes, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        adapter().reply(body, ASKED)


def chunk(text: str = "", finish: str | None = None, index: int = 0, **fields: Any) -> bytes:
    choice = {"text": text, "index": index, "logprobs": None, "finish_reason": finish}
    return b"data: " + answer(**{"choices": [choice], **fields}) + b"\n\n"


DONE = b"data: [DONE]\n\n"
STREAM = (
    chunk(" up", usage=None) + chunk("on é") + chunk("", "length") + chunk(choices=[], usage=USAGE) + DONE
)


def pieces(*reads: bytes) -> list[Piece]:
    """A stream as it comes out, to its end."""
    stream = adapter().stream(ASKED)

    def all_of() -> Iterator[Piece]:
        for data in reads:
            yield from stream.feed(data)
        yield from stream.end()

    out = list(all_of())
    assert stream.done
    return out


def test_a_stream_s_chunks_go_back_without_their_usage() -> None:
    out = pieces(STREAM)

    assert [json.loads(piece.native) for piece in out[:3]] == [
        json.loads(event[6:].replace(b"one-2026", b"acme/one").replace(b', "usage": null', b""))
        for event in STREAM.split(b"\n\n")[:3]
    ]
    assert [(piece.text, piece.content, piece.finish) for piece in out] == [
        (" up", True, False),
        ("on é", True, False),
        ("", False, True),
        ("", False, False),
    ]
    assert (out[3].native, out[3].usage) == (b"", Usage(prompt=3, completion=2))
    assert not any(piece.data for piece in out)


def test_a_stream_that_is_cut_anywhere_comes_out_the_same() -> None:
    whole = pieces(STREAM)

    for cut in range(len(STREAM)):
        assert pieces(STREAM[:cut], STREAM[cut:]) == whole
    assert pieces(*[bytes([byte]) for byte in STREAM]) == whole


def test_a_choice_that_has_no_finish_before_the_end_stopped() -> None:
    out = pieces(chunk("a", index=1, id="") + chunk("b", "stop") + DONE)

    assert json.loads(out[-1].native) == {
        "id": "cmpl-ours",
        "object": "text_completion",
        "created": 77,
        "model": "acme/one",
        "choices": [{"text": "", "index": 1, "logprobs": None, "finish_reason": "stop"}],
    }
    assert out[-1].finish


def test_a_finish_without_done_is_an_end_and_neither_is_a_cut() -> None:
    assert pieces(chunk("a", "stop"))[-1].finish

    with pytest.raises(Malformed, match="cut"):
        pieces(chunk("a"))


@pytest.mark.parametrize(
    "told",
    [
        b'event: error\ndata: {"message":"Broke."}\n\n',
        b'data: {"error":{"message":"Broke."}}\n\n',
    ],
)
def test_an_error_in_the_stream_is_a_failure(told: bytes) -> None:
    out = pieces(chunk("a") + told + chunk("b"))

    assert out[-1].failure is not None
    assert (len(out), out[-1].failure.message) == (2, "Broke.")


def test_a_host_that_says_that_it_gave_up_has_failed() -> None:
    assert pieces(chunk("a", "abort"))[-1].failure is not None

    with pytest.raises(Malformed, match="abort"):
        adapter().reply(answer(choices=[{"text": "a", "finish_reason": "abort"}]), ASKED)


@pytest.mark.parametrize(
    ("stream", "words"),
    [
        (b"", "no events"),
        (b'{"error":{"message":"Busy"}}', "Busy"),
        (DONE, "without choices"),
        (b"data: {no json}\n\n", "no JSON"),
        (b'data: {"choices":5}\n\n', "no JSON"),
    ],
)
def test_a_stream_that_is_none_is_malformed(stream: bytes, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        pieces(stream)


@pytest.mark.parametrize(
    ("provider", "upstream", "native"),
    [
        ("vllm", "any", True),
        ("together", "meta/llama", True),
        ("openai", "gpt-5", False),
        ("openai", "gpt-3.5-turbo-instruct", True),
        ("openai", "davinci-002", True),
        ("groq", "llama", False),
        ("anthropic", "claude", False),
    ],
)
def test_who_speaks_the_dialect_gets_it_as_it_came(provider: str, upstream: str, native: bool) -> None:
    chosen = speaking(PROVIDERS[provider], chat(), candidate(provider, upstream))

    assert isinstance(chosen, Completions) == native
    assert chosen.name == provider


def test_what_no_chat_can_carry_goes_to_a_host_of_the_dialect_or_nowhere() -> None:
    wanted = chat(suffix="end")

    assert isinstance(speaking(PROVIDERS["vllm"], wanted, candidate()), Completions)
    with pytest.raises(BadRequest) as refused:
        speaking(PROVIDERS["groq"], wanted, candidate("groq"))
    assert refused.value.param == "suffix"
