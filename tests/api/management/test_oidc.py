"""Signing in by the word of an issuer, over two sockets: who becomes whom, and what must not be stolen."""

import asyncio
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest

from browser_scene import PASSWORD, code, with_password
from issuer_scene import START, Traveller, with_issuer
from management_scene import Managed

CREATING = "create_users = true"


async def linked(there: Managed, traveller: Traveller, user: str) -> None:
    """Somebody with a password, to whom the issuer's person is linked, signed out again."""
    await with_password(there, user)
    assert (await traveller.send("POST", "/api/session", {"user": user, "password": PASSWORD})).status == 201
    reply = await traveller.link(password=PASSWORD)
    assert (reply.status, reply.headers["location"]) == (303, "/"), reply.body
    await traveller.send("DELETE", "/api/session")
    traveller.cookies.clear()


def test_a_linked_account_signs_in_in_a_session_of_its_own_and_goes_where_it_was_asked(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with with_issuer(tmp_path) as (there, issuer):
            traveller = Traveller(there, issuer)
            await linked(there, traveller, "member")
            traveller.cookies["__Host-deeptoken"] = "planted-by-somebody-else"

            reply = await traveller.sign_in(f"{START}?next=/usage%3Fdays%3D7")

            assert (reply.status, reply.headers["location"]) == (303, "/usage?days=7")
            assert reply.headers["cache-control"] == "no-store"
            assert traveller.session != "planted-by-somebody-else"
            assert await traveller.who() == "member"
            made = await traveller.send("POST", "/api/keys", {"name": "from the browser"})
            assert made.status == 201, made.body

    asyncio.run(story())


def test_the_providers_are_listed_for_anybody(tmp_path: Path) -> None:
    async def story() -> None:
        async with with_issuer(tmp_path) as (there, issuer):
            told = await Traveller(there, issuer).send("GET", "/api/session/oidc")
            shown = {"name": "issuer", "label": "The Issuer", "start": START}
            assert told.json == {"data": [shown], "next": None}
            nowhere = await Traveller(there, issuer).send("GET", "/api/session/oidc/google")
            assert code(nowhere) == (404, "not_found")

    asyncio.run(story())


def test_what_the_issuer_is_asked_has_a_challenge_a_state_and_a_nonce_that_differ_each_time(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with with_issuer(tmp_path, 'scopes = ["openid", "email"]') as (there, issuer):
            urls = [await Traveller(there, issuer).leave() for _ in range(2)]

            first, second = (parse_qs(urlsplit(url).query) for url in urls)
            assert first["scope"] == ["openid email"]
            assert first["redirect_uri"] == ["https://gateway.example/api/session/oidc/issuer/callback"]
            for name in ("state", "nonce", "code_challenge"):
                assert first[name] != second[name]
                assert len(first[name][0]) >= 43

    asyncio.run(story())


def test_another_browser_does_not_end_what_this_one_began(tmp_path: Path) -> None:
    """Else somebody could be signed in as whom they are not (login CSRF), or their code be used elsewhere."""

    async def story() -> None:
        async with with_issuer(tmp_path, CREATING) as (there, issuer):
            mine, theirs = Traveller(there, issuer), Traveller(there, issuer)
            back = await issuer.visit(await mine.leave())
            assert code(await theirs.come_back(back)) == (401, "sign_in_failed")
            await theirs.leave()
            assert code(await theirs.come_back(back)) == (401, "sign_in_failed")
            assert theirs.session is None
            assert "/token" not in issuer.paths()

            assert (await mine.come_back(back)).status == 303

    asyncio.run(story())


def test_a_state_is_good_once_also_for_the_browser_that_has_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with with_issuer(tmp_path, CREATING) as (there, issuer):
            traveller = Traveller(there, issuer)
            url = await traveller.leave()
            back = await issuer.visit(url)
            assert (await traveller.come_back(back)).status == 303
            asked = len(issuer.asked)
            # Another code, which is good: only the state has been used.
            again = await issuer.visit(url)
            assert again != back
            assert code(await traveller.come_back(again)) == (401, "sign_in_failed")
            assert len(issuer.asked) == asked

    asyncio.run(story())


def test_a_code_that_was_used_elsewhere_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        async with with_issuer(tmp_path, CREATING) as (there, issuer):
            traveller = Traveller(there, issuer)
            assert (await traveller.sign_in()).status == 303
            other = Traveller(there, issuer)
            back = await issuer.visit(await other.leave())
            used = back.replace("code=code-1", "code=code-0")
            assert code(await other.come_back(used)) == (401, "sign_in_failed")

    asyncio.run(story())


def test_a_second_factor_is_asked_for_after_the_issuers_word(tmp_path: Path) -> None:
    async def story() -> None:
        async with with_issuer(tmp_path) as (there, issuer):
            traveller = Traveller(there, issuer)
            await linked(there, traveller, "member")
            signed = await traveller.send("POST", "/api/session", {"user": "member", "password": PASSWORD})
            assert signed.status == 201
            begun = await traveller.send("POST", "/api/me/second-factor", {"password": PASSWORD})
            totp = pyotp.TOTP(begun.json["secret"])
            recovery = (await traveller.send("PUT", "/api/me/second-factor", {"code": totp.now()})).json
            traveller.cookies.clear()

            reply = await traveller.sign_in(f"{START}?next=/usage")

            assert reply.headers["location"] == "/usage?second_factor=required"
            assert traveller.session is None
            assert await traveller.who() is None
            wrong = await traveller.send("POST", "/api/session/oidc", {"code": "000000"})
            assert code(wrong) == (401, "sign_in_failed")
            right = {"code": recovery["recovery_codes"][0]}
            stranger = await Traveller(there, issuer).send("POST", "/api/session/oidc", right)
            assert code(stranger) == (401, "sign_in_failed")
            assert (await traveller.send("POST", "/api/session/oidc", right)).status == 201
            assert await traveller.who() == "member"
            # Neither the code nor what the issuer said is good twice.
            traveller.cookies.pop("__Host-deeptoken")
            for again in (right, {"code": recovery["recovery_codes"][1]}):
                assert code(await traveller.send("POST", "/api/session/oidc", again)) == (
                    401,
                    "sign_in_failed",
                )

    asyncio.run(story())


def test_a_suspended_user_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        async with with_issuer(tmp_path) as (there, issuer):
            traveller = Traveller(there, issuer)
            await linked(there, traveller, "member")
            await there.done("root", "POST", "/api/admin/users/member/suspend", b"{}")

            assert code(await traveller.sign_in()) == (403, "account_suspended")
            assert traveller.session is None

    asyncio.run(story())


def test_somebody_unknown_gets_no_user_unless_the_operator_says_so(tmp_path: Path) -> None:
    async def story() -> None:
        async with with_issuer(tmp_path) as (there, issuer):
            traveller = Traveller(there, issuer)

            refused = await traveller.sign_in()

            assert code(refused) == (403, "permission_denied")
            assert "POST /api/me/identities" in refused.error["message"]
            assert traveller.session is None
            with there.gateway.reader() as reader:
                assert not reader.named("mia@example.com")

    asyncio.run(story())


def test_a_new_user_is_called_by_the_verified_address_and_is_the_same_at_the_next_sign_in(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with with_issuer(tmp_path, CREATING) as (there, issuer):
            issuer.claims["email"] = "Mia@Example.com"
            traveller = Traveller(there, issuer)
            assert (await traveller.sign_in()).status == 303
            me = (await traveller.send("GET", "/api/me")).json
            assert (me["account"], me["operator"]) == ("user:mia@example.com", False)
            wallet = await traveller.send("GET", "/api/wallet")
            assert (wallet.status, wallet.json["balance"]) == (200, 0)
            shown = await traveller.send("GET", "/api/me/email")
            assert shown.json == {"email": "Mia@Example.com", "pending": None}
            # The address changes hands; the subject does not.
            issuer.claims["email"] = "mia@elsewhere.example"
            again = Traveller(there, issuer)
            assert (await again.sign_in()).status == 303
            assert await again.who() == "mia@example.com"
            issuer.claims |= {"sub": "subject-2", "email": "mia@example.com"}
            assert code(await Traveller(there, issuer).sign_in()) == (409, "conflict")

    asyncio.run(story())


@pytest.mark.parametrize(
    "claims",
    [
        {"email_verified": False},
        {"email_verified": "false"},
        {"email_verified": None},
        {"email": None},
        {"email": "two words@example.com"},
        {"email": ["mia@example.com"]},
        {"email": "m\u0456a@example.com"},
    ],
    ids=["not", "not, as a text", "unsaid", "none", "no address", "a list", "of letters that look alike"],
)
def test_an_address_that_is_not_verified_makes_no_user(tmp_path: Path, claims: dict[str, object]) -> None:
    async def story() -> None:
        async with with_issuer(tmp_path, CREATING) as (there, issuer):
            issuer.claims |= claims
            traveller = Traveller(there, issuer)
            assert code(await traveller.sign_in()) == (403, "permission_denied")
            assert traveller.session is None

    asyncio.run(story())


def test_an_open_invitation_of_the_verified_address_makes_a_user(tmp_path: Path) -> None:
    async def story() -> None:
        async with with_issuer(tmp_path) as (there, issuer):
            acme, body = "/api/orgs/acme", {"email": "MIA@example.com", "role": "member"}
            key = await there.done("owner", "POST", f"{acme}/keys", {"name": "hr", "scope": "manage"})
            there.secrets["hr"] = key["secret"]
            await there.done("hr", "POST", f"{acme}/invitations", body)
            issuer.claims["email_verified"] = False
            assert code(await Traveller(there, issuer).sign_in()) == (403, "permission_denied")
            issuer.claims["email_verified"] = True
            # Whoever invited has no right to it any more: that door is shut.
            await there.done("owner", "POST", f"{acme}/keys/{key['id']}/revoke")
            assert code(await Traveller(there, issuer).sign_in()) == (403, "permission_denied")
            made = await there.done("admin", "POST", f"{acme}/invitations", body)

            traveller = Traveller(there, issuer)
            assert (await traveller.sign_in()).status == 303
            assert await traveller.who() == "mia@example.com"
            joined = await traveller.send("POST", "/api/invitations/accept", {"token": made["token"]})
            assert joined.status == 200, joined.body

    asyncio.run(story())


def test_a_path_of_another_host_is_no_place_to_go_on_to(tmp_path: Path) -> None:
    async def story() -> None:
        async with with_issuer(tmp_path) as (there, issuer):
            traveller = Traveller(there, issuer)
            for next in (
                "https://evil.example", "//evil.example", "/%5Cevil.example", "%5C/evil.example", "", "evil",
                "/%09/evil.example", "/%0d%0aset-cookie:%20a=b", "javascript:alert(1)", "/" + "a" * 600,
            ):  # fmt: skip
                reply = await traveller.send("GET", f"{START}?next={next}")
                assert code(reply) == (400, "invalid_request_error"), next

    asyncio.run(story())


def test_starting_and_ending_are_heard_as_often_as_attempts_from_an_address(tmp_path: Path) -> None:
    async def story() -> None:
        async with with_issuer(tmp_path, CREATING) as (there, issuer):
            # Who gets in gets the attempts back.
            for _ in range(12):
                assert (await Traveller(there, issuer).sign_in()).status == 303
            statuses = [
                (await Traveller(there, issuer).send("GET", f"{START}/callback?state=x&code=y")).status
                for _ in range(21)
            ]
            assert statuses == [401] * 20 + [429]
            heard = await Traveller(there, issuer).send("GET", START)
            assert code(heard) == (429, "too_many_attempts")
            assert int(heard.headers["retry-after"]) > 0

    asyncio.run(story())


def test_a_sign_in_is_written_down_and_no_secret_with_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with with_issuer(tmp_path, CREATING) as (there, issuer):
            traveller = Traveller(there, issuer)
            assert (await traveller.sign_in()).status == 303
            told = await traveller.send("GET", "/api/audit")
            rows = told.json["data"]
            assert [row["action"] for row in rows] == ["user.sign-in", "identity.link", "user.create"]
            assert {row["actor"] for row in rows} == {"user:mia@example.com"}
            assert rows[0]["after"]["by"] == "issuer"
            assert rows[1]["after"]["subject"] == "subject-1"
            for secret in ("the-access-token", "s3cret", "code-0", traveller.session or "?"):
                assert secret not in told.body.decode()

    asyncio.run(story())
