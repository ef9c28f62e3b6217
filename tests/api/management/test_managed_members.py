"""Members, roles and invitations over the management API: nobody gives what they do not have."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from deeptoken import clock
from deeptoken.identity.roles import OWNERS_ALONE, PERMISSIONS, ROLES
from management_scene import PEOPLE, Managed
from organization_scene import call, change, found, grant, join, key_of, seat, tell

INVITED = {"email": "new@example.com", "role": "member"}
CUSTOM: dict[str, list[str]] = {
    "clerk": ["org.read", "members.read", "members.manage", "usage.own"],
    "locksmith": ["keys.read", "keys.manage"],
    "caller": ["calls.make"],
    "chief": [name for name in PERMISSIONS if name not in OWNERS_ALONE],
}


async def staffed(there: Managed) -> str:
    """An organization with somebody in each role, and with roles of its own."""
    org = await found(there)
    for name, permissions in CUSTOM.items():
        await there.done("owner", "POST", f"{org}/roles", {"name": name, "permissions": permissions})
    for role in ("admin", "billing", "member", "viewer"):
        await join(there, org, role, role)
    return org


def permissions_of(role: str) -> frozenset[str]:
    return ROLES[role] if role in ROLES else frozenset(CUSTOM[role])


@pytest.mark.parametrize("giver", [*(role for role in ROLES if role != "owner"), *CUSTOM])
def test_nobody_gives_a_role_that_has_more_than_their_own(tmp_path: Path, giver: str) -> None:
    """By an invitation, by a change of a seat, or by a role of the organization's own."""
    has = permissions_of(giver)

    def right(status: int, given: frozenset[str], needs: str) -> bool:
        allowed = needs in has and given <= has
        return status == 403 if not allowed else status in (200, 201)

    async def story(there: Managed) -> None:
        org = await staffed(there)
        await join(there, org, "stranger", giver)
        for role in (*(name for name in ROLES if name != "owner"), *CUSTOM):
            given = permissions_of(role)
            invited = await there.ask("stranger", "POST", f"{org}/invitations", INVITED | {"role": role})
            assert right(invited.status, given, "members.manage"), (role, invited)
            if role != "viewer":
                seated = await change(there, f"{org}/members/viewer", {"role": role}, by="stranger")
                allowed = right(seated.status, given | permissions_of("viewer"), "members.manage")
                assert allowed, (role, seated)
                await change(there, f"{org}/members/viewer", {"role": "viewer"})
            made = await there.ask(
                "stranger", "POST", f"{org}/roles",
                {"name": f"as-{role}", "permissions": sorted(given)},
            )  # fmt: skip
            assert right(made.status, given, "roles.manage"), (role, made)

    tell(tmp_path, story)


@pytest.mark.parametrize("giver", ["admin", "clerk"])
def test_nobody_touches_who_has_more(tmp_path: Path, giver: str) -> None:
    has = permissions_of(giver)

    async def story(there: Managed) -> None:
        org = await staffed(there)
        await join(there, org, "stranger", giver)
        await join(there, org, "root", "chief")
        for who in ("root", "admin", "billing", "member", "viewer"):
            role = (await seat(there, org, who))["role"]
            allowed = permissions_of(role) <= has
            changed = await change(there, f"{org}/members/{who}", {"budget_usd": 1}, by="stranger")
            removed = await there.ask("stranger", "DELETE", f"{org}/members/{who}")
            assert (changed.status, removed.status) == ((200, 204) if allowed else (403, 403)), who
        for reply in (
            await change(there, f"{org}/members/owner", {"role": "member"}, by="stranger"),
            await change(there, f"{org}/members/owner", {"budget_usd": 1}),
            await there.ask("stranger", "DELETE", f"{org}/members/owner"),
        ):
            assert reply.status == 409
        if giver == "clerk":
            assert (
                await change(there, f"{org}/members/stranger", {"budget_usd": 9}, by="stranger")
            ).status == 403

    tell(tmp_path, story)


