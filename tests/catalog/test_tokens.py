"""Tokens of a prompt: a bound that needs no tokenizer, and an exact count."""

import base64

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from splintr import Tokenizer

from deeptoken.catalog.tokens import (
    AUDIO_BYTES,
    BLOCK,
    FILE_BYTES,
    IMAGE_TOKENS,
    TEXT_COUNTED_MAX,
    bound,
    count,
    count_text,
    input_tokens,
)
from deeptoken.wire.chat import Chat, read

MODEL = "gpt-4o-mini"


def chat(*messages: object, **more: object) -> Chat:
    return read(msgspec.json.encode({"model": MODEL, "messages": list(messages), **more}))


def said(content: object) -> dict[str, object]:
    return {"role": "user", "content": content}


def test_a_text_is_counted_by_the_vocabulary_of_its_family() -> None:
    text = "The quick brown fox jumps over the lazy dog."

    assert count_text(text, "gpt-4o") == 10
    assert count_text("tokenization", "openai/gpt-4o") == count_text("tokenization", "o200k-default")
    assert count_text("", "gpt-4o") == 0


@pytest.mark.parametrize(
    "model",
    [
        "gpt-4",
        "llama-3.1-8b",
        "deepseek-chat",
        "Qwen/Qwen3-8B",
        "glm-4",
        "kimi-k2",
        "mistral-small",
        "gemini",
    ],
)
def test_every_family_has_a_vocabulary_that_loads(model: str) -> None:
    assert 2 <= count_text("Hello, world", model) <= 6


def test_words_that_look_like_control_tokens_are_plain_text() -> None:
    assert count_text("<|endoftext|>", "gpt-4o") > 1


def test_a_chat_is_its_texts_and_the_frame_around_them() -> None:
    one = chat(
        {"role": "system", "content": "You are terse."}, {"role": "user", "name": "bob", "content": "Hi"}
    )

    tokens = count(one, MODEL)

    texts = sum(count_text(text, MODEL) for text in ("You are terse.", "bob", "Hi"))
    assert tokens == 3 + 2 * 4 + 1 + texts


def test_tools_and_calls_count() -> None:
    function = {"name": "look_up", "description": "Looks a word up.", "parameters": {"type": "object"}}
    plain = chat(said("Hi"))

    with_tools = chat(said("Hi"), tools=[{"type": "function", "function": function}])
    call = {"id": "c", "type": "function", "function": {"name": "look_up", "arguments": '{"word":"x"}'}}
    with_call = chat(said("Hi"), {"role": "assistant", "tool_calls": [call]})

    assert count(with_tools, MODEL) > count(plain, MODEL) + 10
    assert count(with_call, MODEL) > count(plain, MODEL) + 4


def test_the_bound_of_a_text_is_the_bytes_of_its_body() -> None:
    one = chat(said("héllo"))

    assert bound(one) == one.size


def test_the_bound_is_at_most_the_context() -> None:
    one = chat(said("x" * 1_000))

    assert bound(one, 500) == 500
    assert bound(one, 500_000) == one.size


def test_an_image_counts_as_its_tokens_and_not_as_the_bytes_that_carry_it() -> None:
    url = "data:image/png;base64," + base64.b64encode(bytes(60_000)).decode()
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url}}]

    one = chat(said(parts))

    assert bound(one) == one.size - len(url) + IMAGE_TOKENS
    assert IMAGE_TOKENS < count(one, MODEL) <= bound(one)


def test_audio_and_files_count_by_their_bytes() -> None:
    data = base64.b64encode(bytes(40_000)).decode()
    audio = chat(said([{"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}]))
    file = chat(said([{"type": "file", "file": {"file_data": data, "filename": "a.pdf"}}]))

    frame = 200
    assert 40_000 // AUDIO_BYTES <= bound(audio) <= 40_000 // AUDIO_BYTES + frame
    assert 40_000 // FILE_BYTES <= bound(file) <= 40_000 // FILE_BYTES + frame


def test_a_long_prompt_stays_at_its_bound_and_within_the_context() -> None:
    one = chat(said("a" * (TEXT_COUNTED_MAX + 1)))

    assert count(one, MODEL) == bound(one)
    assert count(one, MODEL, 128_000) == 128_000


def test_what_anthropics_clients_count_is_counted_at_any_length() -> None:
    words = "word " * TEXT_COUNTED_MAX

    told = input_tokens(chat(said(words)), MODEL)

    assert told == {"input_tokens": 3 + 4 + count_text(words, MODEL)}


def test_parts_that_only_claude_takes_count_by_what_is_in_them() -> None:
    text, data = "The quick brown fox " * 50, base64.b64encode(bytes(60_000)).decode()
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
    found = {
        "type": "search_result",
        "source": "s",
        "title": "t",
        "content": [{"type": "text", "text": text}],
    }
    made = {"type": "document", "source": {"type": "content", "content": [*found["content"], picture]}}
    pdf = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": data}}

    counts = [count(chat(said([part])), MODEL) for part in (found, made, pdf, picture)]

    words = count_text(text, MODEL)
    assert words < counts[0] < words + 20
    assert words + IMAGE_TOKENS < counts[1] < words + IMAGE_TOKENS + 20
    assert 60_000 // FILE_BYTES < counts[2] < 60_000 // FILE_BYTES + 20
    assert IMAGE_TOKENS < counts[3] < IMAGE_TOKENS + 20
    assert all(count(chat(said([part])), MODEL) <= bound(chat(said([part]))) for part in (found, made, pdf))


def test_a_count_is_at_most_the_context() -> None:
    one = chat(said("one two three four five six"))

    exact = count(one, MODEL)

    assert count(one, MODEL, exact + 1) == exact
    assert count(one, MODEL, exact - 1) == exact - 1


@pytest.mark.parametrize("length", [BLOCK - 1, BLOCK, BLOCK + 1, 40_000, 1_200_000])
def test_a_text_of_any_length_is_counted_in_tokens(length: int) -> None:
    line = "The quick brown fox jumps over the lazy dog."
    text = " ".join([line] * (length // len(line) + 1))[:length]

    tokens = count_text(text, MODEL)

    assert tokens == pytest.approx(length * 10 / 45, rel=0.001, abs=2)


@pytest.mark.parametrize("character", ["a", "é", "😀", " ", "\n"])
def test_a_long_text_without_words_is_counted_as_its_blocks_are(character: str) -> None:
    # A space is cut before the last one of its block.
    blocks = [BLOCK - 1, BLOCK - 1, 2] if character == " " else [BLOCK, BLOCK]

    tokens = count_text(character * (2 * BLOCK), MODEL)

    assert tokens == sum(count_text(character * block, MODEL) for block in blocks)
    assert tokens <= len((character * (2 * BLOCK)).encode())


def test_a_cut_at_a_space_changes_no_count() -> None:
    text = "word " * 20_000

    whole = len(Tokenizer.from_pretrained("o200k_base").encode_ordinary(text))

    assert count_text(text, MODEL) == whole


def test_large_media_do_not_keep_a_short_text_from_being_counted() -> None:
    url = "data:image/png;base64," + "A" * (TEXT_COUNTED_MAX + 100)

    one = chat(said([{"type": "text", "text": "Hi"}, {"type": "image_url", "image_url": {"url": url}}]))

    assert count(one, MODEL) < IMAGE_TOKENS + 20


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=4))
def test_a_count_is_never_above_the_bound(texts: list[str]) -> None:
    one = chat(*(said(text) for text in texts))

    assert count(one, MODEL) <= bound(one)
    assert all(count_text(text, MODEL) <= len(text.encode()) for text in texts)
