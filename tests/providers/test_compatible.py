"""The hosts of OpenAI's dialect: their rows, and what they really sent where recordings are there."""

from itertools import cycle
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from deeptoken.catalog.model import Candidate, Channel, Model, Price, Rates
from deeptoken.money import PicoUsd
from deeptoken.providers.base import Asked, Piece
from deeptoken.providers.compatible import ALL, HOSTS, PROVIDERS
from deeptoken.wire.chat import Chat, ChatRequest
from deeptoken.wire.completion import Assembler
from deeptoken.wire.usage import Usage

RECORDINGS = Path(__file__).parents[3] / "shared" / "recordings"
ASKED = Asked(model="acme/one", id="chatcmpl-ours", created=77)
FINISHES = {"stop", "length", "tool_calls", "content_filter", "function_call"}
MODEL = Model("acme/one", Price(1, "acme/one", Rates(prompt=PicoUsd(1), completion=PicoUsd(1))))
BODY = b'{"model":"acme/one","messages":[{"role":"user","content":"Hi"}],"seed":7}'

decode = msgspec.json.decode


def candidate(base_url: str = "", secret: str = "key-1", **options: Any) -> Candidate:
    channel = Channel("c", "p", "C", base_url, {}, secret=secret, options=options)
    return Candidate(channel, MODEL, "my one/2")


def chat() -> Chat:
    fields = decode(BODY, type=dict[str, msgspec.Raw])
    fields.pop("model")
    return Chat(request=decode(BODY, type=ChatRequest), fields=fields, extra={}, size=len(BODY))


def test_each_host_has_one_row_and_an_address_of_its_own() -> None:
    addresses = [host.base_url for host in ALL if not host.azure]

    assert len(PROVIDERS) == len(ALL)
    assert len(set(addresses)) == len(addresses)
    assert all(address.startswith(("https://", "http://localhost:")) for address in addresses)
    assert all(PROVIDERS[host.name].name == host.name for host in HOSTS)


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        PROVIDERS["openai"] = PROVIDERS["groq"]  # type: ignore[index]  # that it is refused is the test


@pytest.mark.parametrize("name", [host.name for host in HOSTS])
def test_a_channels_own_address_counts_before_the_hosts(name: str) -> None:
    request = PROVIDERS[name].request(chat(), candidate("https://proxy.test/v9/"), stream=True, limit=None)

    assert request.url.startswith("https://proxy.test/v9/")
    assert request.url.endswith("/chat/completions")
    assert decode(request.body)["model"] == "my one/2"


@pytest.mark.parametrize("name", ["ollama", "vllm", "lmstudio"])
def test_a_host_of_ones_own_needs_no_key(name: str) -> None:
    request = PROVIDERS[name].request(chat(), candidate(secret=""), stream=False, limit=None)

    assert PROVIDERS[name].host.key_variable is None
    assert [header for header, _ in request.headers] == ["content-type"]
    assert request.url.startswith("http://localhost:")


def test_tiers_of_a_hosts_own_are_not_told_where_openais_are_expected() -> None:
    whole = b'{"choices":[{"message":{"content":"Hi"}}],"service_tier":"on_demand"}'
    event = b'data: {"choices":[{"delta":{"content":"Hi"}}],"service_tier":"%b"}\n\n'

    assert "service_tier" not in PROVIDERS["groq"].reply(whole, ASKED).fields
    assert "service_tier" in PROVIDERS["openai"].reply(whole, ASKED).fields
    chunks = PROVIDERS["groq"].stream(ASKED).feed(event % b"on_demand" + event % b"flex")
    assert ["service_tier" in decode(piece.data) for piece in chunks] == [False, True]


def recorded(name: str) -> list[Any]:
    """The recordings of one file, one test each; none where there are none."""
    path = RECORDINGS / f"{name}.jsonl"
    if not path.exists():
        return []
    answers = [decode(line) for line in path.read_bytes().splitlines()]
    return [pytest.param(one["body"].encode(), one["status"], id=one["id"]) for one in answers]