def test_who_only_manages_keys_makes_none_that_can_do_more(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        org = await staffed(there)
        await join(there, org, "stranger", "locksmith")
        theirs = await there.done("owner", "POST", f"{org}/keys", {"name": "root", "scope": "manage"})
        path = f"{org}/keys/{theirs['id']}"
        for scope in ("call", "read", "manage"):
            body = {"name": scope, "scope": scope}
            assert (await there.refused("stranger", "POST", f"{org}/keys", body))[0] == 403
        assert (await there.refused("stranger", "POST", f"{path}/rotate", {}))[0] == 403
        assert (await change(there, path, {"ips": []}, by="stranger")).status == 403
        await there.done("stranger", "POST", f"{path}/revoke")
        made = await there.done("admin", "POST", f"{org}/keys", {"name": "manage", "scope": "manage"})
        there.secrets["lab"] = made["secret"]
        assert (await there.done("lab", "GET", "/api/me"))["account"] == "org:lab"
        assert (await there.refused("lab", "DELETE", org))[0] == 403

    tell(tmp_path, story)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"name": "Owner", "permissions": ["org.read"]}, "name"),
        ({"name": "x" * 41, "permissions": ["org.read"]}, "name"),
        ({"name": "ends", "permissions": ["org.delete"]}, "permissions"),
        ({"name": "ends", "permissions": ["org.transfer"]}, "permissions"),
        ({"name": "ends", "permissions": ["org.rule"]}, "permissions"),
        ({"name": "ends", "permissions": []}, "permissions"),
        ({"name": "ends"}, "permissions"),
    ],
    ids=["upper", "long", "delete", "transfer", "unknown", "empty", "none"],
)
def test_a_role_that_cannot_be_is_refused(tmp_path: Path, body: dict[str, Any], param: str) -> None:
    async def story(there: Managed) -> None:
        org = await found(there)
        reply = await there.ask("owner", "POST", f"{org}/roles", body)
        assert (reply.status, reply.error["param"]) == (400, param)

    tell(tmp_path, story)


