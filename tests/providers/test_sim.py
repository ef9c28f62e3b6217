"""What sim says, is what OpenAI's own client reads."""

import math
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has none
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from deeptoken.providers import sim, sim_tasks
from deeptoken.providers.sim import Played
from deeptoken.wire.chat import read

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"enum": ["New York"]}, "days": {"type": "integer", "minimum": 1}},
            "required": ["city", "days"],
        },
    },
}
CLOCK = {"type": "function", "function": {"name": "clock"}}


def played(
    model: str = "text",
    content: Any = "hello there",
    *,
    stream: bool = False,
    limit: int | None = None,
    options: Mapping[str, float] | None = None,
    messages: list[dict[str, Any]] | None = None,
    **fields: Any,
) -> Played:
    body = {"model": "m", "messages": messages or [{"role": "user", "content": content}]} | fields
    chat = read(msgspec.json.encode(body))
    return sim.play(
        chat, model, stream=stream, limit=limit, options=options or {}, id="chatcmpl-1", created=1_700_000_000
    )


def whole(answer: Played) -> ChatCompletion:
    [step] = answer.steps
    assert answer.headers == {"content-type": "application/json"}
    return ChatCompletion.model_validate_json(step.data)


def chunks(answer: Played) -> list[ChatCompletionChunk]:
    events = b"".join(step.data for step in answer.steps).split(b"\n\n")
    assert events[-1] == b""
    datas = [event.removeprefix(b"data: ") for event in events[:-1]]
    if datas[-1] == b"[DONE]":
        datas.pop()
    return [ChatCompletionChunk.model_validate_json(data) for data in datas]


def said(answer: Played) -> str:
    return whole(answer).choices[0].message.content or ""


def test_text_is_twenty_to_sixty_words_and_tells_what_it_used() -> None:
    for number in range(100):
        answer = whole(played("text", f"question {number}"))

        words = (answer.choices[0].message.content or "").split()
        assert 20 <= len(words) <= 60
        assert answer.choices[0].finish_reason == "stop"
        assert answer.usage is not None
        assert answer.usage.prompt_tokens == 2
        assert answer.usage.completion_tokens == len(words)
        assert answer.usage.total_tokens == 2 + len(words)


def test_text_is_a_function_of_model_messages_and_seed() -> None:
    same = [said(played("text", "a")), said(played("sim/text", "a")), said(played("text", "a", user="u"))]
    others = [said(played("slow", "a")), said(played("text", "b")), said(played("text", "a", seed=1))]

    assert len(set(same)) == 1
    assert len({same[0], *others}) == 4


def test_the_words_are_always_the_same() -> None:
    text = said(played("text", "hello"))

    assert text.startswith("Morning think under too")


def test_a_stream_says_what_the_whole_answer_says_a_word_a_chunk() -> None:
    answer = whole(played("text", "hello"))
    first, *words, last, usage = chunks(played("text", "hello", stream=True))

    assert first.choices[0].delta.role == "assistant"
    assert first.choices[0].delta.content == ""
    assert all(len((chunk.choices[0].delta.content or "").split()) == 1 for chunk in words)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in words)
    assert text == answer.choices[0].message.content
    assert last.choices[0].finish_reason == "stop"
    assert last.choices[0].delta.content is None
    assert usage.choices == []
    assert usage.usage == answer.usage
    assert {chunk.id for chunk in (first, *words, last, usage)} == {"chatcmpl-1"}


def test_a_stream_ends_with_done() -> None:
    *_, last = played(stream=True).steps

    assert last.data.endswith(b"\n\ndata: [DONE]\n\n")


@pytest.mark.parametrize("text", ["one", " two\n\nwords  ", "", "  ", "tabs\tand ünïcode 💡 end"])
def test_echo_says_the_last_user_message_to_the_letter(text: str) -> None:
    messages = [
        {"role": "user", "content": "first"},
        {"role": "user", "content": text},
        {"role": "assistant", "content": "no"},
    ]

    answer, streamed = (played("echo", messages=messages, stream=stream) for stream in (False, True))

    expected = text if text.strip() else ""
    assert said(answer) == expected
    assert "".join(c.choices[0].delta.content or "" for c in chunks(streamed) if c.choices) == expected


