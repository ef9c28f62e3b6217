"""A gateway that is killed and started again on the same folder, and its callers.

    Gateway    the real process: started, killed by its pid, stopped as an operator would
    Callers    make calls at once, note what reached them whole, and kill at a moment that was drawn

What its ledger must say after that is `kill_ledger.py`. Chance is a hash of a seed, so that a run can be made
again.
"""

import asyncio
import hashlib
import json
import signal
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Literal

from conftest import LISTENING
from deeptoken import ids

SECONDS_MAX = 60
"""Nothing that is waited for takes so long; a busy machine is no failure."""
CALLERS = 8
SERVE = (sys.executable, "-m", "deeptoken")
CONFIGURATION = """
[server]
port = 0
workers = {workers}
heartbeat_seconds = 600

[database]
url = "sqlite:///deeptoken.db"

[[channels]]
name = "sim"
provider = "sim"
models = {{ "text" = "text", "echo" = "echo" }}
sim = {{ pace = 2000 }}

[[models]]
id = "text"
prompt = 50
completion = 100

[[models]]
id = "echo"
prompt = 50
completion = 100
"""
OWNER = """
[[users]]
name = "{name}"
grant_usd = {grant}

[[keys]]
name = "{name}"
owner = "{name}"
secret = "{key}"
"""
DONE = b"data: [DONE]\n\n"
LONG_LIMIT = 4096
"""The most tokens of a long answer: too dear to be held at once, so its hold grows while it streams."""

Moment = Literal["sent", "read", "delivered", "emptied"]
"""What a caller does: sends a request, reads a piece of an answer, has all of one; sees its wallet empty."""


class Draw:
    """Chance that can be had again: numbers from a seed."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._count = 0

    def between(self, least: int, most: int) -> int:
        self._count += 1
        digest = hashlib.sha256(f"{self._seed}:{self._count}".encode()).digest()
        return least + int.from_bytes(digest[:8]) % (most - least + 1)


class Gateway:
    """The process, in a folder that outlives it. `grants` are the wallets, by their owners' names."""

    def __init__(self, folder: Path, grants: dict[str, str], workers: int = 1) -> None:
        self.folder = folder
        self.database = folder / "deeptoken.db"
        self.configuration = folder / "deeptoken.toml"
        self.keys = {name: ids.new_secret() for name in grants}
        owners = [OWNER.format(name=name, grant=grant, key=self.keys[name]) for name, grant in grants.items()]
        self.configuration.write_text(CONFIGURATION.format(workers=workers) + "".join(owners))
        self.port = 0
        self.size = workers + 1
        self.starts = 0
        self.kills = 0
        self.process: subprocess.Popen[bytes]

    def start(self, program: Sequence[str] = SERVE) -> None:
        """Start it, and wait until it listens."""
        self._spawn(program)
        while (told := LISTENING.search(self.said())) is None:
            self._wait_a_little()
        self.port = int(told[1].rpartition(":")[2])

    def start_and_kill(self) -> None:
        """Kill it while it starts: it has the database, and settles what the last one left open."""
        self._spawn(SERVE)
        lock = self.database.with_name("deeptoken.db.lock")
        while lock.read_text() != str(self.process.pid):
            self._wait_a_little()
        self.kill()
        self.await_kill()

    def _spawn(self, program: Sequence[str]) -> None:
        self.starts += 1
        self._waits = 0
        self.log = self.folder / f"log-{self.starts}"
        with self.log.open("wb") as output:
            command = [*program, "serve", "--config", str(self.configuration)]
            self.process = subprocess.Popen(
                command, env={}, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )

    def _wait_a_little(self) -> None:
        try:
            self.process.wait(0.01)
        except subprocess.TimeoutExpired:
            self._waits += 1
            assert self._waits < SECONDS_MAX * 100, f"It does not start:\n{self.said()}"
        else:
            raise AssertionError(f"It ended at its start:\n{self.said()}")

    def kill(self) -> None:
        """Like a power cut for this one process: no handler runs, nothing is written any more."""
        self.process.kill()

    @property
    def writer(self) -> int:
        """The process that has the database."""
        return int(self.database.with_name("deeptoken.db.lock").read_text())

    @property
    def family(self) -> list[int]:
        """The processes that it started."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def await_heir(self, killed: int) -> None:
        """Until one of its processes that was killed is replaced."""
        self._waits = 0
        while killed in self.family or len(self.family) < self.size:
            self._wait_a_little()

    def await_kill(self) -> None:
        ended = self.process.wait(SECONDS_MAX)
        self.kills += 1
        assert ended == -signal.SIGKILL, f"It ended with {ended} before it was killed:\n{self.said()}"

    def terminate(self) -> None:
        self.process.terminate()

    def stop(self) -> int:
        """As an operator would; the exit code."""
        self.process.terminate()
        return self.process.wait(SECONDS_MAX)

    def put_away(self) -> None:
        """No process is left behind, whatever the test found."""
        if self.starts and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def complaints(self) -> list[str]:
        """What its logs say of mistakes of its own."""
        lines = [line for log in self.folder.glob("log-*") for line in log.read_text().splitlines()]
        return [line for line in lines if '"level":"error"' in line or "Traceback" in line]

    def said(self) -> str:
        return self.log.read_text()


@dataclass
class Wish:
    """What a caller asks for. It is asked again under its `idempotency` key until it is there."""

    label: str
    """Its ``X-Request-Id``."""
    owner: str
    body: bytes
    idempotency: str | None
    last: "Heard | None" = None
    """What came at the last attempt."""


@dataclass
class Heard:
    """What reached the caller of an answer."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    data: bytes = b""
    whole: bool = False

    @property
    def id(self) -> str:
        return self.headers["x-deeptoken-id"]

    @property
    def replayed(self) -> bool:
        return "x-deeptoken-replay" in self.headers

    @property
    def cost(self) -> int:
        """Nano-dollars, as the caller was told: by a header, or by the usage chunk of a stream."""
        if (told := self.headers.get("x-deeptoken-cost")) is not None:
            return int(Decimal(told) * 1_000)
        last = self.data.removesuffix(b"\n\n" + DONE).rpartition(b"\n\n")[2].removeprefix(b"data: ")
        return int(Decimal(str(json.loads(last, parse_float=Decimal)["usage"]["cost"])) * 1_000)


