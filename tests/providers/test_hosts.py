"""A fixture for each compatible host, written by hand: what it gets of one question, and what it answers.

    sent      the body that the host gets of QUESTION
    answer    a whole answer                  stream   the chunks of the same, streamed
    message   what the caller reads of both   usage    what is counted
    passing   what stands beside the choices and passes

A new host brings its own.
"""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from compatible_scene import ASKED, asked, streamed
from openai.types.chat import ChatCompletion

from deeptoken.providers.compatible import HOSTS, PROVIDERS
from deeptoken.wire.completion import Assembler
from deeptoken.wire.usage import Usage

FOLDER = Path(__file__).parent / "hosts"
NAMES = [host.name for host in HOSTS]

CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":2,"b":2}'}}
MESSAGES: list[dict[str, Any]] = [
    {"role": "developer", "content": "Be brief."},
    {"role": "user", "content": "2+2?", "name": "ann"},
    {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "reasoning_content": "Let me add.",
        "tool_calls": [CALL],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "4"},
]
QUESTION: dict[str, Any] = {"max_completion_tokens": 50, "temperature": 1.8, "seed": 7, "store": True}
"""What hosts differ in, as a client of OpenAI's writes it. All are asked the same."""


class Fixture(msgspec.Struct, forbid_unknown_fields=True):
    sent: dict[str, Any]
    answer: dict[str, Any]
    stream: list[dict[str, Any]]
    message: dict[str, Any]
    usage: Usage
    passing: dict[str, Any] = {}


def fixture(name: str) -> Fixture:
    return msgspec.json.decode((FOLDER / f"{name}.json").read_bytes(), type=Fixture)


def test_each_host_has_a_fixture_and_each_fixture_a_host() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.json")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_host_gets_what_it_takes(name: str) -> None:
    request = asked(name, *MESSAGES, stream=True, **QUESTION)

    assert json.loads(request.body) == fixture(name).sent


@pytest.mark.parametrize("name", NAMES)
def test_a_hosts_answer_is_openais(name: str) -> None:
    wanted = fixture(name)

    reply = PROVIDERS[name].reply(json.dumps(wanted.answer).encode(), ASKED)

    fields = json.loads(msgspec.json.encode(reply.fields))
    ChatCompletion.model_validate(fields)
    assert fields["choices"][0]["message"] == wanted.message
    assert {key: fields[key] for key in wanted.passing} == wanted.passing
    assert (fields["model"], reply.usage) == ("acme/one", wanted.usage)


@pytest.mark.parametrize("name", NAMES)
def test_a_hosts_stream_says_the_same_as_its_whole_answer(name: str) -> None:
    wanted = fixture(name)
    assembler = Assembler()

    pieces = streamed(name, *wanted.stream)
    for piece in pieces:
        assembler.add(piece.data)

    whole = assembler.whole()
    ChatCompletion.model_validate(whole)
    assert whole["choices"][0]["message"] == wanted.message
    assert {key: whole[key] for key in wanted.passing if wanted.passing[key] is not None} == {
        key: value for key, value in wanted.passing.items() if value is not None
    }
    assert [piece.usage for piece in pieces if piece.usage][-1] == wanted.usage
    assert sum(piece.finish for piece in pieces) == 1
