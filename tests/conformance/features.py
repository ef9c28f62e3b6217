"""What a caller may ask, in each dialect, and by what one sees that it reaches a provider.

`docs/compatibility.md` is made of this table, and the tests are. A dialect more is an entry in `DIALECTS` and
a field in each row that it has.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from deeptoken.wire import chat, messages
from deeptoken.wire.chat import Chat

HI = {"role": "user", "content": "Hi"}
PICTURE, SOUND, PDF, TEXT = "UElDVFVSRQ==", "U09VTkQ=", "JVBERi0xLjQK", "bm90ZXM="
LINK, DOCUMENT = "https://x.example/mark.png", "https://x.example/mark.pdf"
PARAMETERS = {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}
SCHEMA = {
    "type": "object",
    "properties": {"schema_mark": {"type": "string"}},
    "required": ["schema_mark"],
    "additionalProperties": False,
}
Fields = dict[str, Any]


class Dialect(NamedTuple):
    """How a call comes in."""

    path: str
    read: Callable[[bytes], Chat]
    body: Fields
    """A call without any of the features."""


DIALECTS = {
    "chat": Dialect("/v1/chat/completions", chat.read, {"model": "m", "messages": [HI]}),
    "messages": Dialect("/v1/messages", messages.read, {"model": "m", "max_tokens": 3_000, "messages": [HI]}),
}


class Feature(NamedTuple):
    """A wish: its fields in each dialect that has it, and the words of which one must reach the provider.

    Without marks it is kept where the request becomes another than that `beside` it. `implied`: what is not
    said means just that.
    """

    name: str
    fields: dict[str, Fields]
    marks: tuple[str, ...] = ()
    beside: dict[str, Fields] = {}
    implied: bool = False


def said(*parts: Fields) -> Fields:
    return {"messages": [{"role": "user", "content": [*parts, {"type": "text", "text": "See?"}]}]}


def tool(**more: Any) -> Fields:
    function = {"name": "tool_mark", "description": "Looks.", "parameters": PARAMETERS}
    return {"tools": [{"type": "function", "function": {**function, **more}}]}


def claude_tool(**more: Any) -> Fields:
    return {"tools": [{"name": "tool_mark", "description": "Looks.", "input_schema": PARAMETERS, **more}]}


def source(kind: str, media: str, data: str) -> Fields:
    return {"type": kind, "source": {"type": "base64", "media_type": media, "data": data}}


def result(content: Any, **more: Any) -> dict[str, Fields]:
    """A call and its result, in both dialects."""
    call = {
        "id": "call_mark",
        "type": "function",
        "function": {"name": "tool_mark", "arguments": '{"place": "here"}'},
    }
    use = {"type": "tool_use", "id": "call_mark", "name": "tool_mark", "input": {"place": "here"}}
    told = {"type": "tool_result", "tool_use_id": "call_mark", "content": content, **more}
    turns = [HI, {"role": "assistant", "content": [use]}, {"role": "user", "content": [told]}]
    made = {"messages": {"messages": turns, **claude_tool()}}
    if isinstance(content, str) and not more:
        answer = {"role": "tool", "tool_call_id": "call_mark", "content": content}
        assistant = {"role": "assistant", "content": None, "tool_calls": [call]}
        made["chat"] = {"messages": [HI, assistant, answer], **tool()}
    return made


def both(**fields: Any) -> dict[str, Fields]:
    return {"chat": fields, "messages": fields}


TOOLS: dict[str, Fields] = {"chat": tool(), "messages": claude_tool()}
PROMPTS = (
    Feature(
        "System prompt",
        {
            "chat": {"messages": [{"role": "system", "content": "SYSTEM-MARK"}, HI]},
            "messages": {"system": "SYSTEM-MARK"},
        },
        ("SYSTEM-MARK",),
    ),
    Feature(
        "Message of a developer",
        {"chat": {"messages": [{"role": "developer", "content": "SYSTEM-MARK"}, HI]}},
        ("SYSTEM-MARK",),
    ),
    Feature(
        "Beginning of the answer",
        both(messages=[HI, {"role": "assistant", "content": "PREFILL-MARK"}]),
        ("PREFILL-MARK",),
    ),
    Feature(
        "Image by data",
        {
            "chat": said({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}}),
            "messages": said(source("image", "image/png", PICTURE)),
        },
        (PICTURE,),
    ),
    Feature(
        "Image by URL",
        {
            "chat": said({"type": "image_url", "image_url": {"url": LINK}}),
            "messages": said({"type": "image", "source": {"type": "url", "url": LINK}}),
        },
        (LINK,),
    ),
    Feature(
        "Audio",
        {"chat": said({"type": "input_audio", "input_audio": {"data": SOUND, "format": "wav"}})},
        (SOUND,),
    ),
    Feature(
        "PDF by data",
        {
            "chat": said(
                {
                    "type": "file",
                    "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"},
                }
            ),
            "messages": said(source("document", "application/pdf", PDF)),
        },
        (PDF,),
    ),
    Feature(
        "PDF by URL",
        {"messages": said({"type": "document", "source": {"type": "url", "url": DOCUMENT}})},
        (DOCUMENT,),
    ),
    Feature(
        "Document of text",
        {
            "messages": said(
                {
                    "type": "document",
                    "source": {"type": "text", "media_type": "text/plain", "data": "notes"},
                }
            )
        },
        ("notes", TEXT),
    ),
    Feature(
        "Search result",
        {
            "messages": said(
                {
                    "type": "search_result",
                    "source": "https://x.example",
                    "title": "RESULT-MARK",
                    "content": [{"type": "text", "text": "found"}],
                }
            )
        },
        ("RESULT-MARK",),
    ),
    Feature(
        "Cache marker",
        both(**said({"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}})),
        ("cache_control", "cachePoint"),
        both(**said({"type": "text", "text": "long"})),
    ),
)
TOOL_FEATURES = (
    Feature("Tools", TOOLS, ("tool_mark",)),
    Feature(
        "Tools with a strict schema",
        {
            "chat": tool(strict=True, parameters=SCHEMA),
            "messages": claude_tool(strict=True, input_schema=SCHEMA),
        },
        beside={"chat": tool(parameters=SCHEMA), "messages": claude_tool(input_schema=SCHEMA)},
    ),
    Feature(
        "Tool choice: auto",
        {
            "chat": tool() | {"tool_choice": "auto"},
            "messages": claude_tool() | {"tool_choice": {"type": "auto"}},
        },
        implied=True,
    ),
    Feature(
        "Tool choice: none",
        {
            "chat": tool() | {"tool_choice": "none"},
            "messages": claude_tool() | {"tool_choice": {"type": "none"}},
        },
        beside=TOOLS,
    ),
    Feature(
        "Tool choice: any",
        {
            "chat": tool() | {"tool_choice": "required"},
            "messages": claude_tool() | {"tool_choice": {"type": "any"}},
        },
        beside=TOOLS,
    ),
    Feature(
        "Tool choice: one by name",
        {
            "chat": tool() | {"tool_choice": {"type": "function", "function": {"name": "tool_mark"}}},
            "messages": claude_tool() | {"tool_choice": {"type": "tool", "name": "tool_mark"}},
        },
        beside=TOOLS,
    ),
    Feature(
        "One call at a time",
        {
            "chat": tool() | {"parallel_tool_calls": False},
            "messages": claude_tool() | {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        },
        ('"parallel_tool_calls": false', '"disable_parallel_tool_use": true'),
        beside=TOOLS,
    ),
    Feature("Result of a tool", result("RESULT-MARK"), ("RESULT-MARK",)),
    Feature("Result with an image", result([source("image", "image/png", PICTURE)]), (PICTURE,)),
    Feature("Result that is an error", result("RESULT-MARK", is_error=True), beside=result("RESULT-MARK")),
    Feature(
        "Tools that Anthropic defines",
        {"messages": {"tools": [{"type": "bash_20250124", "name": "bash"}]}},
        ("bash_20250124",),
    ),
    Feature(
        "`functions`, the older form",
        {"chat": {"functions": [{"name": "tool_mark", "parameters": PARAMETERS}]}},
        ("tool_mark",),
    ),
)
PARAMETERS_OF_A_CALL = (
    Feature("JSON mode", {"chat": {"response_format": {"type": "json_object"}}}),
    Feature(
        "JSON schema",
        {
            "chat": {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
                }
            },
            "messages": {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        },
        ("schema_mark",),
    ),
    Feature("`max_tokens`", both(max_tokens=1_234), ("1234",)),
    Feature("`max_completion_tokens`", {"chat": {"max_completion_tokens": 1_234}}, ("1234",)),
    Feature(
        "Stop sequences",
        {"chat": {"stop": ["STOP-MARK"]}, "messages": {"stop_sequences": ["STOP-MARK"]}},
        ("STOP-MARK",),
    ),
    Feature(
        "More than four of them",
        {"messages": {"stop_sequences": ["a", "b", "c", "d", "STOP-MARK"]}},
        ("STOP-MARK",),
    ),
    Feature("`temperature`", both(temperature=0.37), ("0.37",)),
    Feature("`temperature` above 1", {"chat": {"temperature": 1.37}}, ('"temperature": 1',)),
    Feature("`top_p`", both(top_p=0.83), ("0.83",)),
    Feature("`top_k`", both(top_k=37), (": 37",)),
    Feature(
        "Reasoning effort",
        {"chat": {"reasoning_effort": "high"}, "messages": {"output_config": {"effort": "high"}}},
    ),
    Feature(
        "Thinking with a budget", {"messages": {"thinking": {"type": "enabled", "budget_tokens": 1_024}}}
    ),
    Feature("Several answers (`n`)", {"chat": {"n": 2}}, ('"n": 2', '"candidateCount": 2')),
    Feature("`logprobs`", {"chat": {"logprobs": True}}, ('"logprobs": true', '"responseLogprobs": true')),
    Feature("`top_logprobs`", {"chat": {"logprobs": True, "top_logprobs": 3}}, (": 3",)),
    Feature("`seed`", {"chat": {"seed": 4_711}}, ("4711",)),
    Feature("Penalties", {"chat": {"presence_penalty": 0.37}}, ("0.37",)),
    Feature("`logit_bias`", {"chat": {"logit_bias": {"4711": 3}}}, ("4711",)),
    Feature(
        "User's id",
        {"chat": {"user": "user-mark"}, "messages": {"metadata": {"user_id": "user-mark"}}},
        ("user-mark",),
    ),
    Feature(
        "Spoken answer",
        {"chat": {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}},
        ("alloy",),
    ),
    Feature("Fields that nobody here knows", both(x_tomorrow="FIELD-MARK"), ("FIELD-MARK",)),
)
GROUPS = {"Prompt": PROMPTS, "Tools": TOOL_FEATURES, "Parameters": PARAMETERS_OF_A_CALL}