class Callers:
    """Several at once, until the gateway is killed or they are told to stop."""

    def __init__(self, gateway: Gateway, seed: str) -> None:
        self.gateway = gateway
        self.delivered: dict[str, Heard] = {}
        """Answers that came whole, by their ids."""
        self.asked: dict[str, Wish] = {}
        """Every wish, by its label."""
        self.statuses: Counter[int] = Counter()
        self.replays = 0
        self.breaches: list[str] = []
        """What no caller may ever see."""
        self._draw = Draw(seed)
        self._repeats: deque[Wish] = deque()
        self._alarm: tuple[Moment, int, Callable[[], None]]
        self._moments: Counter[Moment] = Counter()
        self._emptied: set[str] = set()
        self._stopping = False

    async def until_kill(self, moment: Moment, count: int) -> None:
        """Call, kill at that moment, and see what still arrives."""
        self._repeats = deque(
            wish for wish in self.asked.values() if wish.idempotency is not None and self._again(wish)
        )
        await self.until(moment, count, self._kill)
        self.gateway.await_kill()

    def _kill(self) -> None:
        self.gateway.kill()
        self.stop()

    def _again(self, wish: Wish) -> bool:
        """Is it asked again after a kill? What is missing always, what is there now and then."""
        return wish.last is None or not wish.last.whole or self._draw.between(1, 8) == 1

    async def until(self, moment: Moment, count: int, then: Callable[[], None]) -> None:
        """Call; do something when `moment` came `count` times; end when stopped, or nobody is there."""
        self._moments.clear()
        self._emptied.clear()
        self._alarm = (moment, count, then)
        self._stopping = False
        async with asyncio.timeout(SECONDS_MAX), asyncio.TaskGroup() as callers:
            for _ in range(CALLERS):
                callers.create_task(self._one_after_another())

    def stop(self) -> None:
        """End what has begun, and begin nothing more."""
        self._stopping = True

    async def _one_after_another(self) -> None:
        while not self._stopping:
            wish = self._repeats.popleft() if self._repeats else self._wish()
            if not await self.ask(wish):
                self.stop()

    def _wish(self) -> Wish:
        """Something new: whole or streamed, short or long, with an idempotency key or without."""
        label = f"call-{len(self.asked) + 1}"
        owner = list(self.gateway.keys)[len(self.asked) % len(self.gateway.keys)]
        kind = self._draw.between(1, 10)
        stream = kind not in (1, 2, 3)
        keyed = kind in (3, 4, 5)
        long = kind in (2, 6, 7, 8)
        words = self._draw.between(450, 900) if long else self._draw.between(20, 200)
        wish = Wish(
            label=label,
            owner=owner,
            body=chat(f"{label} says".ljust(16) + " word" * words, stream, LONG_LIMIT if long else 300),
            idempotency=label if keyed else None,
        )
        self.asked[label] = wish
        return wish

    async def ask(self, wish: Wish) -> bool:
        """Ask, and note what came. Whether there was a gateway to ask."""
        heard = Heard()
        try:
            connection = await asyncio.open_connection("127.0.0.1", self.gateway.port)
        except OSError:
            return False
        reader, writer = connection
        writer.write(self._request(wish))
        self._moment("sent")
        try:
            await self._hear(reader, heard)
        except (asyncio.IncompleteReadError, OSError) as broken:
            heard.data += broken.partial if isinstance(broken, asyncio.IncompleteReadError) else b""
        finally:
            writer.transport.abort()
        heard.whole = heard.whole or heard.data.endswith(DONE)
        self._note(wish, heard)
        return True

    def _request(self, wish: Wish) -> bytes:
        lines = [
            "POST /v1/chat/completions HTTP/1.1",
            "host: gateway",
            "content-type: application/json",
            f"content-length: {len(wish.body)}",
            f"authorization: Bearer {self.gateway.keys[wish.owner]}",
            f"x-request-id: {wish.label}",
        ]
        if wish.idempotency:
            lines.append(f"idempotency-key: {wish.idempotency}")
        return "\r\n".join([*lines, "", ""]).encode() + wish.body

    async def _hear(self, reader: asyncio.StreamReader, heard: Heard) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
        heard.status = int(head[0].split()[1])
        heard.headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:])}
        if heard.headers.get("transfer-encoding") != "chunked":
            heard.data = await reader.readexactly(int(heard.headers["content-length"]))
            heard.whole = True
            return
        while size := int(await reader.readuntil(b"\r\n"), 16):
            heard.data += await reader.readexactly(size)
            self._moment("read")
            await reader.readexactly(2)

    def _moment(self, moment: Moment) -> None:
        self._moments[moment] += 1
        awaited, count, then = self._alarm
        if (moment, self._moments[moment]) == (awaited, count):
            then()

    def _note(self, wish: Wish, heard: Heard) -> None:
        before, wish.last = wish.last, heard
        self.statuses[heard.status] += 1
        # Calling on would be in vain, and what it says is worth more than that it was told.
        assert heard.status in (0, 200, 402, 503), f"{wish.label}: {heard.status} {heard.data!r}"
        if heard.status == 402 and b"insufficient_credit" in heard.data and wish.owner not in self._emptied:
            self._emptied.add(wish.owner)
            self._moment("emptied")
        if heard.status != 200:
            if before is not None and before.whole:
                wish.last = before
            return
        if before is not None and before.status == 200:
            self._compare(wish, before, heard)
        self.replays += heard.replayed
        if heard.whole:
            self.delivered[heard.id] = heard
            self._moment("delivered")

    def _compare(self, wish: Wish, before: Heard, heard: Heard) -> None:
        """A repeat is the first answer again, or a new one where the first was not delivered."""
        if heard.replayed and not same(before, heard):
            self.breaches.append(
                f"{wish.label} was {before.id}, and other bytes were given again: {heard.id}"
            )
        if before.whole and not heard.replayed:
            self.breaches.append(f"{wish.label} was delivered as {before.id} and answered anew as {heard.id}")
        if before.whole and not heard.whole:
            wish.last = before


def same(before: Heard, again: Heard) -> bool:
    """Are these one answer? Of one that was broken off, as far as it came."""
    if before.whole and again.whole:
        return (before.id, before.data) == (again.id, again.data)
    shorter, longer = sorted((before.data, again.data), key=len)
    return before.id == again.id and longer.startswith(shorter)


def chat(text: str, stream: bool, limit: int) -> bytes:
    """A chat that echoes; the usage says what it cost."""
    body = {
        "model": "echo",
        "messages": [{"role": "user", "content": text}],
        "max_tokens": limit,
        "stream": stream,
        "usage": {"include": True},
    }
    return json.dumps(body).encode()
