"""Gemini and Claude on Vertex."""

import json
from typing import Any

import pytest
from anthropic_events import THINKING_AND_TOOLS
from anthropic_events import read as read_claude
from anthropic_scene import answer as claude_answer
from anthropic_scene import refusal as claude_refusal
from gemini_scene import ASKED, HI, NOW, array, asked, events, refusal, said, streamed

from deeptoken.errors import BadRequest
from deeptoken.providers.anthropic import Anthropic
from deeptoken.providers.base import Malformed
from deeptoken.providers.gemini import Gemini
from deeptoken.providers.vertex import Vertex
from deeptoken.settings import Secret
from deeptoken.wire.http import HttpRequest

ACCOUNT = Secret(json.dumps({"type": "service_account", "project_id": "theirs", "private_key": "x"}))
HOST = "https://aiplatform.googleapis.com/v1"
GEMINI = events(said({"text": "Hé"}, finish=None), said({"text": "llo"}))


def vertex(
    *messages: dict[str, Any],
    model: str = "gemini-3.5-flash",
    secret: str = "ya29.x",
    options: dict[str, Any] | None = None,
    base_url: str = "",
    **fields: Any,
) -> HttpRequest:
    channel = {"provider": "vertex", "secret": secret, "options": options or {}, "base_url": base_url}
    return asked(*messages, model=model, provider=Vertex(), channel=channel, **fields)


@pytest.mark.parametrize(
    ("options", "secret", "base", "place"),
    [
        ({"project": "p"}, "ya29.x", "", f"{HOST}/projects/p/locations/global"),
        (
            {"project": "p", "location": "europe-west4"},
            "ya29.x",
            "",
            "https://europe-west4-aiplatform.googleapis.com/v1/projects/p/locations/europe-west4",
        ),
        (
            {"project": "p", "location": "eu"},
            "ya29.x",
            "",
            "https://aiplatform.eu.rep.googleapis.com/v1/projects/p/locations/eu",
        ),
        ({}, ACCOUNT, "", f"{HOST}/projects/theirs/locations/global"),
        ({"project": "ours"}, ACCOUNT, "", f"{HOST}/projects/ours/locations/global"),
        ({}, "AIza-x", "", HOST),
        ({"project": "p"}, "AQ.x", "", f"{HOST}/projects/p/locations/global"),
        ({"project": "p"}, "ya29.x", "https://h.test/", "https://h.test/v1/projects/p/locations/global"),
        (
            {"project": "d.test:p"},
            "ya29.x",
            "https://h.test/v1beta1",
            "https://h.test/v1beta1/projects/d.test:p/locations/global",
        ),
    ],
)
def test_the_address_is_made_of_location_project_and_model(
    options: dict[str, Any], secret: str, base: str, place: str
) -> None:
    request = vertex(HI, options=options, secret=secret, base_url=base)

    assert request.url == f"{place}/publishers/google/models/gemini-3.5-flash:generateContent"


@pytest.mark.parametrize(
    ("model", "stream", "end"),
    [
        ("gemini-3.5-flash", True, "google/models/gemini-3.5-flash:streamGenerateContent?alt=sse"),
        ("google/gemini-3.5-flash", False, "google/models/gemini-3.5-flash:generateContent"),
        ("claude-sonnet-4-5@20250929", False, "anthropic/models/claude-sonnet-4-5@20250929:rawPredict"),
        ("anthropic/claude-opus-5-5", True, "anthropic/models/claude-opus-5-5:streamRawPredict"),
    ],
)
def test_each_publisher_has_its_method(model: str, stream: bool, end: str) -> None:
    request = vertex(HI, model=model, stream=stream, options={"project": "p"})

    assert request.url == f"{HOST}/projects/p/locations/global/publishers/{end}"


@pytest.mark.parametrize(
    ("secret", "header"),
    [
        ("ya29.x", ("authorization", "Bearer ya29.x")),
        ("AIza-x", ("x-goog-api-key", "AIza-x")),
        ("AQ.x", ("x-goog-api-key", "AQ.x")),
        (ACCOUNT, None),
        ("", None),
    ],
)
def test_a_secret_goes_where_it_belongs_and_a_key_file_nowhere(
    secret: str, header: tuple[str, str] | None
) -> None:
    request = vertex(HI, secret=secret, options={"project": "p"})

    assert request.headers == (("content-type", "application/json"), *([header] if header else []))


@pytest.mark.parametrize(
    ("model", "secret"), [("gemini-3.5-flash", "ya29.x"), ("claude-opus-5-5", "AIza-x"), ("gemini-x", "{}")]
)
def test_a_channel_without_a_project_cannot_be_asked(model: str, secret: str) -> None:
    with pytest.raises(ValueError, match="no project"):
        vertex(HI, model=model, secret=secret)


