"""Random answers of every wire format, whole and as the bytes of a stream, with what hosts get wrong.

    openai_whole, openai_stream          hosts of OpenAI's dialect: keys left out, null, of a wrong type
    anthropic_, gemini_, bedrock_, cohere_   their own shapes, with blocks and ends that nobody knows yet

What says that the host gave up is not among them: an adapter refuses it, and that is tried elsewhere.
"""

import json
from typing import Any

import anthropic_events as claude
import bedrock_events as converse
import bedrock_scene
import cohere_scene as cohere
import gemini_scene as gemini
from hypothesis import strategies as st

Object = dict[str, Any]

ABSENT = object()
"""A key that is left out."""
texts = st.text(alphabet=st.sampled_from('ab "\\\n\u2028é😀{}'), max_size=4)
words = st.text(alphabet=st.sampled_from('ab "\\\n\u2028é😀{}'), min_size=1, max_size=4)
counts = st.integers(0, 9)


def one_of(*values: Any) -> st.SearchStrategy[Any]:
    """One of these; a strategy stands for what it draws."""
    return st.one_of([value if isinstance(value, st.SearchStrategy) else st.just(value) for value in values])


def made(draw: st.DrawFn, **fields: Any) -> Object:
    """An object of these fields, without those that are drawn as absent."""
    told = {
        name: draw(value) if isinstance(value, st.SearchStrategy) else value for name, value in fields.items()
    }
    return {name: value for name, value in told.items() if value is not ABSENT}


# OpenAI's dialect

