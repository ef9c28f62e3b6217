"""The items of a Responses request as the messages of a chat.

    message               a message of its role; an assistant's goes into its turn
    reasoning             `reasoning_content` and `reasoning_details` of the assistant's turn that follows
    function_call         `tool_calls` of the assistant's turn
    function_call_output  a tool message
    item_reference        refused: nothing is stored

An assistant's items up to the next item of somebody else are one turn, whose text is one text: a chat has
the same. So are those of one response of ours, by their ids, where just outputs of its calls stand between.
Two messages with nothing between them, and no call before, are two turns. What was thought and led to
nothing is dropped. What only a host of this dialect understands becomes a part of type `BEYOND`:
read for the meter, refused where it would have to be translated.

Source: developers.openai.com/api/reference/resources/responses/methods/create and openai-python's types,
read 2026-11-25.
"""

import re
from typing import Any

import msgspec

from deeptoken.wire import responses_reasoning as reasoning
from deeptoken.wire.chat import wrong

BEYOND = "beyond_chat"
"""The type of a part that no chat has. Its `text` is the item as JSON."""
OURS = re.compile(r"(?:rs|msg|fc|ig)_(.+)_\d+")
"""The ids that items of a response of ours have."""
ANSWERS = {"content", "refusal", "tool_calls", "images"}
"""What makes a turn more than a thought."""
ROLES = ("user", "assistant", "system", "developer")
STORED = frozenset({"file_id", "container", "container_id", "vector_store_ids"})
"""Fields that name what is stored upstream: the operator's, not the caller's."""
PART_FIELDS = {
    "input_text": ("text",),
    "output_text": ("text", "annotations", "logprobs"),
    "input_image": ("image_url", "detail", "file_id"),
    "input_file": ("file_data", "file_url", "filename", "file_id", "detail"),
    "input_audio": ("input_audio",),
}
"""The kinds of parts that a chat has too, and the fields that are translated; others go along."""

Object = dict[str, Any]
encode = msgspec.json.encode


def messages(given: str | list[Object], *, strict: bool) -> list[Object]:
    """The messages of a chat. `strict`: what a chat cannot carry is refused.

    Raises:
        BadRequest: an item that is none, or names what is stored; `param` is its path, ``input[0].content``.
    """
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    told = _Conversation(strict=strict)
    for at, item in enumerate(given):
        told.add(item, f"input[{at}]")
    return told.close()


