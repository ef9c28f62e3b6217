"""A provider: `python benchmarks/upstream.py PORT ANSWER`. The model's name decides.

    bench          the bytes of the file ANSWER, whole
    bench-stream   100 events, one each 20 ms
    bench-open     60 events, one a second: streams that stay open

Role and first word leave at once, with the head: a gateway that waits for content waits for nothing else.
"""

import asyncio
import sys
from pathlib import Path

import uvloop

PLANS = {b'"bench-stream"': (100, 0.02), b'"bench-open"': (60, 1.0)}
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
CHUNK = (
    b'data: {"id":"chatcmpl-bench0123456789","object":"chat.completion.chunk","created":1700000000,'
    b'"model":"bench","service_tier":"default","system_fingerprint":"fp_0123456789","choices":[%b],"usage":%b}\n\n'
)
FIRST = CHUNK % (
    b'{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}',
    b"null",
)
WORD = CHUNK % (b'{"index":0,"delta":{"content":" word"},"logprobs":null,"finish_reason":null}', b"null")
LAST = CHUNK % (b'{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}', b"null")
USAGE = CHUNK % (b"", b'{"prompt_tokens":200,"completion_tokens":98,"total_tokens":298}')


def framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


FIRST_FRAME = HEAD + framed(FIRST) + framed(WORD)
WORD_FRAME = framed(WORD)
LAST_FRAMES = framed(LAST) + framed(USAGE + b"data: [DONE]\n\n") + b"0\r\n\r\n"


class Upstream(asyncio.Protocol):
    def __init__(self, loop: asyncio.AbstractEventLoop, answer: bytes) -> None:
        self.loop = loop
        self.answer = answer
        self.received = b""
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # it is TCP
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, found, body = self.received.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self.received = b""
        plan = next((plan for name, plan in PLANS.items() if name in body), None)
        if plan is None:
            self.transport.write(self.answer)
            return
        events, self.gap = plan
        self.transport.write(FIRST_FRAME)
        self.left = events - 3
        self.due = self.loop.time() + self.gap
        self.timer = self.loop.call_at(self.due, self.tick)

    def tick(self) -> None:
        self.left -= 1
        self.transport.write(WORD_FRAME if self.left else LAST_FRAMES)
        if self.left:
            self.due += self.gap
            self.timer = self.loop.call_at(self.due, self.tick)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.timer is not None:
            self.timer.cancel()


async def main(port: int, body: bytes) -> None:
    loop = asyncio.get_running_loop()
    answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    server = await loop.create_server(lambda: Upstream(loop, answer + body), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), Path(sys.argv[2]).read_bytes()))
