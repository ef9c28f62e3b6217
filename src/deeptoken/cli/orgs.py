"""`deeptoken orgs`: organizations, at the command line as the management API has them, and their tiers."""

from pathlib import Path
from typing import Any

import click
import msgspec

from deeptoken import clock, ids
from deeptoken.accounts import keys, organizations
from deeptoken.accounts.change import COMMAND_LINE
from deeptoken.cli import org_members
from deeptoken.cli.books import reader, write
from deeptoken.cli.names import ORG, find_organization, find_tier, find_user
from deeptoken.cli.options import Mistake, dollars, load, say, whose_file, with_config, with_json
from deeptoken.cli.org_members import monthly, posted, refusable
from deeptoken.cli.output import print_facts, print_json, print_table, time
from deeptoken.ledger.postings import Grant
from deeptoken.money import NanoUsd, credits_json, show
from deeptoken.store.queries.accounts import Organization, Seated
from deeptoken.store.reads import Reader

MODE = click.Choice(["strict", "fallback"])
NOTHING = NanoUsd(0)


class Seen(msgspec.Struct, frozen=True):
    """An organization with what belongs to it: members, the names of its keys that work, its balance."""

    org: Organization
    members: list[Seated]
    keys: list[str]
    balance: NanoUsd


@click.group()
def command() -> None:
    """Organizations. One that the configuration file declares is changed there, but for its roles."""


for part in org_members.COMMANDS:
    command.add_command(part)


@command.command("list")
@with_config
@with_json
def list_organizations(file: Path | None, as_json: bool) -> None:
    """All organizations, by slug."""
    with reader(load(file)) as books:
        rows = [_seen(books, org) for org in books.organizations()]
    if as_json:
        for row in rows:
            print_json(as_row(row))
        return
    print_table(
        [
            {
                "slug": row.org.slug,
                "owner": _owner(row),
                "mode": row.org.mode,
                "tier": row.org.tier or "default",
                "state": state(row.org),
                "members": str(len(row.members)),
                "keys": str(len(row.keys)),
                "balance": show(row.balance),
                "declared in": _source(row.org),
            }
            for row in rows
        ],
        right=("members", "keys", "balance"),
        empty="There are no organizations. `deeptoken orgs create SLUG --owner USER` makes one.",
    )


@command.command("show")
@click.argument("slug")
@with_config
@with_json
def show_organization(slug: str, file: Path | None, as_json: bool) -> None:
    """One organization."""
    with reader(load(file)) as books:
        _print(books, find_organization(books, slug).slug, as_json)


@command.command("create")
@click.argument("slug")
@click.option("--owner", required=True, metavar="USER", help="Whose it is: a user's name.")
@click.option("--name", help="What people read; the slug without.")
@click.option("--mode", type=MODE, default="strict", help="What happens when its wallet cannot pay.")
@click.option("--tier", help="A group of the configuration; `default` without.")
@click.option("--budget", type=dollars, metavar="USD", help="What it may spend in a calendar month (UTC).")
@click.option("--grant", type=dollars, metavar="USD", help="Credits to begin with.")
@with_config
@with_json
def create_organization(slug: str, owner: str, file: Path | None, as_json: bool, **told: Any) -> None:
    """Make an organization and its wallet. SLUG never changes, and is given once."""
    settings = load(file)
    if any(declared.slug == slug for declared in settings.organizations):
        raise Mistake(f"{whose_file(settings)} declares {slug} already: `deeptoken serve` makes it.")
    with reader(settings) as books, refusable():
        user = find_user(books, owner)
        organizations.ensure_free(slug, books.organization(slug))
        made = organizations.new_organization(slug, told["name"], told["mode"])
        org = msgspec.structs.replace(made, tier=find_tier(settings, told["tier"]), budget=told["budget"])
        postings = organizations.create(COMMAND_LINE, org, user.id, user.name)
        if told["grant"] is not None:
            lot = ids.new_id("lot")
            postings.append(
                Grant(wallet=org.id, lot=lot, amount=told["grant"], source="grant", ref=f"cli:{lot}")
            )
        write(settings, *postings)
        _print(books, slug, as_json)


