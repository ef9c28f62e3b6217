"""Who pays: an organization by its own key, or by a member's key and X-DeepToken-Org."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from provider_scene import nothing_is_held, problems

from deeptoken import ids
from whole_scene import Whole, chat, whole

SIM = """
[[channels]]
name = "sim"
provider = "sim"
"""
ACME = """
[[users]]
name = "bob"
[[organizations]]
slug = "acme"
owner = "bob"
grant_usd = 1
members = [{{ user = "ops", role = "{role}" }}]
[[organizations]]
slug = "other"
owner = "bob"
[[keys]]
name = "machine"
owner = "org:acme"
secret = "{machine}"
"""


async def two_calls(gateway: Whole, machine: str) -> list[Any]:
    mine = await gateway.ask(chat("hello"), x_deeptoken_org="acme")
    its = await gateway.ask(chat("hello"), authorization=f"Bearer {machine}")
    return [mine, its]


def test_a_members_key_and_the_organizations_own_charge_its_wallet(tmp_path: Path) -> None:
    machine = ids.new_secret()

    async def story() -> None:
        async with whole(tmp_path, SIM + ACME.format(role="member", machine=machine)) as gateway:
            assert [reply.status for reply in await two_calls(gateway, machine)] == [200, 200]
            rows = await gateway.settled(2)
            assert {(row.wallet, row.key) for row in rows} == {("org:acme", "ci"), ("org:acme", "machine")}
            assert (await nothing_is_held(gateway))["balance"] == 100_000_000
            spent = sum(row.charged for row in rows) // 1_000
            told = (await gateway.ask(path="/v1/credits", x_deeptoken_org="acme")).json
            assert (told["wallet"], told["balance"]) == ("org:acme", 1_000_000 - spent)
            mine = next(row for row in rows if row.key == "ci")
            assert (await gateway.ask(path=f"/v1/generation?id={mine.id}")).json["wallet"] == "org:acme"
            assert await asyncio.to_thread(problems, gateway) == []

    asyncio.run(story())


@pytest.mark.parametrize(
    ("role", "slug", "status", "code"),
    [
        ("member", "nobody", 404, "org_not_found"),
        ("member", "other", 403, "not_a_member"),
        ("viewer", "acme", 403, "permission_denied"),
        ("billing", "acme", 403, "permission_denied"),
        ("admin", "acme", 200, None),
    ],
)
def test_a_role_makes_calls_or_does_not(
    tmp_path: Path, role: str, slug: str, status: int, code: str | None
) -> None:
    async def story() -> None:
        machine = ids.new_secret()
        async with whole(tmp_path, SIM + ACME.format(role=role, machine=machine)) as gateway:
            reply = await gateway.ask(chat("hello"), x_deeptoken_org=slug)
            assert (reply.status, reply.json.get("error", {}).get("code")) == (status, code)

    asyncio.run(story())


def test_a_key_of_one_organization_cannot_charge_another(tmp_path: Path) -> None:
    machine = ids.new_secret()

    async def story() -> None:
        async with whole(tmp_path, SIM + ACME.format(role="member", machine=machine)) as gateway:
            bearer = f"Bearer {machine}"
            own = await gateway.ask(chat("hello"), x_deeptoken_org="acme", authorization=bearer)
            another = await gateway.ask(chat("hello"), x_deeptoken_org="other", authorization=bearer)
            assert own.status == 200
            assert (another.status, another.error["code"]) == (403, "org_mismatch")

    asyncio.run(story())


def test_strict_never_touches_the_members_own_wallet(tmp_path: Path) -> None:
    machine = ids.new_secret()
    config = SIM + ACME.format(role="member", machine=machine).replace("grant_usd = 1\n", "")

    async def story() -> None:
        async with whole(tmp_path, config) as gateway:
            reply = await gateway.ask(chat("hello"), x_deeptoken_org="acme")
            assert (reply.status, reply.error["code"]) == (402, "wallet_empty")
            assert (await gateway.credits())["balance"] == 100_000_000

    asyncio.run(story())


def test_the_file_can_make_another_member_the_owner(tmp_path: Path) -> None:
    machine = ids.new_secret()
    config = SIM + ACME.format(role="member", machine=machine)

    async def story() -> None:
        async with whole(tmp_path, config) as gateway:
            file = tmp_path / "deeptoken.toml"
            file.write_text(
                file.read_text()
                .replace('owner = "bob"\ngrant_usd = 1', 'owner = "ops"\ngrant_usd = 1')
                .replace('{ user = "ops", role = "member" }', "")
            )
            gateway.orders.reload.set()
            for _ in range(2_000):
                with gateway.reader() as reader:
                    [org] = [org.id for org in reader.organizations() if org.slug == "acme"]
                    users = {user.id: user.name for user in reader.users()}
                    seats = {users[seat.user]: seat.role for seat in reader.members() if seat.org == org}
                if seats.get("ops") == "owner":
                    break
                await asyncio.sleep(0)
            assert seats == {"ops": "owner", "bob": "admin"}

    asyncio.run(story())
