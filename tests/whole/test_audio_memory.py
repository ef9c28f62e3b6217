"""25 MB of audio take at most 8 MiB of a gateway's memory, whoever is slow."""

import asyncio
import contextlib
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from audio_scene import BOUNDARY, END, HEARD, KIND, PRICED, TRANSCRIPTIONS, Ear, Hearing, channel, field, told

from deeptoken import ids
from whole_scene import BASE, Connection, Reply

MEBIBYTE = 1024 * 1024
AUDIO = 25_000_000
PIECE = bytes(range(250)) * 200
GROWTH_MAX = 8 * MEBIBYTE
LISTENING = re.compile(rb"serves http://127\.0\.0\.1:(\d+)\n")
STATUS = Path("/proc/self/status")
FILE = (
    f"--{BOUNDARY}\r\n"
    'Content-Disposition: form-data; name="file"; filename="a.mp3"\r\nContent-Type: audio/mpeg\r\n\r\n'
).encode()

pytestmark = pytest.mark.skipif(not STATUS.exists(), reason="this system does not tell the peak of a process")


class Child:
    """A gateway in a process of its own."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, key: str) -> None:
        self._proc = Path(f"/proc/{process.pid}")
        self._port = port
        self._key = key

    def forget_peak(self) -> None:
        (self._proc / "clear_refs").write_text("5")

    def resident(self, name: str) -> int:
        """``VmRSS``: bytes now; ``VmHWM``: the most since `forget_peak`."""
        found = re.search(rf"^{name}:\s+(\d+) kB$", (self._proc / "status").read_text(), re.M)
        assert found
        return int(found[1]) * 1024

    async def send(self, size: int) -> Reply:
        """A form with so many bytes of audio, sent as fast as it is taken."""
        connection = Connection(*await asyncio.open_connection("127.0.0.1", self._port))
        begin, end = field("model", "m/up") + FILE, b"\r\n" + END
        told = {
            "authorization": f"Bearer {self._key}",
            "content-type": KIND,
            "content-length": str(len(begin) + size + len(end)),
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        connection.write(f"POST {TRANSCRIPTIONS} HTTP/1.1\r\nhost: x\r\n{lines}\r\n".encode() + begin)
        for _ in range(size // len(PIECE)):
            connection.write(PIECE)
            await connection.writer.drain()
        connection.write(end)
        reply = await connection.reply()
        connection.close()
        return reply


@contextlib.contextmanager
def child(folder: Path, ear: Ear) -> Iterator[Child]:
    key = ids.new_secret()
    file = folder / "deeptoken.toml"
    file.write_text(BASE.format(server="", grant="100.0", key=key, more=PRICED + channel(ear, "up")))
    process = subprocess.Popen(
        [sys.executable, "-m", "deeptoken", "serve", "--config", file],
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        said = b""
        while not (found := LISTENING.search(said)):
            line = process.stdout.readline()
            assert line, said
            said += line
        yield Child(process, int(found[1]), key)
    finally:
        process.terminate()
        process.communicate(timeout=30)


@contextlib.asynccontextmanager
async def hearing_slowly(slow: bool) -> AsyncIterator[Ear]:
    async def script(hearing: Hearing) -> None:
        left = int(hearing.fields["content-length"])
        while left:
            left -= len(await hearing.reader.read(65_536))
            for _ in range(20 if slow else 0):
                await asyncio.sleep(0)
        await hearing.say(told(HEARD))

    async with Ear() as ear:
        ear.scripts["up"] = script
        yield ear


@pytest.mark.parametrize("slow", [False, True], ids=["fast", "slow"])
def test_audio_goes_through_without_being_in_memory(tmp_path: Path, slow: bool) -> None:
    async def main() -> None:
        async with hearing_slowly(slow) as ear:
            with child(tmp_path, ear) as gateway:
                assert (await gateway.send(1_000_000)).json == HEARD
                before = gateway.resident("VmRSS")
                gateway.forget_peak()

                reply = await gateway.send(AUDIO)

                assert reply.json == HEARD
                assert gateway.resident("VmHWM") - before <= GROWTH_MAX
                assert int(ear.heard["up"][-1].fields["content-length"]) > AUDIO

    async def timely() -> None:
        async with asyncio.timeout(120):
            await main()

    asyncio.run(timely())