@command.command("edit")
@click.argument("slug")
@click.option("--name", help="What people read.")
@click.option("--mode", type=MODE, help="What happens when its wallet cannot pay.")
@click.option("--tier", help="A group of the configuration.")
@click.option("--budget", type=monthly, metavar="USD", help="In a calendar month (UTC); `none` for none.")
@with_config
@with_json
def edit_organization(slug: str, file: Path | None, as_json: bool, **told: Any) -> None:
    """Change what the options name. A mode counts from the next call on."""
    settings = load(file)
    if all(value is None for value in told.values()):
        raise Mistake("Say what to change: --name, --mode, --tier or --budget.")
    with reader(settings) as books, refusable():
        org = find_organization(books, slug)
        organizations.ensure_not_of_file(org)
        wanted = msgspec.structs.replace(
            org,
            name=org.name if told["name"] is None else organizations.checked_name(told["name"]),
            mode=told["mode"] or org.mode,
            tier=org.tier if told["tier"] is None else find_tier(settings, told["tier"]),
            budget=org.budget if told["budget"] is None else told["budget"] or None,
        )
        if wanted == org:
            say("That is so already: nothing was changed.")
        else:
            posted(settings, organizations.edit(COMMAND_LINE, org, wanted))
        _print(books, org.slug, as_json)


@command.command("delete")
@click.argument("slug")
@with_config
def delete_organization(slug: str, file: Path | None) -> None:
    """End an organization without money, and its keys. Its usage stays, and its slug is not given again."""
    settings = load(file)
    with reader(settings) as books, refusable():
        org = find_organization(books, slug)
        rows = books.keys_of(org.id, "", 1_000_000)
        working = [key.id for key in rows if key.revoked_us is None]
        posted(settings, organizations.delete(COMMAND_LINE, org, books.wallet(org.id), working))
    click.echo(f"{org.slug} is deleted.")


@command.command("suspend")
@click.argument("slug")
@with_config
def suspend(slug: str, file: Path | None) -> None:
    """Refuse every call that it would pay, until `resume`. Also one that the file declares."""
    _suspend(slug, file, clock.wall_us())


@command.command("resume")
@click.argument("slug")
@with_config
def resume(slug: str, file: Path | None) -> None:
    """Let a suspended organization pay again."""
    _suspend(slug, file, None)


def _suspend(slug: str, file: Path | None, at_us: int | None) -> None:
    settings = load(file)
    with reader(settings) as books:
        org = find_organization(books, slug)
        if (org.suspended_us is None) == (at_us is None):
            say(f"{org.slug} is {state(org)} already: nothing was changed.")
            return
        wanted = msgspec.structs.replace(org, suspended_us=at_us)
        posted(settings, organizations.edit(COMMAND_LINE, org, wanted))
    click.echo(f"{org.slug} is {state(wanted)}.")


def state(org: Organization) -> str:
    return "active" if org.suspended_us is None else "suspended"


def as_row(seen: Seen) -> dict[str, Any]:
    """An organization as JSON, amounts in credits."""
    org = seen.org
    return {
        "id": org.id,
        "slug": org.slug,
        "name": org.name,
        "owner": _owner(seen),
        "mode": org.mode,
        "tier": org.tier or "default",
        "budget": None if org.budget is None else credits_json(NanoUsd(org.budget)),
        "state": state(org),
        "members": len(seen.members),
        "keys": len(seen.keys),
        "balance": credits_json(seen.balance),
        "source": _source(org) or "database",
        "created_us": org.created_us,
        "suspended_us": org.suspended_us,
    }


def _seen(books: Reader, org: Organization) -> Seen:
    wallet, rows = books.wallet(org.id), books.keys_of(org.id, "", 1_000_000)
    working = [key.name for key in rows if keys.state(key) == "active"]
    return Seen(org, books.seated(org.id), working, wallet.balance if wallet else NOTHING)


def _owner(seen: Seen) -> str:
    return next((row.name for row in seen.members if row.member.role == "owner"), "")


def _print(books: Reader, slug: str, as_json: bool) -> None:
    seen = _seen(books, find_organization(books, slug))
    if as_json:
        print_json(as_row(seen))
        return
    org = seen.org
    print_facts(
        {
            "slug": org.slug,
            "id": org.id,
            "name": org.name,
            "owner": _owner(seen),
            "mode": org.mode,
            "tier": org.tier or "default",
            "budget": None if org.budget is None else f"{show(NanoUsd(org.budget))} a month",
            "state": state(org),
            "suspended": time(org.suspended_us),
            "wallet": ORG + org.slug,
            "balance": show(seen.balance),
            "members": ", ".join(f"{row.name} ({row.member.role})" for row in seen.members),
            "keys": ", ".join(seen.keys),
            "declared in": _source(org),
            "created": time(org.created_us),
        }
    )


def _source(org: Organization) -> str:
    return "file" if org.from_file else ""