def test_gemini_there_is_asked_as_gemini_is() -> None:
    fields: dict[str, Any] = {"tools": [NOW], "tool_choice": "required", "temperature": 0.5, "max_tokens": 9}

    there = vertex(HI, options={"project": "p"}, **fields)

    assert json.loads(there.body) == json.loads(asked(HI, **fields).body)


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ({"type": "image_url", "image_url": {"url": "https://h.test/a"}}, "image/jpeg"),
        ({"type": "image_url", "image_url": {"url": "https://h.test/a.webp"}}, "image/webp"),
        ({"type": "video_url", "video_url": {"url": "https://youtu.be/x"}}, "video/mp4"),
        (
            {"type": "file", "file": {"file_data": "https://h.test/a", "filename": "a.pdf"}},
            "application/pdf",
        ),
    ],
)
def test_a_url_is_sent_with_what_it_means(part: dict[str, Any], kind: str) -> None:
    request = vertex({"role": "user", "content": [part]}, options={"project": "p"})

    sent = json.loads(request.body)["contents"][0]["parts"][0]
    assert sent["fileData"]["mimeType"] == kind


def test_a_url_that_does_not_say_what_it_means_is_refused() -> None:
    part = {"type": "file", "file": {"file_data": "https://h.test/a"}}

    with pytest.raises(BadRequest) as refused:
        vertex({"role": "user", "content": [part]}, options={"project": "p"})

    assert refused.value.param == "messages[0].content[0].file.file_data"


def test_claude_there_is_asked_as_claude_is_but_for_model_and_version() -> None:
    fields: dict[str, Any] = {
        "tools": [NOW],
        "max_tokens": 9,
        "service_tier": "auto",
        "betas": ["one-2026-01-01"],
    }

    request = vertex(HI, model="anthropic/claude-sonnet-4-5", options={"project": "p"}, stream=True, **fields)

    own = asked(HI, model="claude-sonnet-4-5", provider=Anthropic(), stream=True, **fields)
    expected = json.loads(own.body) | {"anthropic_version": "vertex-2023-10-16"}
    del expected["model"], expected["service_tier"]
    assert json.loads(request.body) == expected
    assert dict(request.headers) == {
        "content-type": "application/json",
        "authorization": "Bearer ya29.x",
        "anthropic-beta": "one-2026-01-01",
    }


def test_what_claude_cannot_do_is_refused_there_too() -> None:
    with pytest.raises(BadRequest) as refused:
        vertex(HI, model="claude-opus-5-5", options={"project": "p"}, n=2)

    assert refused.value.param == "n"


def test_an_answer_is_read_as_what_it_is() -> None:
    ours, theirs = said({"text": "A"}), claude_answer([{"type": "text", "text": "B"}])

    gemini = Vertex().reply(json.dumps(ours).encode(), ASKED)
    claude = Vertex().reply(theirs, ASKED)

    assert gemini == Gemini().reply(json.dumps(ours).encode(), ASKED)
    assert claude == Anthropic().reply(theirs, ASKED)
    assert claude.text == "B"


def test_a_failure_is_read_as_what_it_is() -> None:
    gemini = Vertex().failure(429, {}, refusal("RESOURCE_EXHAUSTED", "Wait.", {"retryDelay": "3s"}))
    claude = Vertex().failure(400, {}, claude_refusal("invalid_request_error", "prompt is too long"))

    assert (gemini.cause, gemini.retry_after_s) == ("capacity", 3.0)
    assert (claude.cause, claude.code) == ("caller", "context_length_exceeded")


@pytest.mark.parametrize(
    "data", [GEMINI, array(said({"text": "A"})), b": wait\n\n" + GEMINI, b"\n" + GEMINI], ids=str
)
def test_a_stream_of_gemini_is_known_by_its_start_wherever_it_is_cut(data: bytes) -> None:
    known = data.removeprefix(b": wait\n\n")
    whole = streamed(known)

    for cut in range(1, len(data)):
        assert streamed(data, cut, provider=Vertex()) == whole
    assert streamed(data, *range(1, len(data)), provider=Vertex()) == whole


UNNAMED = b"".join(
    line for line in THINKING_AND_TOOLS.splitlines(keepends=True) if not line.startswith(b"event:")
)


@pytest.mark.parametrize(
    "data",
    [THINKING_AND_TOOLS, UNNAMED, b": wait\n" + THINKING_AND_TOOLS],
    ids=["named", "unnamed", "waited"],
)
def test_a_stream_of_claude_is_known_by_its_start_wherever_it_is_cut(data: bytes) -> None:
    stream = Vertex().stream(ASKED)

    pieces = [piece for at in range(len(data)) for piece in stream.feed(data[at : at + 1])]

    assert stream.done
    assert stream.upstream_id == "msg_1"
    known = read_claude(THINKING_AND_TOOLS)
    assert [piece.text for piece in pieces] == [piece.text for piece in known]
    assert [piece.usage for piece in pieces] == [piece.usage for piece in known]


@pytest.mark.parametrize("data", [b"", b"data", b"da", b"<html>" + b"x" * 100, b'{"err'])
def test_a_stream_that_is_neither_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        streamed(data, provider=Vertex())
