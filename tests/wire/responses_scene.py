"""A request of the Responses API, the chat inside, and its answer as OpenAI's SDK reads it."""

import json
from collections.abc import Iterable
from typing import Any

import httpx2
import openai
import pydantic
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent, ResponseUsage

from deeptoken.wire.chat import Chat
from deeptoken.wire.responses import read
from deeptoken.wire.responses_answer import End, Facts, facts
from deeptoken.wire.responses_events import Events
from deeptoken.wire.sse import Reader
from deeptoken.wire.usage import Usage

Object = dict[str, Any]

EVENT: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(ResponseStreamEvent)
UNTYPED = {
    Response: {"store", "presence_penalty", "frequency_penalty", "deeptoken"},
    ResponseUsage: {"cost"},
}
"""Fields that OpenAI tells and its SDK's types leave out, and ours."""

USAGE = Usage(prompt=4, cached=3, cache_write=1, cache_write_1h=2, completion=4, reasoning=2)
WHOLE = End(usage=USAGE, completed_at=1_790_000_009)


def asked(given: Any = "Hi", **fields: Any) -> Chat:
    return read(json.dumps({"model": "acme/one", "input": given, **fields}).encode())


def messages(given: Any, **fields: Any) -> Any:
    """The messages of the chat that this input is."""
    return json.loads(bytes(asked(given, **fields).fields["messages"]))


def about(chat: Chat | None = None) -> Facts:
    return facts(chat or asked(), id="resp_7", created=1_790_000_000, model="acme/one")


def chunk(delta: Object | None = None, finish: str | None = None, **choice: Any) -> bytes:
    """One chunk as the adapters deliver it."""
    told = {"index": 0, "delta": delta or {}, "logprobs": None, "finish_reason": finish, **choice}
    whole = {"id": "x1", "object": "chat.completion.chunk", "created": 5, "model": "acme/one"}
    return json.dumps({**whole, "choices": [told]}).encode()


def streamed(chunks: Iterable[bytes], end: End = WHOLE, told: Facts | None = None) -> bytes:
    events = Events(told or about())
    return b"".join([*map(events.chunk, chunks), events.end(end)])


def events_of(stream: bytes) -> list[Object]:
    """The events of a stream, each as its name says."""
    reader = Reader()
    found = [*reader.feed(stream), *reader.end()]
    events = [json.loads(event.data) for event in found]
    assert [event.name for event in found] == [event["type"] for event in events]
    return events


def strictly(event: Object) -> None:
    """OpenAI's SDK has a type for this event, with these fields and no others."""
    _typed(EVENT.validate_python(event))


def strict_response(made: Object) -> Response:
    read = Response.model_validate(made)
    _typed(read)
    return read


def _typed(value: object) -> None:
    match value:
        case pydantic.BaseModel():
            assert set(value.model_extra or {}) <= UNTYPED.get(type(value), set()), (
                type(value),
                value.model_extra,
            )
            for name in value.model_fields_set:
                _typed(getattr(value, name, None))
        case list():
            for one in value:
                _typed(one)


def sdk(answer: bytes, *, stream: bool = False) -> openai.OpenAI:
    """A client that gets `answer`, and is strict about it."""
    kind = "text/event-stream" if stream else "application/json"

    def answered(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": kind}, content=answer)

    return openai.OpenAI(
        api_key="dtk",
        base_url="http://gateway/v1",
        http_client=httpx2.Client(transport=httpx2.MockTransport(answered)),
        _strict_response_validation=True,
    )


texts = st.text(alphabet=st.sampled_from('ab "\\\n\u2028é😀{}'), min_size=1, max_size=4)


@st.composite
def answers(draw: st.DrawFn) -> list[bytes]:
    """The chunks of an answer as any provider may give it: thoughts, text, refusals, calls in any order."""
    chunks = [chunk({"role": "assistant", "content": ""})]
    called = 0
    thoughts = 0
    for _ in range(draw(st.integers(0, 12))):
        match draw(st.sampled_from(("text", "thought", "signature", "refusal", "call", "arguments"))):
            case "text":
                chunks.append(chunk({"content": draw(texts)}))
            case "refusal":
                chunks.append(chunk({"refusal": draw(texts)}))
            case "thought":
                text = draw(texts)
                detail = {"type": "reasoning.text", "text": text, "format": "f", "index": thoughts}
                chunks.append(chunk({"reasoning_content": text, "reasoning_details": [detail]}))
            case "signature":
                detail = {"type": "reasoning.text", "signature": draw(texts), "index": thoughts}
                chunks.append(chunk({"reasoning_details": [detail]}))
                thoughts += 1
            case "call":
                function = {"name": f"f{called}", "arguments": draw(st.sampled_from(("", "{")))}
                call = {"index": called, "id": f"c{called}", "type": "function", "function": function}
                chunks.append(chunk({"tool_calls": [call]}))
                called += 1
            case "arguments" if called:
                call = {"index": draw(st.integers(0, called - 1)), "function": {"arguments": draw(texts)}}
                chunks.append(chunk({"tool_calls": [call]}))
    reason = draw(st.sampled_from(("stop", "length", "content_filter", "tool_calls")))
    return [*chunks, chunk({}, reason)]