def calls_of(message: Any) -> list[tuple[str, str]]:
    return [(call.function.name, call.function.arguments or "{}") for call in message.tool_calls or ()]


def reasoning_of(said: dict[str, Any]) -> str:
    """The reasoning as the vendor wrote it: one of two fields, or parts of the content."""
    parts = said.get("content")
    inside = [part["thinking"] for part in parts if "thinking" in part] if isinstance(parts, list) else []
    texts = [inner["text"] for thinking in inside for inner in thinking]
    return said.get("reasoning_content") or said.get("reasoning") or "".join(texts)


def text_of(said: dict[str, Any]) -> str:
    parts = said.get("content")
    if isinstance(parts, list):
        return "".join(part["text"] for part in parts if part["type"] == "text")
    return parts or ""


READ = {"content", "reasoning", "reasoning_content", "tool_calls", "function_call", "role", "refusal"}
OURS = {"id", "object", "created", "model", "choices", "usage", "service_tier"}


def others(fields: dict[str, Any], known: set[str]) -> dict[str, Any]:
    """What the gateway does not know: filter results, annotations, citations, executed tools."""
    return {name: value for name, value in fields.items() if name not in known}


def counts_of(usage: dict[str, Any]) -> tuple[int, int, int, int]:
    """Prompt, cached, completion with its reasoning, reasoning: as the vendor tells them."""
    prompt, details = usage["prompt_tokens"], usage.get("prompt_tokens_details") or {}
    cached = details.get("cached_tokens") or usage.get("prompt_cache_hit_tokens")
    cached = cached or usage.get("num_cached_tokens") or 0
    reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    return prompt, cached, usage["total_tokens"] - prompt, reasoning


def counted(usage: Usage) -> tuple[int, int, int, int]:
    return usage.prompt_tokens, usage.cached, usage.completion_tokens, usage.reasoning


@pytest.mark.parametrize(("body", "status"), recorded("openai"))
def test_a_recorded_answer_says_what_the_vendors_bytes_say(body: bytes, status: int) -> None:
    if status != 200:
        assert PROVIDERS["openai"].failure(status, {}, body).message
        return
    raw = decode(body)
    theirs = ChatCompletion.construct(**decode(body))

    reply = PROVIDERS["vllm"].reply(body, ASKED)

    fields = decode(msgspec.json.encode(reply.fields))
    ours = ChatCompletion.model_validate(fields)
    assert ours.model == "acme/one"
    assert others(fields, OURS) == others(raw, OURS)
    for mine, told, written in zip(ours.choices, theirs.choices, raw["choices"], strict=True):
        said = mine.message.model_dump(exclude_unset=True)
        assert (mine.message.content or "") == text_of(written["message"])
        assert (said.get("reasoning_content") or "") == reasoning_of(written["message"])
        assert (mine.message.refusal or "") == (told.message.refusal or "")
        assert calls_of(mine.message) == calls_of(told.message)
        assert mine.finish_reason == (told.finish_reason or "stop")
        assert reply.text.startswith(reasoning_of(written["message"]) + text_of(written["message"]))
        for name, value in others(written["message"], READ).items():
            assert said[name] == value
    assert reply.usage is not None
    assert counted(reply.usage) == counts_of(raw["usage"])


def read(body: bytes, sizes: list[int] | None = None) -> list[Piece]:
    """A stream as it comes out, whole or in reads of these sizes, again and again."""
    stream = PROVIDERS["openai"].stream(ASKED)
    out: list[Piece] = []
    at = 0
    for size in cycle(sizes or [len(body)]):
        out += stream.feed(body[at : at + size])
        at += size
        if at >= len(body):
            break
    return [*out, *stream.end()]


