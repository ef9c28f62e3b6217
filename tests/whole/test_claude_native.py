"""Both sides speak Anthropic's dialect: what was written goes on, and what was said comes back, as it was."""

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from claude_scene import (
    HI,
    JSON,
    WEATHER,
    asked,
    block,
    claude_scene,
    ended,
    message_events,
    named,
    started,
    text_block,
    told,
    tool_block,
    whole_message,
)
from provider_scene import SECRET, Scene, completion, row_of, says, streamed

from upstreams import answer
from whole_scene import Reply

SIGNATURE = "EqRk+/=\u00fc\u2028 \\u00e9 signed"
DATA = "Rk9P+/=="
VERSION = "2024-10-22"
"""Not the one that the gateway asks for."""
FIELDS = (
    b'"system": [ {"type":"text","text":"Be \\u0062rief.","cache_control":{"type":"ephemeral","ttl":"1h"}} ]',
    b'"messages":[ {"role":"user","content":[{"type":"text","text":"caf\\u00e9 \\/ \xf0\x9f\x98\x80",'
    b'"cache_control": {"type": "ephemeral"}}]} ]',
    b'"temperature":0.50',
    b'"top_k":40',
    b'"stop_sequences":["a","b","c","d","e"]',
    b'"tools":[{"name":"t","input_schema":{"type":"object"},"x_new":1.50},{"type":"bash_20250124","name":"bash"}]',
    b'"thinking":{"type":"enabled","budget_tokens":1024}',
    b'"x_tomorrow":{"ratio":1.50,"count":123456789012345678901234567890}',
)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with claude_scene(tmp_path_factory.mktemp("native")) as scene:
        yield scene


def raw(*fields: bytes, model: bytes = b"m/claude") -> bytes:
    return b'{"model":"%b","max_tokens":2000,%b}' % (model, b",".join(fields))


async def ask(scene: Scene, body: bytes, **headers: str) -> Reply:
    reply = await scene.gateway.ask(body, path="/v1/messages", **headers)
    assert reply.status == 200, reply.body
    return reply


def events_of(reply: Reply) -> list[Any]:
    lines = reply.body.decode().split("\n")
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


@pytest.mark.parametrize("stream", [False, True])
def test_the_provider_sees_each_field_as_it_was_written(stream: bool, scene: Scene) -> None:
    text = {"type": "text", "text": "ok"}
    script = message_events(text_block(0, "ok")) if stream else whole_message(text)
    scene.provider.scripts["claude"] = says(script)

    async def main() -> None:
        await ask(scene, raw(*FIELDS, b'"stream": true' if stream else b'"stream": false'))

    scene.run(main)
    body = scene.provider.requests["claude"][-1].body
    for field in FIELDS:
        name, _, value = field.partition(b":")
        assert name + b":" + value.strip() in body, name
    known = {field.partition(b":")[0].strip(b'"').decode() for field in FIELDS}
    sent = json.loads(body)
    assert sent.keys() == known | {"model", "max_tokens"} | ({"stream"} if stream else set())
    assert (sent["model"], sent["max_tokens"]) == ("hidden-claude", 2000)


def test_fields_of_the_gateway_and_nulls_reach_no_provider(scene: Scene) -> None:
    scene.provider.scripts["claude"] = says(whole_message({"type": "text", "text": "ok"}))
    ours = (
        b'"max_cost_usd":1',
        b'"usage":{"include":true}',
        b'"provider":{}',
        b'"models":[]',
        b'"top_p":null',
    )

    async def main() -> None:
        await ask(scene, raw(FIELDS[1], *ours))

    scene.run(main)
    assert scene.provider.body("claude").keys() == {"model", "max_tokens", "messages"}


def test_a_whole_answer_comes_back_as_it_was_but_for_the_models_name(scene: Scene) -> None:
    content = b'[ {"type":"text","text":"caf\\u00e9","citations":[{"type":"char_location","x":1.50}]} ]'
    fields = (
        b'"id":"msg_9","type":"message","role":"assistant","content":%b,"stop_reason":"stop_sequence",'
        b'"stop_sequence":"END","container":null,"x_new":{"a":1.50},'
        b'"usage":{"input_tokens":10,"output_tokens":7,"server_tool_use":null,"service_tier":"standard"}'
    ) % content
    scene.provider.scripts["claude"] = says(answer(b'{"model":"hidden-claude",%b}' % fields, JSON))

    async def main() -> None:
        reply = await ask(scene, raw(FIELDS[1]))
        assert reply.body.startswith(b'{"model":"m/claude",')
        for kept in (content.strip(), b'"stop_sequence":"END"', b'"x_new":{"a":1.50}', b'"container":null'):
            assert kept in reply.body, kept

    scene.run(main)


