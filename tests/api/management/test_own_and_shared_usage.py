"""Usage and money over the management API: one's own, and an organization's by role."""

import asyncio
from pathlib import Path
from typing import Any

from management_scene import Managed
from organization_scene import call, found, grant, join, key_of, tell


async def used(there: Managed) -> str:
    """An organization that paid a call of its member, its owner and its own key; the member made one more."""
    org = await found(there)
    await grant(there, "org:lab", "1")
    await join(there, org, "member")
    await join(there, org, "viewer", "viewer")
    machine = await there.done("owner", "POST", f"{org}/keys", {"name": "machine"})
    member = await key_of(there, "member")
    for reply in (
        await call(there, member, "lab"),
        await call(there, await key_of(there, "owner"), "lab"),
        await call(there, machine["secret"]),
        await call(there, member),
    ):
        assert reply.status == 200
    await there.gateway.settled(4)
    return org


async def rows(there: Managed, who: str, path: str) -> list[Any]:
    found: list[Any] = (await there.done(who, "GET", path))["data"]
    return found


def test_all_rows_for_who_reads_usage_and_their_own_for_the_others(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        org = await used(there)
        shared = await rows(there, "owner", f"{org}/usage")
        assert [row["key"] for row in shared] == ["machine", "calls 1", "calls 1"]
        assert [row["owner"] for row in shared] == ["org:lab", "user:owner", "user:member"]
        assert {row["wallet"] for row in shared} == {"org:lab"}
        assert await rows(there, "viewer", f"{org}/usage") == shared
        own = await rows(there, "member", f"{org}/usage")
        assert [row["id"] for row in own] == [shared[2]["id"]]
        [personal] = await rows(there, "member", "/api/usage")
        assert personal["wallet"] == "user:member"

        theirs = f"{org}/usage/{shared[1]['id']}"
        assert (await there.done("viewer", "GET", theirs))["attempts"][0]["accepted"] is True
        assert await there.refused("member", "GET", theirs) == (404, "not_found")
        assert (await there.done("member", "GET", f"{org}/usage/{own[0]['id']}"))["cost"] > 0
        assert await there.refused("member", "GET", f"/api/usage/{own[0]['id']}") == (404, "not_found")
        assert await there.refused("viewer", "GET", f"{org}/usage/{personal['id']}") == (404, "not_found")

    tell(tmp_path, story)


def test_usage_is_filtered_and_comes_in_pages(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        org = await used(there)
        every = await rows(there, "owner", f"{org}/usage")
        key = next(row for row in await rows(there, "owner", f"{org}/keys") if row["name"] == "machine")
        for query, expected in (
            (f"key={key['id']}", every[:1]),
            ("key=machine", every[:1]),
            ("key=nothing", []),
            ("user=member", every[2:]),
            ("user=member&key=machine", []),
            ("user=nobody", []),
            ("user=", []),
            ("model=sim/echo", every),
            ("model=sim/text", []),
            ("outcome=complete", every),
            ("outcome=cut", []),
            ("since=2020-01-01T00:00:00Z", every),
            ("until=2020-01-01T00:00:00", []),
            ("since=2990-01-01T00:00:00%2B02:00", []),
            ("until=2990-01-01T00:00:00Z&key=machine&model=sim/echo", every[:1]),
        ):
            assert await rows(there, "owner", f"{org}/usage?{query}") == expected, query
        own = await rows(there, "member", f"{org}/usage?user=member")
        assert own == every[2:] == await rows(there, "member", f"{org}/usage")
        assert await rows(there, "member", f"{org}/usage?user=owner") == []
        first = await there.done("owner", "GET", f"{org}/usage?limit=2")
        assert first["data"] == every[:2]
        last = await there.done("owner", "GET", f"{org}/usage?limit=2&after={first['next']}")
        assert (last["data"], last["next"]) == (every[2:], None)
        for query in ("since=yesterday", "outcome=fine", "limit=0", "wallet=user:member"):
            assert (await there.refused("owner", "GET", f"{org}/usage?{query}"))[0] == 400

    tell(tmp_path, story)


def test_money_and_what_it_is_made_of(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        org = await used(there)
        await grant(there, "org:lab", "2")
        await grant(there, "org:lab", "3")
        spent = sum(row["charged"] for row in await rows(there, "owner", f"{org}/usage"))
        wallet = await there.done("viewer", "GET", f"{org}/wallet")
        assert wallet == {
            "wallet": "org:lab", "balance": 6_000_000 - spent, "held": 0, "available": 6_000_000 - spent,
        }  # fmt: skip
        seen, after = [], ""
        while after is not None:
            page = await there.done("viewer", "GET", f"{org}/wallet/lots?limit=2&after={after}")
            seen += page["data"]
            after = page["next"]
        assert [lot["granted"] for lot in seen] == [1_000_000, 2_000_000, 3_000_000]
        assert seen[0]["remaining"] == 1_000_000 - spent
        assert (await there.refused("viewer", "GET", f"{org}/wallet/lots?after=x"))[0] == 400
        assert (await there.refused("member", "GET", f"{org}/wallet"))[0] == 403
        [own] = await rows(there, "member", "/api/wallet/lots")
        assert (own["source"], own["granted"]) == ("grant", 5_000_000)

    tell(tmp_path, story)


def test_me_is_the_account_with_its_organizations(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        me = await there.done("member", "GET", "/api/me")
        assert (me["account"], me["tier"], me["operator"]) == ("user:member", "default", False)
        assert [(org["slug"], org["role"]) for org in me["organizations"]] == [("acme", "member")]
        assert (await there.done("root", "GET", "/api/me"))["operator"] is True

    tell(tmp_path, story)


def test_own_changes_stand_in_ones_own_log(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        await key_of(there, "member")
        [row] = [one for one in await rows(there, "member", "/api/audit") if one["actor"] != "file"]
        assert (row["action"], row["actor"]) == ("key.create", "user:member")
        assert {one["actor"] for one in await rows(there, "viewer", "/api/audit")} == {"file"}

    tell(tmp_path, story)


def test_a_switch_while_calls_are_in_flight_leaves_the_books_right(tmp_path: Path) -> None:
    """A role that is taken away ends no call that was let in, and lets none in after it is answered."""

    async def story(there: Managed) -> None:
        org = await used(there)
        secret = await key_of(there, "member")
        running = [asyncio.create_task(call(there, secret, "lab")) for _ in range(20)]
        await there.done("owner", "DELETE", f"{org}/members/member")
        after = await call(there, secret, "lab")
        before = [reply.status for reply in await asyncio.gather(*running)]
        assert after.error["code"] == "not_a_member"
        assert set(before) <= {200, 403}
        settled = await there.gateway.settled(4 + before.count(200))
        assert len(settled) == 4 + before.count(200)
        assert (await there.done("owner", "GET", f"{org}/wallet"))["held"] == 0

    tell(tmp_path, story)
