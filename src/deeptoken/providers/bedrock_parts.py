"""The parts of a message as Converse's blocks: text, images, documents, audio. All of it by data.

Source: docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ImageBlock.html,
.../API_runtime_DocumentBlock.html, .../API_runtime_AudioBlock.html; read 2026-11-25. A document has a name of
few characters, no two the same. What is kept upstream (S3) is the operator's: no part may name it.
"""

import base64
import re
from typing import Any

from deeptoken.errors import BadRequest

Block = dict[str, Any]

IMAGES = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
}
DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/markdown": "md",
    "text/x-markdown": "md",
    "application/json": "txt",
    "application/xml": "txt",
}
"""Any other text is `txt`."""
ENDINGS = frozenset((*DOCUMENTS.values(), "txt"))
AUDIO = frozenset(("mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "m4a", "mpeg", "pcm", "webm"))

NO_NAME = re.compile(r"[^A-Za-z0-9()\[\]-]+")
NAME_MAX = 190
"""Of 200: some are left to tell two of the same name apart."""
NAMELESS = "document"


class Names:
    """The documents of one request: each has a name of its own."""

    __slots__ = ("_taken",)

    def __init__(self) -> None:
        self._taken: dict[str, str] = {}
        """The name -> the file's own."""

    def name(self, file: str) -> str:
        """A name that the API takes, made of the file's own without its ending."""
        stem = file.rpartition(".")[0] or file
        plain = NO_NAME.sub(" ", stem)[:NAME_MAX].strip() or NAMELESS
        name, number = plain, 1
        while name in self._taken:
            number += 1
            name = f"{plain} {number}"
        self._taken[name] = file or name
        return name

    def told(self, blocks: list[Block]) -> str:
        """The files of these blocks, by their own names."""
        names = [block["document"]["name"] for block in blocks if "document" in block]
        return "Attached: " + ", ".join(self._taken.get(name, name) for name in names)


def block_of(part: dict[str, Any], path: str, names: Names) -> Block | None:
    """The block of a part, None if it says nothing.

    Raises:
        BadRequest: Converse does not carry it; `param` names it.
    """
    match part:
        case {"type": "text", "text": str(text)} | {"type": "refusal", "refusal": str(text)}:
            return None if not text or text.isspace() else {"text": text}
        case {"type": "image_url", "image_url": {"url": str(url)} | str(url)}:
            return _image(*_data_url(url, f"{path}.image_url.url"), f"{path}.image_url.url")
        case {"type": "image", "source": {"type": "base64", "media_type": str(media), "data": str(data)}}:
            return _image(media, data, f"{path}.source.media_type")
        case {"type": "file", "file": dict(file)}:
            return _file(part, file, f"{path}.file", names)
        case {"type": "document", "source": dict(source)}:
            return _document(part, source, f"{path}.source", names)
        case {"type": "input_audio", "input_audio": {"data": str(data), **more}}:
            return _audio(data, more.get("format"), f"{path}.input_audio.format")
        case {"type": "guardContent", "guardContent": dict(guarded)}:
            return {"guardContent": guarded}
        case {"type": "image", **more} if "source" in more:
            raise BadRequest("Send the image itself, as base64.", param=f"{path}.source")
    raise BadRequest(f"Bedrock takes no part of type {part.get('type')!r}.", param=f"{path}.type")


def _image(media: str, data: str, path: str) -> Block:
    form = IMAGES.get(media)
    if form is None:
        raise BadRequest(f"Bedrock takes images of type PNG, JPEG, GIF and WebP, not {media!r}.", param=path)
    return {"image": {"format": form, "source": {"bytes": data}}}


def _audio(data: str, form: object, path: str) -> Block:
    if not isinstance(form, str) or form not in AUDIO:
        raise BadRequest(f"Bedrock takes audio as {', '.join(sorted(AUDIO))}.", param=path)
    return {"audio": {"format": form, "source": {"bytes": data}}}


def _file(part: dict[str, Any], file: dict[str, Any], path: str, names: Names) -> Block:
    """A file that came with the call. One that is stored upstream is the operator's, not the caller's."""
    data, name = file.get("file_data"), file.get("filename")
    name = name if isinstance(name, str) else ""
    where = f"{path}.file_data"
    if not isinstance(data, str):
        raise BadRequest("Send the file itself, as a data URL in file_data.", param=where)
    ending = name.rpartition(".")[2].lower()
    if data[:5].lower() == "data:" or "://" in data[:16]:
        media, data = _data_url(data, where)
        form = _format(media, ending)
    else:
        media, form = ending, ending if ending in ENDINGS else "pdf"
    if form is None:
        raise BadRequest(f"Bedrock reads no files of type {media!r}.", param=where)
    return _named(part, names.name(name), form, {"bytes": data})


def _document(part: dict[str, Any], source: dict[str, Any], path: str, names: Names) -> Block:
    """A document as Anthropic writes it."""
    title = part.get("title")
    name = names.name(title if isinstance(title, str) else "")
    match source:
        case {"type": "base64", "media_type": str(media), "data": str(data)} if form := _format(media, ""):
            return _named(part, name, form, {"bytes": data})
        case {"type": "text", "data": str(text)}:
            return _named(part, name, "txt", {"bytes": base64.b64encode(text.encode()).decode()})
    raise BadRequest("Send the document itself, as base64 of a type that Bedrock reads.", param=path)


def _format(media: str, ending: str) -> str | None:
    """By the type, else by the name's ending where the type says nothing."""
    if form := DOCUMENTS.get(media):
        return form
    if media.startswith("text/"):
        return "txt"
    unknown = media in ("", "application/octet-stream")
    return ending if unknown and ending in ENDINGS else None


def _named(part: dict[str, Any], name: str, form: str, source: Block) -> Block:
    document: Block = {"format": form, "name": name, "source": source}
    match part.get("citations"):
        case {"enabled": True}:
            document["citations"] = {"enabled": True}
    return {"document": document}


def _data_url(url: str, path: str) -> tuple[str, str]:
    """Media type and base64 text. Cut by hand: a pattern is slow on megabytes."""
    head, _, data = url.partition(",")
    if head[:5].lower() != "data:" or not head.lower().endswith(";base64") or not data:
        raise BadRequest("Bedrock fetches nothing: send it as a base64 data URL.", param=path)
    return head[5:].split(";", 1)[0].lower(), data