def test_a_streams_events_come_back_as_they_were_but_for_the_models_name(scene: Scene) -> None:
    citation = {"type": "citations_delta", "citation": {"type": "char_location", "cited_text": "x"}}
    parts = [
        started(),
        named(type="ping"),
        block(0, {"type": "thinking", "thinking": "", "signature": ""}),
        block(1, {"type": "redacted_thinking", "data": DATA}),
        block(2, {"type": "text", "text": ""}, {"type": "text_delta", "text": "Gr\u00fc\u00df"}, citation),
        block(3, {"type": "server_tool_use", "id": "srv_1", "name": "bash", "input": {}}),
        block(4, {"type": "some_new_block", "x": 1.5}),
        named(type="some_new_event", x=1),
        ended("stop_sequence", {"output_tokens": 7, "x_new": 1}, stop_sequence="END"),
    ]
    scene.provider.scripts["claude"] = says(streamed(b"".join(parts)))

    async def main() -> None:
        reply = await ask(scene, raw(FIELDS[1], b'"stream":true'))
        (first, *rest), given = events_of(reply), b"".join(parts)
        assert first["message"].pop("model") == "m/claude"
        assert first["message"] == {k: v for k, v in told(stop=None).items() if k != "model"}
        lines = [line for line in given.split(b"\n") if line.startswith(b"data: ")][1:]
        expected = [line for line in lines if b'"ping"' not in line]
        assert [json.dumps(event) for event in rest] == [json.dumps(json.loads(e[6:])) for e in expected]
        assert [line for line in expected[:-1] if line not in reply.body] == []

    scene.run(main)


@pytest.mark.parametrize("stream", [False, True])
def test_signed_thinking_goes_back_byte_for_byte_with_its_call_and_result(stream: bool, scene: Scene) -> None:
    blocks: list[dict[str, Any]] = [
        {"type": "thinking", "thinking": "2+2\u2026", "signature": SIGNATURE},
        {"type": "redacted_thinking", "data": DATA},
        {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Oslo"}},
    ]
    parts = (
        block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "2+2\u2026"},
            {"type": "signature_delta", "signature": SIGNATURE},
        ),
        block(1, blocks[1]),
        tool_block(2, "toolu_1", "get_weather", '{"city": ', '"Oslo"}'),
    )
    thinking = {"type": "enabled", "budget_tokens": 1024}
    options: Any = {"model": "m/claude", "max_tokens": 2000, "tools": [WEATHER], "thinking": thinking}

    async def ask_twice(client: anthropic.AsyncAnthropic) -> None:
        turns: list[Any] = list(HI)
        for _ in range(2):
            if stream:
                scene.provider.scripts["claude"] = says(message_events(*parts, stop="tool_use"))
                async with client.messages.stream(messages=turns, **options) as heard:
                    said = await heard.get_final_message()
            else:
                scene.provider.scripts["claude"] = says(whole_message(*blocks, stop="tool_use"))
                said = await client.messages.create(messages=turns, **options)
            assert [part.to_dict() for part in said.content] == blocks
            result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "rain"}
            turns += [{"role": "assistant", "content": said.content}, {"role": "user", "content": [result]}]
        scene.provider.scripts["claude"] = says(whole_message({"type": "text", "text": "done"}))
        await client.messages.create(messages=turns, **options)

    asked(scene, ask_twice)
    _, one, _, other, _ = scene.provider.body("claude")["messages"]
    assert one["content"] == other["content"] == blocks
    assert scene.provider.body("claude")["thinking"] == thinking


