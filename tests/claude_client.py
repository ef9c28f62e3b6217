"""A Claude client: what Anthropic's own library makes of our answers, and of calls to us."""

import json
from typing import Any

import anthropic
import anthropic.types
import httpx2
import pydantic

EVENT: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(anthropic.types.RawMessageStreamEvent)
HI = {"role": "user", "content": "Hi"}
TOOL = {
    "name": "add",
    "description": "Adds.",
    "input_schema": {"type": "object", "properties": {"a": {"type": "integer"}}},
}


def asked(*messages: dict[str, Any], **fields: Any) -> bytes:
    """The body of a call. What is None is left out."""
    known = {"model": "acme/claude", "max_tokens": 1000, "messages": list(messages) or [HI]}
    return json.dumps({name: value for name, value in (known | fields).items() if value is not None}).encode()


def accepted(message: bytes) -> anthropic.types.Message:
    """A whole answer as the library's own type, which refuses whatever is not as it should be."""
    return anthropic.types.Message.model_validate_json(message, strict=True)


def events_of(stream: bytes) -> list[dict[str, Any]]:
    """The events of a stream, each named for its type and accepted by the library's own types."""
    found = []
    for block in stream.decode().split("\n\n")[:-1]:
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        if event["type"] not in ("ping", "error"):
            EVENT.validate_json(data.removeprefix("data: "), strict=True)
        found.append(event)
    return found


def put_together(stream: bytes) -> anthropic.types.Message:
    """What the library's accumulator has in the end."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=stream)

    with (
        httpx2.Client(transport=httpx2.MockTransport(answer)) as door,
        anthropic.Anthropic(api_key="x", http_client=door, max_retries=0) as client,
        client.messages.stream(model="m", max_tokens=1, messages=[{"role": "user", "content": "Hi"}]) as told,
    ):
        return told.get_final_message()
