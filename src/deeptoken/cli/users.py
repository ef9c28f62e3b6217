"""`deeptoken users`: who owns keys and wallets."""

from pathlib import Path
from typing import Any

import click
import msgspec

from deeptoken import clock, ids
from deeptoken.accounts import administration, identities, sign_in
from deeptoken.accounts.administration import new_user
from deeptoken.accounts.change import COMMAND_LINE
from deeptoken.cli.books import reader, write
from deeptoken.cli.names import USER, find_tier, find_user
from deeptoken.cli.options import Mistake, dollars, load, say, whose_file, with_config, with_json
from deeptoken.cli.output import print_facts, print_json, print_table, time, yes
from deeptoken.config_fields import Wrong
from deeptoken.config_people import user_fields
from deeptoken.ledger.postings import Posting
from deeptoken.money import NanoUsd, credits_json, show
from deeptoken.store.queries.people import User
from deeptoken.store.reads import Reader

NOTHING = NanoUsd(0)
HOW = 'PUT /api/password with {"token": ..., "password": ...}.'
"""What a link is good for."""


class Seen(msgspec.Struct, frozen=True):
    """A user with what belongs to it: the names of its keys that are not revoked, and its balance."""

    user: User
    keys: list[str]
    balance: NanoUsd


@click.group()
def command() -> None:
    """Users. One that the configuration file declares is changed there."""


@command.command("list")
@with_config
@with_json
def list_users(file: Path | None, as_json: bool) -> None:
    """All users, by name."""
    with reader(load(file)) as books:
        rows = [_seen(books, user) for user in books.users()]
    if as_json:
        for row in rows:
            print_json(as_row(row))
        return
    print_table(
        [
            {
                "name": row.user.name,
                "tier": row.user.tier or "default",
                "operator": yes(row.user.operator),
                "state": state(row.user),
                "keys": str(len(row.keys)),
                "balance": show(row.balance),
                "declared in": _source(row.user),
            }
            for row in rows
        ],
        right=("keys", "balance"),
        empty="There are no users. `deeptoken users create NAME` makes one.",
    )


@command.command("show")
@click.argument("name")
@with_config
@with_json
def show_user(name: str, file: Path | None, as_json: bool) -> None:
    """One user."""
    settings = load(file)
    with reader(settings) as books:
        user = find_user(books, name)
        _print(books, user, as_json)


@command.command("create")
@click.argument("name")
@click.option("--tier", help="A group of the configuration; `default` without.")
@click.option("--operator", is_flag=True, help="May manage the gateway.")
@click.option("--grant", type=dollars, metavar="USD", help="Credits to begin with.")
@with_config
@with_json
def create_user(
    name: str, tier: str | None, operator: bool, grant: NanoUsd | None, file: Path | None, as_json: bool
) -> None:
    """Make a user and its wallet. NAME is a name or an e-mail address, and never changes."""
    settings = load(file)
    if any(user.name == name for user in settings.users):
        raise Mistake(f"{whose_file(settings)} declares {name} already: `deeptoken serve` makes it.")
    try:
        user_fields(())["name"].read(name, ())
    except Wrong as wrong:
        raise Mistake(f"{wrong.message[0].upper()}{wrong.message[1:]}.") from None
    user = new_user(name, tier=find_tier(settings, tier), operator=operator)
    postings: list[Posting] = [*administration.create_user(COMMAND_LINE, user)]
    with reader(settings) as books:
        if any(known.name == name for known in books.users()):
            raise Mistake(f"There is a user {name} already.")
        if grant is not None:
            ref = f"cli:{ids.new_id('lot')}"
            postings += administration.grant(COMMAND_LINE, user.id, USER + user.name, grant, ref=ref)[0]
        write(settings, *postings)
        _print(books, user, as_json)


@command.command("edit")
@click.argument("name")
@click.option("--tier", help="A group of the configuration.")
@click.option("--operator/--no-operator", default=None, help="Whether it may manage the gateway.")
@with_config
@with_json
def edit_user(name: str, tier: str | None, operator: bool | None, file: Path | None, as_json: bool) -> None:
    """Change a user's tier, or whether it is an operator."""
    settings = load(file)
    if tier is None and operator is None:
        raise Mistake("Say what to change: --tier, --operator or --no-operator.")
    with reader(settings) as books:
        user = find_user(books, name)
        if user.from_file or any(declared.name == user.name for declared in settings.users):
            raise Mistake(
                f"{whose_file(settings)} declares the user {user.name}: change it there, then send SIGHUP."
            )
        wanted = msgspec.structs.replace(
            user,
            tier=user.tier if tier is None else find_tier(settings, tier),
            operator=user.operator if operator is None else operator,
        )
        if wanted == user or not write(settings, administration.change_user(COMMAND_LINE, user, wanted)):
            say("That is so already: nothing was changed.")
        _print(books, wanted, as_json)


