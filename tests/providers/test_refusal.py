"""What hosts say when they do not answer."""

import pytest

from deeptoken.providers.refusal import inside, read, words_of


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (301, "outage"),
        (400, "caller"),
        (401, "credential"),
        (402, "credential"),
        (403, "credential"),
        (404, "misconfigured"),
        (408, "slow"),
        (409, "caller"),
        (413, "caller"),
        (422, "caller"),
        (429, "capacity"),
        (498, "capacity"),
        (500, "outage"),
        (503, "outage"),
        (524, "outage"),
        (529, "outage"),
    ],
)
def test_a_status_has_a_cause(status: int, cause: str) -> None:
    assert read(status, {}, b"").cause == cause


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (429, b'{"error":{"message":"You exceeded your quota","type":"x","code":"insufficient_quota"}}'),
        (429, b'{"error":{"message":"You exceeded your quota","type":"insufficient_quota","code":null}}'),
        (400, b'{"error":{"message":"Hard limit","code":"billing_hard_limit_reached"}}'),
        (400, b'{"error":{"message":"Insufficient Balance"}}'),
        (400, b'{"detail":"Not enough credits"}'),
        (400, b'{"code":"invalid argument","error":"Incorrect API key provided: xai-1"}'),
    ],
)
def test_no_money_and_no_key_are_the_operators(status: int, body: bytes) -> None:
    assert read(status, {}, body).cause == "credential"


@pytest.mark.parametrize(
    ("status", "body", "cause"),
    [
        (429, b'{"error":{"message":"Rate limit reached","code":"rate_limit_exceeded"}}', "capacity"),
        (500, b'{"error":{"message":"Insufficient balance"}}', "outage"),
        (403, b'{"error":{"message":"Your input was flagged","code":403}}', "caller"),
        (400, b'{"error":{"message":"No such model","code":"model_not_found"}}', "misconfigured"),
        (400, b'{"object":"error","message":"Invalid model: x","type":"invalid_model"}', "misconfigured"),
        (400, b'{"error":{"message":"Model Not Exist"}}', "misconfigured"),
        (400, b'{"error":{"message":"The model does not support images","code":"x"}}', "caller"),
    ],
)
def test_words_may_say_more_than_the_status(status: int, body: bytes, cause: str) -> None:
    assert read(status, {}, body).cause == cause


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":{"message":"Why"}}', "Why"),
        (b'{"error":"Why"}', "Why"),
        (b'{"message":"Why"}', "Why"),
        (b'{"detail":"Why"}', "Why"),
        (b'{"detail":[{"loc":["body","n"],"msg":"too large"},{"msg":"and"}]}', "body.n: too large; and"),
        (b'{"message":{"detail":[{"loc":["body","n"],"msg":"Why"}]}}', "body.n: Why"),
        (b'[{"error":{"message":"Why","code":400}}]', "Why"),
        (b'{"error":{"error":{"message":"Why"}}}', "Why"),
        (b'"Why"', "Why"),
        (b"Why\n  not", "Why not"),
        (b"x" * 5_000, "x" * 300),
        (b'{"error":{"message":"' + b"x" * 5_000 + b'"}}', "x" * 2_000),
        (b'{"error":{"message":', ""),
        (b'{"error":{}}', ""),
        (b"null", ""),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"  <!DOCTYPE html><p>Why", ""),
        (b"Why <HTML><body>", ""),
        (b"", ""),
    ],
)
def test_the_message_is_found_in_any_known_shape_and_html_is_none(body: bytes, message: str) -> None:
    assert words_of(body).message == message


def test_a_failure_without_words_says_its_status() -> None:
    assert read(502, {}, b"<html>").message == "The provider answered 502."


def test_codes_are_kept_but_for_a_status_in_their_place() -> None:
    top = words_of(b'{"object":"error","message":"m","type":"BadRequestError","param":"n","code":400}')
    inner = words_of(b'{"error":{"message":"m","code":"1210","param":"","type":null}}')

    assert (top.code, top.kind, top.param, top.status) == (None, "BadRequestError", "n", 400)
    assert (inner.code, inner.kind, inner.param, inner.status) == ("1210", None, None, None)


def test_an_error_inside_a_200_means_what_its_own_status_means() -> None:
    assert (inside(b'{"error":{"code":429}}').cause, inside(b'{"error":{"code":429}}').status) == (
        "capacity",
        429,
    )
    assert inside(b'{"error":{"code":"server_error","message":"m"}}').cause == "outage"
    assert inside(b"{}").message == "The provider failed while it answered."


def test_a_body_that_is_nested_without_end_is_no_words() -> None:
    assert words_of(b"[" * 100_000).message == ""
