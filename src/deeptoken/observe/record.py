"""What is told of a request when it has ended: one log line, in this order, and its metrics."""

import msgspec


class Record(msgspec.Struct):
    """The facts of one request. Never a prompt, never a secret. `charged` is a number in credits."""

    time: str
    level: str
    event: str
    id: str
    request_id: str
    endpoint: str
    key: str | None
    wallet: str | None
    model: str | None
    channel: str | None
    attempts: int
    stream: bool
    status: int
    code: str | None
    outcome: str | None
    prompt_tokens: int
    completion_tokens: int
    charged: msgspec.Raw
    ttft_ms: int | None
    duration_ms: int
    overhead_ms: float
