"""Own keys over the management API: made, changed, rotated, ended; each holds from the next call on."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from management_scene import Managed, managed
from whole_scene import Reply, chat


def with_gateway(folder: Path, story: Callable[[Managed], Awaitable[None]]) -> None:
    async def run() -> None:
        async with managed(folder) as there:
            await story(there)

    asyncio.run(run())


async def call(there: Managed, secret: str) -> Reply:
    return await there.gateway.ask(chat("hello"), authorization=f"Bearer {secret}")


def test_a_key_is_made_changed_rotated_revoked_and_deleted(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        made = await there.done(
            "member", "POST", "/api/keys", {"name": "ci", "rpm": 60, "ceilings": {"1d": 2.5, "7d": "10"}}
        )
        assert (made["owner"], made["rpm"], made["ceilings"]) == (
            "user:member", 60, {"1d": 2_500_000, "7d": 10_000_000},
        )  # fmt: skip
        path = f"/api/keys/{made['id']}"
        assert (await call(there, made["secret"])).status == 200

        shown = await there.ask("member", "GET", path)
        assert (shown.headers["etag"], "secret" in shown.json) == ('"1"', False)
        changed = await there.done("member", "PATCH", path, {"models": ["none/*"]}, if_match='"1"')
        assert (changed["models"], changed["rpm"]) == (["none/*"], 60)
        assert (await call(there, made["secret"])).status == 403

        await there.done("member", "PATCH", path, {"models": []}, if_match='"2"')
        rotated = await there.done("member", "POST", f"{path}/rotate", {"grace": 60})
        assert [(await call(there, secret)).status for secret in (made["secret"], rotated["secret"])] == [
            200, 200,
        ]  # fmt: skip
        assert (await there.refused("member", "DELETE", path)) == (409, "conflict")

        revoked = await there.done("member", "POST", f"{path}/revoke")
        assert revoked["state"] == "revoked"
        assert [(await call(there, secret)).status for secret in (made["secret"], rotated["secret"])] == [
            401, 401,
        ]  # fmt: skip
        await there.done("member", "POST", f"{path}/revoke")
        assert (await there.refused("member", "PATCH", path, {"rpm": 1}, if_match='"5"'))[0] == 409
        await there.done("member", "DELETE", path)
        assert await there.refused("member", "GET", path) == (404, "not_found")

    with_gateway(tmp_path, story)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"name": "ci", "colour": 1}, "colour"),
        ({"rpm": 1}, "name"),
        ({"name": "ci", "rpm": 0}, "rpm"),
        ({"name": "ci", "ips": ["nowhere"]}, "ips.0"),
        ({"name": "ci", "ceilings": {"2d": 1}}, "ceilings"),
        ({"name": "ci", "ceilings": {"5h": 9, "1d": 1}}, "ceilings.5h"),
        ({"name": "ci", "scope": "read", "rpm": 3}, "rpm"),
        ({"name": "ci", "cheaper_model": "sim/text"}, "cheaper_model"),
        ({"name": "ci", "webhook": "ftp://x", "ceilings": {"1d": 1}}, "webhook"),
        ({"name": "ci", "webhook": "https://example.com"}, "webhook"),
        ({"name": "ci", "expires": "2020-01-01T00:00:00Z"}, "expires"),
        ({"name": "a/b"}, "name"),
    ],
    ids=lambda value: value if isinstance(value, str) else "body",
)
def test_what_cannot_be_is_refused_and_named(tmp_path: Path, body: dict[str, Any], param: str) -> None:
    async def story(there: Managed) -> None:
        reply = await there.ask("member", "POST", "/api/keys", body)
        assert (reply.status, reply.error["param"]) == (400, param), reply.body
        assert len((await there.done("member", "GET", "/api/keys"))["data"]) == 1

    with_gateway(tmp_path, story)


def test_a_change_needs_the_version_that_it_was_made_from(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        made = await there.done("member", "POST", "/api/keys", {"name": "ci"})
        path = f"/api/keys/{made['id']}"
        assert await there.refused("member", "PATCH", path, {"rpm": 1}) == (412, "precondition_failed")
        assert await there.refused("member", "PATCH", path, {"rpm": 1}, if_match='"9"') == (
            412, "precondition_failed",
        )  # fmt: skip

        replies = await asyncio.gather(
            *(there.ask("member", "PATCH", path, {"rpm": rpm}, if_match='"1"') for rpm in range(1, 9))
        )

        assert sorted(reply.status for reply in replies) == [200, *[412] * 7]

    with_gateway(tmp_path, story)


def test_what_the_file_declares_is_changed_there(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        [key] = (await there.done("member", "GET", "/api/keys"))["data"]
        path = f"/api/keys/{key['id']}"
        assert key["source"] == "file"
        assert (await there.refused("member", "PATCH", path, {"rpm": 1}, if_match='"1"'))[0] == 409
        assert (await there.refused("member", "POST", f"{path}/rotate", {}))[0] == 409
        await there.done("member", "POST", f"{path}/revoke")
        assert await there.refused("member", "GET", "/api/keys") == (401, "invalid_api_key")

    with_gateway(tmp_path, story)


def test_a_list_comes_in_pages(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        for n in range(4):
            await there.done("member", "POST", "/api/keys", {"name": f"key {n}"})
        names, after = [], ""
        while after is not None:
            page = await there.done("member", "GET", f"/api/keys?limit=2&after={after}")
            names += [key["name"] for key in page["data"]]
            after = page["next"]
        assert names == ["manage", "key 0", "key 1", "key 2", "key 3"]
        for query in ("limit=0", "limit=201", "limit=x", "limit=1&limit=2", "colour=1"):
            assert (await there.refused("member", "GET", f"/api/keys?{query}"))[0] == 400

    with_gateway(tmp_path, story)


def test_only_a_key_of_the_scope_manage_may(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        made = await there.done("member", "POST", "/api/keys", {"name": "ci"})
        there.secrets["caller"] = made["secret"]
        assert await there.refused("caller", "GET", "/api/keys") == (403, "permission_denied")
        assert await there.refused(None, "GET", "/api/keys") == (401, "invalid_api_key")
        assert (await call(there, there.secrets["member"])).error["code"] == "permission_denied"

    with_gateway(tmp_path, story)
