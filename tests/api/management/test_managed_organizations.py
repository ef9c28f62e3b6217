"""Organizations over the management API: made, changed, handed over, ended; each change holds at once."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from deeptoken.accounts.callers import people
from deeptoken.catalog.model import Group
from management_scene import Managed, managed
from organization_scene import call, change, found, grant, join, key_of, problems, seat, tell


def test_who_makes_one_owns_it_and_it_has_a_wallet(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        made = await there.done("stranger", "POST", "/api/orgs", {"slug": "lab", "name": "The Lab"})

        assert (made["slug"], made["name"], made["mode"], made["role"]) == (
            "lab",
            "The Lab",
            "strict",
            "owner",
        )
        assert "org.delete" in made["permissions"]
        listed = (await there.done("stranger", "GET", "/api/orgs"))["data"]
        assert [(org["slug"], org["role"]) for org in listed] == [("lab", "owner"), ("other", "owner")]
        assert await there.done("stranger", "GET", "/api/orgs/lab/wallet") == {
            "wallet": "org:lab", "balance": 0, "held": 0, "available": 0,
        }  # fmt: skip
        assert "org:lab" in [wallet.name for wallet in wallets(there)]
        assert [row["action"] for row in await log(there, "stranger", "lab")] == ["org.create"]

    tell(tmp_path, story)


def wallets(there: Managed) -> list[Any]:
    with there.gateway.reader() as reader:
        return list(reader.wallets())


async def log(there: Managed, who: str, slug: str) -> list[Any]:
    """The audit log, newest first."""
    rows: list[Any] = (await there.done(who, "GET", f"/api/orgs/{slug}/audit"))["data"]
    return rows


@pytest.mark.parametrize("slug", ["", "-a", "a-", "Acme", "a b", "a" * 41, "ä", "a/b"])
def test_a_slug_that_is_none_is_refused(tmp_path: Path, slug: str) -> None:
    async def story(there: Managed) -> None:
        reply = await there.ask("member", "POST", "/api/orgs", {"slug": slug})
        assert (reply.status, reply.error["param"]) == (400, "slug")

    tell(tmp_path, story)


def test_a_slug_is_given_once_also_to_two_at_the_same_time(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        replies = await asyncio.gather(
            *(there.ask(who, "POST", "/api/orgs", {"slug": "lab"}) for who in ("admin", "member", "viewer"))
        )
        assert sorted(reply.status for reply in replies) == [201, 409, 409]
        assert await there.refused("billing", "POST", "/api/orgs", {"slug": "acme"}) == (409, "conflict")

        owner = ("admin", "member", "viewer")[[reply.status for reply in replies].index(201)]
        await there.done(owner, "DELETE", "/api/orgs/lab")
        assert await there.refused(owner, "POST", "/api/orgs", {"slug": "lab"}) == (409, "conflict")
        assert await asyncio.to_thread(problems, there) == []

    tell(tmp_path, story)


def test_an_organizations_own_key_makes_none_and_accepts_no_invitation(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        assert await there.refused("machine", "POST", "/api/orgs", {"slug": "lab"}) == (
            403, "permission_denied",
        )  # fmt: skip
        assert (await there.refused("machine", "POST", "/api/invitations/accept", {"token": "x"}))[0] == 403
        [org] = (await there.done("machine", "GET", "/api/orgs"))["data"]
        assert (org["slug"], org["role"]) == ("acme", None)
        me = await there.done("machine", "GET", "/api/me")
        assert (me["account"], me["organizations"]) == ("org:acme", [org])

    tell(tmp_path, story)


def test_its_settings_are_changed_from_the_version_that_was_read(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        org = await found(there)
        body = {"name": "The Lab", "budget_usd": 12.5, "webhook": "https://hooks.example.com/secret"}
        changed = (await change(there, org, body)).json
        assert (changed["name"], changed["budget"], changed["version"]) == ("The Lab", 12_500_000, 2)
        assert await there.refused("owner", "PATCH", org, {"name": "x"}) == (412, "precondition_failed")
        assert (await there.refused("owner", "PATCH", org, {"name": "x"}, if_match='"1"'))[0] == 412
        assert (await change(there, org, {"tier": "pro"})).error["param"] == "tier"
        assert (await change(there, org, {"budget_usd": 0})).error["param"] == "budget_usd"
        assert (await change(there, org, {"budget_usd": "0.0000000001"})).error["param"] == "budget_usd"
        assert (await change(there, org, {"name": "a\nb"})).error["param"] == "name"
        assert (await change(there, org, {"budget_usd": None})).json["budget"] is None

        await join(there, org, "member")
        assert (await there.done("member", "GET", org))["webhook"] is None
        told = str(await log(there, "owner", "lab"))
        assert ("hooks.example.com" in told, "secret" in told) == (True, False)

    tell(tmp_path, story)


def test_one_of_the_file_is_changed_there(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        org = "/api/orgs/acme"
        assert (await change(there, org, {"mode": "fallback"})).status == 409
        assert (await change(there, f"{org}/members/member", {"role": "viewer"})).status == 409
        assert await there.refused("member", "DELETE", f"{org}/members/member") == (409, "conflict")
        assert await there.refused("owner", "DELETE", org) == (409, "conflict")
        assert await there.refused("owner", "POST", f"{org}/transfer", {"user": "admin"}) == (409, "conflict")

    tell(tmp_path, story)


def test_the_mode_is_switched_and_the_log_says_so(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        org = await found(there)
        for mode in ("fallback", "strict", "fallback"):
            assert (await change(there, org, {"mode": mode})).json["mode"] == mode
            assert (await there.done("owner", "GET", "/api/orgs"))["data"][1]["mode"] == mode
            with there.gateway.reader() as reader:
                _, known, _ = people(reader, {"default": Group("default")})
            lab = known.find("lab")
            assert lab is not None
            assert lab.fallback == (mode == "fallback")
            assert (await log(there, "owner", "lab"))[0]["after"]["mode"] == mode

    tell(tmp_path, story)


def test_one_with_money_is_not_deleted(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        org = await found(there)
        await grant(there, "org:lab", "0.25")
        reply = await there.ask("owner", "DELETE", org)
        assert reply.status == 409
        assert "has $0.25" in reply.error["message"]
        assert (await there.done("owner", "GET", org))["slug"] == "lab"

    tell(tmp_path, story)


def test_a_deleted_one_is_gone_with_its_keys_and_seats(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        org = await found(there)
        await join(there, org, "member")
        made = await there.done("owner", "POST", f"{org}/keys", {"name": "machine"})
        secret = await key_of(there, "member")
        assert (await call(there, made["secret"])).error["code"] == "wallet_empty"

        await there.done("owner", "DELETE", org)

        assert (await call(there, made["secret"])).error["code"] == "invalid_api_key"
        assert (await call(there, secret, "lab")).error["code"] == "org_not_found"
        for who in ("owner", "member"):
            assert await there.refused(who, "GET", org) == (404, "org_not_found")
        with there.gateway.reader() as reader:
            rows = reader.keys()
            [key] = [row for row in rows if row.id == made["id"]]
            assert key.revoked_us is not None
            assert reader.audited(None, before=2**62, limit=1)[0].action == "org.delete"
        assert await asyncio.to_thread(problems, there) == []

    tell(tmp_path, story)


def test_an_organization_is_handed_over_to_a_member(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        org = await found(there)
        await join(there, org, "member", budget_usd=3)
        path = f"{org}/transfer"
        assert await there.refused("owner", "POST", path, {"user": "viewer"}) == (404, "not_found")
        assert await there.refused("owner", "POST", path, {"user": "owner"}) == (409, "conflict")
        assert await there.refused("owner", "DELETE", f"{org}/members/owner") == (409, "conflict")

        assert (await there.done("owner", "POST", path, {"user": "member"}))["role"] == "admin"

        assert (await there.done("member", "GET", org))["role"] == "owner"
        assert (await seat(there, org, "member"))["budget"] is None
        assert await there.refused("owner", "POST", path, {"user": "owner"}) == (403, "permission_denied")
        assert await there.refused("owner", "DELETE", f"{org}/members/member") == (409, "conflict")
        await there.done("owner", "DELETE", f"{org}/members/owner")
        assert await there.refused("owner", "GET", org) == (404, "org_not_found")

    tell(tmp_path, story)


def test_of_transfers_at_once_one_is_done_and_there_is_one_owner(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        org = await found(there)
        heirs = ("admin", "billing", "member", "viewer")
        for who in heirs:
            await join(there, org, who)

        replies = await asyncio.gather(
            *(there.ask("owner", "POST", f"{org}/transfer", {"user": who}) for who in heirs * 2)
        )

        statuses = [reply.status for reply in replies]
        assert statuses.count(200) == 1
        assert set(statuses) <= {200, 403, 409, 412}
        roles = {
            row["user"]: row["role"] for row in (await there.done("owner", "GET", f"{org}/members"))["data"]
        }
        assert sorted(roles.values()) == ["admin", "member", "member", "member", "owner"]
        assert roles["owner"] == "admin"
        actions = [row["action"] for row in await log(there, "owner", "lab")]
        assert actions.count("org.transfer") == 1

    tell(tmp_path, story)


def test_the_audit_log_comes_in_pages_and_as_lines(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        org = await found(there)
        for n in range(4):
            await change(there, org, {"name": f"Lab {n}"})
        seen, after = [], ""
        while after is not None:
            page = await there.done("owner", "GET", f"{org}/audit?limit=2&after={after}")
            seen += page["data"]
            after = page["next"]
        assert [row["action"] for row in seen] == [*["org.change"] * 4, "org.create"]
        assert (seen[0]["before"]["name"], seen[0]["after"]["name"]) == ("Lab 2", "Lab 3")
        assert (seen[0]["actor"], seen[0]["address"], seen[0]["subject"]) == (
            "user:owner", "127.0.0.1", "org:lab",
        )  # fmt: skip

        lines = await there.ask("owner", "GET", f"{org}/audit?format=jsonl&limit=2")
        assert lines.headers["content-type"].startswith("application/jsonl")
        assert len(lines.body.splitlines()) == 2
        link = lines.headers["link"].partition(">")[0].removeprefix("<")
        rest = await there.ask("owner", "GET", f"{org}/audit{link}")
        assert len(rest.body.splitlines()) == 2
        accepted = await there.ask("owner", "GET", f"{org}/audit", accept="application/jsonl")
        assert len(accepted.body.splitlines()) == 5
        for query in ("after=x", "format=xml", "limit=0"):
            assert (await there.refused("owner", "GET", f"{org}/audit?{query}"))[0] == 400

    tell(tmp_path, story)


def test_the_mode_counts_from_the_next_call_on(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        org = await found(there)
        await join(there, org, "member")
        secret = await key_of(there, "member")
        assert (await call(there, secret, "lab")).error["code"] == "wallet_empty"

        for mode, status in (("fallback", 200), ("strict", 402), ("fallback", 200)):
            assert (await change(there, org, {"mode": mode})).json["mode"] == mode
            assert (await call(there, secret, "lab")).status == status

        assert {row.wallet for row in await there.gateway.settled(2)} == {"user:member"}

    tell(tmp_path, story)


def test_who_manages_the_money_changes_mode_and_budget_and_nothing_else(tmp_path: Path) -> None:
    async def story() -> None:
        async with managed(tmp_path) as there:
            await there.done("member", "POST", "/api/orgs", {"slug": "lab"})
            role = {"name": "books", "permissions": ["org.read", "billing.read", "billing.manage"]}
            await there.done("member", "POST", "/api/orgs/lab/roles", role)
            invited = {"email": "viewer@example.com", "role": "books"}
            token = (await there.done("member", "POST", "/api/orgs/lab/invitations", invited))["token"]
            await there.done("viewer", "POST", "/api/invitations/accept", {"token": token})
            path = "/api/orgs/lab/wallet"

            body = {"mode": "fallback", "budget_usd": 20}
            changed = await there.done("viewer", "PATCH", path, body, if_match='"1"')

            assert (changed["mode"], changed["budget"], changed["version"]) == ("fallback", 20_000_000, 2)
            assert (await there.refused("viewer", "PATCH", path, {"name": "x"}, if_match='"2"'))[0] == 400
            assert (await there.refused("viewer", "PATCH", path, body, if_match='"1"'))[0] == 412
            assert await there.refused("viewer", "PATCH", "/api/orgs/lab", body, if_match='"2"') == (
                403,
                "permission_denied",
            )
            kept = await there.done("viewer", "PATCH", path, {"budget_usd": None}, if_match='"2"')
            assert (kept["mode"], kept["budget"]) == ("fallback", None)

    asyncio.run(story())