def test_words_of_all_messages_and_parts_are_the_prompt() -> None:
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "one two three"}, {"type": "x", "y": 1}]},
    ]

    answer, nothing = whole(played(messages=messages)), whole(played("echo", ""))

    assert answer.usage is not None
    assert nothing.usage is not None
    assert answer.usage.prompt_tokens == 5
    assert nothing.usage.prompt_tokens == 1


@pytest.mark.parametrize(
    ("limit", "fields", "text", "finish"),
    [
        (2, {}, "a b", "length"),
        (None, {"max_tokens": 3}, "a b c", "length"),
        (None, {"max_completion_tokens": 1, "max_tokens": 3}, "a", "length"),
        (2, {"max_tokens": 3}, "a b", "length"),
        (4, {}, "a b c d", "stop"),
        (9, {}, "a b c d", "stop"),
        (None, {"stop": "c"}, "a b ", "stop"),
        (None, {"stop": ["x", "d", " b"]}, "a", "stop"),
        (2, {"stop": "c"}, "a b", "length"),
        (3, {"stop": "c"}, "a b ", "stop"),
        (None, {"stop": "a"}, "", "stop"),
    ],
)
def test_limits_and_stops_cut(limit: int | None, fields: dict[str, Any], text: str, finish: str) -> None:
    answer = whole(played("echo", "a b c d", limit=limit, **fields))

    assert answer.choices[0].message.content == text
    assert answer.choices[0].finish_reason == finish
    assert answer.usage is not None
    assert answer.usage.completion_tokens == len(text.split())


def test_each_of_n_choices_says_something_else_and_all_are_counted() -> None:
    answer = whole(played("text", n=3))
    parts = chunks(played("text", n=3, stream=True))

    texts = [choice.message.content or "" for choice in answer.choices]
    streamed = ["", "", ""]
    finished = []
    for choice in (choice for chunk in parts for choice in chunk.choices):
        streamed[choice.index] += choice.delta.content or ""
        finished += [choice.index] if choice.finish_reason else []
    assert len(set(texts)) == 3
    assert streamed == texts
    assert finished == [0, 1, 2]
    assert answer.usage is not None
    assert answer.usage.completion_tokens == sum(len(text.split()) for text in texts)


@pytest.mark.parametrize(
    ("content", "choice", "called"),
    [
        ("hi", {"type": "function", "function": {"name": "clock"}}, "clock"),
        ("hi", "required", "get_weather"),
        ("clock please", "required", "clock"),
        ("what does get_weather say?", "auto", "get_weather"),
        ("ask get_weather and clock", None, "get_weather"),
        ("ask get_weather", "none", None),
        ("ask get_weather_now and aclock", "auto", None),
        ("hi", None, None),
        ("get_weather", {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [CLOCK]}}, None),
        ("x", {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [CLOCK]}}, "clock"),
    ],
)
def test_the_tool_that_is_asked_for_is_called(content: str, choice: Any, called: str | None) -> None:
    answer = whole(played("text", content, tools=[WEATHER, CLOCK], tool_choice=choice))

    message = answer.choices[0].message
    if called is None:
        assert message.tool_calls is None
        assert message.content
        return
    assert message.content is None
    assert answer.choices[0].finish_reason == "tool_calls"
    assert message.tool_calls is not None
    assert [call.function.name for call in message.tool_calls if call.type == "function"] == [called]


def test_arguments_fit_the_schema_whole_and_streamed() -> None:
    answer = whole(played("text", "get_weather", tools=[WEATHER]))
    first, *rest = chunks(played("text", "get_weather", tools=[WEATHER], stream=True))

    calls = answer.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].type == "function"
    arguments = calls[0].function.arguments
    assert Draft202012Validator(WEATHER["function"]["parameters"]).is_valid(  # type: ignore[index]  # JSON
        msgspec.json.decode(arguments)
    )
    opened = first.choices[0].delta.tool_calls
    assert opened is not None
    assert opened[0].function is not None
    assert (opened[0].id, opened[0].function.name) == (calls[0].id, "get_weather")
    deltas = [c.choices[0].delta.tool_calls for c in rest if c.choices and c.choices[0].delta.tool_calls]
    functions = [delta[0].function for delta in deltas if delta and delta[0].id is None]
    assert "".join(function.arguments or "" for function in functions if function) == arguments
    assert answer.usage is not None
    assert answer.usage.completion_tokens == len(functions) == 2


