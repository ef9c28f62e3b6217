"""OpenAI's published schema, as its own SDKs have it: what an answer and a chunk must look like.

The types of the Python SDK, strictly: no number as text, no reason that is not in the list. They allow for
keys that are left out; the types of the Node SDK do not (`logprobs: ... | null`): these are asked for by
name. Source: openai-python's and openai-node's types of chat/completions, completions and responses, read
2026-11-25. Fields that OpenAI does not know are allowed: a provider's own.
"""

from typing import Any

import pydantic
from openai.types import CompletionChoice, CompletionUsage
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessage
from openai.types.chat.chat_completion import Choice, ChoiceLogprobs
from openai.types.chat.chat_completion_chunk import ChoiceLogprobs as ChunkLogprobs
from openai.types.chat.chat_completion_token_logprob import ChatCompletionTokenLogprob, TopLogprob
from openai.types.responses import Response

THERE: dict[type[pydantic.BaseModel], set[str]] = {
    Choice: {"logprobs"},
    ChoiceLogprobs: {"content", "refusal"},
    ChunkLogprobs: {"content", "refusal"},
    ChatCompletionTokenLogprob: {"bytes"},
    TopLogprob: {"bytes"},
    ChatCompletionMessage: {"content", "refusal"},
    CompletionChoice: {"logprobs"},
    Response: {"error", "incomplete_details", "instructions", "metadata", "temperature", "top_p"},
}
"""Keys that must be there though their value may be null."""


def valid(kind: type[pydantic.BaseModel], told: Any) -> Any:
    """The same as the SDK reads it.

    Raises:
        pydantic.ValidationError, AssertionError: it is not what the schema says.
    """
    read = kind.model_validate_json(told if isinstance(told, bytes) else _written(told), strict=True)
    _complete(read)
    return read


def valid_answer(fields: dict[str, Any]) -> ChatCompletion:
    read: ChatCompletion = valid(ChatCompletion, fields)
    assert [choice.index for choice in read.choices] == sorted({choice.index for choice in read.choices})
    for choice in read.choices:
        for call in choice.message.tool_calls or ():
            assert call.id
    return read


def valid_stream(chunks: list[bytes]) -> list[ChatCompletionChunk]:
    """Each chunk, and all together: one head, a role first, calls named once, an end for each choice."""
    read: list[ChatCompletionChunk] = [valid(ChatCompletionChunk, chunk) for chunk in chunks]
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in read}) <= 1
    begun: dict[int, list[str]] = {}
    ended: set[int] = set()
    for chunk in read:
        for choice in chunk.choices:
            assert choice.index not in ended
            assert (choice.delta.role == "assistant") == (choice.index not in begun)
            calls = begun.setdefault(choice.index, [])
            for call in choice.delta.tool_calls or ():
                if call.index == len(calls):
                    assert call.id
                    assert call.type == "function"
                    assert call.function is not None
                    assert call.function.name is not None
                    calls.append(call.id)
                else:
                    assert call.index < len(calls)
                    assert "id" not in call.model_fields_set
                    assert call.function is None or "name" not in call.function.model_fields_set
            if choice.finish_reason is not None:
                ended.add(choice.index)
    assert ended == set(begun)
    return read


def valid_usage(told: dict[str, Any]) -> CompletionUsage:
    read: CompletionUsage = valid(CompletionUsage, told)
    assert read.total_tokens == read.prompt_tokens + read.completion_tokens
    return read


def _written(told: Any) -> bytes:
    return pydantic.TypeAdapter(Any).dump_json(told)


def _complete(value: object) -> None:
    match value:
        case pydantic.BaseModel():
            missing = THERE.get(type(value), set()) - value.model_fields_set
            assert not missing, f"{type(value).__name__} without {missing}"
            for name in value.model_fields_set:
                _complete(getattr(value, name, None))
        case list():
            for one in value:
                _complete(one)
