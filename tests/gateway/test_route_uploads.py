"""Bodies that can be had but once, on their way among several channels."""

import asyncio

import pytest
from plan_scene import NOW, channel, chat, found, planned

from deeptoken.catalog.model import Candidate
from deeptoken.errors import BadRequest, UpstreamUnavailable
from deeptoken.gateway.inbound import Inbound
from deeptoken.gateway.pace import Pace
from deeptoken.gateway.queue import Queue
from deeptoken.gateway.route import Means, Route
from deeptoken.gateway.upstream import Answer, Wanted
from deeptoken.providers.base import Asked, Failure
from deeptoken.wire.chat import Chat
from deeptoken.wire.http import Upload
from deeptoken.wire.task import Task
from deeptoken.wire.transcriptions import TRANSCRIPTIONS, TranscriptionRequest
from deeptoken.wire.usage import Usage

OUT = Failure(cause="outage", message="out", status=503)
AWAY = Failure(cause="connect", message="away")


class Once:
    taken = False
    awaited = False
    given_at = None
    content_type = ""
    likely_s = 1

    def named(self, model: str) -> Upload:
        raise NotImplementedError


def heard() -> Chat:
    asked = chat()
    request = TranscriptionRequest(model="m")
    asked.task = Task(TRANSCRIPTIONS, request, bound=Usage(seconds=1), upload=Once())
    return asked


class Attempts:
    """Takes the body, or cannot be reached, as `does` says of each channel."""

    def __init__(self, **does: Failure | BadRequest) -> None:
        self.asked: list[str] = []
        self.patience: list[float | None] = []
        self._does = does

    async def attempt(self, at: Candidate, wanted: Wanted) -> Answer | Failure:
        self.asked.append(at.channel.name)
        self.patience.append(wanted.patience_s)
        outcome = self._does[at.channel.name]
        if outcome is not AWAY and isinstance(wanted.upload, Once):
            wanted.upload.taken = True
        if isinstance(outcome, BadRequest):
            raise outcome
        return outcome


def tried(attempts: Attempts, said: Chat, error: type[Exception]) -> None:
    """Ask two channels, of which each is known to be fast, and see `error`."""
    choices = planned(found(channel("a", priority=1), channel("b")), said=said).choices
    queue = Queue(Pace(), length_max=1, seconds=1)
    means = Means(upstream=attempts, queue=queue, now=lambda: NOW, draw=lambda: 0.0)
    for _ in range(100):
        means.health.measured("a", "m", ttft_s=0.5, now=NOW, whole=True)
    call = Inbound(id="i", request_id="i", endpoint="", secret=None, address=None, began=NOW)
    route = Route(means, call, choices, conversation=None, tokens=1, deadline=NOW + 600, asked="m")
    asked = Asked(model="m", id="i", created=1)
    wanted = Wanted(chat=said, asked=asked, stream=False, limit=None, deadline=NOW + 600)
    with pytest.raises(error):
        asyncio.run(_first(route, wanted))


async def _first(route: Route, wanted: Wanted) -> None:
    with route:
        await route.first_answer(wanted)


def test_a_body_that_was_taken_is_not_offered_again() -> None:
    failed, refused = Attempts(a=OUT, b=OUT), Attempts(a=BadRequest("broken"), b=OUT)

    tried(failed, heard(), UpstreamUnavailable)
    tried(refused, heard(), BadRequest)

    assert failed.asked == refused.asked == ["a"]


def test_who_cannot_be_reached_has_taken_nothing() -> None:
    attempts = Attempts(a=AWAY, b=OUT)

    tried(attempts, heard(), UpstreamUnavailable)

    assert attempts.asked == ["a", "b"]


def test_nobody_is_hurried_who_has_taken_it() -> None:
    chats, bodies = Attempts(a=OUT, b=OUT), Attempts(a=OUT, b=OUT)

    tried(chats, chat(), UpstreamUnavailable)
    tried(bodies, heard(), UpstreamUnavailable)

    assert chats.patience[0] == 10.0
    assert bodies.patience == [None]
