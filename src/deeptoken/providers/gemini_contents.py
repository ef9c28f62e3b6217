"""The messages of a chat as the contents of Gemini's API.

    system, developer    the system instruction: all of it first, in its order
    user                 a user turn; neighbours of one role are one turn
    tool, function       `functionResponse` parts, which stand first in the user turn after the call
    assistant            a model turn: signed thoughts, text, `functionCall`, each with its signature

A function is answered by its name: the call before says which that is. A result is text, so it goes under
one key, `output` or `error`: as an object of its own it would be read (Gemini looks for `$ref` there).

Source: ai.google.dev/api/caching (Content, Part), .../gemini-api/docs/thought-signatures,
.../docs/function-calling, .../docs/file-input-methods and the types of google-genai 3.6; read 2026-11-25.
What was thought goes back as it was signed, or not at all.
"""

import re
from typing import Any
from urllib.parse import urlsplit

import msgspec

from deeptoken.errors import BadRequest
from deeptoken.wire.chat import Message

Part = dict[str, Any]

FORMAT = "google-gemini-v1"
"""Marks reasoning details that are Gemini's; the name is OpenRouter's."""
UNSIGNED = "skip_thought_signature_validator"
"""Google's word for a call that Gemini did not make: another model did, or the client lost the signature."""
NO_ARGUMENTS = msgspec.Raw(b"{}")
AUDIO = re.compile(r"[a-z0-9.+-]{1,20}")
KINDS = {
    end: kind
    for kind, ends in {
        "image/jpeg": "jpg jpeg",
        "image/png": "png",
        "image/webp": "webp",
        "image/gif": "gif",
        "image/heic": "heic",
        "image/heif": "heif",
        "application/pdf": "pdf",
        "text/plain": "txt",
        "text/markdown": "md",
        "text/csv": "csv",
        "text/html": "html htm",
        "text/xml": "xml",
        "application/json": "json",
        "audio/mp3": "mp3",
        "audio/wav": "wav",
        "audio/ogg": "ogg",
        "audio/flac": "flac",
        "audio/aac": "aac",
        "audio/aiff": "aiff",
        "audio/m4a": "m4a",
        "video/mp4": "mp4",
        "video/quicktime": "mov",
        "video/webm": "webm",
        "video/mpeg": "mpeg mpg",
    }.items()
    for end in ends.split()
}
"""What the end of a file's name says of it."""
STORED = re.compile(r"(?:^|[.-])(?:generativelanguage|aiplatform|discoveryengine)\.")
"""Hosts whose files belong to the operator's account."""

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Takes(msgspec.Struct, frozen=True):
    """What the model takes, where models differ."""

    system: bool = True
    """A system instruction."""
    signatures: bool = True
    """Every step with a call must be signed (Gemini 3 and later)."""
    media_results: bool = True
    """Results of tools may have pictures and files (Gemini 3 and later)."""
    urls: bool = True
    """It fetches what a URL means (Gemini 2.5 and later; on Vertex all)."""
    typed_urls: bool = False
    """It must be told what the URL means (Vertex)."""


class Turns(msgspec.Struct):
    """A conversation, ready to be sent."""

    system: list[Part]
    contents: list[dict[str, Any]]


def turns(messages: list[Message], takes: Takes) -> Turns:
    """Raises:
    BadRequest: a part that Gemini cannot read, a result without its call, arguments that are no JSON object.
    """
    system: list[Part] = []
    told = _Conversation()
    for at, message in enumerate(messages):
        match message.role:
            case "system" | "developer":
                system += _instruction(message, at)
            case "user":
                told.rest += _parts(message, at, takes)
            case "assistant":
                told.model(_model(message, at, takes))
                told.names.update(
                    (call.id, call.function.name) for call in message.tool_calls or () if call.function
                )
            case "tool" | "function":
                _result(told, message, at, takes)
    said = told.close()
    if system and not takes.system:
        if not said or said[0]["role"] != "user":
            said.insert(0, {"role": "user", "parts": []})
        said[0]["parts"] = system + said[0]["parts"]
        system = []
    if not said and system:
        # A chat may have a system prompt alone; here somebody must have spoken.
        said, system = [{"role": "user", "parts": system}], []
    if not said:
        raise BadRequest("There is no message with content.", param="messages")
    return Turns(system=system, contents=said)


