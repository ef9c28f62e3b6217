"""Child keys: narrower, with an end and a cap; what they spend counts at their parent's limits."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from provider_scene import problems

from deeptoken import ids
from deeptoken.ledger.postings import Done
from deeptoken.store.ledger import open_ledger
from deeptoken.store.queries.money import UsageFilter
from deeptoken.store.queries.statements import tidy_children
from whole_scene import Reply, Whole, chat, whole

SIM = """
[[channels]]
name = "sim"
provider = "sim"
models = ["sim/echo", "sim/text"]
[[keys]]
name = "parent"
owner = "ops"
children = true
models = ["sim/*"]
ips = ["127.0.0.0/8"]
ceilings = {{ "1d" = {ceiling} }}
secret = "{secret}"
"""


def tell(folder: Path, story: Callable[[Whole], Awaitable[None]], *, ceiling: str = "1") -> None:
    secret = ids.new_secret()

    async def main() -> None:
        async with whole(folder, SIM.format(secret=secret, ceiling=ceiling)) as gateway:
            gateway.key = secret
            await story(gateway)
            assert await asyncio.to_thread(problems, gateway) == []

    asyncio.run(main())


async def made(gateway: Whole, **asked: Any) -> Any:
    reply = await gateway.ask({"budget_usd": 0.5, **asked}, path="/v1/keys")
    assert reply.status == 201, reply.body
    return reply.json


async def call(gateway: Whole, secret: str, model: str = "sim/echo") -> Reply:
    return await gateway.ask(chat("one two three", model), authorization=f"Bearer {secret}")


def test_a_child_calls_within_its_cap_and_is_ended_by_its_parent(tmp_path: Path) -> None:
    async def story(gateway: Whole) -> None:
        child = await made(gateway, name="job", models=["sim/echo"], expires_in=60)
        assert (child["total"], child["models"], child["state"]) == (500_000, ["sim/echo"], "active")
        assert (await call(gateway, child["secret"])).status == 200
        assert (await call(gateway, child["secret"], "sim/text")).status == 403
        [row] = await gateway.settled(1)
        assert (row.key, row.wallet) == ("job", "user:ops")

        ended = await gateway.ask(path=f"/v1/keys/{child['id']}", method="DELETE")
        assert ended.status == 204
        assert (await call(gateway, child["secret"])).status == 401
        again = await gateway.ask(path=f"/v1/keys/{child['id']}", method="DELETE")
        assert again.status == 204

    tell(tmp_path, story)


def test_its_cap_is_for_its_whole_life(tmp_path: Path) -> None:
    async def story(gateway: Whole) -> None:
        child = await made(gateway, budget_usd=0.00005)
        replies = [await call(gateway, child["secret"]) for _ in range(3)]
        assert [reply.status for reply in replies] == [200, 429, 429]
        assert replies[1].error["code"] == "budget_exceeded"
        assert "retry-after" not in replies[1].headers

    tell(tmp_path, story)


def test_what_children_spend_counts_at_their_parents_ceiling(tmp_path: Path) -> None:
    async def story(gateway: Whole) -> None:
        children = [await made(gateway) for _ in range(3)]
        replies = [await call(gateway, child["secret"]) for child in children]
        assert [reply.status for reply in replies] == [200, 429, 429]
        assert "the key that made this one" in replies[1].error["message"]
        assert (await call(gateway, gateway.key)).error["code"] == "budget_exceeded"

    tell(tmp_path, story, ceiling="0.00005")


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"models": ["other/x"]}, "models"),
        ({"models": ["*"]}, "models"),
        ({"ips": ["10.0.0.0/8"]}, "ips"),
        ({"ips": ["::/0"]}, "ips"),
        ({"budget_usd": 0}, "budget_usd"),
        ({"budget_usd": "0.0000000001"}, "budget_usd"),
        ({"expires_in": 0}, "expires_in"),
        ({"scope": "manage"}, "scope"),
    ],
    ids=["model", "pattern", "network", "version", "nothing", "finer", "no-life", "scope"],
)
def test_nothing_is_wider_than_the_parent(tmp_path: Path, asked: dict[str, Any], param: str) -> None:
    async def story(gateway: Whole) -> None:
        reply = await gateway.ask({"budget_usd": 0.5, **asked}, path="/v1/keys")
        assert (reply.status, reply.error["param"]) == (400, param), reply.body

    tell(tmp_path, story)


def test_only_a_key_that_may_makes_children_and_a_child_makes_none(tmp_path: Path) -> None:
    async def story(gateway: Whole) -> None:
        child = await made(gateway)
        plain = ids.new_secret()
        for secret, status in ((child["secret"], 403), (plain, 401)):
            reply = await gateway.ask({"budget_usd": 1}, path="/v1/keys", authorization=f"Bearer {secret}")
            assert reply.status == status
        other = await gateway.ask(
            path=f"/v1/keys/{child['id']}", method="DELETE", authorization=f"Bearer {child['secret']}"
        )
        assert other.status == 404

    tell(tmp_path, story)


def test_near_the_end_of_a_budget_the_cheaper_model_answers_and_the_head_says_so(tmp_path: Path) -> None:
    secret = ids.new_secret()
    more = (
        '[[channels]]\nname = "sim"\nprovider = "sim"\nmodels = ["sim/echo", "sim/text"]\n'
        '[[keys]]\nname = "frugal"\nowner = "ops"\ncheaper_model = "sim/echo"\n'
        f'ceilings = {{ "1d" = 0.0003 }}\nsecret = "{secret}"\n'
    )

    async def story() -> None:
        async with whole(tmp_path, more) as gateway:
            models, warnings = [], []
            for _ in range(120):
                body = chat("hello", "sim/text", max_tokens=2)
                reply = await gateway.ask(body, authorization=f"Bearer {secret}")
                if reply.status != 200:
                    break
                models.append(reply.json["model"])
                warnings.append(reply.headers.get("x-deeptoken-warning"))
            assert models[0] == "sim/text"
            assert models[-1] == "sim/echo"
            assert warnings[0] is None
            assert "1d ceiling: 8" in str(next(warning for warning in warnings if warning))
            assert str(warnings[-1]).endswith("% used, sim/echo answers")

    asyncio.run(story())


def test_children_that_expired_long_ago_go_and_what_they_spent_stays(tmp_path: Path) -> None:
    async def story(gateway: Whole) -> None:
        used = await made(gateway, name="used", expires_in=60)
        await made(gateway, name="spare", expires_in=60)
        alive = await made(gateway, name="alive", expires_in=600)
        assert (await call(gateway, used["secret"])).status == 200
        await gateway.settled(1)
        with gateway.reader() as reader:
            rows = reader.keys()
        end_us = max(key.expires_us or 0 for key in rows if key.name != "alive")

        async with open_ledger(gateway.folder / "deeptoken.db") as ledger:
            for step in tidy_children(end_us, 7):
                assert await ledger.post(step) == Done(changed=True)
            assert await ledger.post(tidy_children(end_us, 7)[0]) == Done(changed=False)

        with gateway.reader() as reader:
            rows = reader.keys()
            assert sorted(key.name for key in rows) == ["alive", "ci", "parent"]
            [row] = reader.usages(UsageFilter())
            assert row.key == "used", "its name stays with what it spent"
        again = await made(gateway, name="used")
        assert (await call(gateway, again["secret"])).status == 200
        assert (await call(gateway, alive["secret"])).status == 200

    tell(tmp_path, story)
