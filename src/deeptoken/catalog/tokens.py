"""How many tokens a prompt is: at most (`bound`, no tokenizer runs) and counted (`count`).

    bound        a token for each byte of the body; media at its own measure
    count        by the tokenizer of the model's family, loaded when first needed
    count_texts  the same of texts that are no messages, such as what is to be embedded

Rules: spec "how much is held". The frame around messages is OpenAI's (cookbook, "how to count tokens with
tiktoken", read 2026-11-23): 3 a message besides its role, 1 for a name, 3 before the reply. Makers that
publish no tokenizer (Anthropic, Google) are estimated with another's; what the provider tells is billed.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

from splintr import Tokenizer

from deeptoken.wire.chat import Chat, Message

TEXT_COUNTED_MAX = 256 * 1024
"""Bytes of a prompt. Counting holds the interpreter, about 4 ms for 190 KB; more stays at the bound."""
BLOCK = 16 * 1024
"""Characters, 64 KiB at most, that are counted at once: one long word takes quadratic time."""
SEAM = 256
"""Characters at the end of a block in which a space is looked for, to cut before it."""
IMAGE_TOKENS = 3_000
FILE_BYTES = 4
"""Bytes of a file for a token."""
AUDIO_BYTES = 500
"""Bytes of audio for a token."""
MESSAGE_TOKENS = 4
"""3, and 1 for the role."""
REPLY_TOKENS = 3

DEFAULT_VOCABULARY = "o200k_base"
VOCABULARIES = (
    ("gpt-4o", "o200k_base"),
    ("gpt-4.", "o200k_base"),
    ("gpt-4", "cl100k_base"),
    ("gpt-3.5", "cl100k_base"),
    ("gpt-35", "cl100k_base"),
    ("text-embedding", "cl100k_base"),
    ("llama", "llama3"),
    ("meta-llama", "llama3"),
    ("deepseek", "deepseek_v3"),
    ("qwen", "qwen3"),
    ("qwq", "qwen3"),
    ("glm", "glm4"),
    ("kimi", "kimi_k2"),
    ("moonshot", "kimi_k2"),
    ("mistral", "mistral_v3"),
    ("mixtral", "mistral_v3"),
    ("codestral", "mistral_v3"),
    ("ministral", "mistral_v3"),
    ("magistral", "mistral_v3"),
    ("gemma", "gemma3"),
    ("gemini", "gemma3"),
)
"""How the last part of a model id starts, and its vocabulary; the first one that fits counts."""


def bound(chat: Chat, context: int | None = None) -> int:
    """An upper bound of the prompt's tokens; at most the model's context, if that is known."""
    tokens = chat.size
    for message in chat.request.messages:
        if type(message.content) is list:
            for part in message.content:
                tokens += _media(part)
    return tokens if context is None or tokens < context else context


def count(chat: Chat, model: str, context: int | None = None) -> int:
    """The prompt's tokens by the model's own vocabulary; at most its context, if that is known.

    With more text than `TEXT_COUNTED_MAX` it stays at the bound.
    """
    if chat.size > TEXT_COUNTED_MAX and _text_bytes(chat) > TEXT_COUNTED_MAX:
        return bound(chat, context)
    counted = _counter(_vocabulary(model))
    tokens = REPLY_TOKENS + sum(counted(text) for text in _outside(chat))
    for message in chat.request.messages:
        tokens += MESSAGE_TOKENS + sum(counted(text) for text in _texts(message))
        if message.name:
            tokens += 1
        if type(message.content) is list:
            tokens += sum(_media_tokens(part) for part in message.content)
    return tokens if context is None or tokens < context else context


def count_text(text: str, model: str) -> int:
    """The tokens of a text, as a part of an answer, of whatever length."""
    return _counter(_vocabulary(model))(text)


def count_texts(texts: Iterable[tuple[str, int]], model: str) -> int:
    """The tokens of texts, each so many times; what is beyond `TEXT_COUNTED_MAX` is as dense as the rest."""
    counted = _counter(_vocabulary(model))
    left = TEXT_COUNTED_MAX
    tokens = read = unread = 0
    for text, times in texts:
        told = text[:left]
        if told:
            left -= len(told)
            tokens += counted(told) * times
            read += len(told) * times
        unread += (len(text) - len(told)) * times
    return tokens + -(-tokens * unread // read) if unread else tokens


def _media(part: dict[str, Any]) -> int:
    """What to add to the bytes of the body for this part: its tokens, without the bytes that carry them."""
    tokens, carried = _measure(part)
    return tokens - carried


def _media_tokens(part: dict[str, Any]) -> int:
    return _measure(part)[0]


def _measure(part: dict[str, Any]) -> tuple[int, int]:
    """A part's tokens, if it is no text, and how many bytes of the body carry it."""
    match part:
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            return IMAGE_TOKENS, len(url)
        case {"type": "image_url"}:
            return IMAGE_TOKENS, 0
        case {"type": "input_audio", "input_audio": {"data": str(data)}}:
            return _decoded(data) // AUDIO_BYTES + 1, len(data)
        case {"type": "file", "file": {"file_data": str(data)}}:
            return _decoded(data) // FILE_BYTES + 1, len(data)
    return 0, 0


def _decoded(base64: str) -> int:
    """The most bytes that this much base64 stands for."""
    return len(base64) * 3 // 4


def _text_bytes(chat: Chat) -> int:
    carried = 0
    for message in chat.request.messages:
        if type(message.content) is list:
            carried += sum(_measure(part)[1] for part in message.content)
    return chat.size - carried


def _texts(message: Message) -> Iterator[str]:
    content = message.content
    if type(content) is str:
        yield content
    elif type(content) is list:
        for part in content:
            text = part.get("text") or part.get("refusal")
            if type(text) is str:
                yield text
    for told in (message.name, message.refusal, message.reasoning_content):
        if told:
            yield told
    calls = [call.function for call in message.tool_calls or ()]
    for function in (*calls, message.function_call):
        if function is not None:
            yield function.name
            yield function.arguments


def _outside(chat: Chat) -> Iterator[str]:
    """What a prompt has besides its messages, as it was written: no shorter than what is made of it."""
    for name in ("tools", "functions", "response_format"):
        field = chat.fields.get(name)
        if field is not None:
            yield bytes(field).decode("utf-8", "replace")


def _vocabulary(model: str) -> str:
    last = model.rpartition("/")[2].lower()
    for start, vocabulary in VOCABULARIES:
        if last.startswith(start):
            return vocabulary
    return DEFAULT_VOCABULARY


def _blocks(text: str) -> Iterator[str]:
    """The text in pieces of a `BLOCK` at most, cut before a space where there is one near the end."""
    start = 0
    while len(text) - start > BLOCK:
        end = start + BLOCK
        # A space belongs to the word after it, so that such a cut changes no count.
        space = text.rfind(" ", end - SEAM, end)
        end = end if space == -1 else space
        yield text[start:end]
        start = end
    yield text[start:]


@cache
def _counter(vocabulary: str) -> Callable[[str], int]:
    # Kept for good: there are ten vocabularies, 20..90 MB each, and loading one takes 30..140 ms.
    encode = Tokenizer.from_pretrained(vocabulary).encode_ordinary

    def counted(text: str) -> int:
        if len(text) <= BLOCK:
            return len(encode(text))
        return sum(len(encode(block)) for block in _blocks(text))

    return counted
