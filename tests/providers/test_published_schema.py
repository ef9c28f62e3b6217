"""Whatever a provider says, a caller gets OpenAI's published schema to the letter, whole and streamed."""

import json
from itertools import pairwise
from typing import Any

import any_answers as any_of
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import Completion
from openai.types.responses import Response

from deeptoken.providers import compatible
from deeptoken.providers.base import Asked, Provider
from deeptoken.providers.openai import OpenAI
from deeptoken.providers.registry import PROVIDERS
from deeptoken.wire import completions, responses, responses_answer
from deeptoken.wire.completion import Assembler, usage_object
from deeptoken.wire.usage import Usage
from published_schema import valid, valid_answer, valid_stream, valid_usage

RESPONSE = responses.read(b'{"model":"acme/one","input":"Hi"}')
PROMPT = completions.read(b'{"model":"acme/one","prompt":"Hi"}')
ASKED = Asked(model="acme/one", id="chatcmpl-ours", created=77)
HOSTS = {"openai": tuple(host.name for host in compatible.HOSTS)}
"""Those that speak a format; of the others each speaks its own."""
FORMATS: dict[str, tuple[st.SearchStrategy[bytes], st.SearchStrategy[bytes]]] = {
    "openai": (any_of.openai_whole(), any_of.openai_stream()),
    "anthropic": (any_of.anthropic_whole(), any_of.anthropic_stream()),
    "gemini": (any_of.gemini_whole, any_of.gemini_stream()),
    "bedrock": (any_of.bedrock_whole(), any_of.bedrock_stream()),
    "cohere": (any_of.cohere_whole(), any_of.cohere_stream()),
}


def one_that_speaks(name: str, data: st.DataObject) -> Provider:
    return PROVIDERS[data.draw(st.sampled_from(HOSTS.get(name, (name,))))]


def as_written_by(provider: Provider, raw: bytes) -> bytes:
    """Who has OpenAI's own tiers has no others."""
    own_tiers = isinstance(provider, OpenAI) and provider.host.own_tiers
    return raw if own_tiers else raw.replace(b'"on_demand"', b'"default"')


def told(fields: Any) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(msgspec.json.encode(fields))
    return decoded


@pytest.mark.parametrize("name", FORMATS)
@given(data=st.data())
def test_a_whole_answer_is_a_chat_completion(name: str, data: st.DataObject) -> None:
    provider = one_that_speaks(name, data)
    body = as_written_by(provider, data.draw(FORMATS[name][0]))

    reply = provider.reply(body, ASKED)

    answer = valid_answer(told(reply.fields))
    assert answer.model == "acme/one"
    if reply.usage is not None:
        valid_usage(usage_object(reply.usage))
    if reply.told is not None:
        valid_usage(told(reply.told))


@pytest.mark.parametrize("name", FORMATS)
@given(data=st.data())
def test_the_same_is_a_response_and_a_completion_of_text(name: str, data: st.DataObject) -> None:
    provider = one_that_speaks(name, data)
    body = as_written_by(provider, data.draw(FORMATS[name][0]))

    reply = provider.reply(body, ASKED)

    facts = responses_answer.facts(RESPONSE, id="resp_1", created=77, model="acme/one")
    end = responses_answer.End(usage=reply.usage or Usage(), completed_at=78)
    valid(Response, told(responses_answer.response(reply.fields, facts, end)))
    valid(Completion, told(completions.Texts(PROMPT).whole(reply.fields)))


@pytest.mark.parametrize("name", FORMATS)
@given(data=st.data())
def test_a_stream_is_chat_completion_chunks_that_make_a_chat_completion(
    name: str, data: st.DataObject
) -> None:
    provider = one_that_speaks(name, data)
    raw = as_written_by(provider, data.draw(FORMATS[name][1]))
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(raw) - 1)), max_size=3)))
    stream = provider.stream(ASKED)

    pieces = [
        piece for left, right in pairwise((0, *cuts, len(raw))) for piece in stream.feed(raw[left:right])
    ]
    pieces += stream.end()

    valid_stream([piece.data for piece in pieces if piece.data])
    assembler = Assembler()
    for piece in pieces:
        assembler.add(piece.data)
        if piece.told is not None:
            valid_usage(told(piece.told))
    valid_answer(assembler.whole())
