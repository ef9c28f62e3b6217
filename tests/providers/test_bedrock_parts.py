"""The parts of messages as Converse's blocks."""

import base64
from typing import Any

import pytest
from bedrock_scene import PDF, PNG, asked, sent, turns

from deeptoken.errors import BadRequest

TEXT = {"type": "text", "text": "See:"}
WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": [TEXT, *parts]}


def file(data: str, name: str | None = None) -> dict[str, Any]:
    return {"type": "file", "file": {"file_data": data, **({"filename": name} if name else {})}}


def document(form: str, name: str = "document", data: str = PDF) -> dict[str, Any]:
    return {"document": {"format": form, "name": name, "source": {"bytes": data}}}


def image(form: str) -> dict[str, Any]:
    return {"image": {"format": form, "source": {"bytes": PNG}}}


@pytest.mark.parametrize(
    ("part", "block"),
    [
        ({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}, image("png")),
        (
            {"type": "image_url", "image_url": {"url": f"DATA:image/JPG;base64,{PNG}", "detail": "high"}},
            image("jpeg"),
        ),
        ({"type": "image_url", "image_url": {"url": f"data:image/gif;base64,{PNG}"}}, image("gif")),
        ({"type": "image_url", "image_url": {"url": f"data:image/webp;x=y;base64,{PNG}"}}, image("webp")),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
            image("png"),
        ),
        (file(f"data:application/pdf;base64,{PDF}", "a.pdf"), document("pdf", "a")),
        (file(PDF), document("pdf")),
        (file(PDF, "table.XLSX"), document("xlsx", "table")),
        (file(f"data:{WORD};base64,{PDF}", "x.docx"), document("docx", "x")),
        (file(f"data:text/markdown;base64,{PDF}"), document("md")),
        (file(f"data:text/csv;base64,{PDF}"), document("csv")),
        (file(f"data:text/x-python;base64,{PDF}", "a.py"), document("txt", "a")),
        (file(f"data:application/json;base64,{PDF}"), document("txt")),
        (file(f"data:application/octet-stream;base64,{PDF}", "old.doc"), document("doc", "old")),
        (
            {
                "type": "document",
                "title": "A title",
                "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                "citations": {"enabled": True},
            },
            {"document": document("pdf", "A title")["document"] | {"citations": {"enabled": True}}},
        ),
        (
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "ü"}},
            document("txt", data=base64.b64encode("ü".encode()).decode()),
        ),
        (
            {"type": "input_audio", "input_audio": {"data": PDF, "format": "wav"}},
            {"audio": {"format": "wav", "source": {"bytes": PDF}}},
        ),
        (
            {"type": "guardContent", "guardContent": {"text": {"text": "x", "qualifiers": ["query"]}}},
            {"guardContent": {"text": {"text": "x", "qualifiers": ["query"]}}},
        ),
    ],
)
def test_each_part_becomes_its_block(part: dict[str, Any], block: dict[str, Any]) -> None:
    assert turns(user(part))[0]["content"] == [{"text": "See:"}, block]


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "s3://bucket/a.png"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "data:image/png,abc"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": f"data:image/tiff;base64,{PNG}"}}, "image_url.url"),
        ({"type": "image", "source": {"type": "url", "url": "https://x.example"}}, "source"),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/tiff", "data": PNG}},
            "source.media_type",
        ),
        (file("https://x.example/a.pdf"), "file.file_data"),
        (file("s3://bucket/a.pdf"), "file.file_data"),
        (file(f"data:application/zip;base64,{PDF}", "a.zip"), "file.file_data"),
        ({"type": "file", "file": {"file_id": "file-1"}}, "file.file_data"),
        ({"type": "document", "source": {"type": "file", "file_id": "file_1"}}, "source"),
        ({"type": "document", "source": {"type": "url", "url": "https://x.example"}}, "source"),
        (
            {"type": "document", "source": {"type": "base64", "media_type": "application/zip", "data": PDF}},
            "source",
        ),
        ({"type": "input_audio", "input_audio": {"data": PDF, "format": "aiff"}}, "input_audio.format"),
        ({"type": "input_audio", "input_audio": {"data": PDF}}, "input_audio.format"),
        ({"type": "video_url", "video_url": {"url": "https://x.example"}}, "type"),
        ({"type": "video", "video": {"source": {"s3Location": {"uri": "s3://bucket/a"}}}}, "type"),
        ({"type": "guardContent", "guardContent": "x"}, "type"),
    ],
)
def test_what_bedrock_cannot_read_is_refused_by_name(part: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        asked(user(part))

    assert refused.value.param == f"messages[0].content[1].{param}"


@pytest.mark.parametrize("role", ["system", "developer", "assistant", "tool"])
def test_a_part_in_the_wrong_mouth_is_refused_by_name(role: str) -> None:
    audio = {"type": "input_audio", "input_audio": {"data": PDF, "format": "wav"}}

    with pytest.raises(BadRequest) as refused:
        asked({"role": role, "content": [TEXT, audio], "tool_call_id": "t"})

    assert refused.value.param == "messages[0].content[1].type"


def test_the_result_of_a_legacy_function_has_the_parts_of_one() -> None:
    image_part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}

    said = turns(
        user(),
        {"role": "assistant", "function_call": {"name": "look", "arguments": "{}"}},
        {"role": "function", "name": "look", "content": [image_part]},
    )

    assert said[2]["content"][0]["toolResult"]["content"] == [image("png")]


def test_a_system_prompt_may_be_guarded() -> None:
    guarded = {"type": "guardContent", "guardContent": {"text": {"text": "x"}}}

    body = sent({"role": "system", "content": [TEXT, guarded]}, user())

    assert body["system"] == [{"text": "See:"}, {"guardContent": {"text": {"text": "x"}}}]


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["report_v1.pdf"], ["report v1"]),
        (["John's  report #3.pdf"], ["John s report 3"]),
        (["a (1) [b]-c.pdf"], ["a (1) [b]-c"]),
        (["分期.pdf", None, "。.pdf"], ["document", "document 2", "document 3"]),
        (["a.pdf", "a.docx", "a 2.pdf", "a.md"], ["a", "a 2", "a 2 2", "a 3"]),
        ([".pdf", "..", "x" * 300 + ".pdf"], ["pdf", "document", "x" * 190]),
    ],
)
def test_each_document_has_a_name_that_the_api_takes(files: list[str | None], names: list[str]) -> None:
    said = turns(user(*(file(PDF, name) for name in files)))

    assert [block["document"]["name"] for block in said[0]["content"][1:]] == names


def test_names_differ_throughout_the_chat_and_in_results_of_tools() -> None:
    said = turns(
        user(file(PDF, "a.pdf")),
        {"role": "assistant", "content": "Yes."},
        user(file(PDF, "a.pdf")),
    )

    assert [turn["content"][1]["document"]["name"] for turn in said[::2]] == ["a", "a 2"]


def test_a_document_without_words_gets_its_files_name_beside_it() -> None:
    said = turns({"role": "user", "content": [file(PDF, "a_b.pdf"), file(PDF)]})

    assert said[0]["content"][2] == {"text": "Attached: a_b.pdf, document"}
