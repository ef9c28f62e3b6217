"""A gateway with two organizations, people of every role, and a key of the scope `manage` for each."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from deeptoken import ids
from deeptoken.identity.roles import ROLES
from whole_scene import Reply, Whole, whole

SIM = """
[[channels]]
name = "sim"
provider = "sim"
"""
PEOPLE = (*ROLES, "stranger", "root")
"""Who is what in acme; `stranger` owns another organization, `root` is the operator."""


class Managed:
    """A running gateway with those people, and a secret for each."""

    def __init__(self, gateway: Whole, secrets: dict[str, str]) -> None:
        self.gateway = gateway
        self.secrets = secrets

    async def ask(self, who: str | None, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """A request by one of `PEOPLE`, ``machine`` (a key of acme's own) or nobody."""
        bearer = "" if who is None else f"Bearer {self.secrets[who]}"
        raw = b"" if body is None else body
        return await self.gateway.ask(raw, method=method, path=path, authorization=bearer, **headers)

    async def done(self, who: str, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The answer of a request that is done."""
        reply = await self.ask(who, method, path, body, **headers)
        assert reply.status < 300, reply.body
        return reply.json if reply.body else None

    async def refused(self, who: str | None, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Status and code of one that is not."""
        reply = await self.ask(who, method, path, body, **headers)
        return reply.status, reply.error["code"]


def configuration(secrets: dict[str, str]) -> str:
    users = "".join(
        f'[[users]]\nname = "{name}"\ngrant_usd = 5\noperator = {str(name == "root").lower()}\n'
        for name in PEOPLE
    )
    members = ", ".join(f'{{ user = "{role}", role = "{role}" }}' for role in ROLES if role != "owner")
    keys = "".join(
        f'[[keys]]\nname = "manage"\nowner = "{"org:acme" if name == "machine" else name}"\n'
        f'scope = "manage"\nsecret = "{secret}"\n'
        for name, secret in secrets.items()
    )
    return (
        f'{SIM}{users}[[organizations]]\nslug = "acme"\nowner = "owner"\ngrant_usd = 5\n'
        f"members = [{members}]\n"
        f'[[organizations]]\nslug = "other"\nowner = "stranger"\ngrant_usd = 5\n{keys}'
    )


@asynccontextmanager
async def managed(folder: Path, more: str = "", *, server: str = "") -> AsyncIterator[Managed]:
    secrets = {name: ids.new_secret() for name in (*PEOPLE, "machine")}
    async with whole(folder, configuration(secrets) + more, server=server) as gateway:
        yield Managed(gateway, secrets)
