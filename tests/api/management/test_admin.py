"""What operators do over the management API, and that nobody else does."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from management_scene import Managed, managed
from organization_scene import problems
from whole_scene import chat


def tell(folder: Path, story: Callable[[Managed], Awaitable[None]]) -> None:
    async def main() -> None:
        async with managed(folder) as there:
            await story(there)
            assert await asyncio.to_thread(problems, there) == []

    asyncio.run(main())


def test_a_user_is_made_changed_suspended_and_let_in_again(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        made = await there.done("root", "POST", "/api/admin/users", {"name": "new@example.com"})
        assert (made["tier"], made["operator"], made["state"]) == ("default", False, "active")
        path = "/api/admin/users/new@example.com"
        changed = await there.done("root", "PATCH", path, {"operator": True}, if_match='"1"')
        assert (changed["operator"], changed["version"]) == (True, 2)
        assert (await there.refused("root", "PATCH", path, {"tier": "gold"}, if_match='"2"'))[0] == 400
        assert (await there.refused("root", "POST", "/api/admin/users", {"name": "new@example.com"}))[
            0
        ] == 409

        suspended = await there.done("root", "POST", "/api/admin/users/member/suspend")
        assert suspended["state"] == "suspended"
        assert await there.refused("member", "GET", "/api/me") == (403, "account_suspended")
        await there.done("root", "POST", "/api/admin/users/member/resume")
        assert (await there.done("member", "GET", "/api/me"))["account"] == "user:member"
        assert (await there.refused("root", "POST", "/api/admin/users/root/suspend"))[0] == 409

    tell(tmp_path, story)


def test_credits_are_granted_once_for_a_reference_and_given_back(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        path = "/api/admin/wallets/user:member/grant"
        granted = await there.done("root", "POST", path, {"amount_usd": 2.5, "ref": "order-1"})
        assert granted["amount"] == 2_500_000
        assert (await there.refused("root", "POST", path, {"amount_usd": 2.5, "ref": "order-1"}))[0] == 409
        assert (await there.done("member", "GET", "/api/wallet"))["balance"] == 7_500_000
        for amount in (0, -1, "1e-10", 10**12):
            assert (await there.refused("root", "POST", path, {"amount_usd": amount}))[0] == 400

        key = await there.done("member", "POST", "/api/keys", {"name": "ci"})
        await there.gateway.ask(chat("hello"), authorization=f"Bearer {key['secret']}")
        [row] = (await there.done("root", "GET", "/api/admin/usage"))["data"]
        back = await there.done("root", "POST", f"/api/admin/usage/{row['id']}/refund", {})
        assert back["amount"] == row["charged"]
        assert (await there.refused("root", "POST", f"/api/admin/usage/{row['id']}/refund", {}))[0] == 409
        assert (await there.done("member", "GET", "/api/wallet"))["balance"] == 7_500_000
        actions = [
            change["action"] for change in (await there.done("root", "GET", "/api/admin/audit"))["data"]
        ]
        assert actions[:3] == ["wallet.refund", "key.create", "wallet.grant"]

    tell(tmp_path, story)


def test_any_key_is_revoked_and_channels_show_no_credential(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        key = await there.done("member", "POST", "/api/keys", {"name": "ci"})
        revoked = await there.done("root", "POST", f"/api/admin/keys/{key['id']}/revoke")
        assert (revoked["state"], revoked["owner"]) == ("revoked", "user:member")
        reply = await there.gateway.ask(chat("hello"), authorization=f"Bearer {key['secret']}")
        assert reply.status == 401
        [channel] = (await there.done("root", "GET", "/api/admin/channels"))["data"]
        assert "secret" not in channel
        assert (await there.done("root", "GET", "/api/admin/system"))["organizations"] == 2
        lines = await there.ask("root", "GET", "/api/admin/audit?format=jsonl")
        assert lines.headers["content-type"].startswith("application/jsonl")
        assert len([line for line in lines.body.splitlines() if b'"actor":"file"' not in line]) == 2

    tell(tmp_path, story)
