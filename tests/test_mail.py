"""The line of mails: tried again for a while, bounded, and never with somebody else's words in a header."""

import asyncio
import json
from io import BytesIO

import aiosmtplib
import pytest

from deeptoken.mail import LINE_MAX, WAITS_S, Letter, Mail, message
from deeptoken.observe.logs import Log
from deeptoken.settings import Email

SERVER = Email(host="127.0.0.1", sender="DeepToken <noreply@gateway.example>")
LETTER = Letter(to="eve@example.com", subject="Hello", text="hello", user="eve", link="https://secret")


class Line:
    """A line whose time and server are the test's."""

    def __init__(self, *, fails: int = 0, server: Email | None = SERVER) -> None:
        self.now = 0.0
        self.sent: list[Letter] = []
        self._fails = fails
        self.written = BytesIO()
        self.log = Log(self.written)
        self.mail = Mail(lambda: server, self.log, self._send, lambda: self.now)

    async def _send(self, server: Email, letter: Letter) -> None:
        if self._fails:
            self._fails -= 1
            raise aiosmtplib.SMTPConnectError("no")
        self.sent.append(letter)

    def events(self) -> list[str]:
        with self.log:
            pass
        return [json.loads(line)["event"] for line in self.written.getvalue().splitlines()]


def test_a_mail_that_is_not_taken_is_tried_again_after_growing_waits() -> None:
    line = Line(fails=2)
    line.mail.put_letter(LETTER)

    async def story() -> None:
        for now, sent in ((0.0, 0), (WAITS_S[0] - 1, 0), (WAITS_S[0], 0), (WAITS_S[0] + WAITS_S[1], 1)):
            line.now = now
            await line.mail.deliver()
            assert len(line.sent) == sent

    asyncio.run(story())
    assert line.events() == ["mail_delayed"] * 2


def test_it_is_given_up_at_last_and_the_log_does_not_have_what_it_said() -> None:
    line = Line(fails=100)
    line.mail.put_letter(LETTER)

    async def story() -> None:
        for _ in range(10):
            await line.mail.deliver()
            line.now += max(WAITS_S)

    asyncio.run(story())
    assert line.events() == ["mail_delayed"] * len(WAITS_S) + ["mail_failed"]
    assert b"secret" not in line.written.getvalue()


def test_the_line_is_bounded() -> None:
    line = Line()
    for _ in range(LINE_MAX + 1):
        line.mail.put_letter(LETTER)

    asyncio.run(line.mail.deliver())

    assert len(line.sent) == LINE_MAX
    assert line.events() == ["mail_dropped"]


def test_a_mail_that_cannot_be_composed_does_not_take_the_next_with_it() -> None:
    async def broken() -> Letter:
        raise LookupError

    line = Line()
    line.mail.put(broken)
    line.mail.put_letter(LETTER)

    async def story() -> None:
        with pytest.raises(LookupError):
            await line.mail.deliver()
        await line.mail.deliver()

    asyncio.run(story())
    assert line.sent == [LETTER]


def test_without_a_server_only_links_are_printed() -> None:
    line = Line(server=None)
    line.mail.put_letter(LETTER)
    line.mail.put_letter(Letter(to="eve@example.com", subject="Notice", text="changed", user="eve"))

    asyncio.run(line.mail.deliver())

    assert line.events() == ["link"]


@pytest.mark.parametrize(
    "to", ["eve@example.com\r\nBcc: all@example.com", "eve@example.com\nX: y"], ids=["crlf", "lf"]
)
def test_no_header_has_a_line_of_somebody_else(to: str) -> None:
    with pytest.raises(ValueError, match=r"newline|linefeed"):
        message(SERVER, Letter(to=to, subject="Hello", text="hello", user="eve"))
    line = Line()
    assert message(SERVER, LETTER)["To"] == "eve@example.com"
    assert line.sent == []