REASONS = ("stop", "length", "tool_calls", "content_filter", "eos", "tool_use", "MAX_TOKENS", "end_turn", "")
OPENAI_USAGE = one_of(
    ABSENT,
    None,
    {},
    {"prompt_tokens": 5},
    {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
    {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7, "prompt_tokens_details": None},
    {"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": None}},
    {"prompt_tokens": 5, "completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 1}},
    {"prompt_tokens": "5", "completion_tokens": 2.5, "total_tokens": 7},
    {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 99, "cost": 0.5},
)
TOKEN = {"token": "a", "logprob": -1.5, "bytes": [97], "top_logprobs": []}
LOGPROBS = one_of(
    ABSENT, None, {"content": None, "refusal": None}, {"content": [TOKEN], "refusal": None}, {"content": []}
)
ARGUMENTS = one_of(ABSENT, None, "", "{}", '{"a": 1}', {"a": 1})


@st.composite
def openai_call(draw: st.DrawFn, number: int) -> Object:
    function = made(draw, name=f"f{number}", arguments=ARGUMENTS)
    id, kind = one_of(ABSENT, None, "", f"c{number}", 5), one_of(ABSENT, None, "function")
    return made(draw, index=one_of(ABSENT, number, str(number)), id=id, type=kind, function=function)


@st.composite
def openai_message(draw: st.DrawFn) -> Object:
    calls = [draw(openai_call(number)) for number in range(draw(st.integers(0, 2)))]
    parts = st.lists(st.builds(lambda text: {"type": "text", "text": text}, texts), max_size=2)
    citation = {"url": "http://a", "title": "A", "start_index": 0, "end_index": 1}
    return made(
        draw,
        role=one_of(ABSENT, None, "assistant", "model"),
        content=one_of(ABSENT, None, texts, parts, 5),
        refusal=one_of(ABSENT, None, words),
        reasoning=one_of(ABSENT, None, words),
        reasoning_content=one_of(ABSENT, None, words),
        tool_calls=calls or one_of(ABSENT, None, []),
        function_call=one_of(ABSENT, None),
        annotations=one_of(ABSENT, None, [], [{"type": "url_citation", "url_citation": citation}]),
        audio=one_of(ABSENT, None),
        own=one_of(ABSENT, {"a": [1e2]}),
    )


def openai_head(draw: st.DrawFn, kind: str) -> Object:
    return made(
        draw,
        id=one_of(ABSENT, None, "", "x1", 5),
        object=one_of(ABSENT, None, kind, "chat"),
        created=one_of(ABSENT, None, 5, 0, "5", 5.5),
        model=one_of(ABSENT, None, "hidden", 5),
        system_fingerprint=one_of(ABSENT, None, "fp"),
        service_tier=one_of(ABSENT, None, "default", "on_demand"),
    )


@st.composite
def openai_whole(draw: st.DrawFn) -> bytes:
    choices = [
        made(
            draw,
            index=one_of(ABSENT, number),
            message=draw(openai_message()),
            finish_reason=one_of(ABSENT, None, st.sampled_from(REASONS)),
            logprobs=LOGPROBS,
        )
        for number in range(draw(st.integers(1, 2)))
    ]
    head = openai_head(draw, "chat.completion")
    return json.dumps({**head, "choices": choices, **made(draw, usage=OPENAI_USAGE)}).encode()


@st.composite
def openai_deltas(draw: st.DrawFn) -> list[Any]:
    """What one choice says, delta by delta; a call's first delta has its name."""
    deltas: list[Any] = [draw(one_of({"role": "assistant", "content": ""}, {"role": "assistant"}, None, {}))]
    called = 0
    for _ in range(draw(st.integers(0, 5))):
        match draw(st.sampled_from(("content", "reasoning", "reasoning_content", "refusal", "call", "more"))):
            case "call":
                deltas.append({"tool_calls": [draw(openai_call(called))]})
                called += 1
            case "more" if called:
                told = made(draw, name=one_of(ABSENT, None, "", f"f{called - 1}"), arguments=texts)
                more = made(draw, index=called - 1, id=one_of(ABSENT, None, ""), function=told)
                deltas.append({"tool_calls": [more]})
            case "more":
                deltas.append(draw(one_of(None, {}, {"content": None}, {"tool_calls": None})))
            case name:
                deltas.append(made(draw, role=one_of(ABSENT, None, "assistant"), **{name: texts}))
    return deltas


@st.composite
def openai_stream(draw: st.DrawFn) -> bytes:
    head = openai_head(draw, "chat.completion.chunk")
    steps: list[tuple[int, Any, Any]] = []
    for number in range(draw(st.integers(1, 2))):
        steps += [(number, told, draw(one_of(ABSENT, None))) for told in draw(openai_deltas())]
        last = one_of(None, {}, {"content": ""}, {"content": "z"})
        steps.append((number, draw(last), draw(st.sampled_from(REASONS[:-1]))))
    chunks: list[Object] = [{**head, "choices": []}] if draw(st.booleans()) else []
    for number, told, reason in steps:
        choice = made(draw, index=number, delta=one_of(ABSENT, None) if told is None else told)
        choice |= made(draw, finish_reason=st.just(reason), logprobs=LOGPROBS)
        chunks.append({**head, "choices": [choice], **made(draw, usage=OPENAI_USAGE)})
    chunks += draw(
        st.lists(st.builds(lambda usage: {**head, "choices": [], "usage": usage}, counted), max_size=1)
    )
    ends = draw(st.sampled_from((b"", b"data: [DONE]\n\n")))
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + ends


counted = st.sampled_from(({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}, None))

# Anthropic's

STOPS = ("end_turn", "max_tokens", "tool_use", "stop_sequence", "refusal", "pause_turn", "tomorrow", None)
CLAUDE_USAGE = one_of(
    ABSENT, None, {}, {"input_tokens": 5}, {"input_tokens": 5, "output_tokens": 2}, {"input_tokens": "x"}
)


@st.composite
def claude_blocks(draw: st.DrawFn) -> list[Object]:
    blocks: list[Object] = []
    for number in range(draw(st.integers(0, 5))):
        match draw(st.sampled_from(("text", "thinking", "redacted_thinking", "tool_use", "tomorrow"))):
            case "text":
                blocks.append(made(draw, type="text", text=texts, citations=one_of(ABSENT, None, [])))
            case "thinking":
                blocks.append(
                    made(draw, type="thinking", thinking=texts, signature=one_of(ABSENT, "", words))
                )
            case "redacted_thinking":
                blocks.append({"type": "redacted_thinking", "data": draw(words)})
            case "tool_use":
                given = draw(one_of({}, {"a": [1.5]}))
                blocks.append({"type": "tool_use", "id": f"t{number}", "name": f"f{number}", "input": given})
            case _:
                blocks.append({"type": "tomorrow", "text": draw(texts)})
    return blocks


@st.composite
def anthropic_whole(draw: st.DrawFn) -> bytes:
    told = {"id": "msg_1", "type": "message", "role": "assistant", "content": draw(claude_blocks())}
    more = made(draw, model="hidden", stop_reason=st.sampled_from(STOPS), usage=CLAUDE_USAGE)
    return json.dumps({**told, **more}).encode()


@st.composite
def anthropic_stream(draw: st.DrawFn) -> bytes:
    events = [claude.started(**(draw(one_of({}, {"input_tokens": 5, "output_tokens": 1}))))]
    for index, block in enumerate(draw(claude_blocks())):
        if draw(st.booleans()):
            events.append({"type": "ping"})
        match block:
            case {"type": "text", "text": text}:
                events += [
                    claude.begin(index, type="text", text=""),
                    claude.delta(index, type="text_delta", text=text),
                ]
            case {"type": "thinking", "thinking": text, **rest}:
                events += [
                    claude.begin(index, type="thinking", thinking="", signature=""),
                    claude.delta(index, type="thinking_delta", thinking=text),
                    claude.delta(index, type="signature_delta", signature=rest.get("signature", "s")),
                ]
            case {"type": "tool_use", "input": given, **rest}:
                events.append(claude.begin(index, type="tool_use", input={}, **rest))
                for piece in draw(st.sampled_from(([], [json.dumps(given)], ["", json.dumps(given)]))):
                    events.append(claude.delta(index, type="input_json_delta", partial_json=piece))
            case _:
                events.append(claude.begin(index, **block))
        events.append(claude.stop(index))
    events.append(claude.told(draw(st.sampled_from(STOPS)), **draw(one_of({}, {"output_tokens": 2}))))
    return claude.events(*events, claude.END)


# Gemini's

GEMINI_ENDS = ("STOP", "MAX_TOKENS", "SAFETY", "MALFORMED_FUNCTION_CALL", "TOMORROW", 1, 2)


@st.composite
def gemini_parts(draw: st.DrawFn) -> list[Object]:
    parts: list[Object] = []
    signature = one_of(ABSENT, "Ci/+=")
    for number in range(draw(st.integers(0, 4))):
        match draw(st.sampled_from(("text", "thought", "call", "picture", "tomorrow"))):
            case "text":
                parts.append(made(draw, text=texts, thoughtSignature=signature))
            case "thought":
                parts.append(made(draw, text=texts, thought=True, thoughtSignature=signature))
            case "call":
                call = made(
                    draw,
                    name=f"f{number}",
                    id=one_of(ABSENT, f"c{number}"),
                    args=one_of(ABSENT, {}, {"a": 1}),
                )
                parts.append(made(draw, functionCall=call, thoughtSignature=signature))
            case "picture":
                parts.append({"inlineData": {"mimeType": "image/png", "data": gemini.PNG}})
            case _:
                parts.append({"executableCode": {"language": "PYTHON", "code": "1"}})
    return parts


@st.composite
def gemini_answer(draw: st.DrawFn, *, ended: bool) -> Object:
    chosen = {"chosenCandidates": [{"token": "a", "logProbability": -0.5}]}
    candidates = [
        made(
            draw,
            index=number if number else one_of(ABSENT, 0),
            content=one_of(ABSENT, {}, gemini_parts().map(lambda parts: {"role": "model", "parts": parts})),
            finishReason=st.sampled_from(GEMINI_ENDS) if ended else ABSENT,
            logprobsResult=one_of(ABSENT, chosen),
        )
        for number in range(draw(st.integers(1, 2)))
    ]
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 2, "thoughtsTokenCount": 1, "totalTokenCount": 8}
    return made(
        draw,
        candidates=candidates,
        usageMetadata=one_of(ABSENT, {}, usage, {"promptTokenCount": 5}),
        responseId=one_of(ABSENT, "r1"),
        modelVersion=one_of(ABSENT, "hidden"),
    )