class _Conversation:
    """Messages as they are gathered."""

    __slots__ = ("_just_said", "_key", "_last", "_said", "_strict", "_turn", "_unread")

    def __init__(self, *, strict: bool) -> None:
        self._said: list[Object] = []
        self._turn: Object | None = None
        """The assistant's turn that is being gathered."""
        self._last: Object | None = None
        """The assistant's last turn, while nothing but outputs of its calls stands after it."""
        self._key: str | None = None
        """Which response of ours that turn was."""
        self._just_said = False
        """The last item was an assistant's message."""
        self._unread: list[Object] = []
        """Parts of the assistant's turn that a chat does not have."""
        self._strict = strict

    def add(self, item: Object, path: str) -> None:
        just_said, self._just_said = self._just_said, False
        match _kind(item):
            case "message" if item.get("role") == "assistant":
                if just_said and "tool_calls" not in self._open(item):
                    self.close()
                self._assistant(item, path)
                self._just_said = True
            case "message":
                self._message(item, path)
            case "reasoning":
                self._reasoning(item, path)
            case "function_call":
                self._call(item, path)
            case "function_call_output":
                self._output(item, path)
            case "image_generation_call":
                self._image(item, path)
            case "item_reference":
                raise wrong(f"{path}.id", "nothing is stored here: send the item itself")
            case str():
                self._say({"role": "user", "content": self._beyond(item, path)})
            case _:
                raise wrong(f"{path}.type", "expected a string")

    def close(self) -> list[Object]:
        """End the assistant's turn, if there is one."""
        turn, self._turn = self._turn, None
        if turn is not None and turn is not self._last and turn.keys() & ANSWERS:
            turn.setdefault("content", None)
            self._said.append(turn)
            self._last = turn
        if self._unread:
            self._said.append({"role": "user", "content": self._unread})
            self._unread, self._last = [], None
        return self._said

    def _open(self, item: Object) -> Object:
        """The turn that this item of the assistant belongs to."""
        key = _key(item)
        turn = self._turn
        if turn is not None and "tool_calls" not in turn and key != self._key and key and self._key:
            self.close()
        if self._turn is None:
            # Some clients send each output right behind its call, though the calls were made together.
            resumed = self._last if key is not None and key == self._key else None
            self._turn, self._key = resumed or {"role": "assistant"}, key
        return self._turn

    def _say(self, message: Object) -> None:
        """Somebody else's message."""
        self.close()
        self._said.append(message)
        if message["role"] != "tool":
            self._last = None

    def _message(self, item: Object, path: str) -> None:
        if item.get("role") not in ROLES:
            raise wrong(f"{path}.role", f"expected one of {', '.join(ROLES)}")
        self._say({"role": item["role"], "content": self._content(item.get("content"), path)})

    def _assistant(self, item: Object, path: str) -> None:
        content, turn = item.get("content"), self._open(item)
        for at, part in enumerate(_parts(content, f"{path}.content")):
            match part:
                case {"type": "refusal", "refusal": str(text)}:
                    turn["refusal"] = (turn.get("refusal") or "") + text
                case {"type": "output_text" | "input_text" | "text", "text": str(text)}:
                    turn["content"] = (turn.get("content") or "") + text
                case {"type": "output_text" | "input_text" | "text" | "refusal" as kind}:
                    raise wrong(f"{path}.content[{at}].{kind.rpartition('_')[2]}", "expected a string")
                case _:
                    self._unread += self._beyond(part, f"{path}.content[{at}]")

    def _reasoning(self, item: Object, path: str) -> None:
        turn = self._open(item)
        text, details = reasoning.told(item, path)
        if text:
            turn["reasoning_content"] = turn.get("reasoning_content", "") + text
        if details:
            turn.setdefault("reasoning_details", []).extend(details)

    def _call(self, item: Object, path: str) -> None:
        for name in ("call_id", "name", "arguments"):
            if not isinstance(item.get(name), str):
                raise wrong(f"{path}.{name}", "expected a string")
        function = {"name": item["name"], "arguments": item["arguments"]}
        call = {"id": item["call_id"], "type": "function", "function": function}
        self._open(item).setdefault("tool_calls", []).append(call)

    def _image(self, item: Object, path: str) -> None:
        if not isinstance(item.get("result"), str):
            raise wrong(f"{path}.result", "a picture that is stored upstream is not yours: send it here")
        url = f"data:image/{item.get('output_format') or 'png'};base64,{item['result']}"
        self._open(item).setdefault("images", []).append({"type": "image_url", "image_url": {"url": url}})

    def _output(self, item: Object, path: str) -> None:
        if not isinstance(item.get("call_id"), str):
            raise wrong(f"{path}.call_id", "expected a string")
        content = self._content(item.get("output"), path, name="output")
        self._say({"role": "tool", "tool_call_id": item["call_id"], "content": content})

    def _content(self, content: object, path: str, name: str = "content") -> str | list[Object]:
        if isinstance(content, str):
            return content
        where = f"{path}.{name}"
        told: list[Object] = []
        for at, part in enumerate(_parts(content, where)):
            told += self._part(part, f"{where}[{at}]")
        match told:
            case [{"type": "text", "text": str(text), **others}] if not others:
                # Not every host takes parts where a text would do.
                return text
            case parts:
                return parts

    def _part(self, part: Object, path: str) -> list[Object]:
        kind = part.get("type")
        if not isinstance(kind, str):
            raise wrong(f"{path}.type", "expected a string")
        if part.get("file_id") is not None:
            raise wrong(f"{path}.file_id", "a file that is stored upstream is not yours: send it here")
        match part:
            case {"type": "input_text" | "output_text", "text": str(text)}:
                read: Object = {"type": "text", "text": text}
            case {"type": "input_image", "image_url": str(url)}:
                detail = {"detail": part["detail"]} if part.get("detail") else {}
                read = {"type": "image_url", "image_url": {"url": url, **detail}}
            case {"type": "input_file", "file_data": str(data)} | {
                "type": "input_file",
                "file_url": str(data),
            }:
                named = {"filename": part["filename"]} if part.get("filename") else {}
                read = {"type": "file", "file": {**named, "file_data": data}}
            case {"type": "input_audio", "input_audio": {"data": str()} as audio}:
                read = {"type": "input_audio", "input_audio": audio}
            case {"type": str()} if kind in PART_FIELDS:
                raise wrong(f"{path}.{PART_FIELDS[kind][0]}", "expected a string")
            case _:
                return self._beyond(part, path)
        others = {name: value for name, value in part.items() if name not in PART_FIELDS[kind]}
        return [{**others, **read}]

    def _beyond(self, item: Object, path: str) -> list[Object]:
        """An item or part that a chat does not have: as text, with its data as pictures, to be counted."""
        kind = item.get("type")
        if not isinstance(kind, str):
            raise wrong(f"{path}.type", "expected a string")
        data: list[str] = []
        told = _read(item, path, data)
        if self._strict:
            raise wrong(f"{path}.type", f"{kind} is not understood by the providers of this model")
        pictures = [{"type": "image_url", "image_url": {"url": url}} for url in data]
        return [{"type": BEYOND, "text": encode(told).decode()}, *pictures]


def _key(item: Object) -> str | None:
    """Which response of ours it is an item of, by its id."""
    id = item.get("id")
    found = OURS.fullmatch(id) if isinstance(id, str) else None
    return found[1] if found else None


def _kind(item: Object) -> object:
    """Its type, which a message and a reference may leave out."""
    if item.get("type") is not None:
        return item["type"]
    if "role" in item:
        return "message"
    return "item_reference" if isinstance(item.get("id"), str) else None


def _parts(content: object, path: str) -> list[Object]:
    if isinstance(content, str):
        return [{"type": "input_text", "text": content}]
    if not isinstance(content, list):
        raise wrong(path, "expected a string or a list of parts")
    for at, part in enumerate(content):
        if not isinstance(part, dict):
            raise wrong(f"{path}[{at}]", "expected an object")
    return content


def _read(value: Any, path: str, data: list[str]) -> Any:
    """The same without its data URLs, which go to `data`.

    Raises:
        BadRequest: it names what is stored upstream, however deep.
    """
    match value:
        case dict():
            for name, inner in value.items():
                if name in STORED and inner is not None:
                    raise wrong(f"{path}.{name}", "what is stored upstream is not yours: send it here")
            return {name: _read(inner, f"{path}.{name}", data) for name, inner in value.items()}
        case list():
            return [_read(inner, f"{path}[{at}]", data) for at, inner in enumerate(value)]
        case str() if value.startswith("data:"):
            data.append(value)
            return ""
    return value
