"""Marks for the cache, as Converse has them."""

from typing import Any

import pytest
from bedrock_scene import ADD, CALL, CLAUDE, GPT, HI, LLAMA, NOVA, NOVA_2, PROFILE, RESULT, candidate, sent

SHORT, LONG = {"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}


def marked(mark: dict[str, str], model: str = CLAUDE, **options: Any) -> dict[str, Any]:
    text = {"type": "text", "text": "x", "cache_control": mark}
    return sent(
        {"role": "system", "content": [text]},
        {"role": "user", "content": [text, {"type": "text", "text": "y"}]},
        {"role": "assistant", "content": [text], "tool_calls": [CALL]},
        RESULT | {"content": [text]},
        tools=[ADD],
        model=model,
        **options,
    )


def test_a_mark_for_the_cache_is_a_block_behind_what_is_marked() -> None:
    body = marked(SHORT)

    point = {"cachePoint": {"type": "default"}}
    assert body["system"] == [{"text": "x"}, point]
    assert body["messages"][0]["content"] == [{"text": "x"}, point, {"text": "y"}]
    assert body["messages"][1]["content"][:2] == [{"text": "x"}, point]
    assert "toolUse" in body["messages"][1]["content"][2]
    assert body["messages"][2]["content"] == [
        {"toolResult": {"toolUseId": "tooluse_1", "content": [{"text": "x"}]}},
        point,
    ]


@pytest.mark.parametrize("model", [CLAUDE, NOVA, LLAMA])
def test_calls_and_results_have_marks_of_their_own(model: str) -> None:
    text = {"type": "text", "text": "x", "cache_control": SHORT}

    said = sent(
        HI,
        {"role": "assistant", "tool_calls": [CALL | {"cache_control": SHORT}, CALL | {"id": "b"}]},
        RESULT | {"cache_control": SHORT},
        RESULT | {"tool_call_id": "b", "content": [text], "cache_control": SHORT},
        tools=[ADD],
        model=model,
    )["messages"]

    point = [] if model == LLAMA else ["cachePoint"]
    assert [next(iter(block)) for block in said[1]["content"]] == ["toolUse", *point, "toolUse"]
    assert [next(iter(block)) for block in said[2]["content"]] == ["toolResult", *point, "toolResult", *point]


@pytest.mark.parametrize(
    ("model", "mark", "point"),
    [
        (CLAUDE, LONG, {"type": "default", "ttl": "1h"}),
        (CLAUDE, SHORT | {"ttl": "5m"}, {"type": "default", "ttl": "5m"}),
        (CLAUDE, SHORT | {"ttl": "9d"}, {"type": "default"}),
        (NOVA, LONG, {"type": "default"}),
        (NOVA_2, SHORT | {"ttl": "5m"}, {"type": "default", "ttl": "5m"}),
        (PROFILE, LONG, {"type": "default", "ttl": "1h"}),
        (LLAMA, LONG, None),
        (GPT, LONG, None),
    ],
)
def test_a_mark_says_what_the_model_understands(
    model: str, mark: dict[str, str], point: dict[str, str] | None
) -> None:
    body = marked(mark, at=candidate(model, id="acme/any"))

    assert body["system"][1:] == ([{"cachePoint": point}] if point else [])