gemini_whole = gemini_answer(ended=True).map(lambda told: json.dumps(told).encode())


@st.composite
def gemini_stream(draw: st.DrawFn) -> bytes:
    pieces = draw(st.lists(gemini_answer(ended=False), max_size=3))
    in_array = draw(st.booleans())
    last = draw(gemini_answer(ended=True))
    one = [{**piece, "candidates": piece["candidates"][: len(last["candidates"])]} for piece in pieces]
    return gemini.array(*one, last) if in_array else gemini.events(*one, last)


# Bedrock's

BEDROCK_STOPS = ("end_turn", "tool_use", "max_tokens", "guardrail_intervened", "content_filtered", "tomorrow")
BEDROCK_USAGE = {"inputTokens": 5, "outputTokens": 2, "totalTokens": 7}


@st.composite
def bedrock_blocks(draw: st.DrawFn) -> list[Object]:
    blocks: list[Object] = []
    for number in range(draw(st.integers(0, 4))):
        match draw(st.sampled_from(("text", "thought", "redacted", "call", "tomorrow"))):
            case "text":
                blocks.append({"text": draw(texts)})
            case "thought":
                told = made(draw, text=texts, signature=one_of(ABSENT, words))
                blocks.append({"reasoningContent": {"reasoningText": told}})
            case "redacted":
                blocks.append({"reasoningContent": {"redactedContent": "Um5iOVA="}})
            case "call":
                given = draw(one_of({}, {"a": 1}))
                blocks.append({"toolUse": {"toolUseId": f"t{number}", "name": f"f{number}", "input": given}})
            case _:
                blocks.append({"tomorrow": {"a": 1}})
    return blocks


