"""`deeptoken channels test`: a real call to a channel, as the gateway makes them; nobody pays for it here."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click
import msgspec

from deeptoken import clock, config, ids
from deeptoken.catalog.model import Candidate, Channel, Model, Price, Rates
from deeptoken.catalog.patterns import Ranked, is_pattern, remap
from deeptoken.cli.channel_list import every
from deeptoken.cli.names import find_channel
from deeptoken.cli.options import Mistake, Trouble, load, with_config, with_json
from deeptoken.cli.output import print_facts, print_json
from deeptoken.errors import BadRequest
from deeptoken.gateway.failure import words
from deeptoken.gateway.play import playing
from deeptoken.gateway.upstream import Answer, Cut, Upstream, Wanted
from deeptoken.installation import opened
from deeptoken.money import PicoUsd
from deeptoken.net import Client, Proxies
from deeptoken.providers.base import Asked, Failure, Piece
from deeptoken.providers.registry import PROVIDERS
from deeptoken.settings import Settings
from deeptoken.store.secrets import load_secrets
from deeptoken.wire.chat import read

TOKENS_MAX = 16
SECONDS_MAX = 60.0


class Tested(msgspec.Struct, frozen=True, kw_only=True):
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


@click.command("test")
@click.argument("name")
@click.option("--model", help="The model to ask for; the first one of the channel without.")
@with_config
@with_json
def test_channel(name: str, model: str | None, file: Path | None, as_json: bool) -> None:
    """Call a channel for real, with one word and an answer of at most 16 tokens, disabled or not.

    No wallet pays and no usage row is written; the provider may bill its account. Exit code 1 if it failed.
    """
    settings = load(file)
    channel = _channel(settings, file, name)
    tested = asyncio.run(_test(_candidate(channel, model)))
    if as_json:
        print_json(tested)
    else:
        print_facts(dict(_facts(tested)))
    if not tested.ok:
        raise Trouble(f"The channel {channel.name} does not work ({tested.cause}).")


def _channel(settings: Settings, file: Path | None, name: str) -> Channel:
    """The channel with its credential."""
    if any(channel.name == name for channel in settings.channels):
        settings = load(file, secrets=True)
        return next(channel for channel in settings.channels if channel.name == name)
    known = every(settings)
    row = find_channel([one.row for one in known if one.row], name, [one.channel.name for one in known])
    return opened(row, load_secrets(settings.database.path))


def _candidate(channel: Channel, model: str | None) -> Candidate:
    if model is None:
        model = next((id for id in channel.models if not is_pattern(id)), None)
    if model is None:
        raise Mistake(f"The channel {channel.name} names no model by itself: say which by --model.")
    best = Ranked(channel.models.items()).best(model) if channel.models else (model, model)
    if best is None:
        raise Mistake(
            f"The channel {channel.name} does not serve {model!r}: it has {', '.join(channel.models)}."
        )
    rates = Rates(prompt=PicoUsd(0), completion=PicoUsd(0))
    return Candidate(
        channel, Model(id=model, price=Price(id=0, model=model, rates=rates)), remap(*best, model)
    )


async def _test(at: Candidate) -> Tested:
    client = Client(proxies=Proxies.told(config.environment()))
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
        outcome = await Upstream(client, PROVIDERS, playing).attempt(at, wanted)
        pieces = await _pieces(outcome) if isinstance(outcome, Answer) else []
    except BadRequest as error:
        outcome, pieces = Failure(cause="caller", message=error.message, param=error.param), []
    finally:
        await client.close()
    return _tested(at, outcome, pieces, round((clock.monotonic() - began) * 1_000))


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


def _tested(at: Candidate, outcome: Answer | Failure, pieces: list[Piece], took_ms: int) -> Tested:
    failure = outcome.failure if isinstance(outcome, Answer) else outcome
    usage = next((piece.usage for piece in reversed(pieces) if piece.usage is not None), None)
    ttft_ms = round(outcome.ttft_s * 1_000) if isinstance(outcome, Answer) else None
    return Tested(
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


def _facts(tested: Tested) -> Iterator[tuple[str, str | None]]:
    yield "channel", f"{tested.channel} ({tested.provider})"
    yield "model", f"{tested.model} ({tested.upstream_model})"
    yield "result", "it answers" if tested.ok else f"failed, {tested.cause}"
    yield "status", None if tested.status is None else str(tested.status)
    yield "message", tested.message
    yield "answer", tested.answer and " ".join(tested.answer.split())
    yield "first content", None if tested.ttft_ms is None else f"{tested.ttft_ms} ms"
    yield "took", f"{tested.duration_ms} ms"
    if tested.prompt_tokens is not None:
        yield "tokens", f"{tested.prompt_tokens} + {tested.completion_tokens}"
    yield "billed", "nobody here; the provider may bill its account"
