"""Azure's way of OpenAI's dialect: addresses, keys, content filters."""

import json

import msgspec
import pytest
from compatible_scene import ASKED, asked, chunk, sent, streamed

from deeptoken.providers.compatible import PROVIDERS
from deeptoken.wire.completion import Assembler

RESOURCE = "https://r.openai.azure.com"
SAFE = {"hate": {"filtered": False, "severity": "safe"}}
PROMPT_RESULTS = [{"prompt_index": 0, "content_filter_results": SAFE}]
FIRST = {
    "id": "",
    "object": "",
    "created": 0,
    "model": "",
    "prompt_filter_results": PROMPT_RESULTS,
    "choices": [],
}


@pytest.mark.parametrize(
    ("version", "path"),
    [
        (None, "/openai/v1/chat/completions"),
        ("v1", "/openai/v1/chat/completions"),
        ("preview", "/openai/v1/chat/completions?api-version=preview"),
        (
            "2025-04-01-preview",
            "/openai/deployments/my-4o/chat/completions?api-version=2025-04-01-preview",
        ),
    ],
)
def test_each_version_has_its_address(version: str | None, path: str) -> None:
    options = {} if version is None else {"api_version": version}

    request = asked("azure", model="my-4o", base_url=f"{RESOURCE}/openai/v1/", options=options)

    assert request.url == RESOURCE + path
    assert json.loads(request.body)["model"] == "my-4o"


@pytest.mark.parametrize("base", ["", "/", "/openai", "/openai/", "/openai/v1", "/openai/v1/"])
def test_a_resource_may_be_named_with_or_without_the_path(base: str) -> None:
    dated = asked("azure", model="a b/2", base_url=RESOURCE + base, options={"api_version": "2024-10-21"})
    newer = asked("azure", base_url=RESOURCE + base)

    assert dated.url == (f"{RESOURCE}/openai/deployments/a%20b%2F2/chat/completions?api-version=2024-10-21")
    assert newer.url == f"{RESOURCE}/openai/v1/chat/completions"


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        (None, ("api-key", "key-1")),
        ("api-key", ("api-key", "key-1")),
        ("bearer", ("authorization", "Bearer key-1")),
    ],
)
def test_a_key_goes_where_keys_go_and_a_token_where_tokens_go(
    auth: str | None, header: tuple[str, str]
) -> None:
    options = {} if auth is None else {"auth": auth}

    request = asked("azure", base_url=RESOURCE, options=options)

    assert request.headers == (("content-type", "application/json"), header)


@pytest.mark.parametrize(
    ("version", "told"),
    [
        ("v1", True),
        ("preview", True),
        ("2024-10-21", True),
        ("2024-09-01-preview", True),
        ("2024-06-01", False),
        ("2023-05-15", False),
    ],
)
def test_usage_is_asked_for_where_the_version_knows_how(version: str, told: bool) -> None:
    body = sent("azure", base_url=RESOURCE, options={"api_version": version}, stream=True)

    assert ("stream_options" in body) is told


def test_the_results_of_the_prompts_filter_come_with_the_first_chunk_that_has_a_choice() -> None:
    pieces = streamed(
        "azure", FIRST, chunk({"role": "assistant", "content": ""}), chunk({"content": "Hi"}, "stop")
    )

    chunks = [json.loads(piece.data) for piece in pieces]
    assert [one.get("prompt_filter_results") for one in chunks] == [PROMPT_RESULTS, None]
    assert {one["id"] for one in chunks} == {"x1"}
    assert [piece.content for piece in pieces] == [False, True]


def test_the_filters_own_chunks_between_and_after_the_text_keep_the_rules() -> None:
    """The asynchronous filter tells its results in chunks without a delta, also after the finish."""
    annotation = {**FIRST, "choices": [{"index": 0, "finish_reason": None, "content_filter_results": SAFE}]}
    del annotation["prompt_filter_results"]
    assembler = Assembler()

    pieces = streamed(
        "azure", FIRST, chunk({"content": "Col"}), annotation, chunk({"content": "or"}), END, annotation
    )
    for piece in pieces:
        assembler.add(piece.data)

    told = [json.loads(piece.data) for piece in pieces]
    assert [one["choices"][0]["delta"].get("content") for one in told] == ["Col", None, "or", None]
    assert told[1]["choices"][0]["content_filter_results"] == SAFE
    whole = assembler.whole()["choices"][0]
    assert (whole["message"]["content"], whole["finish_reason"]) == ("Color", "stop")


END = chunk({}, "stop")


def test_a_stream_that_the_filter_stopped_says_so() -> None:
    stopped = {**FIRST, "choices": [{"index": 0, "finish_reason": "content_filter"}]}

    pieces = streamed("azure", FIRST, chunk({"content": "Hey"}), stopped)

    last = json.loads(pieces[-1].data)["choices"][0]
    assert (last["finish_reason"], last["delta"], pieces[-1].finish) == ("content_filter", {}, True)


def test_a_whole_answer_keeps_the_filters_results() -> None:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "Hi", "refusal": None},
        "logprobs": None,
        "finish_reason": "stop",
        "content_filter_results": SAFE,
    }
    body = json.dumps({"choices": [choice], "prompt_filter_results": PROMPT_RESULTS}).encode()

    reply = PROVIDERS["azure"].reply(body, ASKED)

    fields = json.loads(msgspec.json.encode(reply.fields))
    assert fields["prompt_filter_results"] == PROMPT_RESULTS
    assert fields["choices"] == [choice]


FILTERED = {
    "error": {
        "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management "
        "policy.",
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": {"hate": {"filtered": True, "severity": "high"}},
        },
    }
}


def test_a_prompt_that_the_filter_refuses_is_the_callers() -> None:
    failure = PROVIDERS["azure"].failure(400, {}, json.dumps(FILTERED).encode())

    assert (failure.cause, failure.status) == ("caller", 400)
    assert (failure.code, failure.param) == ("content_filter", "prompt")
    assert failure.message.startswith("The response was filtered")


@pytest.mark.parametrize(
    ("status", "body", "cause"),
    [
        (
            401,
            {"statusCode": 401, "message": "Unauthorized. Access token is missing or expired."},
            "credential",
        ),
        (
            404,
            {"error": {"code": "DeploymentNotFound", "message": "The API deployment ..."}},
            "misconfigured",
        ),
        (404, {"error": {"code": "404", "message": "Resource not found"}}, "misconfigured"),
        (408, {"error": {"code": "Timeout", "message": "The operation was timeout."}}, "slow"),
        (429, {"error": {"code": "429", "message": "Requests have exceeded call rate limit."}}, "capacity"),
        (429, {"error": {"code": "too_many_requests", "message": "High demand"}}, "capacity"),
        (503, {"error": {"code": "ServiceUnavailable", "message": "Busy"}}, "outage"),
    ],
)
def test_its_other_failures_have_their_cause(status: int, body: dict[str, object], cause: str) -> None:
    assert PROVIDERS["azure"].failure(status, {}, json.dumps(body).encode()).cause == cause
