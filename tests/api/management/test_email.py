"""Addresses and the links that are sent there, with a server that takes mails and without one."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from browser_scene import PASSWORD, Browser, code, signed_in
from log_scene import Logged
from mail_scene import Mails, mails, token_in
from management_scene import Managed, managed

SERVER = """
[email]
host = "127.0.0.1"
port = {port}
tls = "none"
from = "DeepToken <noreply@gateway.example>"
"""
NAMED = '\n[[users]]\nname = "eve@example.com"\n'
URL = "https://gateway.example"


@asynccontextmanager
async def mailing(folder: Path) -> AsyncIterator[tuple[Managed, Mails]]:
    async with mails() as there:
        more = f"{SERVER.format(port=there.port)}{NAMED}"
        async with managed(folder, more, server=f'public_url = "{URL}"') as gateway:
            yield gateway, there


async def has_address(there: Managed, came: Mails, user: str, address: str) -> Browser:
    """Somebody who is signed in, with a confirmed address. It takes one mail."""
    browser = await signed_in(there, user)
    asked = {"email": address, "password": PASSWORD}
    assert (await browser.send("PUT", "/api/me/email", asked)).status == 204
    mail = await came.about("Confirm this address", address)
    confirmed = await Browser(there).send("PUT", "/api/email", {"token": token_in(mail)})
    assert confirmed.status == 204, confirmed.body
    return browser


def test_an_address_is_confirmed_by_its_mail_and_sets_a_password_by_another(tmp_path: Path) -> None:
    async def story() -> None:
        async with mailing(tmp_path) as (there, came):
            browser = await has_address(there, came, "member", "Mia@example.com")
            shown = await browser.send("GET", "/api/me/email")
            assert shown.json == {"email": "Mia@example.com", "pending": None}

            asked = await Browser(there).send("POST", "/api/password/reset", {"user": "mia@EXAMPLE.com"})
            assert (asked.status, asked.body) == (204, b"")
            mail = await came.about("Set a new password")
            assert mail["From"] == "DeepToken <noreply@gateway.example>"
            assert mail["To"] == "Mia@example.com"
            assert URL in mail.get_content()
            new = {"token": token_in(mail), "password": "another long one"}
            assert (await Browser(there).send("PUT", "/api/password", new)).status == 204
            assert code(await Browser(there).send("PUT", "/api/password", new)) == (401, "sign_in_failed")
            assert (await browser.send("GET", "/api/session")).status == 401
            assert (await Browser(there).sign_in("member", "another long one")).status == 201
            notice = await came.about("The password was changed")
            assert token_in(mail) not in notice.get_content()

    asyncio.run(story())


def test_nobody_learns_whether_there_is_such_a_user_and_a_suspended_one_gets_no_mail(tmp_path: Path) -> None:
    async def story() -> None:
        async with mailing(tmp_path) as (there, came):
            told = set()
            # The last of them has a name that is an address; the first have none, or are not there.
            for user in ("member", "nobody-of-that-name", "nobody@example.com", "eve@example.com"):
                reply = await Browser(there).send("POST", "/api/password/reset", {"user": user})
                told.add((reply.status, reply.body))
            assert told == {(204, b"")}
            assert (await came.next(1))["To"] == "eve@example.com"
            await there.done("root", "POST", "/api/admin/users/eve@example.com/suspend", b"{}")
            for user in ("eve@example.com", "viewer"):
                await Browser(there).send("POST", "/api/password/reset", {"user": user})
            await there.done(
                "owner",
                "POST",
                "/api/orgs/acme/invitations",
                b'{"email": "zoe@example.com", "role": "member"}',
            )
            assert (await came.next(2))["To"] == "zoe@example.com"

    asyncio.run(story())


def test_it_is_asked_for_seldom(tmp_path: Path) -> None:
    async def story() -> None:
        async with managed(tmp_path) as there:
            statuses = [
                (await Browser(there).send("POST", "/api/password/reset", {"user": "member"})).status
                for _ in range(6)
            ]
            assert statuses == [204] * 5 + [429]

    asyncio.run(story())


def test_an_address_needs_the_password_is_one_and_is_of_one_user_only(tmp_path: Path) -> None:
    async def story() -> None:
        async with mailing(tmp_path) as (there, came):
            await has_address(there, came, "member", "mia@example.com")
            browser = await signed_in(there, "viewer")

            async def ask(email: str, password: str = PASSWORD) -> tuple[int, str]:
                reply = await browser.send("PUT", "/api/me/email", {"email": email, "password": password})
                return (reply.status, "") if reply.status == 204 else code(reply)

            assert await ask("mia@example.com", "wrong horse") == (401, "sign_in_failed")
            for wrong in ("mia", "mia@example.com\r\nBcc: eve@example.com", "@", "a b@example.com"):
                assert await ask(wrong) == (400, "invalid_request_error")
            assert await ask("MIA@example.com") == (204, "")
            mail = await came.about("Confirm this address", "MIA@example.com")
            taken = await Browser(there).send("PUT", "/api/email", {"token": token_in(mail)})
            assert taken.status == 409, taken.body
            assert code(await Browser(there).send("PUT", "/api/email", {"token": "x"})) == (
                401,
                "sign_in_failed",
            )
            shown = await browser.send("GET", "/api/me/email")
            assert shown.json == {"email": None, "pending": "MIA@example.com"}

    asyncio.run(story())


def test_an_invitation_is_sent_to_whom_it_is_for(tmp_path: Path) -> None:
    async def story() -> None:
        async with mailing(tmp_path) as (there, came):
            body = b'{"email": "eve@example.com", "role": "member"}'
            made = await there.done("owner", "POST", "/api/orgs/acme/invitations", body)
            assert made["mailed"] is True
            mail = await came.next(1)
            assert (mail["To"], mail["Subject"]) == ("eve@example.com", "An invitation to acme")
            assert token_in(mail) == made["token"]

    asyncio.run(story())


def test_without_a_server_the_link_is_printed_to_the_log(tmp_path: Path, logged: Logged) -> None:
    async def story() -> None:
        async with managed(tmp_path) as there:
            body = b'{"email": "eve@example.com", "role": "member"}'
            made = await there.done("owner", "POST", "/api/orgs/acme/invitations", body)
            assert made["mailed"] is False
            for user in ("member", "nobody-of-that-name"):
                await Browser(there).send("POST", "/api/password/reset", {"user": user})
            said = ""
            async with asyncio.timeout(60):
                while '"event":"link"' not in said:
                    said += logged.news()
                    await there.done("member", "GET", "/api/me")
            (line,) = [json.loads(line) for line in said.splitlines() if '"event":"link"' in line]
            assert (line["user"], line["level"]) == ("member", "info")
            new = {"token": line["link"].partition("token=")[2], "password": "another long one"}
            assert (await Browser(there).send("PUT", "/api/password", new)).status == 204
            assert (await Browser(there).sign_in("member", "another long one")).status == 201

    asyncio.run(story())
