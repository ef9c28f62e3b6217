"""How long a provider took with a body that came as slowly as its sender liked."""

import asyncio
import math

from plan_scene import channel, chat, found

from deeptoken import clock
from deeptoken.catalog.model import Candidate, Timeouts
from deeptoken.gateway.credentials import Credentials
from deeptoken.gateway.play import playing
from deeptoken.gateway.upstream import Answer, Upstream, Wanted
from deeptoken.net import Client
from deeptoken.providers.base import Asked
from deeptoken.providers.registry import PROVIDERS
from deeptoken.wire.http import Upload
from deeptoken.wire.task import Task
from deeptoken.wire.transcriptions import TRANSCRIPTIONS, TranscriptionRequest
from deeptoken.wire.usage import Usage
from upstreams import ScriptedServer, answer, answering


class Slow:
    """The last of it went on so many seconds ago, whatever the clock says."""

    taken = False
    awaited = False
    content_type = "multipart/form-data; boundary=x"
    likely_s = 1
    size = None

    def __init__(self, ago: float) -> None:
        self.given_at = clock.monotonic() - ago
        self._left = [b"--x--", b""]

    def named(self, model: str) -> Upload:
        return self

    async def read(self) -> bytes:
        return self._left.pop(0)


async def asked(at: Candidate, upload: Slow) -> Answer:
    client = Client()
    upstream = Upstream(client, PROVIDERS, playing, Credentials(client))
    said = chat()
    request = TranscriptionRequest(model="m")
    said.task = Task(TRANSCRIPTIONS, request, bound=Usage(seconds=1), upload=upload)
    told = Asked(model="m", id="i", created=1, task=said.task)
    wanted = Wanted(said, told, stream=False, limit=None, deadline=clock.monotonic() + 60)
    outcome = await upstream.attempt(at, wanted)
    await client.close()
    assert isinstance(outcome, Answer)
    return outcome


def test_a_provider_is_measured_from_the_last_byte_on() -> None:
    async def main() -> None:
        raw = answer(b'{"text": "hello"}', "Content-Type: application/json")
        async with ScriptedServer(answering(raw)) as server:
            there = channel("a", base_url=server.url("/v1"), timeout=Timeouts(first_byte=math.inf))
            at = found(there).candidates[0]

            late = await asked(at, Slow(100))
            soon = await asked(at, Slow(0))

            assert late.reply is not None
            assert 100 <= late.ttft_s == late.waited < 160
            assert soon.ttft_s < 60

    asyncio.run(main())
