"""Signing in over the wire: sessions, what steals or guesses them, and links."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from browser_scene import PASSWORD, Browser, code, signed_in, with_password
from deeptoken.accounts.sign_in import csrf
from deeptoken.store.queries import sign_in
from management_scene import managed
from whole_scene import Reply


def test_a_person_signs_in_does_what_its_keys_may_and_signs_out(tmp_path: Path) -> None:
    async def story() -> None:
        async with managed(tmp_path) as there:
            browser = await signed_in(there, "owner")

            me = await browser.send("GET", "/api/me")
            assert (me.json["account"], me.json["operator"]) == ("user:owner", False)
            assert [org["slug"] for org in me.json["organizations"]] == ["acme"]
            made = await browser.send("POST", "/api/keys", {"name": "from the browser"})
            assert made.status == 201, made.body
            assert (await browser.send("GET", "/api/orgs/acme/members")).status == 200
            assert code(await browser.send("GET", "/api/admin/users")) == (403, "permission_denied")
            assert (await browser.send("DELETE", "/api/session")).status == 204
            assert browser.token == ""

    asyncio.run(story())


def test_an_ended_session_opens_nothing_and_the_others_of_the_user_go_on(tmp_path: Path) -> None:
    async def story() -> None:
        async with managed(tmp_path) as there:
            first = await signed_in(there, "member")
            second = Browser(there)
            await second.sign_in("member")
            token = second.token
            listed = (await first.send("GET", "/api/me/sessions")).json["data"]
            assert [row["current"] for row in listed] == [True, False]
            assert (await first.send("DELETE", f"/api/me/sessions/{listed[1]['id']}")).status == 204

            second.token = token
            assert code(await second.send("GET", "/api/me")) == (401, "invalid_api_key")
            assert (await first.send("GET", "/api/me")).status == 200
            gone = await first.send("DELETE", f"/api/me/sessions/{listed[1]['id']}")
            assert code(gone) == (404, "not_found")

    asyncio.run(story())


def test_a_session_of_another_cannot_be_ended(tmp_path: Path) -> None:
    async def story() -> None:
        async with managed(tmp_path) as there:
            ann, bob = await signed_in(there, "member"), await signed_in(there, "viewer")
            (other,) = (await bob.send("GET", "/api/me/sessions")).json["data"]

            assert code(await ann.send("DELETE", f"/api/me/sessions/{other['id']}")) == (404, "not_found")
            assert (await bob.send("GET", "/api/me")).status == 200

    asyncio.run(story())


def test_fixation_a_token_that_is_brought_along_is_never_the_session(tmp_path: Path) -> None:
    async def story() -> None:
        async with managed(tmp_path) as there:
            await with_password(there, "member")
            browser = Browser(there)
            browser.token = planted = "A" * 43
            await browser.sign_in("member")
            assert browser.token != planted
            first = browser.token
            await browser.sign_in("member")
            assert browser.token not in (planted, first)

            browser.token = planted
            assert code(await browser.send("GET", "/api/me")) == (401, "invalid_api_key")

    asyncio.run(story())


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"x_csrf_token": ""}, id="no token"),
        pytest.param({"x_csrf_token": csrf("another session")}, id="another session's token"),
        pytest.param({"sec_fetch_site": "cross-site"}, id="another site"),
        pytest.param({"sec_fetch_site": "same-site"}, id="another host of the site"),
    ],
)
def test_csrf_what_another_page_sends_changes_nothing(tmp_path: Path, headers: dict[str, str]) -> None:
    async def story() -> None:
        async with managed(tmp_path) as there:
            browser = await signed_in(there, "owner")
            before = (await browser.send("GET", "/api/keys")).json

            refused = await browser.send("POST", "/api/keys", {"name": "theirs"}, **headers)

            assert code(refused) == (403, "csrf_failed")
            assert (await browser.send("GET", "/api/keys")).json == before

    asyncio.run(story())


def test_csrf_an_old_browser_is_known_by_the_origin_and_nobody_is_signed_in_from_elsewhere(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with managed(tmp_path) as there:
            await with_password(there, "owner")
            old = Browser(there)
            del old.headers["sec_fetch_site"]
            body = {"user": "owner", "password": PASSWORD}
            port = there.gateway.port
            elsewhere = await old.send("POST", "/api/session", body, origin="https://evil.example")
            assert code(elsewhere) == (403, "csrf_failed")
            own = await old.send(
                "POST", "/api/session", body, origin=f"http://127.0.0.1:{port}", host=f"127.0.0.1:{port}"
            )
            assert own.status == 201, own.body

    asyncio.run(story())


def test_brute_force_is_slowed_for_the_account_and_the_password_itself_waits_too(tmp_path: Path) -> None:
    async def story() -> None:
        async with managed(tmp_path) as there:
            await with_password(there, "member")
            browser = Browser(there)
            for _ in range(5):
                assert code(await browser.sign_in("member", "wrong horse")) == (401, "sign_in_failed")
            for password in ("wrong horse", PASSWORD):
                refused = await browser.sign_in("member", password)
                assert code(refused) == (429, "too_many_attempts")
                assert 1 <= int(refused.headers["retry-after"]) <= 60
            await with_password(there, "viewer")
            assert (await browser.sign_in("viewer")).status == 201

    asyncio.run(story())


def test_brute_force_is_slowed_for_an_address_whatever_accounts_it_tries(tmp_path: Path) -> None:
    async def story() -> None:
        async with managed(tmp_path) as there:
            told = [code(await Browser(there).sign_in(f"user{n}", "wrong horse")) for n in range(22)]

            assert told[:20] == [(401, "sign_in_failed")] * 20
            assert (429, "too_many_attempts") in told[20:]

    asyncio.run(story())


def test_enumeration_the_answer_tells_no_account(tmp_path: Path) -> None:
    async def story() -> None:
        async with managed(tmp_path) as there:
            await with_password(there, "member")
            told = set()
            for user in ("member", "viewer", "nobody-of-that-name"):
                reply = await Browser(there).sign_in(user, "wrong horse")
                told.add((reply.status, reply.body))

            assert len(told) == 1

    asyncio.run(story())


def test_enumeration_an_unknown_account_is_hashed_for_as_a_known_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What takes time is done as often for each: a read of the database, and a hash of the same cost."""
    done: list[str] = []
    verify, login = PasswordHasher.verify, sign_in.login

    def verified(hasher: PasswordHasher, hash: str, password: str) -> bool:
        done.append(f"verified {hash.rpartition('$')[0].rpartition('$')[0]}")
        return bool(verify(hasher, hash, password))

    def read(*asked: Any) -> Any:
        done.append("read")
        return login(*asked)

    async def story() -> None:
        async with managed(tmp_path) as there:
            await with_password(there, "member")
            monkeypatch.setattr(PasswordHasher, "verify", verified)
            monkeypatch.setattr(sign_in, "login", read)
            took = []
            for user in ("nobody-of-that-name", "nobody-of-that-name", "member", "viewer"):
                done.clear()
                await Browser(there).sign_in(user, "wrong horse")
                took.append(list(done))
            # The first time the hash that stands in for nobody's is made besides.
            assert took[1] == took[2] == took[3]
            assert took[1][0] == "read"
            assert took[1][1].startswith("verified $argon2id$")

    asyncio.run(story())