@st.composite
def bedrock_whole(draw: st.DrawFn) -> bytes:
    reason = draw(st.sampled_from(BEDROCK_STOPS))
    usage = draw(one_of(BEDROCK_USAGE, {}, {"inputTokens": 5}))
    return bedrock_scene.answer(draw(bedrock_blocks()), stopReason=reason, usage=usage)


@st.composite
def bedrock_stream(draw: st.DrawFn) -> bytes:
    frames = [converse.STARTED]
    for index, block in enumerate(draw(bedrock_blocks())):
        match block:
            case {"toolUse": {"input": given, **rest}}:
                frames.append(converse.begin(index, toolUse=rest))
                if draw(st.booleans()):
                    frames.append(converse.delta(index, toolUse={"input": json.dumps(given)}))
            case {"reasoningContent": {"reasoningText": told}}:
                frames += [
                    converse.delta(index, reasoningContent={name: text}) for name, text in told.items()
                ]
            case _:
                frames.append(converse.delta(index, **block))
        frames.append(converse.stop(index))
    frames.append(converse.stopped(draw(st.sampled_from(BEDROCK_STOPS))))
    return b"".join(frames) + draw(st.sampled_from((b"", converse.told(**BEDROCK_USAGE))))


# Cohere's

COHERE_ENDS = ("COMPLETE", "STOP_SEQUENCE", "MAX_TOKENS", "TOOL_CALL", "TOMORROW")


@st.composite
def cohere_whole(draw: st.DrawFn) -> bytes:
    parts = one_of(
        texts.map(lambda text: {"type": "text", "text": text}),
        texts.map(lambda text: {"type": "thinking", "thinking": text}),
        {"type": "tomorrow"},
    )
    call = {
        "id": "c0",
        "type": "function",
        "function": made(draw, name="f0", arguments=one_of(ABSENT, None, "{}")),
    }
    citation = {"start": 0, "end": 1, "text": "a", "sources": []}
    message = made(
        draw,
        content=one_of(ABSENT, None, st.lists(parts, max_size=3)),
        tool_plan=one_of(ABSENT, None, texts),
        tool_calls=one_of(ABSENT, None, [], [call]),
        citations=one_of(ABSENT, None, [citation]),
    )
    more = made(
        draw,
        id=one_of(ABSENT, "c-1"),
        finish_reason=st.sampled_from(COHERE_ENDS),
        usage=one_of(None, {}, cohere.COUNTS),
        logprobs=one_of(ABSENT, None, [{"token_ids": [1], "text": "a", "logprobs": [-0.5]}]),
    )
    return cohere.answer(message, **more)


@st.composite
def cohere_stream(draw: st.DrawFn) -> bytes:
    events: list[Object] = [cohere.START]
    for index in range(draw(st.integers(0, 4))):
        match draw(st.sampled_from(("text", "thinking", "plan", "call", "tomorrow"))):
            case "plan":
                events.append(cohere.event("tool-plan-delta", tool_plan=draw(texts)))
            case "call":
                events += cohere.called(
                    index, f"c{index}", f"f{index}", *draw(st.sampled_from(([], ["{", "}"])))
                )
            case "tomorrow":
                events.append({"type": "tomorrow", "index": index})
            case kind:
                begun: Object = {"type": kind, kind: ""}
                events += [
                    cohere.event("content-start", index, content=begun),
                    cohere.event("content-delta", index, content={kind: draw(texts)}),
                    cohere.event("content-end", index),
                ]
    return cohere.events(*events, cohere.ended(draw(st.sampled_from(COHERE_ENDS))))
