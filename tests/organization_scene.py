"""What the tests of organizations share: one that the database owns, and people in it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from conftest import deeptoken
from deeptoken.catalog.price import charge
from deeptoken.store.verify import verify
from management_scene import Managed, managed
from whole_scene import Reply, chat

Story = Callable[[Managed], Awaitable[None]]


def tell(folder: Path, story: Story, more: str = "") -> None:
    """A story of the people of `management_scene`."""

    async def run() -> None:
        async with managed(folder, more) as there:
            await story(there)

    asyncio.run(run())


async def found(there: Managed, slug: str = "lab", owner: str = "owner", **body: Any) -> str:
    """An organization that `owner` makes; its path."""
    await there.done(owner, "POST", "/api/orgs", {"slug": slug, **body})
    return f"/api/orgs/{slug}"


async def join(
    there: Managed, org: str, who: str, role: str = "member", *, by: str = "owner", **body: Any
) -> Any:
    """Invited and accepted; the invitation."""
    invitation = await there.done(
        by, "POST", f"{org}/invitations", {"email": f"{who}@example.com", "role": role, **body}
    )
    await there.done(who, "POST", "/api/invitations/accept", {"token": invitation["token"]})
    return invitation


async def seat(there: Managed, org: str, who: str, *, by: str = "owner") -> Any:
    return await there.done(by, "GET", f"{org}/members/{who}")


async def change(there: Managed, path: str, body: Any, *, by: str = "owner", seen_by: str = "owner") -> Reply:
    """A PATCH from what is there now."""
    now = await there.ask(seen_by, "GET", path)
    return await there.ask(by, "PATCH", path, body, if_match=now.headers.get("etag", '"1"'))


async def key_of(there: Managed, who: str) -> str:
    """A key of theirs that makes calls: its secret."""
    keys = (await there.done(who, "GET", "/api/keys"))["data"]
    made = await there.done(who, "POST", "/api/keys", {"name": f"calls {len(keys)}"})
    return str(made["secret"])


async def call(there: Managed, secret: str, org: str = "") -> Reply:
    return await there.gateway.ask(chat("hello"), authorization=f"Bearer {secret}", x_deeptoken_org=org)


async def grant(there: Managed, wallet: str, usd: str) -> None:
    """Credits, as an operator gives them at the command line."""
    file = there.gateway.folder / "deeptoken.toml"
    tool = await asyncio.create_subprocess_exec(
        deeptoken(), "wallets", "grant", wallet, usd, "--config", str(file),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said = await tool.communicate()
    assert tool.returncode == 0, said


def problems(there: Managed) -> list[str]:
    """What `deeptoken verify` finds."""
    findings = verify(there.gateway.folder / "deeptoken.db", charge)
    return [f"{finding.name}: {problem}" for finding in findings for problem in finding.problems]
