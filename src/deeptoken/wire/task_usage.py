"""What a task used, as hosts tell it and as callers read it.

    read            a host's `usage`, by whichever names, and the same without what it charges the operator
    embeddings      {prompt_tokens, total_tokens}
    images          {input_tokens, input_tokens_details, output_tokens, output_tokens_details, total_tokens}
    rerank          {prompt_tokens, total_tokens, search_units}

Sources, read 2026-11-25: the types of OpenAI's SDK (openai 3.54); Cohere's, Together's, Voyage's, Mistral's
and OpenRouter's, which tell the same counts by other names.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Raw

from deeptoken.wire.choice import NULL, encode
from deeptoken.wire.completion import COSTS, COUNT_MAX
from deeptoken.wire.usage import Usage

Count = Annotated[int, msgspec.Meta(ge=0, le=COUNT_MAX)] | None


class _Details(msgspec.Struct, frozen=True):
    cached_tokens: Count = None
    image_tokens: Count = None
    audio_tokens: Count = None


class _Told(msgspec.Struct, frozen=True):
    """Either names of tokens: OpenAI's older and its newer ones."""

    prompt_tokens: Count = None
    input_tokens: Count = None
    completion_tokens: Count = None
    output_tokens: Count = None
    total_tokens: Count = None
    search_units: Count = None
    prompt_tokens_details: _Details | None = None
    input_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None
    output_tokens_details: _Details | None = None


_told = msgspec.json.Decoder(_Told)
_fields = msgspec.json.Decoder(dict[str, Raw])


def read(raw: Raw, *, drawn: bool = False, spoken: bool = False) -> tuple[Usage | None, int, Raw | None]:
    """The tokens that were counted, the searches, and what a caller may read of it as it came.

    None: no tokens were told, or nonsense. `drawn`, `spoken`: what was generated is pictures, or speech.
    """
    if raw == NULL:
        return None, 0, None
    try:
        told = _told.decode(raw)
        fields = _fields.decode(raw)
    except msgspec.DecodeError:
        return None, 0, None
    shown = raw
    if COSTS & fields.keys():
        shown = Raw(encode({name: value for name, value in fields.items() if name not in COSTS}))
    searches = told.search_units or 0
    out = _first(told.completion_tokens, told.output_tokens) or 0
    into = _first(told.prompt_tokens, told.input_tokens)
    if into is None and told.total_tokens is not None:
        into = max(0, told.total_tokens - out)
    if into is None:
        return None, searches, shown
    cached = min(_of(told.prompt_tokens_details, told.input_tokens_details).cached_tokens or 0, into)
    details = _of(told.completion_tokens_details, told.output_tokens_details)
    pictures = min(_or(details.image_tokens, out if drawn else 0), out)
    speech = min(_or(details.audio_tokens, out if spoken else 0), out - pictures)
    usage = Usage(
        prompt=into - cached,
        cached=cached,
        completion=out - pictures - speech,
        completion_audio=speech,
        completion_image=pictures,
    )
    return usage, searches, shown


def embeddings(usage: Usage) -> dict[str, Any]:
    return {"prompt_tokens": usage.prompt_tokens, "total_tokens": usage.prompt_tokens}


def images(usage: Usage) -> dict[str, Any]:
    into, out = usage.prompt_tokens, usage.completion_tokens
    pictures = usage.completion_image
    return {
        "input_tokens": into,
        "input_tokens_details": {"image_tokens": 0, "text_tokens": into},
        "output_tokens": out,
        "output_tokens_details": {"image_tokens": pictures, "text_tokens": out - pictures},
        "total_tokens": into + out,
    }


def rerank(usage: Usage) -> dict[str, Any]:
    return {**embeddings(usage), "search_units": usage.searches}


def _first(one: int | None, other: int | None) -> int | None:
    return other if one is None else one


def _of(one: _Details | None, other: _Details | None) -> _Details:
    return one or other or _Details()


def _or(told: int | None, otherwise: int) -> int:
    return otherwise if told is None else told
