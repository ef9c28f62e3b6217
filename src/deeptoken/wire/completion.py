"""OpenAI's `chat.completion` and its usage: read from providers, written for callers.

Source: platform.openai.com/docs/api-reference/chat/object and openai-python's types, read 2026-11-23.

    read_usage     a provider's count -> `Usage`, and the same in OpenAI's shape
    usage_object   `Usage` -> OpenAI's shape
    Assembler      chunks -> a whole answer
"""

from operator import attrgetter
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from deeptoken.wire.choice import NO_ARGUMENTS, encode
from deeptoken.wire.usage import Usage

COUNT_MAX = 1_000_000_000
"""No call has more tokens than this; a larger count is a mistake that nobody should pay."""
GROWING = frozenset({"text", "summary", "data", "transcript", "thinking", "arguments"})
"""Text fields inside lists and objects of a delta that come piece by piece."""
COSTS = frozenset({"cost", "cost_details", "cost_in_usd_ticks", "is_byok"})
"""What a reseller charges the operator; no business of the caller, who sees our `cost` in its place."""

_JSON = msgspec.json.Decoder()

Count = Annotated[int, msgspec.Meta(ge=0, le=COUNT_MAX)]
Elsewhere = Raw | UnsetType


class Inputs(msgspec.Struct, frozen=True, gc=False):
    cached_tokens: Count = 0
    cache_write_tokens: Count = 0
    audio_tokens: Count = 0


class Outputs(msgspec.Struct, frozen=True, gc=False):
    reasoning_tokens: Count = 0
    audio_tokens: Count = 0


class Plain(msgspec.Struct, frozen=True, gc=False):
    """A usage as OpenAI itself tells it: read in a fraction of the time that any other takes."""

    prompt_tokens: Count
    completion_tokens: Count
    total_tokens: Count
    prompt_tokens_details: Inputs = Inputs()
    completion_tokens_details: Outputs = Outputs()
    prompt_cache_hit_tokens: Elsewhere = UNSET
    cached_tokens: Elsewhere = UNSET
    num_cached_tokens: Elsewhere = UNSET
    cost: Elsewhere = UNSET
    cost_details: Elsewhere = UNSET
    cost_in_usd_ticks: Elsewhere = UNSET
    is_byok: Elsewhere = UNSET


_PLAIN = msgspec.json.Decoder(Plain)
OTHERS = Plain.__struct_fields__[5:]
"""Where other hosts tell it, or more than is wanted."""
OTHER_COUNTS = attrgetter(*OTHERS)
NO_OTHERS = (UNSET,) * len(OTHERS)


def read_usage(
    raw: Raw, *, reasoning_outside: bool = False, counts_beside: bool = False
) -> tuple[Usage | None, Raw | None]:
    """What a provider counted, split into disjoint classes, and the same in OpenAI's shape.

    None: it did not tell, or told nonsense. `reasoning_outside`: this host counts reasoning beside
    `completion_tokens`, not in them (where its total tells otherwise, the total is right).
    `counts_beside`: its `citation_tokens` and `reasoning_tokens` are billed, and in no other count.
    """
    if counts_beside:
        raw = _with_beside(raw)
    usage = _plain(raw)
    if usage is not None:
        return usage, raw
    told = _JSON.decode(raw)
    if not isinstance(told, dict):
        return None, None
    prompt, completion = _count(told.get("prompt_tokens")), _count(told.get("completion_tokens"))
    total = _count(told.get("total_tokens"))
    if "completion_tokens" not in told and prompt is not None and total is not None:
        completion = _count(total - prompt)
    if prompt is None or completion is None:
        return None, None
    reasoning = _first(_details(told, "completion_tokens_details").get("reasoning_tokens"))
    outside = total == prompt + completion + reasoning or (reasoning_outside and total != prompt + completion)
    if outside:
        completion += reasoning
    if total != prompt + completion or told.get("completion_tokens") != completion or COSTS & told.keys():
        told = {name: value for name, value in told.items() if name not in COSTS}
        counts = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }
        raw = Raw(encode({**told, **counts}))
    return _split(prompt, completion, reasoning, told), raw


