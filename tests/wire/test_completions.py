"""Legacy completions: a prompt read as a chat, a chat's answer told as text."""

import json
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import Completion

from deeptoken.errors import BadRequest, UpstreamRefused
from deeptoken.wire.chat import Chat
from deeptoken.wire.choice import FIELDS
from deeptoken.wire.completion import Assembler
from deeptoken.wire.completions import Joined, Texts, read, refuse_beyond, rename

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def asked(prompt: Any = "Once", **fields: Any) -> Chat:
    return read(json.dumps({"model": "acme/one", "prompt": prompt, **fields}).encode())


def fields(**told: Any) -> dict[str, Any]:
    return {name: json.loads(bytes(raw)) for name, raw in asked(**told).fields.items()}


def completion(*texts: str | None, finish: str = "stop", **choice: Any) -> dict[str, Any]:
    choices = [
        {
            "index": at,
            "message": {"role": "assistant", "content": text, "refusal": None},
            "logprobs": None,
            "finish_reason": finish,
            **choice,
        }
        for at, text in enumerate(texts)
    ]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 5,
        "model": "acme/one",
        "choices": choices,
    }


def chunk(delta: dict[str, Any], finish: str | None = None, index: int = 0, **choice: Any) -> bytes:
    told = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish, **choice}
    whole = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 5, "model": "acme/one"}
    return json.dumps({**whole, "choices": [told]}).encode()


def whole(answer: dict[str, Any], **told: Any) -> Any:
    return json.loads(json.dumps(_plain(Texts(asked(**told)).whole(answer))))


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    """The same with its raw JSON read."""
    return {
        name: json.loads(bytes(value)) if not isinstance(value, str | int | list) else value
        for name, value in fields.items()
    }


def test_a_prompt_is_the_user_s_message() -> None:
    assert fields() == {"messages": [{"role": "user", "content": "Once"}], "max_tokens": 16}
    assert fields(prompt=["Once"])["messages"] == [{"role": "user", "content": "Once"}]


def test_options_have_the_chat_s_names_and_the_rest_goes_on() -> None:
    told = fields(
        max_tokens=9, logprobs=2, n=3, echo=True, best_of=3, stop=["a"], seed=1, logit_bias={"1": 2}
    )

    del told["messages"]
    assert told == {
        "max_tokens": 9,
        "logprobs": True,
        "top_logprobs": 2,
        "n": 3,
        "stop": ["a"],
        "seed": 1,
        "logit_bias": {"1": 2},
    }
    assert "top_logprobs" not in fields(logprobs=0)


def test_what_came_is_kept_for_a_host_of_the_dialect() -> None:
    chat = read(b'{"model":"m","prompt":[1, 2],"suffix":"end","usage":{"include":true},"user":null}')

    assert chat.native is not None
    assert {name: bytes(raw) for name, raw in chat.native.fields.items()} == {
        "model": b'"m"',
        "prompt": b"[1, 2]",
        "suffix": b'"end"',
    }
    assert chat.native.dialect == "completions"


def test_all_answers_of_a_call_are_counted() -> None:
    assert asked(prompt=["a", "b"], n=2).request.n == 4
    assert asked(prompt=[[1], [2]], best_of=3).request.n == 6
    assert asked(max_tokens=0).request.limit == 1


