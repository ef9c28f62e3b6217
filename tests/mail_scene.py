"""A server that takes mails, as small as SMTP allows (RFC 5321)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage


class Mails:
    """What has come, oldest first."""

    def __init__(self) -> None:
        self.port = 0
        self.refuses = 0
        """So many mails to come are refused."""
        self.came: list[EmailMessage] = []
        self._more = asyncio.Condition()

    async def next(self, count: int) -> EmailMessage:
        """The mail of that number, from 1, when it is there."""
        async with asyncio.timeout(60), self._more:
            await self._more.wait_for(lambda: len(self.came) >= count)
        return self.came[count - 1]

    async def about(self, subject: str, to: str = "") -> EmailMessage:
        """The mail with that subject, when it is there."""

        def found() -> list[EmailMessage]:
            return [mail for mail in self.came if mail["Subject"] == subject and to in ("", mail["To"])]

        async with asyncio.timeout(60), self._more:
            await self._more.wait_for(found)
        return found()[0]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        while line := await reader.readline():
            word = line[:4].upper()
            if word == b"DATA":
                writer.write(b"354 go on\r\n")
                await self._take(await reader.readuntil(b"\r\n.\r\n"))
                writer.write(b"250 taken\r\n")
            elif word == b"MAIL" and self.refuses:
                self.refuses -= 1
                writer.write(b"451 not now\r\n")
            elif word == b"QUIT":
                writer.write(b"221 bye\r\n")
                break
            else:
                writer.write(b"250 yes\r\n")
        writer.close()

    async def _take(self, raw: bytes) -> None:
        async with self._more:
            self.came.append(message_from_bytes(raw.removesuffix(b".\r\n"), policy=policy.default))
            self._more.notify_all()


@asynccontextmanager
async def mails() -> AsyncIterator[Mails]:
    there = Mails()
    server = await asyncio.start_server(there.serve, "127.0.0.1", 0)
    there.port = server.sockets[0].getsockname()[1]
    try:
        yield there
    finally:
        server.close()


def token_in(mail: EmailMessage) -> str:
    """The line that has nothing else."""
    lines = [line.strip() for line in mail.get_content().splitlines() if line.startswith("    ")]
    return str(lines[0])