class _Conversation:
    """Turns as they are gathered: neighbours joined, a user turn's results kept before the rest."""

    __slots__ = ("contents", "names", "rest", "results")

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        """The functions that were called, by the id of the call."""
        self.contents: list[dict[str, Any]] = []
        self.results: list[Part] = []
        self.rest: list[Part] = []

    def model(self, parts: list[Part]) -> None:
        if not parts:
            return
        said = self.close()
        if said and said[-1]["role"] == "model":
            said[-1]["parts"] += parts
        else:
            said.append({"role": "model", "parts": parts})

    def close(self) -> list[dict[str, Any]]:
        """End the user turn, if there is one."""
        if self.results or self.rest:
            self.contents.append({"role": "user", "parts": self.results + self.rest})
            self.results, self.rest = [], []
        return self.contents


def _instruction(message: Message, at: int) -> list[Part]:
    parts = _parts(message, at, Takes())
    if any("text" not in part for part in parts):
        raise BadRequest("A system message of Gemini is text alone.", param=f"messages[{at}].content")
    return parts


def _parts(message: Message, at: int, takes: Takes) -> list[Part]:
    match message.content:
        case None:
            return []
        case str(text):
            return [{"text": text}] if text else []
        case parts:
            read = (_part(part, f"messages[{at}].content[{i}]", takes) for i, part in enumerate(parts))
            return [part for part in read if part]


def _part(part: dict[str, Any], path: str, takes: Takes) -> Part | None:
    match part:
        case {"type": "text", "text": str(text)} | {"type": "refusal", "refusal": str(text)}:
            return {"text": text} if text else None
        case {"type": "image_url" | "video_url" as kind} if url := _url_of(part[kind]):
            kind_of = "image/jpeg" if kind == "image_url" else "video/mp4"
            return _medium(url, f"{path}.{kind}.url", takes, otherwise=kind_of)
        case {"type": "input_audio", "input_audio": {"data": str(data), **more}}:
            kind_of = str(more.get("format") or "wav").lower()
            if not AUDIO.fullmatch(kind_of):
                raise BadRequest("This is no format of audio.", param=f"{path}.input_audio.format")
            return _inline(f"audio/{kind_of}", data)
        case {"type": "file", "file": dict(file)}:
            return _file(file, f"{path}.file", takes)
    raise BadRequest(f"Gemini takes no part of type {part.get('type')!r}.", param=f"{path}.type")


def _url_of(told: Any) -> str:
    match told:
        case {"url": str(url)} | str(url):
            return url
    return ""


def _medium(url: str, path: str, takes: Takes, *, otherwise: str | None) -> Part:
    """Data in the request, or a file that Gemini fetches; `otherwise` is what a URL without an end means."""
    if url[:5].lower() == "data:":
        # Cut by hand: a pattern is slow on megabytes.
        head, _, data = url.partition(",")
        if not head.lower().endswith(";base64") or not data:
            raise BadRequest("A data URL here is base64.", param=path)
        return _inline(head[5:].split(";", 1)[0].lower() or "text/plain", data)
    if not url[:8].lower().startswith(("http://", "https://")):
        raise BadRequest("This is neither an http(s) URL nor a base64 data URL.", param=path)
    if not takes.urls:
        raise BadRequest("This model fetches no URL: send the file as a data URL.", param=path)
    try:
        where = urlsplit(url)
    except ValueError:
        raise BadRequest("This is no URL.", param=path) from None
    if STORED.search(where.hostname or ""):
        raise BadRequest("Send the file itself: one stored upstream is not yours.", param=path)
    kind = _kind(where.path) or (otherwise if takes.typed_urls else None)
    if kind is None and takes.typed_urls:
        raise BadRequest("The end of this URL does not say what it is, such as .pdf.", param=path)
    return {"fileData": {"fileUri": url} | ({"mimeType": kind} if kind else {})}


def _file(file: dict[str, Any], path: str, takes: Takes) -> Part:
    """A file that came with the call. One that is stored upstream is the operator's, not the caller's."""
    data, name = file.get("file_data"), file.get("filename")
    if not isinstance(data, str) or not data:
        raise BadRequest("Send the file itself, as a data URL in file_data.", param=f"{path}.file_data")
    kind = _kind(name) if isinstance(name, str) else None
    if data[:8].lower().startswith(("http://", "https://", "data:")):
        return _medium(data, f"{path}.file_data", takes, otherwise=kind)
    return _inline(kind or "application/pdf", data)


