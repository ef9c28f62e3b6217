"""The output of a response, item by item: what a chat's deltas add to it, and the events that tell it.

    content, refusal             a message, a part each
    reasoning_content, _details  a reasoning item: its text as summary if one was asked for, else as content
    tool_calls                   a function call each
    images                       an image generation call each

An item ends where another kind begins. Calls end together: their deltas may come in any order.

Source: developers.openai.com/api/reference/resources/responses/streaming-events and openai-python's types,
read 2026-11-25.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from deeptoken.wire import responses_reasoning as reasoning
from deeptoken.wire.choice import NO_ARGUMENTS, objects_of
from deeptoken.wire.completion import merged

Object = dict[str, Any]
"""Also an event: its fields without `sequence_number`."""


class Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class Call(msgspec.Struct, gc=False):
    index: int | None = None
    id: str | None = None
    function: Function | None = None


class Delta(msgspec.Struct, gc=False):
    """What is generated, as a delta or as a whole message. What adapters do not mend may have any type."""

    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[Call] | None = None
    reasoning_details: Any = None
    annotations: Any = None
    images: Any = None


class Output:
    """The items of one response. `key` makes their ids."""

    def __init__(self, key: str, *, summarized: bool) -> None:
        self._key = key
        self._summarized = summarized
        self._items: list[_Item] = []
        self._open: _Message | _Thought | None = None
        self._calls: dict[int, _Called] = {}

    def add(self, delta: Delta, logprobs: object = None) -> Iterator[Object]:
        """What `delta` adds; `logprobs` are a chat's, of its content."""
        if delta.reasoning_content or delta.reasoning_details:
            thought = self._open
            if not isinstance(thought, _Thought):
                yield from self._end()
                thought = self._open = _Thought(self._id("rs"), len(self._items), summarized=self._summarized)
                yield from self._begin(thought)
            yield from thought.add(delta.reasoning_content or "", objects_of(delta.reasoning_details))
        if delta.content or delta.refusal or delta.annotations:
            message = self._open
            if not isinstance(message, _Message):
                yield from self._end()
                message = self._open = _Message(self._id("msg"), len(self._items))
                yield from self._begin(message)
            yield from message.add(delta, _tokens(logprobs))
        for place, call in enumerate(delta.tool_calls or ()):
            yield from self._call(call, place if call.index is None else call.index)
        for image in objects_of(delta.images):
            yield from self._image(image)

    def end(self, *, whole: bool) -> Iterator[Object]:
        """End what is open. Not `whole`: the last item was cut."""
        cut = None if whole else self._last()
        yield from self._end(cut)
        for call in self._calls.values():
            if not call.begun:
                yield from self._begin_call(call)
            yield from call.end(whole=call is not cut)

    def items(self) -> list[Object]:
        """All items as they stand now."""
        return [item.item() for item in self._items]

    def broken_off(self) -> list[Object]:
        """All items, and nothing will be added: what has not ended is incomplete."""
        for item in self._items:
            if item.status == "in_progress":
                item.status = "incomplete"
        return self.items()

    def _last(self) -> "_Item | None":
        waiting = [call for call in self._calls.values() if not call.begun]
        return waiting[-1] if waiting else self._items[-1] if self._items else None

    def _id(self, prefix: str) -> str:
        return f"{prefix}_{self._key}_{len(self._items)}"

    def _begin(self, item: "_Item") -> Iterator[Object]:
        self._items.append(item)
        yield {"type": "response.output_item.added", "output_index": item.index, "item": item.item()}

    def _end(self, cut: "_Item | None" = None) -> Iterator[Object]:
        if self._open is not None:
            yield from self._open.end(whole=self._open is not cut)
            self._open = None

    def _call(self, delta: Call, index: int) -> Iterator[Object]:
        call = self._calls.get(index)
        if call is None:
            yield from self._end()
            call = self._calls[index] = _Called(delta.id or f"call_{self._key}_{index}")
        function = delta.function or Function()
        call.name = call.name or function.name or ""
        if function.arguments:
            call.arguments.append(function.arguments)
        if call.begun:
            yield from call.told(function.arguments or "")
        elif call.name:
            yield from self._begin_call(call)

    def _begin_call(self, call: "_Called") -> Iterator[Object]:
        """Its name is known, or will not come any more."""
        call.id, call.index = self._id("fc"), len(self._items)
        yield from self._begin(call)
        call.begun = True
        yield from call.told("".join(call.arguments))

    def _image(self, image: Object) -> Iterator[Object]:
        """A picture that came as data; a link to one is not an item of this dialect."""
        match image:
            case {"image_url": {"url": str(url)}} if url.startswith("data:image/") and ";base64," in url:
                yield from self._end()
                form, _, data = url.removeprefix("data:image/").partition(";base64,")
                picture = _Picture(self._id("ig"), len(self._items), form, data)
                yield from self._begin(picture)
                yield from picture.end(whole=True)


