"""What audio is billed by: what was told of it, else what it seems to be."""

import pytest
from plan_scene import model

from deeptoken.catalog.model import Rates
from deeptoken.gateway.tally import Tally
from deeptoken.money import PicoUsd
from deeptoken.providers.base import Piece, Reply
from deeptoken.wire.http import Upload
from deeptoken.wire.task import Task
from deeptoken.wire.transcriptions import TRANSCRIPTIONS, TranscriptionRequest
from deeptoken.wire.usage import Usage

BY_SECONDS = Rates(prompt=PicoUsd(0), completion=PicoUsd(0), second=PicoUsd(1))
BY_TOKENS = Rates(prompt=PicoUsd(1), completion=PicoUsd(1))
BY_BOTH = Rates(prompt=PicoUsd(1), completion=PicoUsd(1), second=PicoUsd(1))
TOKENS = Usage(prompt=2, prompt_audio=50, completion=9)


class Heard:
    taken = True
    awaited = False
    given_at = None
    content_type = ""
    likely_s = 7

    def named(self, model: str) -> Upload:
        raise NotImplementedError


TASK = Task(
    TRANSCRIPTIONS,
    TranscriptionRequest(model="m"),
    bound=Usage(seconds=60, prompt=100, prompt_audio=960, completion=600),
    units=Usage(seconds=9, prompt_audio=90, completion=36),
    upload=Heard(),
)


def tally(rates: Rates) -> Tally:
    return Tally(TASK, model(rates=rates), by_tokens=rates.by_tokens)


@pytest.mark.parametrize(
    ("rates", "usage", "units", "billed", "estimated"),
    [
        (BY_SECONDS, None, Usage(seconds=5), Usage(seconds=5), False),
        (BY_SECONDS, None, Usage(), Usage(), False),
        (BY_SECONDS, None, None, Usage(seconds=7), True),
        (BY_SECONDS, TOKENS, None, Usage(prompt=2, prompt_audio=50, completion=9, seconds=7), True),
        (BY_TOKENS, TOKENS, None, TOKENS, False),
        (
            BY_TOKENS,
            TOKENS,
            Usage(seconds=5),
            Usage(prompt=2, prompt_audio=50, completion=9, seconds=5),
            False,
        ),
        (BY_TOKENS, None, Usage(seconds=5), Usage(prompt_audio=50, completion=20, seconds=5), True),
        (BY_TOKENS, None, None, Usage(prompt_audio=70, completion=28), True),
        (BY_BOTH, TOKENS, None, Usage(prompt=2, prompt_audio=50, completion=9, seconds=7), True),
        (BY_BOTH, None, None, Usage(prompt_audio=70, completion=28, seconds=7), True),
    ],
)
def test_what_was_told_counts_and_the_rest_is_estimated_where_it_is_paid(
    rates: Rates, usage: Usage | None, units: Usage | None, billed: Usage, estimated: bool
) -> None:
    whole, streamed = tally(rates), tally(rates)

    whole.take(Reply(fields={}, usage=usage, units=units))
    streamed.add(Piece(raw=b"x"))
    streamed.add(Piece(usage=usage, units=units))
    streamed.add(Piece(raw=b"x"))

    assert whole.used("complete", accepted=True) == (billed, estimated)
    assert streamed.used("complete", accepted=True) == (billed, estimated)


def test_what_nobody_accepted_or_what_failed_costs_nothing() -> None:
    fresh, begun = tally(BY_SECONDS), tally(BY_SECONDS)
    begun.add(Piece(raw=b"x"))

    assert fresh.used("cancelled", accepted=False) == (None, False)
    assert begun.used("failed", accepted=True) == (None, False)
    assert fresh.used("cancelled", accepted=True) == (Usage(seconds=7), True)


def test_all_that_it_may_be_is_held_and_no_guess_makes_that_less() -> None:
    held = tally(BY_TOKENS)

    held.count_prompt()

    assert held.prompt == 1_060
    assert tally(BY_SECONDS).prompt == 0
