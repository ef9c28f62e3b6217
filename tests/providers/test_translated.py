"""What a chat that was made of another dialect sends to hosts of OpenAI's chat."""

import json
from typing import Any

import pytest
from msgspec import Raw

from deeptoken.catalog.model import Candidate, Channel, Model, Price, Rates
from deeptoken.money import PicoUsd
from deeptoken.providers.compatible import PROVIDERS
from deeptoken.providers.translated import fit
from deeptoken.wire import chat, responses

MODEL = Model("acme/one", Price(1, "acme/one", Rates(prompt=PicoUsd(1), completion=PicoUsd(1))))
USER = {"role": "user", "content": "Hi"}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}
TEXT = {"type": "text", "text": "Seen."}


def sent(host: str, **fields: Any) -> dict[str, Any]:
    """The body that goes upstream of a Responses request."""
    channel = Channel(name="c", provider=host, label="C", base_url="", models={})
    made = responses.read(json.dumps({"model": "acme/one", "input": "Hi", **fields}).encode())
    request = PROVIDERS[host].request(made, Candidate(channel, MODEL, "one"), stream=False, limit=None)
    body: dict[str, Any] = json.loads(request.body)
    return body


def fitted(*messages: dict[str, Any], reasoning: bool = False, hints: bool = False) -> Any:
    fields = {"messages": Raw(json.dumps(messages).encode())}
    fit(fields, reasoning=reasoning, hints=hints)
    return json.loads(bytes(fields["messages"]))


HINTS = {"prompt_cache_key": "k", "safety_identifier": "s", "text": {"verbosity": "low"}}


@pytest.mark.parametrize(("host", "known"), [("openai", True), ("openrouter", True), ("groq", False)])
def test_hints_go_to_hosts_that_know_them(host: str, known: bool) -> None:
    body = sent(host, **HINTS, user="u", tomorrow=1)

    hints = {"prompt_cache_key", "safety_identifier", "verbosity"} & body.keys()
    assert bool(hints) == known
    assert (body["user"], body["tomorrow"]) == ("u", 1)


@pytest.mark.parametrize(("host", "role"), [("openai", "developer"), ("deepseek", "system")])
def test_a_developer_is_the_system_where_the_role_is_not_known(host: str, role: str) -> None:
    body = sent(host, input=[{"role": "developer", "content": "Be brief."}, USER])

    assert body["messages"] == [{"role": role, "content": "Be brief."}, USER]


def test_thoughts_go_to_hosts_that_take_them_back() -> None:
    said = {"role": "assistant", "content": "a", "reasoning_content": "Hm.", "reasoning_details": [{}]}

    assert fitted(said, USER) == [{"role": "assistant", "content": "a"}, USER]
    assert fitted(said, USER, reasoning=True) == [said, USER]


def test_pictures_of_tools_follow_once_all_tools_have_answered() -> None:
    def tool(id: str, content: Any) -> dict[str, Any]:
        return {"role": "tool", "tool_call_id": id, "content": content}

    told = fitted(
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
    fields = {"messages": Raw(b'[ {"role":"user", "content":"H\\u0069"} ]')}

    fit(fields, reasoning=False, hints=False)

    assert bytes(fields["messages"]) == b'[ {"role":"user", "content":"H\\u0069"} ]'


def test_a_chat_that_came_as_one_goes_on_as_it_came() -> None:
    body = b'{"model":"m","messages":[{"role":"developer","content":"a"}],"prompt_cache_key":"k"}'
    channel = Channel(name="c", provider="groq", label="C", base_url="", models={})

    request = PROVIDERS["groq"].request(
        chat.read(body), Candidate(channel, MODEL, "one"), stream=False, limit=None
    )

    assert json.loads(request.body) == {**json.loads(body), "model": "one"}
