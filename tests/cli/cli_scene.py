"""What the tests of the command line share: an installation in a folder, and commands run on it here."""

import asyncio
import contextlib
import json
import sqlite3  # noqa: TID251
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from click.testing import CliRunner, Result

from deeptoken import ids
from deeptoken.catalog.price import charge
from deeptoken.cli.main import main
from deeptoken.ledger.postings import Call, Hold, Settle
from deeptoken.money import NanoUsd
from deeptoken.store.ledger import open_writer
from deeptoken.store.queries.people import Key
from deeptoken.store.reads import Reader
from deeptoken.wire.usage import Usage

CONFIGURATION = """
[[channels]]
name = "sim"
provider = "sim"

[[models]]
id = "house/*"
prompt = 1
completion = 2

[groups.pro]
ratio = 0.5

[[users]]
name = "ops"
tier = "pro"
operator = true
grant_usd = 100.0

[[users]]
name = "poor"

[[keys]]
name = "ci"
owner = "ops"
sha256 = "{digest}"
"""
USED = Usage(prompt=1_000, cached=200, completion=50, reasoning=25)


class Installation(msgspec.Struct, frozen=True):
    """A configuration and its database. No gateway runs on it."""

    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "deeptoken.toml"

    @property
    def database(self) -> Path:
        return self.folder / "deeptoken.db"

    def run(
        self, *words: str, input: str | None = None, env: Mapping[str, str | None] | None = None
    ) -> Result:
        """A command, whatever becomes of it."""
        return CliRunner().invoke(main, [*words, "--config", str(self.file)], input=input, env=env)

    def done(self, *words: str, input: str | None = None, env: Mapping[str, str | None] | None = None) -> str:
        """What a command prints that ends well."""
        result = self.run(*words, input=input, env=env)
        assert result.exit_code == 0, result.output
        return result.stdout

    def rows(self, *words: str) -> list[dict[str, Any]]:
        """What a command prints with `--json`, by line."""
        return [json.loads(line) for line in self.done(*words, "--json").splitlines()]

    def row(self, *words: str) -> dict[str, Any]:
        (row,) = self.rows(*words)
        return row

    def refusal(self, *words: str, code: int = 2, env: Mapping[str, str | None] | None = None) -> str:
        """The one line by which a command says what was wrong."""
        result = self.run(*words, env=env)
        assert result.exit_code == code, result.output
        (line,) = result.stderr.splitlines()
        assert line.startswith("deeptoken: ")
        return line.removeprefix("deeptoken: ")

    def reader(self) -> Reader:
        return Reader(self.database)

    def all_keys(self) -> list[Key]:
        with self.reader() as reader:
            return reader.keys()


def install(folder: Path) -> Installation:
    """What `deeptoken init` makes of the configuration above."""
    made = Installation(folder)
    made.file.write_text(CONFIGURATION.format(digest=ids.digest(ids.new_secret()).hex()))
    made.done("init")
    return made


def change(path: Path, sql: str) -> None:
    """What no program of ours does: write to the database past the ledger."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(sql)


def call(
    made: Installation,
    key: str = "ci",
    model: str = "sim/text",
    label: str | None = None,
    *,
    settled: bool = True,
) -> str:
    """A call that this key made and paid, as the gateway would have booked it; its id.

    One that is not settled becomes an orphan.
    """
    id = ids.uuid7()
    caller = next(row for row in made.all_keys() if row.name == key)
    with made.reader() as reader:
        price = next(
            version.price for version in reader.price_history() if version.price.model == "sim:sim/text"
        )
    cost = charge(price, USED, 1_000_000)
    booked = Call(
        id=id,
        request_id=label or id,
        endpoint="/v1/chat/completions",
        key=caller.id,
        wallet=caller.owner,
        model=model,
        price=price.id,
        ratio_ppm=1_000_000,
        stream=False,
    )
    asyncio.run(_book(made, booked, cost, settled))
    return id


async def _book(made: Installation, booked: Call, cost: NanoUsd, settled: bool) -> None:
    async with open_writer(made.database) as ledger:
        await ledger.post(Hold(call=booked, minimum=cost, wanted=cost))
        if settled:
            await ledger.post(
                Settle(id=booked.id, cost=cost, outcome="complete", usage=USED, channel="sim", duration_ms=7)
            )
