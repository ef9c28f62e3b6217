"""Linking accounts at an issuer to a user, and unlinking them; who becomes whom by an address."""

import asyncio
from pathlib import Path

import pytest

from browser_scene import PASSWORD, code, with_password
from deeptoken.api.management import identities
from issuer_scene import Issuer, Traveller, with_issuer
from mail_scene import mails, token_in
from management_scene import Managed

ISSUER = {"provider": "issuer"}


async def at_home(there: Managed, issuer: Issuer, user: str) -> Traveller:
    """Somebody who is signed in by a password."""
    await with_password(there, user)
    traveller = Traveller(there, issuer)
    assert (await traveller.send("POST", "/api/session", {"user": user, "password": PASSWORD})).status == 201
    return traveller


def test_an_account_is_linked_listed_and_unlinked(tmp_path: Path) -> None:
    async def story() -> None:
        async with with_issuer(tmp_path) as (there, issuer):
            traveller = await at_home(there, issuer, "member")
            linked = await traveller.link(password=PASSWORD, next="/settings")
            assert (linked.status, linked.headers["location"]) == (303, "/settings")
            told = (await traveller.send("GET", "/api/me/identities")).json
            (shown,) = told["data"]
            assert (shown["provider"], shown["issuer"], shown["subject"], shown["email"]) == (
                "issuer", issuer.url, "subject-1", "mia@example.com",
            )  # fmt: skip
            assert shown["used_us"] is None
            other = Traveller(there, issuer)
            assert (await other.sign_in()).status == 303
            (used,) = (await traveller.send("GET", "/api/me/identities")).json["data"]
            assert used["used_us"] >= used["created_us"]
            # Once more changes nothing.
            assert (await traveller.link(password=PASSWORD)).status == 303

            assert (await traveller.send("DELETE", f"/api/me/identities/{shown['id']}")).status == 204
            assert (await traveller.send("GET", "/api/me/identities")).json["data"] == []
            assert code(await traveller.send("DELETE", f"/api/me/identities/{shown['id']}")) == (
                404,
                "not_found",
            )
            assert code(await other.sign_in()) == (403, "permission_denied")
            rows = (await traveller.send("GET", "/api/audit")).json["data"]
            actions = [row["action"] for row in rows]
            assert (actions.count("identity.link"), actions.count("identity.unlink")) == (1, 1)

    asyncio.run(story())


def test_linking_needs_the_password_of_who_has_one(tmp_path: Path) -> None:
    async def story() -> None:
        async with with_issuer(tmp_path) as (there, issuer):
            traveller = await at_home(there, issuer, "member")
            assert code(await traveller.link()) == (400, "invalid_request_error")
            assert code(await traveller.link(password="wrong horse")) == (401, "sign_in_failed")
            assert code(await traveller.link(password=PASSWORD, next="//evil.example")) == (
                400,
                "invalid_request_error",
            )
            nowhere = await traveller.send(
                "POST", "/api/me/identities", {"provider": "google", "password": PASSWORD}
            )
            assert code(nowhere) == (404, "not_found")
            traveller.csrf = "guessed"
            assert code(await traveller.link(password=PASSWORD)) == (403, "csrf_failed")
            assert issuer.asked == []

    asyncio.run(story())


def test_what_is_linked_is_linked_to_who_began_it_and_is_still_signed_in(tmp_path: Path) -> None:
    async def story() -> None:
        async with with_issuer(tmp_path) as (there, issuer):
            traveller = await at_home(there, issuer, "member")
            begin = ISSUER | {"password": PASSWORD}
            begun = await traveller.send("POST", "/api/me/identities", begin)
            back = await issuer.visit(begun.json["url"])
            session = traveller.cookies.pop("__Host-deeptoken")
            assert code(await traveller.come_back(back)) == (401, "sign_in_failed")
            somebody_else = await at_home(there, issuer, "viewer")
            traveller.cookies["__Host-deeptoken"] = session
            begun = await traveller.send("POST", "/api/me/identities", begin)
            traveller.cookies["__Host-deeptoken"] = somebody_else.session or ""
            assert code(await traveller.come_back(await issuer.visit(begun.json["url"]))) == (
                401,
                "sign_in_failed",
            )
            with there.gateway.reader() as reader:
                assert reader.known(issuer.url, "subject-1") is None

    asyncio.run(story())


def test_what_is_linked_to_one_user_is_not_linked_to_another_nor_unlinked_by_one(tmp_path: Path) -> None:
    async def story() -> None:
        async with with_issuer(tmp_path) as (there, issuer):
            first, second = [await at_home(there, issuer, user) for user in ("member", "viewer")]
            assert (await first.link(password=PASSWORD)).status == 303
            assert code(await second.link(password=PASSWORD)) == (409, "conflict")
            (shown,) = (await first.send("GET", "/api/me/identities")).json["data"]
            assert (await second.send("GET", "/api/me/identities")).json["data"] == []
            gone = await second.send("DELETE", f"/api/me/identities/{shown['id']}")
            assert code(gone) == (404, "not_found")
            assert (await Traveller(there, issuer).sign_in()).status == 303

    asyncio.run(story())