def test_a_link_sets_a_password_once_ends_sessions_and_the_next_link_ends_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with managed(tmp_path) as there:
            browser = await signed_in(there, "member")
            links = [
                (await there.done("root", "POST", "/api/admin/users/member/link", b"{}"))["token"]
                for _ in range(2)
            ]

            async def follow(token: str, password: str = "another long one") -> Reply:
                return await Browser(there).send(
                    "PUT", "/api/password", {"token": token, "password": password}
                )

            assert code(await follow(links[0])) == (401, "sign_in_failed")
            assert code(await follow(links[1], "short")) == (400, "invalid_request_error")
            assert (await follow(links[1])).status == 204
            assert code(await follow(links[1])) == (401, "sign_in_failed")
            assert code(await browser.send("GET", "/api/me")) == (401, "invalid_api_key")
            assert code(await Browser(there).sign_in("member")) == (401, "sign_in_failed")
            assert (await Browser(there).sign_in("member", "another long one")).status == 201

    asyncio.run(story())


def test_another_password_ends_the_other_sessions_and_gives_this_one_another_token(tmp_path: Path) -> None:
    async def story() -> None:
        async with managed(tmp_path) as there:
            browser = await signed_in(there, "member")
            other = Browser(there)
            await other.sign_in("member")
            before = browser.token
            body = {"current": "wrong horse", "password": "another long one"}
            assert code(await browser.send("PUT", "/api/me/password", body)) == (401, "sign_in_failed")
            changed = await browser.send("PUT", "/api/me/password", {**body, "current": PASSWORD})

            assert changed.status == 200, changed.body
            assert browser.token != before
            assert (await browser.send("GET", "/api/me")).status == 200
            assert code(await other.send("GET", "/api/me")) == (401, "invalid_api_key")
            browser.token = before
            assert code(await browser.send("GET", "/api/me")) == (401, "invalid_api_key")

    asyncio.run(story())


def test_a_suspended_person_is_out_at_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with managed(tmp_path) as there:
            browser = await signed_in(there, "member")
            await there.done("root", "POST", "/api/admin/users/member/suspend")

            assert code(await browser.send("GET", "/api/me")) == (403, "account_suspended")
            assert code(await Browser(there).sign_in("member")) == (403, "account_suspended")

    asyncio.run(story())