def test_the_key_stays_here_and_versions_and_previews_go_to_a_provider_of_this_dialect_alone(
    scene: Scene,
) -> None:
    scene.provider.scripts["claude"] = says(whole_message({"type": "text", "text": "ok"}))
    scene.provider.scripts["gpt"] = says(completion("ok"))

    async def main(client: anthropic.AsyncAnthropic) -> None:
        for model in ("m/claude", "m/gpt"):
            await client.beta.messages.create(
                model=model,
                max_tokens=9,
                messages=HI,
                betas=["context-1m-2025-08-07", "x-2026-01-01"],
                extra_headers={"anthropic-version": VERSION},
            )

    asked(scene, main)
    natively, otherwise = (scene.provider.requests[name][-1] for name in ("claude", "gpt"))
    assert natively.fields["anthropic-beta"] == "context-1m-2025-08-07,x-2026-01-01"
    assert natively.fields["anthropic-version"] == VERSION
    assert natively.fields["x-api-key"] == SECRET
    assert natively.line == "POST /claude/v1/messages HTTP/1.1"
    assert not {name for name in otherwise.fields if name.startswith(("anthropic", "x-"))}
    for request in (natively, otherwise):
        assert scene.gateway.key.encode() not in request.head + request.body


ONLY_CLAUDES: dict[str, tuple[dict[str, Any], str]] = {
    "a tool of Anthropic's": ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools.0.type"),
    "five stops": ({"stop_sequences": list("abcde")}, "stop_sequences"),
    "a document by its URL": (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "document", "source": {"type": "url", "url": "https://x.example/a.pdf"}}
                    ],
                }
            ]
        },
        "messages.0.content.0.source",
    ),
    "a block that is not known": (
        {"messages": [{"role": "user", "content": [{"type": "container_upload"}]}]},
        "messages.0.content.0.type",
    ),
    "filling a cache": ({"max_tokens": 0}, "max_tokens"),
}


@pytest.mark.parametrize("kind", ONLY_CLAUDES)
def test_what_only_claude_can_do_is_refused_by_name_or_done_by_the_claude_behind(
    kind: str, scene: Scene
) -> None:
    fields, param = ONLY_CLAUDES[kind]
    scene.provider.scripts["gpt"] = says(completion("never"))
    scene.provider.scripts["claude"] = says(whole_message({"type": "text", "text": "from Claude"}))
    before = len(scene.provider.requests["gpt"])

    async def main(client: anthropic.AsyncAnthropic) -> None:
        known: Any = {"max_tokens": 9, "messages": HI} | fields
        with pytest.raises(anthropic.BadRequestError) as refused:
            await client.messages.create(model="m/gpt", **known)
        body: Any = refused.value.body
        assert (body["error"]["type"], body["error"]["param"]) == ("invalid_request_error", param)
        assert param in body["error"]["message"]
        raw = await client.messages.with_raw_response.create(model="m/both", **known)
        assert raw.headers["x-deeptoken-channel"] == "anthropic"
        assert (await raw.parse()).content[0].to_dict() == {"type": "text", "text": "from Claude"}

    asked(scene, main)
    assert len(scene.provider.requests["gpt"]) == before
    sent = scene.provider.body("claude")
    assert {name: sent[name] for name in fields} == fields


def test_a_row_knows_the_providers_id_and_the_remap_is_nowhere(scene: Scene) -> None:
    refused = json.dumps(
        {"type": "error", "error": {"type": "invalid_request_error", "message": "hidden-claude"}}
    )

    async def main() -> None:
        scene.provider.scripts["claude"] = says(whole_message({"type": "text", "text": "ok"}))
        whole = await ask(scene, raw(FIELDS[1]))
        scene.provider.scripts["claude"] = says(message_events(text_block(0, "ok")))
        heard = await ask(scene, raw(FIELDS[1], b'"stream":true'))
        scene.provider.scripts["claude"] = says(answer(refused.encode(), JSON, status="400 Bad Request"))
        failed = await scene.gateway.ask(raw(FIELDS[1]), path="/v1/messages")
        assert failed.status == 400
        assert failed.error["message"] == "m/claude"
        for reply in (whole, heard, failed):
            assert b"hidden" not in reply.body
        for reply in (whole, heard):
            row = await row_of(scene.gateway, reply.headers["x-deeptoken-id"])
            assert (row.upstream_id, row.endpoint, row.model) == ("msg_up", "/v1/messages", "m/claude")

    scene.run(main)
