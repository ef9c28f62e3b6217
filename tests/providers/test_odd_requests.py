"""Whatever shape a caller gives the fields of a request: it is refused as the caller's, or sent.

One field of a request that uses much of its dialect is replaced by any JSON, or left out. To read it,
plan it, count it and write it for each provider ends in a 400 or in a request, never in a fault of ours.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from odd_requests_scene import CHAT, COMPLETIONS, MESSAGES, MODELS, RESPONSES, candidate

from deeptoken.catalog import tokens
from deeptoken.errors import BadRequest
from deeptoken.gateway.needs import needs
from deeptoken.gateway.wishes import read as read_wishes
from deeptoken.providers.registry import PROVIDERS, speaking
from deeptoken.wire import chat, completions, messages, responses
from deeptoken.wire.chat import Chat
from odd_shapes import LEFT_OUT, anything, paths, replaced

WORDS = st.sampled_from(["x", "text", "auto", "data:,", "data:text/plain;base64,/w==", "$ref", "#/x/y"])
NAMES = ["type", "text", "content", "$ref", "properties", "anyOf", "enum", "items", "format"]
ANYTHING = st.just(LEFT_OUT) | anything(WORDS, NAMES)
KEPT = {"model", "messages", "input", "prompt", "max_tokens"}
DIALECTS: dict[str, tuple[dict[str, Any], Callable[[bytes], Chat]]] = {
    "chat": (CHAT, chat.read),
    "messages": (MESSAGES, messages.read),
    "responses": (RESPONSES, responses.read),
    "completions": (COMPLETIONS, completions.read),
}


@pytest.mark.parametrize("dialect", DIALECTS)
@given(st.data())
def test_a_request_with_a_field_of_any_shape_is_refused_or_sent(dialect: str, data: st.DataObject) -> None:
    whole, read = DIALECTS[dialect]
    kept = KEPT | data.draw(st.sets(st.sampled_from(sorted(whole))))
    asked = {name: told for name, told in whole.items() if name in kept}
    path = data.draw(st.sampled_from(list(paths(asked))))

    refused_or_sent(replaced(asked, path, data.draw(ANYTHING)), read)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("value", [[], {}, [{}], {"type": []}, None, 5, LEFT_OUT], ids=str)
def test_a_request_without_any_one_shape_is_refused_or_sent(dialect: str, value: object) -> None:
    whole, read = DIALECTS[dialect]
    asked = {name: told for name, told in whole.items() if name in KEPT}

    for path in paths(asked):
        refused_or_sent(replaced(asked, path, value), read)


def refused_or_sent(body: dict[str, Any], read: Callable[[bytes], Chat]) -> None:
    """As a call goes: read, planned, counted, written."""
    asked = None
    with suppress(BadRequest):
        asked = read(json.dumps(body).encode())
        read_wishes(asked)
    if asked is None:
        return
    needs(asked)
    assert tokens.bound(asked, None) >= 0
    assert tokens.count(asked, "acme/one", None) >= 0
    for provider, models in MODELS.items():
        for model in models:
            at = candidate(provider, model)
            with suppress(BadRequest):
                spoken = speaking(PROVIDERS[provider], asked, at)
                assert spoken.request(asked, at, stream=True, limit=None).body is not None
