"""What a request needs, read from its fields; what a context surely cannot hold."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_scene import channel, chat, found, model
from splintr import Tokenizer

from deeptoken.catalog.model import Candidate
from deeptoken.gateway.needs import Need, lacking, needs, too_long, unknown
from deeptoken.wire.chat import Chat, read

TOOL = {"type": "function", "function": {"name": "f"}}
IMAGE = {"type": "image_url", "image_url": {"url": "https://a.test/b.png"}}
AUDIO = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
FILE = {"type": "file", "file": {"file_data": "AAAA"}}
TEXT = {"type": "text", "text": "What is this?"}
EVERY_KIND = ("gemma3", "glm4", "kimi_k2", "o200k_base")
"""Vocabularies: of sentence pieces, and those with the longest tokens."""
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}


def parts(*contents: object, **fields: object) -> Chat:
    messages = [{"role": "user", "content": content} for content in contents]
    return read(msgspec.json.encode({"model": "m", "messages": messages, **fields}))


NEEDED = [
    (parts("Hello!"), []),
    (parts("Hello!", temperature=0.5, seed=1, logprobs=True), []),
    (parts([TEXT]), []),
    (parts("Hello!", tools=[TOOL]), [("tools", "tools")]),
    (parts("Hello!", tools=[]), []),
    (parts("Hello!", functions=[{"name": "f"}]), [("tools", "functions")]),
    (parts("Hello!", [TEXT, IMAGE], [IMAGE]), [("vision", "messages[1].content")]),
    (parts("Hello!", "Listen", [AUDIO]), [("audio", "messages[2].content")]),
    (parts("Speak", modalities=["text", "audio"]), [("audio", "modalities")]),
    (parts("Speak", modalities=["text"]), []),
    (parts([FILE]), [("files", "messages[0].content")]),
    (parts([{"type": "something_new"}]), []),
    (parts("Hello!", response_format=SCHEMA), [("json_schema", "response_format")]),
    (parts("Hello!", response_format={"type": "json_object"}), []),
    (
        parts([IMAGE], tools=[TOOL], response_format=SCHEMA),
        [("vision", "messages[0].content"), ("tools", "tools"), ("json_schema", "response_format")],
    ),
]


@pytest.mark.parametrize(("said", "needed"), NEEDED)
def test_each_capability_is_needed_once_and_named_by_its_field(
    said: Chat, needed: list[tuple[str, str]]
) -> None:
    assert [(need.capability, need.param) for need in needs(said)] == needed


def test_what_nobody_declared_counts_as_present() -> None:
    needed = (Need("tools", "tools"), Need("vision", "messages[0].content"))

    assert lacking(needed, model()) is None
    assert lacking(needed, model(capabilities={"tools": True, "audio": False})) is None
    assert lacking(needed, model(capabilities={"vision": False})) == needed[1]


@pytest.mark.parametrize(("words", "context"), [(40_010, 10_000), (4_000_000, 200_000)])
def test_a_prompt_of_many_times_the_context_is_too_long(words: int, context: int) -> None:
    said = chat("word " * words)

    least = too_long(said, context)

    assert least is not None
    assert context < least <= words


@pytest.mark.parametrize("text", ["word " * 40_000, " " * 5_000_000, "x" * 5_000_000, "\n" * 100_000])
def test_a_prompt_that_may_fit_is_not_too_long(text: str) -> None:
    assert too_long(chat(text), 10_000) is None


def test_text_without_spaces_is_too_long_when_no_token_is_so_long() -> None:
    assert too_long(chat("x" * 6_000_000), 10_000) == 6_000_000 // 512


def test_what_is_no_text_makes_no_prompt_long() -> None:
    data = {"type": "input_audio", "input_audio": {"data": "A " * 500_000}}

    assert too_long(parts([data, TEXT]), 1_000) is None
    assert too_long(parts("short", metadata={"x": "word " * 500_000}), 1_000) is None


def test_all_texts_of_a_chat_count_together() -> None:
    assert too_long(parts(*["word " * 5_000] * 10), 10_000) is not None
    assert too_long(parts(*[[{"type": "text", "text": "word " * 5_000}]] * 10), 10_000) is not None


@given(st.text(alphabet=" \n\tab.,*é漢", max_size=300), st.sampled_from(EVERY_KIND))
@settings(max_examples=50)
def test_no_vocabulary_makes_fewer_tokens_than_are_certain(text: str, vocabulary: str) -> None:
    counted = len(Tokenizer.from_pretrained(vocabulary).encode_ordinary(text * 20))

    assert too_long(chat(text * 20), counted) is None


def test_a_parameter_is_lost_where_the_adapter_drops_it_or_the_model_is_declared_not_to_know_it() -> None:
    asked = frozenset(("seed", "temperature", "tool_choice"))
    served = found(channel("a"), channel("b", provider="anthropic")).candidates
    incapable = model(capabilities={"tools": False, "temperature": False})

    assert [unknown(asked, at) for at in served] == [[], ["seed"]]
    assert unknown(asked, Candidate(channel("a"), incapable, "m")) == ["temperature", "tool_choice"]
