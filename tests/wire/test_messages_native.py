"""A call for a provider of its own dialect: byte for byte, but for what must not go on."""

import json
from typing import Any

import pytest
from hypothesis import given

from claude_client import HI, TOOL, asked
from claude_conversations import calls
from deeptoken.errors import BadRequest
from deeptoken.wire.chat import Native
from deeptoken.wire.messages import read

CALL = {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1}}
SIGNED = {"type": "thinking", "thinking": "Hm.", "signature": "Eq+/="}
UNSIGNED = {"type": "thinking", "thinking": "Let me think", "signature": ""}
SEALED = {"type": "redacted_thinking", "data": "deeptoken:e30="}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "3"}]}


def native(body: bytes, **headers: str) -> Native:
    told = read(body, {name.replace("_", "-"): value for name, value in headers.items()}).native
    assert told is not None
    return told


def said(*turns: dict[str, Any], **fields: Any) -> Any:
    return json.loads(bytes(native(asked(*turns, **fields)).fields["messages"]))


def test_every_field_goes_on_as_it_was_written_known_or_not() -> None:
    body = (
        b'{"model": "m", "max_tokens":9 ,"messages":[ {"role":"user","content":"\\u00fc"}],'
        b' "temperature": 1.0, "tomorrow": {"x" : 1}, "max_cost_usd": 1, "system": null}'
    )

    told = native(body)

    assert told.dialect == "messages"
    assert {name: bytes(raw) for name, raw in told.fields.items()} == {
        "max_tokens": b"9",
        "messages": b'[ {"role":"user","content":"\\u00fc"}]',
        "temperature": b"1.0",
        "tomorrow": b'{"x" : 1}',
    }


@given(calls())
def test_whatever_claude_signed_goes_on_unchanged(body: dict[str, Any]) -> None:
    told = native(json.dumps(body).encode())

    assert {name: json.loads(bytes(raw)) for name, raw in told.fields.items()} == {
        name: value for name, value in body.items() if name != "model"
    }


def test_the_version_and_the_previews_go_on() -> None:
    told = native(asked(HI), anthropic_version="2026-10-21", anthropic_beta=" a-1, b-2 ,")

    assert told.headers == (("anthropic-version", "2026-10-21"), ("anthropic-beta", "a-1,b-2"))
    assert native(asked(HI)).headers == ()


@pytest.mark.parametrize(
    "headers",
    [
        {"anthropic_version": "latest"},
        {"anthropic_version": "2023-06-01\r\nx: y"},
        {"anthropic_beta": "a b"},
        {"anthropic_beta": "ü"},
        {"anthropic_beta": ",".join(f"b-{i}" for i in range(33))},
    ],
)
def test_a_version_or_preview_that_is_no_name_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(BadRequest) as refused:
        native(asked(HI), **headers)

    assert refused.value.param == next(iter(headers)).replace("_", "-")


def test_thinking_of_other_providers_does_not_reach_claude() -> None:
    sealed = UNSIGNED | {"signature": "deeptoken:eyJmb3JtYXQiOiJ4In0="}

    turns = said(
        HI,
        {"role": "assistant", "content": [SIGNED, UNSIGNED, sealed, SEALED, CALL]},
        RESULT,
        {"role": "assistant", "content": [UNSIGNED]},
        HI,
    )

    assert turns == [HI, {"role": "assistant", "content": [SIGNED, CALL]}, RESULT, HI]


def test_ids_of_other_providers_are_made_fit() -> None:
    turns = said(
        HI,
        {"role": "assistant", "content": [CALL | {"id": "functions.add:0"}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "functions.add:0"}]},
    )

    assert turns[1]["content"][0]["id"] == "functions_add_0"
    assert turns[2]["content"][0]["tool_use_id"] == "functions_add_0"


@pytest.mark.parametrize(
    ("began", "thinking", "thinks"),
    [
        ([UNSIGNED, CALL], {"type": "enabled", "budget_tokens": 2000}, False),
        ([SIGNED, UNSIGNED, CALL], {"type": "enabled", "budget_tokens": 2000}, True),
        ([UNSIGNED, CALL], {"type": "adaptive"}, True),
    ],
)
def test_in_a_loop_that_another_provider_began_claude_does_not_have_to_think(
    began: list[dict[str, Any]], thinking: dict[str, Any], thinks: bool
) -> None:
    told = native(asked(HI, {"role": "assistant", "content": began}, RESULT, thinking=thinking))

    assert ("thinking" in told.fields) is thinks


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, None),
        ({"tools": [TOOL | {"type": "custom"}]}, None),
        ({"tools": [TOOL, {"type": "bash_20250124", "name": "bash"}]}, "tools.1.type"),
        ({"tools": [{"type": "web_fetch_20260318", "name": "web_fetch"}]}, "tools.0.type"),
        ({"max_tokens": 0}, "max_tokens"),
        (
            {
                "messages": [
                    HI,
                    {"role": "assistant", "content": [{"type": "server_tool_use", "id": "s", "input": {}}]},
                ]
            },
            "messages.1.content.0.type",
        ),
    ],
)
def test_what_no_other_dialect_can_carry_is_known(fields: dict[str, Any], param: str | None) -> None:
    told = native(asked(**fields))

    assert (told.only.param if told.only else None) == param
