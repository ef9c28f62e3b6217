"""What the head of a provider's answer says, and what of a schema a provider was not told."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from provider_scene import MODELS, Provider, channel, completion, events, says, stream_head

from deeptoken.gateway.told import TOLD_MAX, told
from upstreams import answer
from whole_scene import Reply, chat, whole

JSON = "Content-Type: application/json"
HEADS = {
    "openai": ("x-request-id", ("x-ratelimit-remaining-requests: 59", "x-ratelimit-reset-tokens: 6m0s")),
    "anthropic": ("request-id", ("anthropic-ratelimit-tokens-remaining: 12",)),
    "bedrock": ("x-amzn-requestid", ()),
    "mistral": ("mistral-correlation-id", ("x-ratelimit-limit-req-minute: 60",)),
}
BODIES: dict[str, Any] = {
    **dict.fromkeys(("openai", "mistral"), completion("hi").partition(b"\r\n\r\n")[2]),
    "anthropic": json.dumps(
        {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude",
            "content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn",
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }
    ).encode(),
    "bedrock": json.dumps(
        {
            "output": {"message": {"role": "assistant", "content": [{"text": "hi"}]}},
            "stopReason": "end_turn",
            "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
        }
    ).encode(),
    "gemini": json.dumps(
        {
            "candidates": [
                {"content": {"role": "model", "parts": [{"text": "{}"}]}, "finishReason": "STOP", "index": 0}
            ],
            "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2},
        }
    ).encode(),
}  # fmt: skip
SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer", "multipleOf": 3}, "tags": {"type": "array", "minItems": 4}},
    "required": ["n", "tags"],
    "additionalProperties": False,
}


def asked(folder: Path, provider_name: str, script: bytes, body: dict[str, Any]) -> Reply:
    async def story() -> Reply:
        async with Provider() as provider:
            provider.scripts["it"] = says(script)
            config = MODELS + channel(provider, "it", provider=f'"{provider_name}"')
            async with whole(folder, config) as gateway:
                return await gateway.ask(body)

    return asyncio.run(story())


@pytest.mark.parametrize("name", sorted(HEADS))
def test_the_providers_own_id_and_its_limits_reach_the_caller(tmp_path: Path, name: str) -> None:
    id, limits = HEADS[name]

    reply = asked(tmp_path, name, answer(BODIES[name], JSON, f"{id}: up_1", *limits), chat("hi", "m/it"))

    assert reply.status == 200, reply.body
    assert reply.headers["x-deeptoken-upstream-id"] == "up_1"
    assert reply.headers["x-request-id"] == reply.headers["x-deeptoken-id"]
    for limit in limits:
        field, value = limit.split(": ")
        ours = f"x-deeptoken-upstream-{field[field.index('ratelimit') :]}"
        assert reply.headers[ours] == value
        assert field not in reply.headers


def test_a_streams_head_has_them_too(tmp_path: Path) -> None:
    head = stream_head("x-request-id: up_2", "x-ratelimit-limit-tokens: 7")
    reply = asked(tmp_path, "openai", head + events("hi"), chat("hi", "m/it", stream=True))

    assert reply.text == "hi"
    assert reply.headers["x-deeptoken-upstream-id"] == "up_2"
    assert reply.headers["x-deeptoken-upstream-ratelimit-limit-tokens"] == "7"


def test_an_error_of_the_providers_has_its_id(tmp_path: Path) -> None:
    refusal = json.dumps({"error": {"message": "No.", "type": "invalid_request_error"}}).encode()
    script = answer(refusal, JSON, "x-request-id: up_3", status="400 Bad Request")

    reply = asked(tmp_path, "openai", script, chat("hi", "m/it"))

    assert (reply.status, reply.headers["x-deeptoken-upstream-id"]) == (400, "up_3")


def test_what_is_no_plain_value_is_left_out_and_there_is_an_end_to_it() -> None:
    many = {f"x-ratelimit-{n}": "1" for n in range(99)}

    found = told({"x-request-id": "a\u00e9b", "x-ratelimit-odd": "x" * 999, "set-cookie": "a=b", **many})

    assert len(found) == TOLD_MAX
    assert all(name.startswith(b"x-deeptoken-upstream-ratelimit-") for name, _ in found)


@pytest.mark.parametrize("name", ["anthropic", "bedrock", "gemini"])
def test_what_a_schema_could_not_keep_is_told(tmp_path: Path, name: str) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "it", "schema": SCHEMA}}

    reply = asked(tmp_path, name, answer(BODIES[name], JSON), chat("hi", "m/it", response_format=form))

    assert reply.status == 200, reply.body
    lost = reply.headers["x-deeptoken-schema-lost"].split(", ")
    assert "response_format.json_schema.schema.properties.n multipleOf" in lost


def test_a_strict_tools_schema_too_and_one_that_is_kept_is_not_spoken_of(tmp_path: Path) -> None:
    def tool(schema: dict[str, Any]) -> dict[str, Any]:
        return {"type": "function", "function": {"name": "f", "parameters": schema, "strict": True}}

    plain = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    script = answer(BODIES["anthropic"], JSON)
    lossy = asked(tmp_path, "anthropic", script, chat("hi", "m/it", tools=[tool(plain), tool(SCHEMA)]))
    kept = asked(tmp_path, "anthropic", script, chat("hi", "m/it", tools=[tool(plain)]))

    assert lossy.headers["x-deeptoken-schema-lost"].split(", ") == [
        "tools[1].function.parameters.properties.n multipleOf",
        "tools[1].function.parameters.properties.tags minItems",
    ]
    assert "x-deeptoken-schema-lost" not in kept.headers