class _Item:
    """One item: it begins in progress and ends completed or cut."""

    id = ""
    index = 0
    status = "in_progress"

    def item(self) -> Object:
        raise NotImplementedError

    def end(self, *, whole: bool) -> Iterator[Object]:
        self.status = "completed" if whole else "incomplete"
        yield {"type": "response.output_item.done", "output_index": self.index, "item": self.item()}

    def event(self, kind: str, **fields: Any) -> Object:
        return {"type": f"response.{kind}", "item_id": self.id, "output_index": self.index, **fields}


class _Message(_Item):
    def __init__(self, id: str, index: int) -> None:
        self.id, self.index = id, index
        self._parts: list[_Part] = []

    def item(self) -> Object:
        content = [part.part() for part in self._parts]
        return {
            "id": self.id,
            "type": "message",
            "status": self.status,
            "role": "assistant",
            "content": content,
        }

    def add(self, delta: Delta, logprobs: list[Object]) -> Iterator[Object]:
        if delta.content or delta.annotations:
            yield from self._part("output_text")
            part, at = self._parts[-1], len(self._parts) - 1
            if delta.content:
                part.texts.append(delta.content)
                part.logprobs += logprobs
                yield self.event(
                    "output_text.delta", content_index=at, delta=delta.content, logprobs=_short(logprobs)
                )
            for annotation in _citations(delta.annotations):
                part.annotations.append(annotation)
                number = len(part.annotations) - 1
                yield self.event(
                    "output_text.annotation.added",
                    content_index=at,
                    annotation_index=number,
                    annotation=annotation,
                )
        if delta.refusal:
            yield from self._part("refusal")
            self._parts[-1].texts.append(delta.refusal)
            yield self.event("refusal.delta", content_index=len(self._parts) - 1, delta=delta.refusal)

    def end(self, *, whole: bool) -> Iterator[Object]:
        yield from self._end_part()
        yield from super().end(whole=whole)

    def _part(self, kind: str) -> Iterator[Object]:
        """Go on with a part of this kind."""
        if self._parts and self._parts[-1].kind == kind:
            return
        yield from self._end_part()
        self._parts.append(_Part(kind))
        yield self.event(
            "content_part.added", content_index=len(self._parts) - 1, part=self._parts[-1].part()
        )

    def _end_part(self) -> Iterator[Object]:
        if not self._parts:
            return
        part, at = self._parts[-1], len(self._parts) - 1
        text = "".join(part.texts)
        if part.kind == "refusal":
            yield self.event("refusal.done", content_index=at, refusal=text)
        else:
            yield self.event("output_text.done", content_index=at, text=text, logprobs=_short(part.logprobs))
        yield self.event("content_part.done", content_index=at, part=part.part())


class _Part:
    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.texts: list[str] = []
        self.annotations: list[Object] = []
        self.logprobs: list[Object] = []

    def part(self) -> Object:
        text = "".join(self.texts)
        if self.kind == "refusal":
            return {"type": "refusal", "refusal": text}
        return {
            "type": "output_text",
            "text": text,
            "annotations": list(self.annotations),
            "logprobs": list(self.logprobs),
        }


