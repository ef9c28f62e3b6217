"""A channel tried out: one real call, short, that no wallet pays and no breaker hears of."""

from collections.abc import Sequence
from contextlib import closing

import msgspec

from deeptoken import clock, ids
from deeptoken.catalog.catalog import Catalog
from deeptoken.catalog.entry import Entry
from deeptoken.catalog.model import Candidate, Channel, Group, Model, Price, Rates
from deeptoken.catalog.patterns import Ranked, is_pattern, remap
from deeptoken.errors import BadRequest
from deeptoken.gateway.failure import words
from deeptoken.gateway.route import Attempts
from deeptoken.gateway.upstream import Answer, Cut, Wanted
from deeptoken.money import PicoUsd
from deeptoken.providers.base import Asked, Failure, Piece
from deeptoken.wire.chat import read

TOKENS_MAX = 16
SECONDS_MAX = 60.0


class NoChoice(Exception):
    """There is no model to ask for; the message says why."""


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


def candidate(
    channel: Channel,
    model: str | None,
    models: Sequence[Entry],
    book: Sequence[Entry],
    groups: Sequence[Group],
    *,
    named: str,
) -> Candidate:
    """What to ask a channel for: this model, else its first, else the cheapest that the price book has.

    `named` is how a model is named where none is found.

    Raises:
        NoChoice: it does not serve that, or nothing.
    """
    if model is None:
        model = next((id for id in channel.models if not is_pattern(id)), None)
    if model is None:
        return _cheapest(channel, models, book, groups, named)
    best = Ranked(channel.models.items()).best(model) if channel.models else (model, model)
    if best is None:
        raise NoChoice(
            f"The channel {channel.name} does not serve {model!r}: it has {', '.join(channel.models)}."
        )
    rates = Rates(prompt=PicoUsd(0), completion=PicoUsd(0))
    return Candidate(
        channel, Model(id=model, price=Price(id=0, model=model, rates=rates)), remap(*best, model)
    )


def _cheapest(
    channel: Channel, models: Sequence[Entry], book: Sequence[Entry], groups: Sequence[Group], named: str
) -> Candidate:
    """What the channel serves without naming it, by a token in and a token out.

    What makes vectors or judges has no price for tokens out, and no chats: it comes last.
    """
    catalog = Catalog.build([msgspec.structs.replace(channel, enabled=True)], models, book, groups)
    group = channel.groups[0]
    served = [at for id in catalog.exact_ids(group) for at in catalog.candidates(id, group)]
    if not served:
        raise NoChoice(
            f"The channel {channel.name} names no model, and the price book knows none of "
            f"{channel.provider}: say which by {named}."
        )
    return min(served, key=lambda at: (not at.model.price.rates.completion, _price(at), at.model.id))


def _price(at: Candidate) -> int:
    rates = at.model.price.rates
    return rates.prompt + rates.completion


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