def test_a_tool_that_has_answered_is_not_called_again() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "clock", "arguments": "{}"}}
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "ask clock"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "noon"},
    ]

    answer = whole(played("text", messages=messages, tools=[CLOCK]))

    assert answer.choices[0].message.tool_calls is None


def test_arguments_longer_than_the_limit_are_cut() -> None:
    answer = whole(played("text", "get_weather", tools=[WEATHER], limit=1))

    assert answer.choices[0].finish_reason == "length"


def test_structured_answers_fit_their_schema() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}

    answers = [
        said(played("text", response_format=wanted))
        for wanted in (form, {"type": "json_object"}, {"type": "text"})
    ]

    assert answers[0] == '{"n":0}'
    assert answers[1] == "{}"
    assert len(answers[2].split()) >= 20


def test_slow_waits_before_the_first_word_and_between_words() -> None:
    _, first, second, third, *_ = (step.wait_s for step in played("slow", stream=True).steps)
    [step] = played("slow", limit=5).steps

    assert (first, second, third) == (0.5, 0.05, 0.05)
    assert math.isclose(step.wait_s, 0.5 + 4 * 0.05)


def test_a_channel_sets_delay_and_pace() -> None:
    options = {"delay": 2, "pace": 4}

    waits = [step.wait_s for step in played("echo", "a b c", stream=True, options=options).steps]
    choices = [step.wait_s for step in played("echo", "a b", n=2, stream=True, options=options).steps]
    hurried = [step.wait_s for step in played("slow", stream=True, options={"delay": 0, "pace": 0}).steps]
    [refused] = played("error-500", options=options).steps

    assert waits == [0, 2, 0.25, 0.25, 0, 0]
    assert choices == [0, 2, 0, 0.25, 0, 0, 0, 0]
    assert set(hurried) == {0}
    assert refused.wait_s == 2


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("model", "status", "retry_after", "code"),
    [
        ("error-503", 503, None, None),
        ("sim/error-429-30", 429, "30", "rate_limit_exceeded"),
        ("error-401", 401, None, "invalid_api_key"),
        ("nothing", 404, None, "model_not_found"),
        ("error-200", 404, None, "model_not_found"),
        ("error-5033", 404, None, "model_not_found"),
    ],
)
def test_errors_have_their_status_and_openais_body(
    model: str, status: int, retry_after: str | None, code: str | None, stream: bool
) -> None:
    answer = played(model, stream=stream)

    [step] = answer.steps
    error = msgspec.json.decode(step.data)["error"]
    assert answer.status == status
    assert answer.headers.get("retry-after") == retry_after
    assert error["code"] == code
    assert error["message"]
    assert set(error) == {"message", "type", "param", "code"}
    assert not answer.breaks


@pytest.mark.parametrize("stream", [False, True])
def test_empty_breaks_and_stall_stalls_without_a_byte(stream: bool) -> None:
    empty, stall = played("empty", stream=stream), played("stall", stream=stream)

    assert (list(empty.steps), empty.breaks, empty.stalls) == ([], True, False)
    assert (list(stall.steps), stall.breaks, stall.stalls) == ([], False, True)


def test_cut_breaks_off_after_five_words() -> None:
    streamed, answer = played("cut", stream=True), played("cut")

    parts = chunks(streamed)
    [step] = answer.steps
    words = "".join(chunk.choices[0].delta.content or "" for chunk in parts).split()
    assert streamed.breaks
    assert len(words) == 5
    assert all(chunk.choices[0].finish_reason is None for chunk in parts)
    assert answer.breaks
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(step.data)


def test_an_embedding_is_a_unit_vector_of_its_text() -> None:
    vector, again, other = sim_tasks.embedding("a"), sim_tasks.embedding("a"), sim_tasks.embedding("b")

    assert math.isclose(math.hypot(*vector), 1)
    assert vector == again != other
    assert len(vector) == 256
    assert [len(sim_tasks.embedding("a", size)) for size in (1, 1536)] == [1, 1536]