def _with_beside(raw: Raw) -> Raw:
    """Perplexity's research: what it read counts as prompt, what it thought as completion."""
    told = _JSON.decode(raw)
    if not isinstance(told, dict):
        return raw
    read, thought = _first(told.get("citation_tokens")), _first(told.get("reasoning_tokens"))
    prompt, completion = _count(told.get("prompt_tokens")), _count(told.get("completion_tokens"))
    if prompt is None or completion is None or not read + thought:
        return raw
    counts: dict[str, Any] = {
        "prompt_tokens": prompt + read,
        "completion_tokens": completion + thought,
        "total_tokens": prompt + read + completion + thought,
    }
    if thought:
        counts["completion_tokens_details"] = {"reasoning_tokens": thought}
    return Raw(encode({**told, **counts}))


def _plain(raw: Raw) -> Usage | None:
    """A usage that is told as OpenAI tells it and adds up; None: it has to be read with care."""
    try:
        told = _PLAIN.decode(raw)
    except msgspec.DecodeError:
        return None
    inputs, outputs = told.prompt_tokens_details, told.completion_tokens_details
    prompt = told.prompt_tokens - inputs.cached_tokens - inputs.cache_write_tokens - inputs.audio_tokens
    completion = told.completion_tokens - outputs.reasoning_tokens - outputs.audio_tokens
    adds_up = told.total_tokens == told.prompt_tokens + told.completion_tokens
    if not adds_up or prompt < 0 or completion < 0:
        return None
    if OTHER_COUNTS(told) != NO_OTHERS:
        return None
    return Usage(
        prompt=prompt,
        cached=inputs.cached_tokens,
        cache_write=inputs.cache_write_tokens,
        prompt_audio=inputs.audio_tokens,
        completion=completion,
        reasoning=outputs.reasoning_tokens,
        completion_audio=outputs.audio_tokens,
    )


def _split(prompt: int, completion: int, reasoning: int, told: dict[str, Any]) -> Usage:
    inputs, outputs = _details(told, "prompt_tokens_details"), _details(told, "completion_tokens_details")
    cached = _first(
        inputs.get("cached_tokens"),
        told.get("prompt_cache_hit_tokens"),  # DeepSeek
        told.get("cached_tokens"),  # Together
        told.get("num_cached_tokens"),  # Mistral
    )
    # No class may take more than is left of the whole, whatever the host says of it.
    cached = min(cached, prompt)
    written = min(_first(inputs.get("cache_write_tokens")), prompt - cached)
    heard = min(_first(inputs.get("audio_tokens")), prompt - cached - written)
    reasoning = min(reasoning, completion)
    spoken = min(_first(outputs.get("audio_tokens")), completion - reasoning)
    return Usage(
        prompt=prompt - cached - written - heard,
        cached=cached,
        cache_write=written,
        prompt_audio=heard,
        completion=completion - reasoning - spoken,
        reasoning=reasoning,
        completion_audio=spoken,
    )


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= COUNT_MAX else None


def _first(*values: object) -> int:
    return next((count for value in values if (count := _count(value))), 0)


def _details(told: dict[str, Any], name: str) -> dict[str, Any]:
    details = told.get(name)
    return details if isinstance(details, dict) else {}


def usage_object(usage: Usage) -> dict[str, Any]:
    """A `usage` in OpenAI's shape; details only where there are any."""
    fields: dict[str, Any] = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }
    inputs = {
        "cached_tokens": usage.cached,
        "cache_write_tokens": usage.cache_write + usage.cache_write_1h,
        "audio_tokens": usage.prompt_audio,
    }
    outputs = {"reasoning_tokens": usage.reasoning, "audio_tokens": usage.completion_audio}
    for name, details in (("prompt_tokens_details", inputs), ("completion_tokens_details", outputs)):
        if any(details.values()):
            fields[name] = {key: count for key, count in details.items() if count}
    return fields


