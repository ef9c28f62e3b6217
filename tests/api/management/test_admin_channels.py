"""Channels, prices and organizations as operators change them: calls see it at once, and the log has it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from deeptoken import ids
from management_scene import Managed, managed
from organization_scene import problems
from upstreams import Received, ScriptedServer, answer, answering
from whole_scene import chat

CHANNELS = "/api/admin/channels"
MODELS = "/api/admin/models"
SECRET = "sk-live-0123456789"
COMPLETION = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "theirs",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30},
    }
).encode()
STREAM = (
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"theirs","choices":[{"index":0,'
    b'"delta":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":null}\n\n'
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"theirs","choices":[],'
    b'"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}\n\ndata: [DONE]\n\n'
)


def tell(folder: Path, story: Callable[[Managed], Awaitable[None]], more: str = "") -> None:
    async def main() -> None:
        async with managed(folder, more) as there:
            await story(there)
            assert await asyncio.to_thread(problems, there) == []

    asyncio.run(main())


async def called(there: Managed, model: str) -> Any:
    """A call by somebody with money."""
    key = await there.done("member", "POST", "/api/keys", {"name": ids.uuid7()})
    body = chat("hello", model, max_tokens=50)
    return await there.gateway.ask(body, authorization=f"Bearer {key['secret']}")


async def priced(there: Managed, **more: Any) -> Any:
    price = {"provider": "vllm", "id": "ours", "prompt": 2, "completion": 3} | more
    return await there.done("root", "PUT", MODELS, price)


async def make_mine(there: Managed, base_url: str) -> Any:
    body = {
        "name": "mine",
        "provider": "vllm",
        "base_url": base_url,
        "api_key": f" {SECRET}\n",
        "models": {"ours": "theirs"},
        "timeout": {"idle": 30},
        "rpm": 100,
    }
    return await there.done("root", "POST", CHANNELS, body)


def test_a_channel_is_made_called_switched_off_and_deleted(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        seen: list[Received] = []
        upstream = answering(answer(COMPLETION, "content-type: application/json"), into=seen)
        async with ScriptedServer(upstream) as server:
            made = await make_mine(there, server.url("/v1"))
            assert (made["has_api_key"], made["source"], made["version"]) == (True, "database", 1)
            assert (made["timeout"]["idle"], made["timeout"]["total"], made["rpm"]) == (30.0, 600.0, 100)
            assert SECRET not in json.dumps(made)
            await priced(there)

            assert (await called(there, "ours")).status == 200
            assert json.loads(seen[0].body)["model"] == "theirs"
            assert seen[0].fields["authorization"] == f"Bearer {SECRET}"

            path = f"{CHANNELS}/mine"
            changed = await there.done(
                "root", "PATCH", path, {"rpm": None, "models": ["ours"], "weight": 3}, if_match='"1"'
            )
            assert (changed["rpm"], changed["weight"], changed["version"]) == (None, 3, 2)
            assert changed["timeout"]["idle"] == 30.0
            assert (await called(there, "ours")).status == 200
            assert json.loads(seen[1].body)["model"] == "ours"
            assert seen[1].fields["authorization"] == f"Bearer {SECRET}", "the credential stays"
            assert await there.refused("root", "PATCH", path, {"weight": 4}, if_match='"1"') == (
                412,
                "precondition_failed",
            )

            await there.done("root", "PATCH", path, {"enabled": False, "api_key": None}, if_match='"2"')
            assert (await called(there, "ours")).status == 404
            shown = await there.done("root", "GET", path)
            assert (shown["enabled"], shown["has_api_key"]) == (False, False)

            await there.done("root", "DELETE", path)
            assert (await there.refused("root", "GET", path))[0] == 404
        log = (await there.done("root", "GET", "/api/admin/audit"))["data"]
        actions = [row["action"] for row in log if row["subject"] == "channel:mine"]
        assert actions == ["channel.delete", "channel.change", "channel.change", "channel.create"]
        assert SECRET not in json.dumps(log)

    tell(tmp_path, story)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"name": "a b", "provider": "sim"}, "name"),
        ({"name": "a", "provider": "nobody"}, "provider"),
        ({"name": "a", "provider": "openai"}, "api_key"),
        ({"name": "a", "provider": "openai", "api_key": "two words"}, "api_key"),
        ({"name": "a", "provider": "sim", "base_url": "ftp://x"}, "base_url"),
        ({"name": "a", "provider": "sim", "weight": 0}, "weight"),
        ({"name": "a", "provider": "sim", "groups": ["gold"]}, "groups"),
        ({"name": "a", "provider": "sim", "timeout": {"idle": 0}}, "timeout"),
        ({"name": "a", "provider": "sim", "timeout": {"soon": 1}}, "timeout"),
        ({"name": "a", "provider": "sim", "region": "us-east-1"}, "region"),
    ],
    ids=[
        "name",
        "provider",
        "no key",
        "key",
        "address",
        "weight",
        "group",
        "no time",
        "which time",
        "option",
    ],
)
def test_what_a_channel_cannot_be_is_refused_by_name(
    body: dict[str, Any], param: str, tmp_path: Path
) -> None:
    async def story(there: Managed) -> None:
        reply = await there.ask("root", "POST", CHANNELS, body)

        assert (reply.status, reply.error["param"]) == (400, param)
        names = [row["name"] for row in (await there.done("root", "GET", CHANNELS))["data"]]
        assert names == ["sim"]

    tell(tmp_path, story)


def test_a_channel_of_the_file_is_changed_there_and_a_name_is_taken_once(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        for method, path in (("PATCH", f"{CHANNELS}/sim"), ("DELETE", f"{CHANNELS}/sim")):
            body = {"weight": 2} if method == "PATCH" else None
            reply = await there.ask("root", method, path, body, if_match='"0"')
            assert (reply.status, "configuration file" in reply.error["message"]) == (409, True)
        for _ in range(2):
            reply = await there.ask("root", "POST", CHANNELS, {"name": "other", "provider": "sim"})
        assert reply.status == 409
        assert (await there.refused("root", "POST", CHANNELS, {"name": "sim", "provider": "sim"}))[0] == 409

    tell(tmp_path, story)


def test_a_channel_is_tried_for_real_and_says_what_is_wrong(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        tested = await there.done("root", "POST", f"{CHANNELS}/sim/test", {"model": "sim/echo"})
        assert (tested["ok"], tested["answer"], tested["billed"]) == (True, "Hello!", False)

        refusing = answering(
            answer(
                b'{"error": {"message": "no such key"}}', "content-type: application/json", status="401 No"
            )
        )
        for handler, found in (
            (answering(answer(STREAM, "content-type: text/event-stream")), (True, 200, None)),
            (refusing, (False, 401, "credential")),
        ):
            async with ScriptedServer(handler) as server:
                body = {"name": "real", "provider": "vllm", "base_url": server.url("/v1"), "models": ["ours"]}
                await there.done("root", "POST", CHANNELS, {**body, "api_key": SECRET, "enabled": False})
                tested = await there.done("root", "POST", f"{CHANNELS}/real/test", {})
                await there.done("root", "DELETE", f"{CHANNELS}/real")
            assert (tested["ok"], tested["status"], tested["cause"]) == found
            assert SECRET not in json.dumps(tested)
        await there.done("root", "POST", CHANNELS, {"name": "empty", "provider": "vllm"})
        reply = await there.ask("root", "POST", f"{CHANNELS}/empty/test", {})
        assert (reply.status, reply.error["param"]) == (400, "model")
        assert (await there.refused("root", "POST", f"{CHANNELS}/nobody/test", {}))[0] == 404
        assert await asyncio.to_thread(there.gateway.rows) == [], "nobody pays"

    tell(tmp_path, story)


def test_a_price_that_is_set_is_what_the_next_call_costs(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        upstream = answering(answer(COMPLETION, "content-type: application/json"))
        async with ScriptedServer(upstream) as server:
            body = {"name": "mine", "provider": "vllm", "base_url": server.url("/v1"), "models": ["ours"]}
            await there.done("root", "POST", CHANNELS, body)
            assert (await called(there, "ours")).status == 404, "what has no price is not served"
            shown = await priced(there, context=1_000)
            assert (shown["key"], shown["source"], shown["context"]) == ("vllm:ours", "operator", 1_000)
            assert (shown["prices"]["prompt"], shown["prices"]["completion"]) == ("2", "3")
            first = await called(there, "ours")
            await priced(there, prompt="0.5", completion="0.25")
            second = await called(there, "ours")

        assert first.headers["x-deeptoken-cost"] == "80"
        assert second.headers["x-deeptoken-cost"] == "10"
        assert await priced(there, prompt="0.5", completion="0.25") == await priced(
            there, prompt="0.5", completion="0.25"
        )
        [row] = (await there.done("root", "GET", f"{MODELS}?provider=vllm&search=our"))["data"]
        assert (row["prices"]["prompt"], row["context"]) == ("0.5", 1_000)
        log = (await there.done("root", "GET", "/api/admin/audit"))["data"]
        changes = [entry for entry in log if entry["subject"] == "model:vllm:ours"]
        assert [entry["action"] for entry in changes] == ["price.change", "price.change"]

    tell(tmp_path, story)


@pytest.mark.parametrize(
    ("more", "status", "param"),
    [
        ({"provider": "nobody"}, 400, "provider"),
        ({"prompt": -1}, 400, "prompt"),
        ({"prompt": "1e-30"}, 400, "prompt"),
        ({"id": ""}, 400, "id"),
        ({"tiers": [{"above": 5}]}, 400, "tiers"),
        ({"id": "fixed"}, 409, "id"),
    ],
    ids=["provider", "negative", "too fine", "no id", "a tier without a price", "of the file"],
)
def test_a_price_that_cannot_be_is_refused_by_name(
    more: dict[str, Any], status: int, param: str, tmp_path: Path
) -> None:
    async def story(there: Managed) -> None:
        price = {"provider": "vllm", "id": "ours", "prompt": 2, "completion": 3} | more

        reply = await there.ask("root", "PUT", MODELS, price)

        assert (reply.status, reply.error["param"]) == (status, param)
        assert (await there.done("root", "GET", f"{MODELS}?provider=vllm"))["data"] == []

    tell(tmp_path, story, '[[models]]\nid = "fixed"\nprompt = 1\ncompletion = 1\n')


def test_the_price_book_is_read_in_pages(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        keys, after = [], ""
        while after is not None:
            page = await there.done("root", "GET", f"{MODELS}?provider=openai&limit=50&after={after}")
            keys += [row["key"] for row in page["data"]]
            after = page["next"]

        assert keys == sorted(set(keys))
        assert "openai:gpt-4o" in keys

    tell(tmp_path, story)


def test_an_organization_gets_a_tier_and_is_suspended(tmp_path: Path) -> None:
    async def story(there: Managed) -> None:
        await there.done("member", "POST", "/api/orgs", {"slug": "lab"})
        names = [row["slug"] for row in (await there.done("root", "GET", "/api/admin/orgs"))["data"]]
        assert names == ["acme", "lab", "other"]
        path = "/api/admin/orgs/lab"
        changed = await there.done("root", "PATCH", path, {"tier": "gold"}, if_match='"1"')
        assert (changed["tier"], changed["version"]) == ("gold", 2)
        assert (await there.refused("root", "PATCH", path, {"tier": "tin"}, if_match='"2"'))[0] == 400
        assert (await there.refused("root", "PATCH", path, {"tier": None}, if_match='"1"'))[0] == 412

        key = await there.done("owner", "POST", "/api/orgs/acme/keys", {"name": "ci"})
        secret = f"Bearer {key['secret']}"
        assert (await there.gateway.ask(chat("hello"), authorization=secret)).status == 200
        acme = "/api/admin/orgs/acme"
        version = (await there.done("root", "GET", acme))["version"]
        await there.done("root", "PATCH", acme, {"suspended": True}, if_match=f'"{version}"')
        reply = await there.gateway.ask(chat("hello"), authorization=secret)
        assert (reply.status, reply.error["code"]) == (403, "account_suspended")
        await there.done("root", "PATCH", acme, {"suspended": False}, if_match=f'"{version + 1}"')
        assert (await there.gateway.ask(chat("hello"), authorization=secret)).status == 200
        assert (await there.refused("root", "PATCH", acme, {"tier": "gold"}, if_match=f'"{version + 2}"'))[
            0
        ] == 409, "the file declares it"
        assert (await there.refused("root", "GET", "/api/admin/orgs/nobody"))[0] == 404

    tell(tmp_path, story, "[groups.gold]\nratio = 1.5\n")
