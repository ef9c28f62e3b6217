"""Gemini's answers as chunks of a chat completion; a whole answer is a stream of one.

    candidates[].content.parts[]      text, thoughts and their signatures, calls of functions, pictures
    candidates[].finishReason         kept until the end: some models tell it with every piece
    promptFeedback.blockReason        an end by the filter, before anything was said
    usageMetadata                     the usage so far; the last one counts
    error                             a failure; nothing follows it

Source: ai.google.dev/api/generate-content, .../gemini-api/docs/thought-signatures; read 2026-11-25. Some
models give a call its id; the others' get one here. What the API's own tools did is not passed on.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from deeptoken.providers.base import Asked, Malformed, Piece
from deeptoken.providers.gemini_answer import (
    Answer,
    Candidate,
    Details,
    FunctionCall,
    Part,
    arguments_of,
    failure_told,
    finish_of,
    logprobs_of,
    picture,
    usage_of,
)
from deeptoken.providers.gemini_arguments import Arguments, OutOfPlace
from deeptoken.providers.gemini_frames import Frames
from deeptoken.wire.choice import call_id
from deeptoken.wire.completion import usage_object
from deeptoken.wire.sse import EventTooLarge

BLOCKED = "SAFETY"
UNSPECIFIED = ("", 0, None, "FINISH_REASON_UNSPECIFIED")

_decode = msgspec.json.Decoder(Answer).decode
_encode = msgspec.json.Encoder().encode


def read_answer(data: bytes) -> Answer:
    """Raises:
    Malformed: it is no answer of this dialect.
    """
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Malformed("What came is no JSON of this dialect.") from None


class _Choice:
    """One candidate as far as it is told."""

    __slots__ = ("arguments", "calls", "details", "index", "pictures", "reason")

    def __init__(self, index: int) -> None:
        self.index = index
        self.details = Details()
        self.calls = 0
        self.pictures = 0
        self.reason: str | int | None = None
        self.arguments: Arguments | None = None
        """Of the last call, while they come in pieces."""


class ContentStream:
    """One streamed answer."""

    __slots__ = ("_asked", "_choices", "_frames", "_head", "_id", "done", "upstream_id")

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._frames = Frames()
        self._choices: dict[int, _Choice] = {}
        self.upstream_id: str | None = None
        self.done = False
        self._begin(asked.id)

    def feed(self, data: bytes) -> Iterator[Piece]:
        try:
            frames = self._frames.feed(data)
        except EventTooLarge as error:
            raise Malformed(str(error)) from None
        for frame in frames:
            yield from self.read(read_answer(frame))
        if self._frames.closed and not self.done:
            yield from self.finish()

    def end(self) -> Iterator[Piece]:
        for frame in self._frames.end():
            yield from self.read(read_answer(frame))
        if self.done:
            return
        if not all(choice.reason is not None for choice in self._choices.values()):
            raise Malformed("The answer was cut: it told no finishReason.")
        yield from self.finish()

    def read(self, answer: Answer) -> Iterator[Piece]:
        """What one piece of the answer says."""
        if self.done:
            return
        if answer.error is not None:
            self.done = True
            yield Piece(failure=failure_told(answer.error))
            return
        if answer.response_id and self.upstream_id is None:
            self.upstream_id = answer.response_id
            if not self._choices:
                self._begin(answer.response_id)
        for candidate in answer.candidates or ():
            yield from self._candidate(candidate)
        if answer.blocked:
            yield from self._candidate(Candidate(finish_reason=BLOCKED))
        if usage := usage_of(answer.usage_metadata):
            yield Piece(usage=usage, told=msgspec.Raw(_encode(usage_object(usage))))

    def finish(self) -> Iterator[Piece]:
        """The end of each candidate. Raises:
        Malformed: there was none.
        """
        self.done = True
        if not self._choices:
            raise Malformed("The answer has no candidates.")
        for choice in self._choices.values():
            yield from self._arguments(choice)
            finish = finish_of(choice.reason or "", called=choice.calls > 0)
            yield self._chunk(choice, {}, finish=finish)

    def _begin(self, id: str) -> None:
        self._id, asked = id, self._asked
        known = {"id": id, "object": "chat.completion.chunk", "created": asked.created, "model": asked.model}
        self._head = _encode(known)[:-1] + b',"choices":['

    def _candidate(self, candidate: Candidate) -> Iterator[Piece]:
        index = candidate.index or 0
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Choice(index)
            yield self._chunk(choice, {"role": "assistant", "content": ""})
        for part in candidate.parts:
            yield from self._part(choice, part)
        if logprobs := logprobs_of(candidate.logprobs_result):
            yield self._chunk(choice, {}, logprobs=logprobs)
        if candidate.finish_reason not in UNSPECIFIED:
            choice.reason = candidate.finish_reason

    def _part(self, choice: _Choice, part: Part) -> Iterator[Piece]:
        signature, text = part.thought_signature, part.text or ""
        if part.function_call is not None:
            yield from self._call(choice, part.function_call, signature)
            return
        if part.inline_data is not None and part.inline_data.mime_type.startswith("image/"):
            shown = picture(part.inline_data, choice.pictures)
            choice.pictures += 1
            yield self._chunk(choice, {"images": [shown]}, content=True)
        delta: dict[str, Any] = {}
        if part.thought:
            if text or signature:
                delta = {"reasoning_content": text} if text else {}
                delta["reasoning_details"] = [choice.details.thought(text, signature)]
        else:
            if text:
                delta["content"] = text
            if signature:
                delta["reasoning_details"] = [choice.details.signature(signature, None)]
        if delta:
            yield self._chunk(choice, delta, text, content=True)

    def _call(self, choice: _Choice, call: FunctionCall, signature: str | None) -> Iterator[Piece]:
        if call.name:
            yield from self._arguments(choice)
            continues = bool(call.will_continue or call.partial_args)
            given = "" if continues else arguments_of(call.args)
            yield self._named(choice, call, given, signature)
            choice.arguments = Arguments() if continues else None
        if choice.arguments is None:
            return
        try:
            for piece in call.partial_args or ():
                choice.arguments.add(piece)
        except OutOfPlace:
            raise Malformed("An argument of a call has no place.") from None
        if not call.will_continue:
            yield from self._arguments(choice)

    def _named(self, choice: _Choice, call: FunctionCall, given: str, signature: str | None) -> Piece:
        """A call begins. Most come whole."""
        number = choice.calls
        choice.calls += 1
        of = f"{self._id}_{choice.index}" if choice.index else self._id
        id = call.id or call_id(of, number)
        function = {"name": call.name, "arguments": given}
        delta: dict[str, Any] = {
            "tool_calls": [{"index": number, "id": id, "type": "function", "function": function}]
        }
        if signature:
            delta["reasoning_details"] = [choice.details.signature(signature, id)]
        return self._chunk(choice, delta, given, content=True)

    def _arguments(self, choice: _Choice) -> Iterator[Piece]:
        """The arguments that came in pieces, once they are all there."""
        if choice.arguments is None:
            return
        written = choice.arguments.written()
        choice.arguments = None
        call = {"index": choice.calls - 1, "function": {"arguments": written}}
        yield self._chunk(choice, {"tool_calls": [call]}, written, content=True)

    def _chunk(
        self,
        choice: _Choice,
        delta: dict[str, Any],
        text: str = "",
        *,
        content: bool = False,
        logprobs: dict[str, Any] | None = None,
        finish: str | None = None,
    ) -> Piece:
        told = {"index": choice.index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return Piece(self._head + _encode(told) + b"]}", text, content=content, finish=finish is not None)