class Assembler:
    """Puts the chunks of a streamed answer together, as if it had not been streamed.

    Chunks come as the adapters deliver them: in order, mended, without usage.
    """

    def __init__(self) -> None:
        self._fields: dict[str, Any] = {}
        self._choices: dict[int, _Growing] = {}

    def add(self, chunk: bytes) -> None:
        if not chunk:
            return
        fields = _JSON.decode(chunk)
        for name, value in fields.items():
            if value is not None and name not in ("choices", "obfuscation", "usage"):
                self._fields[name] = value
        for choice in fields["choices"]:
            growing = self._choices.get(choice["index"])
            if growing is None:
                growing = self._choices[choice["index"]] = _Growing()
            growing.add(choice)

    def whole(self) -> dict[str, Any]:
        """The ``chat.completion`` so far, without usage."""
        choices = [choice.whole(index) for index, choice in sorted(self._choices.items())]
        return {**self._fields, "object": "chat.completion", "choices": choices}


class _Growing:
    """One choice. Text grows in pieces, which are joined once."""

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {}
        self._message: dict[str, Any] = {}
        self._calls: list[dict[str, Any]] = []
        self._arguments: list[list[str]] = []
        self._fields: dict[str, Any] = {"logprobs": None, "finish_reason": None}

    def add(self, choice: dict[str, Any]) -> None:
        for name, value in choice.items():
            if name == "delta" or value is None:
                continue
            self._fields[name] = merged(self._fields.get(name), value) if name == "logprobs" else value
        for name, value in choice["delta"].items():
            if value is None:
                continue
            if name == "tool_calls":
                for call in value:
                    self._call(call)
            elif name == "role":
                self._message[name] = value
            elif isinstance(value, str):
                self._texts.setdefault(name, []).append(value)
            else:
                self._message[name] = merged(self._message.get(name), value)

    def _call(self, delta: dict[str, Any]) -> None:
        function = delta.get("function") or {}
        if delta["index"] == len(self._calls):
            self._calls.append({key: value for key, value in delta.items() if key != "index"})
            self._arguments.append([])
        call = self._calls[delta["index"]]
        if function.get("name"):
            call["function"] = {**(call.get("function") or {}), "name": function["name"]}
        if function.get("arguments"):
            self._arguments[delta["index"]].append(function["arguments"])

    def whole(self, index: int) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None, **self._message}
        message.update((name, "".join(pieces)) for name, pieces in self._texts.items())
        if self._calls:
            message["content"] = message["content"] or None
            message["tool_calls"] = [
                {**call, "function": {**call["function"], "arguments": "".join(arguments) or NO_ARGUMENTS}}
                if call.get("function")
                else call
                for call, arguments in zip(self._calls, self._arguments, strict=True)
            ]
        return {**self._fields, "index": index, "message": message}


def merged(old: Any, new: Any) -> Any:
    """What a delta adds to an unknown field: lists grow, objects are filled in, the rest is replaced.

    Items of a list that have the same `index` are pieces of one (so come reasoning details).
    """
    match old, new:
        case dict(), dict():
            filled = dict(old)
            for name, value in new.items():
                if name in GROWING and isinstance(value, str) and isinstance(old.get(name), str):
                    filled[name] = old[name] + value
                elif value is not None:
                    filled[name] = merged(old.get(name), value)
            return filled
        case list(), list():
            grown = list(old)
            for item in new:
                if grown and _same_item(grown[-1], item):
                    grown[-1] = merged(grown[-1], item)
                else:
                    grown.append(item)
            return grown
    return new


def _same_item(old: Any, new: Any) -> bool:
    return (
        isinstance(old, dict)
        and isinstance(new, dict)
        and isinstance(new.get("index"), int)
        and (old.get("index"), old.get("type")) == (new["index"], new.get("type"))
    )
