"""What the configuration file changes is written down once, as the file's."""

import asyncio
from pathlib import Path

from deeptoken import config, ids
from deeptoken.installation import declare
from deeptoken.providers.registry import BASE_URLS
from deeptoken.store.ledger import open_ledger
from deeptoken.store.queries.accounts import Audited
from deeptoken.store.reads import Reader

SECRET = ids.new_secret()
FIRST = f"""
[database]
url = "sqlite:///deeptoken.db"

[[channels]]
name = "sim"
provider = "sim"

[[models]]
id = "mine"
prompt = 1
completion = 2

[[users]]
name = "ops"
operator = true
grant_usd = 5

[[users]]
name = "ann"

[[organizations]]
slug = "acme"
owner = "ops"
grant_usd = 7
members = [{{ user = "ann", role = "member" }}]

[[keys]]
name = "ci"
owner = "org:acme"
secret = "{SECRET}"
"""


async def declared(file: Path, text: str) -> list[Audited]:
    """The rows that a start with this file adds, oldest first."""
    await asyncio.to_thread(file.write_text, text)
    settings = config.load(file, {}, providers=BASE_URLS)
    path = settings.database.path
    async with open_ledger(path) as ledger:
        with Reader(path) as reader:
            before = reader.audited(None, before=2**62, limit=1)
            await declare(settings, ledger, reader)
        with Reader(path) as reader:
            rows = reader.audited(None, before=2**62, limit=200)
    return [row for row in reversed(rows) if not before or row.seq > before[0].seq]


def told(rows: list[Audited]) -> list[tuple[str, str]]:
    return [(row.action, row.subject.partition(" (")[0]) for row in rows]


def test_a_start_writes_what_it_declares_and_the_next_one_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        file = tmp_path / "deeptoken.toml"
        first = await declared(file, FIRST)

        assert told(first) == [
            ("price.change", "model:mine"),
            ("user.create", "user:ops"),
            ("user.create", "user:ann"),
            ("wallet.grant", "wallet:user:ops"),
            ("org.create", "org:acme"),
            ("member.add", "member:acme/ann"),
            ("member.add", "member:acme/ops"),
            ("wallet.grant", "wallet:org:acme"),
            ("key.create", "key:org:acme/ci"),
        ]
        assert {row.actor_name for row in first} == {"file"}
        assert SECRET not in str(first)
        assert ids.digest(SECRET).hex() not in str(first)
        assert await declared(file, FIRST) == []

    asyncio.run(story())


def test_what_the_file_changes_is_told_before_and_after(tmp_path: Path) -> None:
    async def story() -> None:
        file = tmp_path / "deeptoken.toml"
        await declared(file, FIRST)
        then = FIRST.replace("prompt = 1", "prompt = 3").replace('role = "member"', 'role = "viewer"')
        then = then.replace('owner = "ops"\n', 'owner = "ops"\nmode = "fallback"\n', 1)
        then = then.replace(f'secret = "{SECRET}"', f'secret = "{SECRET}"\nrpm = 9')

        rows = await declared(file, then)

        assert told(rows) == [
            ("price.change", "model:mine"),
            ("org.change", "org:acme"),
            ("member.change", "member:acme/ann"),
            ("key.change", "key:org:acme/ci"),
        ]
        price, org, member, key = rows
        assert price.before is not None
        assert price.before != price.after
        assert ('"strict"' in str(org.before), '"fallback"' in str(org.after)) == (True, True)
        assert ('"member"' in str(member.before), '"viewer"' in str(member.after)) == (True, True)
        assert ('"rpm":null' in str(key.before), '"rpm":9' in str(key.after)) == (True, True)

    asyncio.run(story())


def test_what_leaves_the_file_is_told_too(tmp_path: Path) -> None:
    async def story() -> None:
        file = tmp_path / "deeptoken.toml"
        await declared(file, FIRST)
        kept, _, _ = FIRST.partition("[[organizations]]")

        assert told(await declared(file, kept)) == [
            ("org.change", "org:acme"),
            ("key.change", "key:org:acme/ci"),
        ]

    asyncio.run(story())