class _Thought(_Item):
    """Hosts of this dialect take no status of such an item back, so it has none."""

    def __init__(self, id: str, index: int, *, summarized: bool) -> None:
        self.id, self.index = id, index
        self._texts: list[str] = []
        self._details: list[Object] = []
        self._kind = "summary_text" if summarized else "reasoning_text"
        self._event = "reasoning_summary_text" if summarized else "reasoning_text"
        self._part_event = "reasoning_summary_part" if summarized else "content_part"
        self._place = {"summary_index" if summarized else "content_index": 0}

    def item(self) -> Object:
        ended = self.status != "in_progress"
        told: list[Object] = [self._part()] if self._texts and ended else []
        shown = {"summary": told} if self._kind == "summary_text" else {"summary": [], "content": told}
        item = {"id": self.id, "type": "reasoning", **shown}
        if ended:
            item["encrypted_content"] = reasoning.seal(self._details)
        return item

    def add(self, text: str, details: list[Object]) -> Iterator[Object]:
        if details:
            self._details = merged(self._details, details) if self._details else details
        if text:
            if not self._texts:
                yield self.event(f"{self._part_event}.added", **self._place, part=self._part())
            self._texts.append(text)
            yield self.event(f"{self._event}.delta", **self._place, delta=text)

    def end(self, *, whole: bool) -> Iterator[Object]:
        if self._texts:
            yield self.event(f"{self._event}.done", **self._place, text="".join(self._texts))
            yield self.event(f"{self._part_event}.done", **self._place, part=self._part())
        yield from super().end(whole=whole)

    def _part(self) -> Object:
        return {"type": self._kind, "text": "".join(self._texts)}


class _Called(_Item):
    def __init__(self, call_id: str) -> None:
        self.begun = False
        self.name = ""
        self.arguments: list[str] = []
        self._call_id = call_id

    def item(self) -> Object:
        return {
            "id": self.id,
            "type": "function_call",
            "status": self.status,
            "call_id": self._call_id,
            "name": self.name,
            "arguments": "".join(self.arguments) if self.begun else "",
        }

    def told(self, arguments: str) -> Iterator[Object]:
        if arguments:
            yield self.event("function_call_arguments.delta", delta=arguments)

    def end(self, *, whole: bool) -> Iterator[Object]:
        if not self.arguments:
            self.arguments.append(NO_ARGUMENTS)
            yield from self.told(NO_ARGUMENTS)
        yield self.event("function_call_arguments.done", arguments="".join(self.arguments))
        yield from super().end(whole=whole)


class _Picture(_Item):
    def __init__(self, id: str, index: int, form: str, data: str) -> None:
        self.id, self.index = id, index
        self._form, self._data = form, data

    def item(self) -> Object:
        ended = self.status != "in_progress"
        item: Object = {"id": self.id, "type": "image_generation_call", "status": self.status}
        return {**item, "result": self._data if ended else None, "output_format": self._form}


def _tokens(logprobs: object) -> list[Object]:
    """A chat's log probabilities as a text part has them."""
    told = logprobs.get("content") if isinstance(logprobs, dict) else None
    return [
        {**_token(one), "top_logprobs": [_token(top) for top in objects_of(one.get("top_logprobs"))]}
        for one in objects_of(told)
    ]


def _token(told: Object) -> Object:
    return {
        "token": told.get("token", ""),
        "bytes": told.get("bytes") or [],
        "logprob": told.get("logprob", 0.0),
    }


def _short(logprobs: list[Object]) -> list[Object]:
    """The same as events have it: without bytes."""
    return [
        {
            "token": one["token"],
            "logprob": one["logprob"],
            "top_logprobs": [
                {"token": top["token"], "logprob": top["logprob"]} for top in one["top_logprobs"]
            ],
        }
        for one in logprobs
    ]


def _citations(annotations: object) -> Iterator[Object]:
    for annotation in objects_of(annotations):
        match annotation:
            case {"type": "url_citation", "url_citation": {"url": str(url)} as told}:
                yield {
                    "type": "url_citation",
                    "start_index": told.get("start_index") or 0,
                    "end_index": told.get("end_index") or 0,
                    "url": url,
                    "title": told.get("title") or "",
                }
