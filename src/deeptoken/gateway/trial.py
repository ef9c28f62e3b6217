"""A channel tried out: one real call, short, that no wallet pays and no breaker hears of."""

from contextlib import closing

import msgspec

from deeptoken import clock, ids
from deeptoken.catalog.model import Candidate
from deeptoken.errors import BadRequest
from deeptoken.gateway.failure import words
from deeptoken.gateway.route import Attempts
from deeptoken.gateway.upstream import Answer, Cut, Wanted
from deeptoken.providers.base import Asked, Failure, Piece
from deeptoken.wire.chat import read

TOKENS_MAX = 16
SECONDS_MAX = 60.0


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. What did not come to pass is None."""

    channel: str
    provider: str
    model: str
    upstream_model: str
    ok: bool
    status: int | None = None
    cause: str | None = None
    message: str | None = None
    """The provider's words, or ours; no secret is in them."""
    answer: str | None = None
    ttft_ms: int | None = None
    duration_ms: int
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    billed: bool = False


async def trial(upstream: Attempts, at: Candidate) -> Trial:
    """Ask `at` and wait for all of the answer, at most so long."""
    began = clock.monotonic()
    body = {"model": at.model.id, "messages": [{"role": "user", "content": "Hello!"}]}
    wanted = Wanted(
        chat=read(msgspec.json.encode(body)),
        asked=Asked(model=at.model.id, id=f"chatcmpl-{ids.uuid7()}", created=clock.wall_s()),
        stream=True,
        limit=TOKENS_MAX,
        deadline=began + SECONDS_MAX,
    )
    try:
        outcome = await upstream.attempt(at, wanted)
        pieces = await _pieces(outcome) if isinstance(outcome, Answer) else []
    except BadRequest as error:
        outcome, pieces = Failure(cause="caller", message=error.message, param=error.param), []
    return _told(at, outcome, pieces, round((clock.monotonic() - began) * 1_000))


async def _pieces(answer: Answer) -> list[Piece]:
    """All of it, or what came of it: the answer knows why it broke off."""
    pieces: list[Piece] = []

    def take(more: list[Piece]) -> bool:
        pieces.extend(more)
        return True

    with closing(answer):
        try:
            await answer.relay(take)
        except Cut:
            assert answer.failure is not None
    return pieces


def _told(at: Candidate, outcome: Answer | Failure, pieces: list[Piece], took_ms: int) -> Trial:
    failure = outcome.failure if isinstance(outcome, Answer) else outcome
    usage = next((piece.usage for piece in reversed(pieces) if piece.usage is not None), None)
    ttft_ms = round(outcome.ttft_s * 1_000) if isinstance(outcome, Answer) else None
    return Trial(
        channel=at.channel.name,
        provider=at.channel.provider,
        model=at.model.id,
        upstream_model=at.upstream_model,
        ok=failure is None,
        status=200 if isinstance(outcome, Answer) else outcome.status,
        cause=None if failure is None else failure.cause,
        message=None if failure is None else words(failure, at),
        answer="".join(piece.text for piece in pieces) or None,
        ttft_ms=ttft_ms,
        duration_ms=took_ms,
        prompt_tokens=None if usage is None else usage.prompt_tokens,
        completion_tokens=None if usage is None else usage.completion_tokens,
    )