def accumulated(chunks: list[ChatCompletionChunk]) -> tuple[str, str, dict[int, list[str]], list[str]]:
    """Text, reasoning, calls and finish reasons, as a client of the SDK puts them together."""
    text, reasoning = "", ""
    finishes: list[str] = []
    calls: dict[int, list[str]] = {}
    for chunk in chunks:
        for choice in chunk.choices:
            text += choice.delta.content or ""
            reasoning += reasoning_of(choice.delta.model_dump())
            for call in choice.delta.tool_calls or ():
                parts = calls.setdefault(call.index, ["", "", ""])
                parts[0] += call.id or ""
                if call.function:
                    parts[1] += call.function.name or ""
                    parts[2] += call.function.arguments or ""
            if choice.finish_reason:
                finishes.append(choice.finish_reason)
    return text, reasoning, calls, finishes


@pytest.mark.parametrize(("body", "status"), recorded("openai-stream"))
def test_a_recorded_stream_says_what_the_vendors_bytes_say(body: bytes, status: int) -> None:
    events = [line[5:].strip() for line in body.splitlines() if line.startswith(b"data:")]
    raw = [decode(event) for event in events if event != b"[DONE]"]
    theirs = [ChatCompletionChunk.construct(**fields) for fields in raw]

    out = read(body)

    chunks = [decode(piece.data) for piece in out if piece.data]
    ours = [ChatCompletionChunk.model_validate(fields) for fields in chunks]
    assert status == 200
    assert accumulated(ours) == accumulated(theirs)
    assert last_of(chunks) == last_of(raw)
    told = [fields["usage"] for fields in raw if fields.get("usage")]
    mine = [piece.usage for piece in out if piece.usage]
    if told:
        assert counted(mine[-1]) == counts_of(told[-1])


def last_of(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """What was told beside the choices, each the last time; padding and fingerprints aside."""
    passing = OURS | {"obfuscation", "system_fingerprint"}
    told: dict[str, Any] = {}
    for fields in chunks:
        told |= others(fields, passing)
    return told


@pytest.mark.parametrize(("body", "status"), recorded("openai-stream"))
@given(sizes=st.lists(st.sampled_from((1, 2, 7, 100, 1_000, 5_000)), min_size=1, max_size=9))
@settings(max_examples=5)
def test_a_recorded_stream_comes_out_the_same_however_it_is_cut(
    body: bytes, status: int, sizes: list[int]
) -> None:
    assert status == 200
    assert read(body, sizes) == read(body)


@pytest.mark.parametrize(("body", "status"), recorded("openai-stream"))
def test_each_chunk_of_a_recorded_stream_keeps_the_rules(body: bytes, status: int) -> None:
    out = [piece for piece in read(body) if piece.data]
    chunks = [decode(piece.data) for piece in out]

    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    assert status == 200
    assert all(chunk["object"] == "chat.completion.chunk" for chunk in chunks)
    assert {chunk["model"] for chunk in chunks} == {"acme/one"}
    assert len({(chunk["id"], chunk["created"]) for chunk in chunks}) == 1
    assert all("usage" not in chunk for chunk in chunks)
    assert [choice["delta"].get("role") for choice in choices] == ["assistant"] + [None] * (len(choices) - 1)
    assert [choice["finish_reason"] in FINISHES for choice in choices] == [False] * (len(choices) - 1) + [
        True
    ]
    assert sum(piece.finish for piece in out) == 1


@pytest.mark.parametrize(("body", "status"), recorded("openai-stream"))
def test_a_recorded_stream_put_together_is_what_the_sdk_puts_together(body: bytes, status: int) -> None:
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    assembler = Assembler()

    for piece in read(body):
        assembler.add(piece.data)
        if piece.data:
            state.handle_chunk(ChatCompletionChunk.model_validate_json(piece.data))

    ours = ChatCompletion.model_validate(assembler.whole())
    theirs = state.current_completion_snapshot
    assert status == 200
    for mine, told in zip(ours.choices, theirs.choices, strict=True):
        assert (mine.message.content or "") == (told.message.content or "")
        assert calls_of(mine.message) == calls_of(told.message)
        assert mine.finish_reason == told.finish_reason
