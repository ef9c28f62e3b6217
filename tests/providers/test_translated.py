"""What a chat that was made of another dialect sends to hosts of OpenAI's chat."""

import json
from typing import Any

import pytest
from msgspec import Raw

from deeptoken.catalog.model import Candidate, Channel, Model, Price, Rates
from deeptoken.money import PicoUsd
from deeptoken.providers.compatible import PROVIDERS
from deeptoken.providers.translated import translated
from deeptoken.wire import chat, messages, responses

MODEL = Model("acme/one", Price(1, "acme/one", Rates(prompt=PicoUsd(1), completion=PicoUsd(1))))
USER = {"role": "user", "content": "Hi"}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}
TEXT = {"type": "text", "text": "Seen."}


def sent(host: str, **fields: Any) -> dict[str, Any]:
    """The body that goes upstream of a Responses request."""
    return asked(host, responses.read(json.dumps({"model": "acme/one", "input": "Hi", **fields}).encode()))


def asked(host: str, made: chat.Chat) -> dict[str, Any]:
    channel = Channel(name="c", provider=host, label="C", base_url="", models={})
    request = PROVIDERS[host].request(made, Candidate(channel, MODEL, "one"), stream=made.stream, limit=None)
    body: dict[str, Any] = json.loads(request.body)
    return body


def shown(*given: dict[str, Any]) -> Any:
    return json.loads(bytes(translated(Raw(json.dumps(given).encode()))))


HINTS = {
    "prompt_cache_key": "k",
    "prompt_cache_options": {},
    "safety_identifier": "s",
    "text": {"verbosity": "low"},
}


@pytest.mark.parametrize(("host", "known"), [("openai", True), ("openrouter", True), ("groq", False)])
def test_hints_go_to_hosts_that_know_them(host: str, known: bool) -> None:
    body = sent(host, **HINTS, user="u", tomorrow=1)

    hints = {"prompt_cache_key", "prompt_cache_options", "safety_identifier", "verbosity"}
    assert hints & body.keys() == (hints if known else set())
    assert (body["user"], body["tomorrow"]) == ("u", 1)


@pytest.mark.parametrize(("host", "role"), [("openai", "developer"), ("deepseek", "system")])
def test_a_developer_is_the_system_where_the_role_is_not_known(host: str, role: str) -> None:
    body = sent(host, input=[{"role": "developer", "content": "Be brief."}, USER])

    assert body["messages"] == [{"role": role, "content": "Be brief."}, USER]


def test_the_options_of_another_dialect_s_stream_are_not_a_chat_s() -> None:
    told = sent("openai", stream=True, stream_options={"include_obfuscation": False})

    assert told["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("host", ["groq", "perplexity", "deepseek", "openai"])
def test_pictures_of_tools_go_to_hosts_that_change_messages(host: str) -> None:
    call = {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}
    output = [{"type": "input_image", "image_url": "data:image/png;base64,iVBO"}]
    answered = {"type": "function_call_output", "call_id": "a", "output": output}

    told = sent(host, input=[USER, call, answered])["messages"]

    assert [message["role"] for message in told] == ["user", "assistant", "tool", "user"]
    assert [part["type"] for part in told[3]["content"]] == ["image_url"]


def test_a_picture_that_a_tool_showed_claude_s_client_goes_to_a_strict_host() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "iVBO"}
    result = {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "image", "source": source}]}
    turns = [
        USER,
        {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]},
        {"role": "user", "content": [result]},
    ]
    made = messages.read(json.dumps({"model": "acme/one", "max_tokens": 9, "messages": turns}).encode())

    told = asked("groq", made)["messages"]

    assert [message["role"] for message in told] == ["user", "assistant", "tool", "user"]


def test_pictures_of_tools_follow_once_all_tools_have_answered() -> None:
    def tool(id: str, content: Any) -> dict[str, Any]:
        return {"role": "tool", "tool_call_id": id, "content": content}

    told = shown(
        tool("a", [TEXT, PICTURE]),
        tool("b", [PICTURE]),
        tool("c", "text"),
        tool("d", [TEXT]),
        USER,
        tool("e", [PICTURE]),
    )

    assert told == [
        tool("a", [TEXT]),
        tool("b", "The output is shown in the next message."),
        tool("c", "text"),
        tool("d", [TEXT]),
        {"role": "user", "content": [PICTURE, PICTURE]},
        USER,
        tool("e", "The output is shown in the next message."),
        {"role": "user", "content": [PICTURE]},
    ]


def test_what_fits_stays_as_it_is_written() -> None:
    written = Raw(b'[ {"role":"user", "content":"H\\u0069"} ]')

    assert bytes(translated(written)) == bytes(written)


def test_a_chat_that_came_as_one_goes_on_as_it_came() -> None:
    body = b'{"model":"m","messages":[{"role":"developer","content":"a"}],"prompt_cache_key":"k"}'
    channel = Channel(name="c", provider="openai", label="C", base_url="", models={})

    request = PROVIDERS["openai"].request(
        chat.read(body), Candidate(channel, MODEL, "one"), stream=False, limit=None
    )

    assert json.loads(request.body) == {**json.loads(body), "model": "one"}