@pytest.mark.parametrize(
    ("told", "param"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": {}}, "prompt"),
        ({"prompt": ["a", 1]}, "prompt"),
        ({"prompt": ["a"] * 129}, "prompt"),
        ({"messages": []}, "messages"),
        ({"suffix": 5}, "suffix"),
        ({"logprobs": 6}, "logprobs"),
        ({"best_of": -1}, "best_of"),
        ({"n": 0}, "n"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"model": ""}, "model"),
    ],
)
def test_what_is_wrong_is_told_by_name(told: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        asked(**told)

    assert refused.value.param == param


@pytest.mark.parametrize(
    ("told", "param"),
    [
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": [[1, 2]]}, "prompt"),
        ({"suffix": "end"}, "suffix"),
        ({"best_of": 2}, "best_of"),
        ({"best_of": 3, "n": 2}, "best_of"),
        ({"echo": True, "logprobs": 0}, "logprobs"),
        ({"max_tokens": 0}, "max_tokens"),
    ],
)
def test_what_no_chat_can_carry_is_refused_where_it_would_have_to(told: dict[str, Any], param: str) -> None:
    chat = asked(**told)

    with pytest.raises(BadRequest) as refused:
        refuse_beyond(chat)
    assert refused.value.param == param


@pytest.mark.parametrize(
    "told", [{}, {"prompt": ["a"]}, {"suffix": ""}, {"best_of": 2, "n": 2}, {"best_of": 0}, {"echo": True}]
)
def test_what_a_chat_can_carry_is_refused_nowhere(told: dict[str, Any]) -> None:
    refuse_beyond(asked(**told))


@pytest.mark.parametrize(
    ("param", "here"),
    [
        ("messages[0].content", "prompt"),
        ("messages", "prompt"),
        ("top_logprobs", "logprobs"),
        ("max_completion_tokens", "max_tokens"),
        ("temperature", "temperature"),
        (None, None),
    ],
)
def test_an_error_of_the_chat_inside_names_the_dialect_s_field(param: str | None, here: str | None) -> None:
    error = UpstreamRefused(f"Invalid '{param}'.", status=400, code="c", param=param)

    rename(error)

    assert (error.param, error.message) == (here, f"Invalid '{here}'.")


def test_messages_that_the_caller_wrote_are_told_as_they_were_written() -> None:
    with pytest.raises(BadRequest) as refused:
        asked(messages=[])

    rename(refused.value)

    assert refused.value.param == "messages"
    assert refused.value.message.startswith("messages: it is called prompt here")


def test_an_answer_is_text() -> None:
    answer = whole({**completion("upon", "a time", finish="length"), "usage": USAGE, "own": [1]}, n=2)

    assert answer == {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 5,
        "model": "acme/one",
        "choices": [
            {"text": "upon", "index": 0, "logprobs": None, "finish_reason": "length"},
            {"text": "a time", "index": 1, "logprobs": None, "finish_reason": "length"},
        ],
        "usage": USAGE,
        "own": [1],
    }


@pytest.mark.parametrize(("finish", "told"), [("tool_calls", "stop"), ("content_filter", "content_filter")])
def test_an_end_is_one_of_the_dialect_s(finish: str, told: str) -> None:
    assert whole(completion("a", finish=finish))["choices"][0]["finish_reason"] == told


def test_a_refusal_is_the_text_where_there_is_no_other() -> None:
    refused = {"role": "assistant", "content": None, "refusal": "No."}

    assert whole(completion(None, message=refused))["choices"][0]["text"] == "No."


def test_the_prompt_is_echoed_once_before_each_text() -> None:
    texts = Texts(asked(echo=True, n=2))

    told = [
        json.loads(texts.chunk(one) or b"null")
        for one in (
            chunk({"role": "assistant", "content": ""}),
            chunk({"content": " upon"}),
            chunk({"content": " a time"}),
            chunk({"content": " more"}, index=1),
            chunk({}, "stop"),
        )
    ]

    assert [one and one["choices"][0]["text"] for one in told] == [
        None,
        "Once upon",
        " a time",
        "Once more",
        "",
    ]
    assert whole(completion("", finish="stop"), echo=True)["choices"][0]["text"] == "Once"


TOKENS = [
    {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": [{"token": "b", "logprob": -1}]},
    {"token": "bc", "logprob": -0.25, "bytes": None, "top_logprobs": []},
]


def test_log_probabilities_are_four_lists() -> None:
    answer = whole(completion("abc", logprobs={"content": TOKENS, "refusal": None}), logprobs=1)

    assert answer["choices"][0]["logprobs"] == {
        "tokens": ["a", "bc"],
        "token_logprobs": [-0.5, -0.25],
        "top_logprobs": [{"b": -1}, {}],
        "text_offset": [0, 1],
    }


def test_offsets_go_on_from_chunk_to_chunk() -> None:
    texts = Texts(asked(logprobs=0))

    told = [
        json.loads(texts.chunk(chunk({"content": one["token"]}, logprobs={"content": [one]})))
        for one in TOKENS
    ]

    assert [one["choices"][0]["logprobs"]["text_offset"] for one in told] == [[0], [1]]


def test_a_chunk_of_usage_alone_and_what_is_ours_go_along() -> None:
    told = json.loads(
        Texts(asked()).chunk(b'{"id":"x1","choices":[],"usage":{"total_tokens":5},"deeptoken":{}}')
    )

    assert told == {
        "id": "x1",
        "object": "text_completion",
        "choices": [],
        "usage": {"total_tokens": 5},
        "deeptoken": {},
    }


def test_what_a_host_of_the_dialect_told_is_passed_on_with_its_own_echo() -> None:
    texts = Texts(asked(echo=True))
    native = b'{"object":"text_completion","choices":[]}'

    assert texts.chunk(b"", native) == native
    assert json.loads(texts.chunk(chunk({}, "length")))["choices"][0]["text"] == ""
    assert _plain(texts.whole({}, FIELDS.decode(native))) == {"object": "text_completion", "choices": []}


def test_a_host_s_own_chunks_are_put_together() -> None:
    joined = Joined()
    lists = {"tokens": ["a"], "token_logprobs": [-1], "top_logprobs": None, "text_offset": [0]}
    for text, index, finish, logprobs in (
        ("a", 0, None, lists),
        ("b", 1, "stop", None),
        ("c", 0, None, {**lists, "text_offset": [1]}),
        ("", 0, None, None),
        ("", 1, None, None),
    ):
        choice = {"text": text, "index": index, "finish_reason": finish, "logprobs": logprobs}
        joined.add(json.dumps({"id": "x1", "object": "text_completion", "choices": [choice]}).encode())

    answer = _plain(joined.whole("length"))

    assert (answer["id"], answer["object"]) == ("x1", "text_completion")
    assert [(one["text"], one["finish_reason"]) for one in answer["choices"]] == [
        ("ac", "length"),
        ("b", "stop"),
    ]
    assert answer["choices"][0]["logprobs"] == {
        "tokens": ["a", "a"],
        "token_logprobs": [-1, -1],
        "top_logprobs": None,
        "text_offset": [0, 1],
    }


@given(st.lists(st.sampled_from(["a", "é", "\n", "", "😀"]), max_size=6), st.booleans())
def test_openai_s_sdk_reads_the_text_whole_and_streamed(words: list[str], echo: bool) -> None:
    chunks = [
        chunk({"role": "assistant", "content": ""}),
        *(chunk({"content": word}) for word in words),
        chunk({}, "stop"),
    ]
    assembled = Assembler()
    for one in chunks:
        assembled.add(one)
    texts = Texts(asked(echo=echo))
    stream = b"".join(b"data: %b\n\n" % told for one in chunks if (told := texts.chunk(one)))
    answer = json.dumps(whole(assembled.whole(), echo=echo)).encode()

    with _sdk(answer, "application/json", strict=True) as client:
        read = client.completions.create(model="acme/one", prompt="Once")
    with _sdk(stream + b"data: [DONE]\n\n", "text/event-stream", strict=False) as client:
        seen = list(client.completions.create(model="acme/one", prompt="Once", stream=True))

    expected = ("Once" if echo else "") + "".join(words)
    assert read.choices[0].text == expected
    assert "".join(one.choices[0].text for one in seen) == expected
    assert seen[-1].choices[0].finish_reason == "stop"
    Completion.model_validate(json.loads(answer))


def _sdk(answer: bytes, kind: str, *, strict: bool) -> openai.OpenAI:
    """A client that gets `answer`. A chunk before the last has no finish, which no strict client takes."""

    def answered(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": kind}, content=answer)

    return openai.OpenAI(
        api_key="dtk",
        base_url="http://gateway/v1",
        http_client=httpx2.Client(transport=httpx2.MockTransport(answered)),
        _strict_response_validation=strict,
    )