@command.command("link")
@click.argument("name")
@click.option(
    "--without-second-factor", is_flag=True, help="Take that away too, from who has lost it and the codes."
)
@with_config
@with_json
def link(name: str, without_second_factor: bool, file: Path | None, as_json: bool) -> None:
    """Print a one-time token that sets a user's password, for a day. An earlier one ends."""
    settings = load(file)
    with reader(settings) as books:
        user = find_user(books, name)
    edit, token, expires_us = sign_in.new_link(
        COMMAND_LINE, user.id, user.name, without_second_factor=without_second_factor
    )
    if not write(settings, edit):
        raise Mistake(f"{user.name} has no second factor: run it without --without-second-factor.")
    if as_json:
        print_json({"user": user.name, "token": token, "expires_us": expires_us})
        return
    click.echo(token)
    say(f"It sets the password of {user.name} once, until {time(expires_us)} UTC: {HOW}")


@command.command("identities")
@click.argument("name")
@click.option("--remove", metavar="ID", help="Unlink this one.")
@with_config
@with_json
def list_identities(name: str, remove: str | None, file: Path | None, as_json: bool) -> None:
    """The accounts at issuers (OpenID Connect) that sign a user in."""
    settings = load(file)
    with reader(settings) as books:
        user = find_user(books, name)
        rows = books.identities_of(user.id)
    if remove is not None:
        found = next((row for row in rows if row.id == remove), None)
        if found is None or not write(settings, identities.unlink_any(COMMAND_LINE, user.name, found)):
            raise Mistake(f"{user.name} has no linked account {remove}: `users identities {user.name}`.")
        rows.remove(found)
    told = [identities.shown(row, settings.oidc) for row in rows]
    if as_json:
        for one in told:
            print_json(one)
        return
    print_table(
        [
            {
                "id": one.id,
                "provider": one.provider or "",
                "issuer": one.issuer,
                "subject": one.subject,
                "e-mail": one.email or "",
                "linked": time(one.created_us),
                "used": time(one.used_us),
            }
            for one in told
        ],
        empty=f"{user.name} has no linked account.",
    )


@command.command("suspend")
@click.argument("name")
@with_config
def suspend(name: str, file: Path | None) -> None:
    """Refuse every call of a user's keys, until `resume`. Also one that the file declares."""
    _suspend(name, file, clock.wall_us())


@command.command("resume")
@click.argument("name")
@with_config
def resume(name: str, file: Path | None) -> None:
    """Let a suspended user call again."""
    _suspend(name, file, None)


def _suspend(name: str, file: Path | None, at_us: int | None) -> None:
    settings = load(file)
    with reader(settings) as books:
        user = find_user(books, name)
    if (user.suspended_us is None) == (at_us is None):
        say(f"{user.name} is {state(user)} already: nothing was changed.")
        return
    write(settings, administration.suspend(COMMAND_LINE, user, lift=at_us is None))
    click.echo(f"{user.name} is {'active' if at_us is None else 'suspended'}.")


def state(user: User) -> str:
    return "active" if user.suspended_us is None else "suspended"


def as_row(seen: Seen) -> dict[str, Any]:
    """A user as JSON."""
    user = seen.user
    return {
        "id": user.id,
        "name": user.name,
        "tier": user.tier or "default",
        "operator": user.operator,
        "state": state(user),
        "keys": len(seen.keys),
        "balance": credits_json(seen.balance),
        "source": _source(user) or "database",
        "created_us": user.created_us,
        "suspended_us": user.suspended_us,
    }


def _seen(books: Reader, user: User) -> Seen:
    rows, wallet = books.keys(), books.wallet(user.id)
    keys = [key.name for key in rows if key.owner == user.id and key.revoked_us is None]
    return Seen(user, keys, wallet.balance if wallet else NOTHING)


def _print(books: Reader, user: User, as_json: bool) -> None:
    seen = _seen(books, user)
    if as_json:
        print_json(as_row(seen))
        return
    print_facts(
        {
            "name": user.name,
            "id": user.id,
            "tier": user.tier or "default",
            "operator": yes(user.operator),
            "state": state(user),
            "suspended": time(user.suspended_us),
            "wallet": USER + user.name,
            "balance": show(seen.balance),
            "keys": ", ".join(seen.keys),
            "declared in": _source(user),
            "created": time(user.created_us),
        }
    )


def _source(user: User) -> str:
    return "file" if user.from_file else ""
