"""Errors as OpenAI's clients read them. Nothing else builds an error body.

{"error": {"message", "type", "code", "param"}}   and `deeptoken` in it where there is more to say
"""

from collections.abc import Iterable

import msgspec

from deeptoken.errors import DeeptokenError, HeadTooLarge, IdempotencyRunning, MethodNotAllowed

Headers = list[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")


def lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Headers as they are sent."""
    return b"".join([b"%b: %b\r\n" % field for field in headers])


def body(error: DeeptokenError) -> bytes:
    """The envelope; also the last event of a stream that failed."""
    said: dict[str, object] = {
        "message": error.message,
        "type": error.category,
        "code": error.code,
        "param": error.param,
    }
    if extra := error.extra:
        said["deeptoken"] = extra
    return msgspec.json.encode({"error": said})


def headers(error: DeeptokenError) -> Headers:
    """What stands beside the envelope."""
    found = [JSON, (b"x-gateway-error-category", error.category.encode())]
    # Who has to mend a request does not wait: what a channel told before says nothing to them.
    waits = error.category != "user" or isinstance(error, IdempotencyRunning)
    if waits and error.retry_after is not None:
        found.append((b"retry-after", error.retry_after.encode()))
    if error.should_retry is not None:
        found.append((b"x-should-retry", b"true" if error.should_retry else b"false"))
    found += error.fields
    if isinstance(error, MethodNotAllowed):
        found.append((b"allow", ", ".join(error.allowed).encode()))
    return found


def head_too_large(most: int, fields: int) -> HeadTooLarge:
    """Of a request whose head has more than `most` bytes, or more fields than that."""
    return HeadTooLarge(
        f"The request's head is larger than {most} bytes or {fields} fields. Send fewer headers."
    )