def _kind(name: str) -> str | None:
    return KINDS.get(name.rpartition(".")[2].lower())


def _inline(kind: str, data: str) -> Part:
    return {"inlineData": {"mimeType": "image/jpeg" if kind == "image/jpg" else kind, "data": data}}


def _result(told: _Conversation, message: Message, at: int, takes: Takes) -> None:
    answer: dict[str, Any] = {}
    if message.role == "tool":
        called = message.tool_call_id or ""
        name = told.names.get(called) or message.name
        if not name:
            raise BadRequest("No tool call with this id stands before.", param=f"messages[{at}].tool_call_id")
        answer["id"] = called
    elif not (name := message.name):
        raise BadRequest("A function message says whose result it is.", param=f"messages[{at}].name")
    parts = _parts(message, at, takes)
    key = "error" if message.is_error is True else "output"
    answer |= {"name": name, "response": {key: "".join(part.get("text", "") for part in parts)}}
    media = [part for part in parts if "text" not in part]
    if media and takes.media_results:
        answer["parts"], media = media, []
    told.results.append({"functionResponse": answer})
    told.rest += media


def _model(message: Message, at: int, takes: Takes) -> list[Part]:
    signed = _signatures(message.details)
    texts = _parts(message, at, takes)
    if message.refusal:
        texts.append({"text": message.refusal})
    calls = [_call(message, at, i, signed.calls) for i in range(len(message.tool_calls or ()))]
    if legacy := message.function_call:
        given = _arguments(legacy.arguments, f"messages[{at}].function_call.arguments")
        calls.append({"functionCall": {"name": legacy.name, "args": given}})
    if takes.signatures and calls and not any("thoughtSignature" in call for call in calls):
        calls[0]["thoughtSignature"] = UNSIGNED
    loose = signed.texts
    if texts and loose:
        texts[-1]["thoughtSignature"], loose = loose[0], loose[1:]
    # A signature may come with no text at all, behind all that was said.
    return [*signed.thoughts, *texts, *calls, *({"text": "", "thoughtSignature": one} for one in loose)]


def _call(message: Message, at: int, number: int, signatures: dict[str, str]) -> Part:
    call = (message.tool_calls or [])[number]
    path = f"messages[{at}].tool_calls[{number}]"
    if call.function is None:
        raise BadRequest("Gemini's tools are functions.", param=f"{path}.type")
    given = _arguments(call.function.arguments, f"{path}.function.arguments")
    part: Part = {"functionCall": {"id": call.id, "name": call.function.name, "args": given}}
    if signature := signatures.get(call.id):
        part["thoughtSignature"] = signature
    return part


def _arguments(arguments: str, path: str) -> msgspec.Raw:
    """The arguments as they came: only looked at."""
    if not arguments or arguments.isspace():
        return NO_ARGUMENTS
    data = arguments.encode()
    try:
        _object.decode(data)
    except msgspec.DecodeError:
        raise BadRequest("The arguments of a tool call must be a JSON object.", param=path) from None
    return msgspec.Raw(data)


class _Signed(msgspec.Struct):
    thoughts: list[Part]
    texts: list[str]
    calls: dict[str, str]
    """By the id of the call."""


def _signatures(details: list[dict[str, Any]]) -> _Signed:
    """What Gemini signed. A stream's deltas of one thought that were kept one by one are joined."""
    signed = _Signed([], [], {})
    begun: dict[Any, list[str]] = {}
    for detail in details:
        if detail.get("format") != FORMAT:
            continue
        match detail:
            case {"type": "reasoning.encrypted", "data": str(data), "id": str(call)}:
                signed.calls[call] = data
            case {"type": "reasoning.encrypted", "data": str(data)}:
                signed.texts.append(data)
            case {"type": "reasoning.text", "text": str(text)}:
                pieces = begun.setdefault(detail.get("index"), [])
                pieces.append(text)
                if isinstance(signature := detail.get("signature"), str):
                    thought = {"text": "".join(pieces), "thought": True, "thoughtSignature": signature}
                    signed.thoughts.append(thought)
                    pieces.clear()
    return signed
