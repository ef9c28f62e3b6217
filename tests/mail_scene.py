"""A server that takes mails, as small as SMTP allows (RFC 5321)."""

import asyncio
import ssl
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage


class Mails:
    """What has come, oldest first."""

    def __init__(
        self, tls: ssl.SSLContext | None = None, *, implicit: bool = False, password: str = ""
    ) -> None:
        self.port = 0
        self.tls = None if implicit else tls
        """With it STARTTLS is offered."""
        self.password = password
        """With it, who says it is let in, and nobody else."""
        self.secure = 0
        """So many mails came over TLS."""
        self.refuses = 0
        """So many mails to come are refused."""
        self.came: list[EmailMessage] = []
        self._more = asyncio.Condition()
        self.visits: set[asyncio.Task[None] | None] = set()

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
        self.visits.add(asyncio.current_task())
        writer.write(b"220 here\r\n")
        secure, known = writer.get_extra_info("ssl_object") is not None, not self.password
        while line := await reader.readline():
            word = line[:4].upper()
            if word == b"EHLO":
                offers = ["here"] + ["STARTTLS"] * bool(self.tls and not secure)
                offers += ["AUTH PLAIN"] * bool(self.password)
                told = [f"250{' ' if offer is offers[-1] else '-'}{offer}\r\n" for offer in offers]
                writer.write("".join(told).encode())
            elif word == b"STAR" and self.tls is not None:
                writer.write(b"220 go on\r\n")
                try:
                    await writer.start_tls(self.tls)
                except (ssl.SSLError, ConnectionError):
                    break
                secure = True
            elif word == b"AUTH":
                known = b64decode(line.split()[2]).decode().split("\0")[1:] == ["gateway", self.password]
                writer.write(b"235 welcome\r\n" if known else b"535 who are you\r\n")
            elif word == b"MAIL" and not known:
                writer.write(b"530 sign in first\r\n")
            elif word == b"DATA":
                self.secure += secure
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
async def mails(
    tls: ssl.SSLContext | None = None, *, implicit: bool = False, password: str = ""
) -> AsyncIterator[Mails]:
    there = Mails(tls, implicit=implicit, password=password)
    server = await asyncio.start_server(there.serve, "127.0.0.1", 0, ssl=tls if implicit else None)
    there.port = server.sockets[0].getsockname()[1]
    try:
        yield there
    finally:
        server.close()
        await asyncio.gather(*(visit for visit in there.visits if visit), return_exceptions=True)


def token_in(mail: EmailMessage) -> str:
    """The line that has nothing else."""
    lines = [line.strip() for line in mail.get_content().splitlines() if line.startswith("    ")]
    return str(lines[0])