def test_a_role_of_its_own_makes_calls_until_it_is_taken_away(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        org = await staffed(there)
        await grant(there, "org:lab", "1")
        await join(there, org, "stranger", "caller")
        secret = await key_of(there, "stranger")
        assert (await call(there, secret, "lab")).status == 200

        role = f"{org}/roles/caller"
        assert (await change(there, role, {"permissions": ["org.read"]})).status == 200
        assert (await call(there, secret, "lab")).error["code"] == "permission_denied"
        await change(there, role, {"permissions": ["calls.make"]})
        assert (await call(there, secret, "lab")).status == 200

        await change(there, f"{org}/members/stranger", {"role": "viewer"})
        assert (await call(there, secret, "lab")).error["code"] == "permission_denied"
        await change(there, f"{org}/members/stranger", {"role": "member"})
        assert (await call(there, secret, "lab")).status == 200

        await there.done("owner", "DELETE", f"{org}/members/stranger")
        assert (await call(there, secret, "lab")).error["code"] == "not_a_member"
        assert await there.refused("stranger", "GET", org) == (404, "org_not_found")

    tell(tmp_path, story)


def test_a_role_that_somebody_has_or_will_have_stays(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        org = await staffed(there)
        role = f"{org}/roles/caller"
        invited = await there.done("owner", "POST", f"{org}/invitations", INVITED | {"role": "caller"})
        assert await there.refused("owner", "DELETE", role) == (409, "conflict")
        await there.done("owner", "DELETE", f"{org}/invitations/{invited['id']}")
        await change(there, f"{org}/members/viewer", {"role": "caller"})
        assert await there.refused("owner", "DELETE", role) == (409, "conflict")
        await change(there, f"{org}/members/viewer", {"role": "viewer"})
        await there.done("owner", "DELETE", role)
        assert await there.refused("owner", "GET", role) == (404, "not_found")
        for method, body in (("PATCH", {"permissions": ["org.read"]}), ("DELETE", None)):
            reply = await there.ask("owner", method, f"{org}/roles/viewer", body, if_match='"1"')
            assert reply.status == 409
        for name in ("clerk", "viewer", "owner"):
            taken = {"name": name, "permissions": ["org.read"]}
            assert (await there.refused("owner", "POST", f"{org}/roles", taken))[0] == 409

    tell(tmp_path, story)


def test_roles_and_members_come_in_pages(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        org = await staffed(there)
        for what, name, expected in (
            ("roles", "name", [*ROLES, *sorted(CUSTOM)]),
            ("members", "user", ["admin", "billing", "member", "owner", "viewer"]),
        ):
            seen, after = [], ""
            while after is not None:
                page = await there.done("admin", "GET", f"{org}/{what}?limit=2&after={after}")
                seen += [row[name] for row in page["data"]]
                after = page["next"]
            assert (seen if what == "roles" else sorted(seen)) == expected
        assert (await there.done("viewer", "GET", f"{org}/roles/clerk"))["permissions"] == CUSTOM["clerk"]

    tell(tmp_path, story)


def test_anybody_sees_their_seat_and_leaves(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        org = await staffed(there)
        assert (await seat(there, org, "member", by="member"))["role"] == "member"
        assert (await there.refused("member", "GET", f"{org}/members/viewer"))[0] == 403
        assert (await there.refused("member", "DELETE", f"{org}/members/viewer"))[0] == 403
        await there.done("member", "DELETE", f"{org}/members/member")
        assert await there.refused("member", "GET", org) == (404, "org_not_found")
        assert (await there.refused("stranger", "DELETE", f"{org}/members/stranger"))[0] == 404
        log = (await there.done("owner", "GET", f"{org}/audit?limit=1"))["data"]
        assert [(row["action"], row["actor"], row["subject"]) for row in log] == [
            ("member.remove", "user:member", "member:lab/member")
        ]

    tell(tmp_path, story)


def test_an_invitation_is_good_once(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        org = await found(there)
        made = await there.done("owner", "POST", f"{org}/invitations", INVITED | {"budget_usd": "2.5"})
        shown = (await there.done("owner", "GET", f"{org}/invitations"))["data"]
        assert [{**row, "token": made["token"], "mailed": False} for row in shown] == [made]
        assert (made["state"], made["invited_by"], made["budget"]) == ("open", "user:owner", 2_500_000)

        body = {"token": made["token"]}
        people = [who for who in PEOPLE if who != "owner"]
        replies = await asyncio.gather(
            *(there.ask(who, "POST", "/api/invitations/accept", body) for who in people)
        )

        assert sorted(reply.status for reply in replies) == [200, *[404] * (len(people) - 1)]
        members = (await there.done("owner", "GET", f"{org}/members"))["data"]
        assert sorted(row["role"] for row in members) == ["member", "owner"]
        [row] = (await there.done("owner", "GET", f"{org}/invitations"))["data"]
        assert (row["state"], row["accepted_by"] is not None) == ("accepted", True)
        assert await there.refused("owner", "DELETE", f"{org}/invitations/{made['id']}") == (409, "conflict")

    tell(tmp_path, story)


def test_an_invitation_that_is_revoked_or_expired_is_as_one_that_never_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(there: Managed) -> None:
        org = await found(there)
        revoked, late, kept = [
            await there.done("owner", "POST", f"{org}/invitations", INVITED | {"days": days})
            for days in (7, 1, 30)
        ]
        await there.done("owner", "DELETE", f"{org}/invitations/{revoked['id']}")
        now = clock.wall_us
        monkeypatch.setattr(clock, "wall_us", lambda: now() + 2 * 86_400_000_000)
        refusals = [
            await there.ask("member", "POST", "/api/invitations/accept", {"token": token})
            for token in (revoked["token"], late["token"], "never-was")
        ]
        assert {(reply.status, reply.error["message"]) for reply in refusals} == {
            (404, refusals[2].error["message"])
        }
        states = [row["state"] for row in (await there.done("owner", "GET", f"{org}/invitations"))["data"]]
        assert states == ["revoked", "expired", "open"]
        await there.done("member", "POST", "/api/invitations/accept", {"token": kept["token"]})
        for body in ({"days": 0}, {"days": 31}, {"email": "nobody"}, {"role": "owner"}, {"role": "none"}):
            assert (await there.refused("owner", "POST", f"{org}/invitations", INVITED | body))[0] == 400
        with there.gateway.reader() as reader:
            assert kept["token"] not in str(reader.audited(None, before=2**62, limit=100))

    tell(tmp_path, story)


def test_an_invitation_gives_what_its_maker_may_still_give(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        org = await staffed(there)
        made = [
            await there.done("admin", "POST", f"{org}/invitations", INVITED | {"role": role})
            for role in ("admin", "viewer")
        ]
        await change(there, f"{org}/members/admin", {"role": "clerk"})
        accept = "/api/invitations/accept"
        assert (await there.refused("stranger", "POST", accept, {"token": made[0]["token"]}))[0] == 404
        assert (await there.refused("stranger", "POST", accept, {"token": made[1]["token"]}))[0] == 404
        await change(there, f"{org}/members/admin", {"role": "viewer"})
        assert (await there.refused("stranger", "POST", accept, {"token": made[1]["token"]}))[0] == 404
        await change(there, f"{org}/members/admin", {"role": "admin"})
        await there.done("stranger", "POST", accept, {"token": made[1]["token"]})
        assert await there.refused("stranger", "POST", accept, {"token": made[0]["token"]}) == (
            409,
            "conflict",
        )
        await there.done("owner", "DELETE", f"{org}/members/admin")
        assert (await there.refused("root", "POST", accept, {"token": made[0]["token"]}))[0] == 404

    tell(tmp_path, story)


def test_an_invitation_by_a_key_ends_with_the_key(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        org = await found(there)
        key = await there.done("owner", "POST", f"{org}/keys", {"name": "hr", "scope": "manage"})
        there.secrets["hr"] = key["secret"]
        made = [await there.done("hr", "POST", f"{org}/invitations", INVITED) for _ in range(2)]
        assert made[0]["invited_by"] == "org:lab"
        accept = "/api/invitations/accept"
        await there.done("member", "POST", accept, {"token": made[0]["token"]})
        await there.done("owner", "POST", f"{org}/keys/{key['id']}/revoke")
        assert (await there.refused("viewer", "POST", accept, {"token": made[1]["token"]}))[0] == 404

    tell(tmp_path, story)