def test_the_last_way_to_sign_in_is_not_taken_away(tmp_path: Path) -> None:
    async def story() -> None:
        async with with_issuer(tmp_path, "create_users = true") as (there, issuer):
            traveller = Traveller(there, issuer)
            await traveller.sign_in()
            await traveller.who()
            (first,) = (await traveller.send("GET", "/api/me/identities")).json["data"]
            refused = await traveller.send("DELETE", f"/api/me/identities/{first['id']}")
            assert code(refused) == (409, "conflict")
            assert "POST /api/password/reset" in refused.error["message"]
            # With another linked account there is a way left, until that is the last one.
            issuer.claims["sub"] = "subject-2"
            assert (await traveller.link()).status == 303
            assert (await traveller.send("DELETE", f"/api/me/identities/{first['id']}")).status == 204
            (second,) = (await traveller.send("GET", "/api/me/identities")).json["data"]
            assert second["subject"] == "subject-2"
            left = f"/api/me/identities/{second['id']}"
            assert code(await traveller.send("DELETE", left)) == (409, "conflict")
            await with_password(there, "mia@example.com")
            again = {"user": "mia@example.com", "password": PASSWORD}
            assert (await traveller.send("POST", "/api/session", again)).status == 201
            assert (await traveller.send("DELETE", left)).status == 204

    asyncio.run(story())


def test_who_has_no_password_links_only_shortly_after_signing_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with with_issuer(tmp_path, "create_users = true") as (there, issuer):
            traveller = Traveller(there, issuer)
            await traveller.sign_in()
            await traveller.who()
            with monkeypatch.context() as later:
                later.setattr(identities, "FRESH_US", 0)
                assert code(await traveller.link()) == (403, "permission_denied")
            assert (await traveller.link()).status == 303

    asyncio.run(story())


def test_an_address_signs_in_who_confirmed_it_where_the_operator_says_so_and_links_them(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with mails() as came:
            mail = (
                f'\n[email]\nhost = "127.0.0.1"\nport = {came.port}\ntls = "none"\n'
                'from = "noreply@gateway.example"\n'
            )
            async with with_issuer(tmp_path, "match_email = true", mail) as (there, issuer):
                home = await at_home(there, issuer, "member")
                asked = {"email": "Mia@example.com", "password": PASSWORD}
                assert (await home.send("PUT", "/api/me/email", asked)).status == 204
                # Not confirmed yet: anybody could have asked for it.
                assert code(await Traveller(there, issuer).sign_in()) == (403, "permission_denied")
                token = token_in(await came.about("Confirm this address"))
                assert (await home.send("PUT", "/api/email", {"token": token})).status == 204
                issuer.claims["email_verified"] = False
                assert code(await Traveller(there, issuer).sign_in()) == (403, "permission_denied")
                issuer.claims["email_verified"] = True

                traveller = Traveller(there, issuer)
                assert (await traveller.sign_in()).status == 303
                assert await traveller.who() == "member"
                notice = await came.about("The list of linked accounts was changed")
                assert notice["To"] == "Mia@example.com"
                # From now on it is the account that counts: whoever gets the address next is somebody else.
                issuer.claims["sub"] = "subject-2"
                assert code(await Traveller(there, issuer).sign_in()) == (403, "permission_denied")
                issuer.claims["sub"] = "subject-1"
                issuer.claims |= {"email": "mia@elsewhere.example", "email_verified": False}
                again = Traveller(there, issuer)
                assert (await again.sign_in()).status == 303
                assert await again.who() == "member"

    asyncio.run(story())


def test_without_that_a_confirmed_address_signs_nobody_in(tmp_path: Path) -> None:
    async def story() -> None:
        async with with_issuer(tmp_path, "create_users = true") as (there, issuer):
            assert (await Traveller(there, issuer).sign_in()).status == 303
            # Somebody else at the issuer, of the address that the first one has confirmed here.
            issuer.claims |= {"sub": "subject-2", "email": "Mia@example.com"}
            assert code(await Traveller(there, issuer).sign_in()) == (409, "conflict")

    asyncio.run(story())


def test_only_people_of_the_domains_come_in_also_who_is_linked(tmp_path: Path) -> None:
    async def story() -> None:
        more = 'create_users = true\ndomains = ["example.com"]'
        async with with_issuer(tmp_path, more) as (there, issuer):
            for email in ("mia@evil.example", "mia@example.com.evil.example", "mia@sub.example.com"):
                issuer.claims["email"] = email
                assert code(await Traveller(there, issuer).sign_in()) == (403, "permission_denied"), email
            issuer.claims["email"] = "mia@EXAMPLE.com"
            assert (await Traveller(there, issuer).sign_in()).status == 303
            issuer.claims["email_verified"] = False
            assert code(await Traveller(there, issuer).sign_in()) == (403, "permission_denied")

    asyncio.run(story())
