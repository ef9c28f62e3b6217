"""Mails over TLS, as `[email]` has it, to a server that asks who sends; and what `doctor` says of one."""

import asyncio
import gc
import ssl
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import aiosmtplib
import pytest

from certificates import Certificate
from deeptoken.cli.mail_reached import reach_mail
from deeptoken.mail import Letter, by_smtp
from deeptoken.settings import Email, Secret
from mail_scene import mails

PASSWORD = "correct horse"
LETTER = Letter(to="ann@example.com", subject="Hello", text="Hello, Ann.", user="ann")


@pytest.fixture(autouse=True)
def _swept() -> Iterator[None]:
    """aiosmtplib leaves what a refusal ends to the collector, where a loop ends before TLS says good-bye."""
    gc.disable()
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    gc.enable()


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Certificate:
    """One that this machine trusts, for localhost."""
    made = Certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.file))
    return made


def email(port: int, tls: str, password: str = PASSWORD, host: str = "localhost") -> Email:
    return Email(
        host=host,
        port=port,
        sender="gateway@example.com",
        tls=tls,  # type: ignore[arg-type]  # one of the three
        username="gateway",
        password=Secret(password),
    )


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_a_mail_and_the_password_go_over_tls(tls: str, certificate: Certificate) -> None:
    async def main() -> None:
        implicit = tls == "implicit"
        async with mails(certificate.server(), implicit=implicit, password=PASSWORD) as server:
            await by_smtp(email(server.port, tls), LETTER)

            assert (await server.next(1))["Subject"] == "Hello"
            assert server.secure == 1

    asyncio.run(main())


def test_nothing_is_said_in_the_clear_where_tls_is_wanted_and_not_offered() -> None:
    async def main() -> None:
        async with mails(password=PASSWORD) as server:
            with pytest.raises(aiosmtplib.SMTPException):
                await by_smtp(email(server.port, "starttls"), LETTER)

            assert server.came == []

    asyncio.run(main())


def test_a_certificate_of_somebody_else_is_not_trusted(tmp_path: Path) -> None:
    async def main() -> None:
        async with mails(Certificate(tmp_path).server(), password=PASSWORD) as server:
            with pytest.raises((aiosmtplib.SMTPException, ssl.SSLError)):
                await by_smtp(email(server.port, "starttls"), LETTER)

            assert server.came == []

    asyncio.run(main())


def looked_at(told: Callable[[int], Email], tls: ssl.SSLContext | None, *, implicit: bool = False) -> str:
    """What `doctor` says of a server."""

    async def main() -> str:
        async with mails(tls, implicit=implicit, password=PASSWORD) as server:
            [check] = await asyncio.to_thread(lambda: list(reach_mail(told(server.port))))
            assert server.came == []
        return f"{check.status}: {check.detail}"

    return asyncio.run(main())


def test_doctor_asks_the_mail_server_and_sends_nothing(certificate: Certificate) -> None:
    tls = certificate.server()

    assert looked_at(lambda port: email(port, "starttls"), tls).startswith("ok: localhost:")
    assert looked_at(lambda port: email(port, "implicit"), tls, implicit=True).endswith("lets us in")
    assert list(reach_mail(None)) == []


def test_doctor_says_what_is_wrong_with_the_mail_server(certificate: Certificate, tmp_path: Path) -> None:
    tls = certificate.server()
    (tmp_path / "other").mkdir()
    strange = Certificate(tmp_path / "other").server()

    assert "failed" in looked_at(lambda port: email(port, "starttls", "wrong"), tls)
    assert "the password" in looked_at(lambda port: email(port, "starttls", "wrong"), tls)
    assert "certificate" in looked_at(lambda port: email(port, "starttls"), strange)
    assert "tls" in looked_at(lambda port: email(port, "starttls"), None)
    assert "cannot be reached" in looked_at(lambda _: email(1, "none"), None)
