"""What Bedrock's failures mean."""

import json
from pathlib import Path

import pytest

from deeptoken.providers.bedrock import Bedrock

RECORDINGS = Path(__file__).parents[3] / "shared" / "recordings"


def refusal(message: str) -> bytes:
    return json.dumps({"message": message}).encode()


@pytest.mark.parametrize(
    ("status", "kind", "message", "cause", "code"),
    [
        (400, "ValidationException", "messages: too few", "caller", "ValidationException"),
        (
            400,
            "ValidationException",
            "The provided model identifier is invalid.",
            "misconfigured",
            "ValidationException",
        ),
        (
            400,
            "ValidationException",
            "Invocation of model ID anthropic.claude-x-v1:0 with on-demand throughput isn\u2019t supported. "
            "Retry your request with the ID or ARN of an inference profile that contains this model.",
            "misconfigured",
            "ValidationException",
        ),
        (400, "ValidationException", "Operation not allowed", "credential", "ValidationException"),
        (
            400,
            "ValidationException",
            "The model returned the following errors: prompt is too long: 200049 tokens > 200000 maximum",
            "caller",
            "context_length_exceeded",
        ),
        (
            400,
            "ValidationException",
            "Input is too long for requested model.",
            "caller",
            "context_length_exceeded",
        ),
        (
            400,
            "ValidationException",
            "The model returned the following errors: Output blocked by content filtering policy",
            "caller",
            "content_filter",
        ),
        (400, "ServiceQuotaExceededException", "Wait.", "capacity", "ServiceQuotaExceededException"),
        (400, "IncompleteSignature", "No.", "credential", "IncompleteSignature"),
        (400, "NotAuthorized", "No.", "credential", "NotAuthorized"),
        (400, "RequestExpired", "Too late.", "credential", "RequestExpired"),
        (400, "ExpiredTokenException", "It is expired", "credential", "ExpiredTokenException"),
        (403, "AccessDeniedException", "User is not authorized", "credential", "AccessDeniedException"),
        (
            403,
            "AccessDeniedException",
            "You don't have access to the model with the specified model ID.",
            "misconfigured",
            "AccessDeniedException",
        ),
        (403, "UnrecognizedClientException", "No.", "credential", "UnrecognizedClientException"),
        (403, "InvalidSignatureException", "No.", "credential", "InvalidSignatureException"),
        (404, "ResourceNotFoundException", "Model not found.", "misconfigured", "ResourceNotFoundException"),
        (404, "UnknownOperationException", "", "misconfigured", "UnknownOperationException"),
        (408, "ModelTimeoutException", "Slow.", "slow", "ModelTimeoutException"),
        (424, "ModelErrorException", "It failed.", "outage", "ModelErrorException"),
        (424, "ModelStreamErrorException", "It failed.", "outage", "ModelStreamErrorException"),
        (429, "ThrottlingException", "Too many requests", "capacity", "ThrottlingException"),
        (429, "ModelNotReadyException", "Not yet.", "capacity", "ModelNotReadyException"),
        (500, "InternalServerException", "Sorry.", "outage", "InternalServerException"),
        (503, "ServiceUnavailableException", "Too many connections", "outage", "ServiceUnavailableException"),
        (418, "SomethingNew", "Tea.", "caller", "SomethingNew"),
        (599, "SomethingNew", "Tea.", "outage", "SomethingNew"),
    ],
)
def test_each_failure_has_its_cause(status: int, kind: str, message: str, cause: str, code: str) -> None:
    failure = Bedrock().failure(status, {"x-amzn-errortype": kind}, refusal(message))

    assert (failure.cause, failure.status, failure.code, failure.kind) == (cause, status, code, kind)
    assert failure.message == (message or f"Bedrock answered with {kind} and no message.")


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (301, "outage"),
        (400, "caller"),
        (401, "credential"),
        (403, "credential"),
        (404, "misconfigured"),
        (408, "slow"),
        (413, "caller"),
        (424, "outage"),
        (429, "capacity"),
        (502, "outage"),
    ],
)
def test_a_failure_without_a_name_means_its_status(status: int, cause: str) -> None:
    failure = Bedrock().failure(status, {}, b'{"Message": "No."}')

    assert (failure.cause, failure.message, failure.code, failure.kind) == (cause, "No.", None, None)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"x-amzn-errortype": "ThrottlingException:http://internal.amazon.com/coral/x/"}, {}),
        ({"x-amzn-errortype": "com.amazon.coral.service#ThrottlingException"}, {}),
        ({}, {"__type": "ThrottlingException"}),
        ({}, {"__type": "com.amazon.coral.availability#ThrottlingException"}),
    ],
)
def test_the_name_is_found_wherever_it_is_told(headers: dict[str, str], body: dict[str, str]) -> None:
    failure = Bedrock().failure(400, headers, json.dumps({"message": "Wait.", **body}).encode())

    assert (failure.cause, failure.kind) == ("capacity", "ThrottlingException")


@pytest.mark.parametrize(
    "words",
    [
        "extraneous key [operation not allowed]",
        "tools.0: the provided model identifier is invalid",
        "The tool 'you don't have access to the model' is not known",
    ],
)
def test_what_a_caller_wrote_is_no_word_about_the_account(words: str) -> None:
    failure = Bedrock().failure(400, {"x-amzn-errortype": "ValidationException"}, refusal(words))

    assert failure.cause == "caller"


@pytest.mark.parametrize(("value", "expected"), [("7", 7.0), ("0.5", 0.5), ("soon", None)])
def test_retry_after_is_read(value: str, expected: float | None) -> None:
    failure = Bedrock().failure(429, {"retry-after": value}, refusal("Wait."))

    assert failure.retry_after_s == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>502</html>",
        b"\xff",
        b"[1]",
        b'{"message": 7}',
        refusal("<HTML>x"),
        refusal("<!DOCTYPE x>"),
    ],
)
def test_a_failure_that_cannot_be_read_is_told_in_our_words(body: bytes) -> None:
    failure = Bedrock().failure(502, {}, body)

    assert failure.cause == "outage"
    assert failure.message == "Bedrock answered with status 502 and no message."


def test_a_long_message_is_cut() -> None:
    assert len(Bedrock().failure(400, {}, refusal("x" * 10_000)).message) == 2_000


def test_recorded_refusals_are_the_callers_or_about_the_model() -> None:
    paths = [RECORDINGS / "bedrock.jsonl", RECORDINGS / "bedrock-stream.jsonl"]
    rows = [json.loads(line) for path in paths if path.exists() for line in path.read_bytes().splitlines()]

    failures = [Bedrock().failure(400, {}, row["body"].encode()) for row in rows if row["status"] == 400]

    for failure in failures:
        about_model = "model identifier is invalid" in failure.message
        assert failure.cause == ("misconfigured" if about_model else "caller")
        assert failure.message
