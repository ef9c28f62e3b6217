"""Mails on their way out: a bounded line, each tried again for a while. Without a server that takes mails,
what they would say is printed to the log, which the operator reads.

A mail is composed when its turn comes, so that who asked for one has no other answer, and not later, than who
asked in vain.
"""

import ssl
from collections.abc import Awaitable, Callable
from email.message import EmailMessage

import aiosmtplib
import msgspec

from deeptoken import clock
from deeptoken.observe.logs import Log
from deeptoken.settings import Email

LINE_MAX = 1_000
WAITS_S = (5.0, 60.0, 600.0, 3_600.0)
"""Between attempts; then it is given up."""
SEND_S = 30.0
REACH_S = 10.0


class Letter(msgspec.Struct, frozen=True):
    """`link` is what it is about; it stands in the text, and in the log where no mails are sent."""

    to: str
    subject: str
    text: str
    user: str
    link: str = ""


Compose = Callable[[], Awaitable[Letter | None]]
Send = Callable[[Email, Letter], Awaitable[None]]


class _Waiting(msgspec.Struct, eq=False):
    compose: Compose
    letter: Letter | None = None
    tries: int = 0
    due: float = 0.0


async def by_smtp(server: Email, letter: Letter) -> None:
    """Raises `OSError`, `aiosmtplib.SMTPException`: it was not taken."""
    async with _client(server, SEND_S) as client:
        await client.send_message(message(server, letter))


async def trouble(server: Email) -> str | None:
    """Connect, speak TLS and sign in as for a mail, and send none: what is wrong, None if nothing is."""
    try:
        async with _client(server, REACH_S) as client:
            await client.noop()
    except aiosmtplib.SMTPAuthenticationError:
        return "refuses the username or the password of [email]"
    except (aiosmtplib.SMTPException, OSError) as error:
        return _words(error)
    return None


def _client(server: Email, timeout_s: float) -> aiosmtplib.SMTP:
    """Not connected yet."""
    return aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        username=server.username or None,
        password=server.password or None,
        use_tls=server.tls == "implicit",
        start_tls=server.tls == "starttls",
        timeout=timeout_s,
    )


def _words(error: Exception) -> str:
    """What is wrong, and what to look at."""
    cause = error.__cause__ or error.__context__ or error
    if isinstance(error, ssl.SSLError) or isinstance(cause, ssl.SSLError):
        return f"has a certificate that is not to be trusted, or speaks no TLS ({cause})"
    if isinstance(error, aiosmtplib.SMTPTimeoutError):
        return "does not answer in time: check host, port and tls of [email]"
    if isinstance(error, aiosmtplib.SMTPConnectError | OSError):
        return f"cannot be reached ({cause}): check host and port of [email]"
    return f"does not do what is asked ({error}): check tls of [email]"


def message(server: Email, letter: Letter) -> EmailMessage:
    """Raises `ValueError`: a header would have a line of its own."""
    written = EmailMessage()
    written["From"] = server.sender
    written["To"] = letter.to
    written["Subject"] = letter.subject
    written["Auto-Submitted"] = "auto-generated"
    written.set_content(letter.text)
    return written


class Mail:
    """The line. `server` says which one takes mails now, if there is one."""

    def __init__(
        self,
        server: Callable[[], Email | None],
        log: Log,
        send: Send = by_smtp,
        now: Callable[[], float] = clock.monotonic,
    ) -> None:
        self._server = server
        self._log = log
        self._send = send
        self._now = now
        self._line: list[_Waiting] = []

    def put(self, compose: Compose) -> None:
        """Say it when its turn comes. Where the line is too long, it is not said, and logged."""
        if len(self._line) >= LINE_MAX:
            self._log.event("mail_dropped", "error", waiting=len(self._line))
        else:
            self._line.append(_Waiting(compose))

    def put_letter(self, letter: Letter) -> None:
        async def composed() -> Letter:
            return letter

        self.put(composed)

    async def deliver(self) -> None:
        """What is due, one after another. One that cannot be composed is lost, and not those behind it."""
        now = self._now()
        while (one := next((one for one in self._line if one.due <= now), None)) is not None:
            self._line.remove(one)
            await self._deliver(one)

    async def _deliver(self, one: _Waiting) -> None:
        letter = one.letter or await one.compose()
        if letter is None:
            return
        server = self._server()
        if server is None:
            if letter.link:
                self._log.event("link", user=letter.user, subject=letter.subject, link=letter.link)
            return
        if not letter.to:
            return
        try:
            await self._send(server, letter)
        except (OSError, ValueError, aiosmtplib.SMTPException) as error:
            one.letter = letter
            self._again(one, letter, error)

    def _again(self, one: _Waiting, letter: Letter, error: Exception) -> None:
        facts = {"user": letter.user, "subject": letter.subject, "error": type(error).__name__}
        if one.tries >= len(WAITS_S):
            self._log.event("mail_failed", "error", **facts)
            return
        self._log.event("mail_delayed", "warning", **facts)
        one.due = self._now() + WAITS_S[one.tries]
        one.tries += 1
        self._line.append(one)
