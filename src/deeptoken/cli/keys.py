"""`deeptoken keys`: API keys. A secret is printed once, on a line of its own, and never stored."""

from pathlib import Path
from typing import Any

import click

from deeptoken import ids
from deeptoken.accounts import keys as keys_of_accounts
from deeptoken.accounts.change import COMMAND_LINE
from deeptoken.accounts.keys import is_of_file, new_key, state
from deeptoken.cli.books import reader, write
from deeptoken.cli.key_rules import COUNTS, read_rules, ruled, with_rules
from deeptoken.cli.names import find_key, find_owner, owner_names
from deeptoken.cli.options import Mistake, Trouble, duration, load, say, whose_file, with_config, with_json
from deeptoken.cli.output import print_facts, print_json, print_table, time, yes
from deeptoken.config_keys import CEILINGS
from deeptoken.ledger.postings import Limit
from deeptoken.money import NanoUsd, credits_json, show
from deeptoken.settings import Settings
from deeptoken.store.queries.people import Key

OLD = 6
"""How many characters of its id tell a rotated key from the next one."""


@click.group()
def command() -> None:
    """API keys. KEY is a name or an id, or owner/name where several owners have a key of that name."""


@command.command("list")
@click.option("--owner", help="Just the keys of this user, or of org:acme.")
@click.option("--all", "every", is_flag=True, help="The revoked ones too.")
@with_config
@with_json
def list_keys(owner: str | None, every: bool, file: Path | None, as_json: bool) -> None:
    """The keys, oldest first."""
    with reader(load(file)) as books:
        rows, owners = books.keys(), owner_names(books)
        wanted = find_owner(books, owner)[0] if owner else None
    keys = [key for key in rows if wanted in (None, key.owner) and (every or key.revoked_us is None)]
    if as_json:
        for key in keys:
            print_json(as_row(key, owners))
        return
    print_table(
        [
            {
                "name": key.name,
                "owner": owners.get(key.owner, key.owner),
                "starts with": key.prefix,
                "state": state(key),
                "models": ", ".join(key.models),
                "limits": ", ".join(limit_texts(key)),
                "expires": time(key.expires_us),
                "last used": time(key.last_used_us),
                "declared in": _source(key),
            }
            for key in keys
        ],
        empty="There are no such keys. `deeptoken keys create NAME --owner OWNER` makes one.",
    )


@command.command("show")
@click.argument("key")
@with_config
@with_json
def show_key(key: str, file: Path | None, as_json: bool) -> None:
    """One key."""
    with reader(load(file)) as books:
        found, owners = find_key(books, key), owner_names(books)
    _print(found, owners, as_json)


@command.command("create")
@click.argument("name")
@click.option("--owner", required=True, metavar="OWNER", help="Whose wallet pays: ops, user:ops, org:acme.")
@with_rules
@with_config
@with_json
def create_key(name: str, owner: str, file: Path | None, as_json: bool, **told: Any) -> None:
    """Make a key and print its secret, once."""
    settings, rules = load(file), read_rules(told)
    with reader(settings) as books:
        (id, payer), owners, known = find_owner(books, owner), owner_names(books), books.keys()
        if not name.strip() or name.startswith("key_") or "/" in name:
            raise Mistake(
                "A key's name is not empty, has no slash (owner/name is how two of one name are told apart), "
                "and does not begin with key_, as ids do."
            )
        if any(key.name == name and key.owner == id for key in known):
            raise Mistake(f"{payer} has a key {name} already.")
    if (name, payer) in _declared(settings):
        raise Mistake(f"{whose_file(settings)} declares the key {name} of {payer} already.")
    key, secret = new_key(name, id)
    key = ruled(key, rules)
    write(settings, keys_of_accounts.create(COMMAND_LINE, key, payer))
    _print_secret(key, secret, owners, as_json)


@command.command("edit")
@click.argument("key")
@with_rules
@with_config
@with_json
def edit_key(key: str, file: Path | None, as_json: bool, **told: Any) -> None:
    """Change what a key may do. What no option names stays."""
    settings, rules = load(file), read_rules(told)
    if not rules:
        raise Mistake("Say what to change; `deeptoken keys edit --help` lists what can be.")
    with reader(settings) as books:
        found, owners = find_key(books, key), owner_names(books)
    _ours(settings, found, owners)
    wanted = ruled(found, rules)
    if wanted == found:
        say("That is so already: nothing was changed.")
    else:
        write(settings, keys_of_accounts.edit(COMMAND_LINE, found, wanted, owners[found.owner]))
    _print(wanted, owners, as_json)


@command.command("rotate")
@click.argument("key")
@click.option("--grace", type=duration, metavar="DURATION", help="The old secret works for so long: 24h.")
@with_config
@with_json
def rotate_key(key: str, grace: int | None, file: Path | None, as_json: bool) -> None:
    """Give a key a new secret and print it, once. Without --grace the old one ends now."""
    settings = load(file)
    with reader(settings) as books:
        found, owners = find_key(books, key), owner_names(books)
    _ours(settings, found, owners)
    if found.revoked_us is not None:
        raise Mistake(f"The key {found.name} is revoked, which is for good: create another.")
    edit, wanted, secret, old = keys_of_accounts.rotate(COMMAND_LINE, found, owners[found.owner], grace or 0)
    write(settings, edit)
    if old is not None:
        say(f"The old secret works until {time(old.expires_us)} UTC, as the key {old.name}.")
    _print_secret(wanted, secret, owners, as_json)


@command.command("revoke")
@click.argument("key")
@with_config
def revoke(key: str, file: Path | None) -> None:
    """End a key, at once and for good. Also one that the file declares: the file cannot bring it back."""
    settings = load(file)
    with reader(settings) as books:
        found, owners = find_key(books, key), owner_names(books)
    if found.revoked_us is not None:
        say(f"The key {found.name} was revoked already: nothing was changed.")
        return
    write(settings, keys_of_accounts.revoke(COMMAND_LINE, found, owners.get(found.owner, found.owner)))
    click.echo(f"The key {found.name} is revoked.")


@command.command("delete")
@click.argument("key")
@with_config
def delete(key: str, file: Path | None) -> None:
    """Take a revoked key out of the list. Its usage stays."""
    settings = load(file)
    with reader(settings) as books:
        found, owners = find_key(books, key), owner_names(books)
    if (found.name, owners.get(found.owner, "")) in _declared(settings) or is_of_file(found):
        raise Mistake(f"{whose_file(settings)} declares the key {found.name}: take it out there first.")
    if found.revoked_us is None:
        raise Mistake(f"The key {found.name} still works: run `deeptoken keys revoke {key}` first.")
    write(settings, keys_of_accounts.delete(COMMAND_LINE, found, owners.get(found.owner, found.owner)))
    click.echo(f"The key {found.name} is deleted.")


@command.command("generate")
@with_json
def generate(as_json: bool) -> None:
    """Print a well-formed secret for the configuration file. Touches nothing."""
    secret = ids.new_secret()
    digest = ids.digest(secret).hex()
    if as_json:
        print_json({"secret": secret, "sha256": digest})
        return
    click.echo(secret)
    say(f"Its SHA-256 is {digest}: `sha256` in [[keys]] takes that, if the file must not have the secret.")


def limit_text(limit: Limit) -> str:
    """``5h $2.50``, ``rpm 60``."""
    return f"{limit.name} {show(NanoUsd(limit.most)) if limit.kind == 'usd' else limit.most}"


def limit_texts(key: Key) -> list[str]:
    timeout = [] if key.timeout_ms is None else [f"timeout {key.timeout_ms / 1_000:g} s"]
    return [*map(limit_text, key.limits), *timeout]


def as_row(key: Key, owners: dict[str, str]) -> dict[str, Any]:
    """A key as JSON; its ceilings are credits."""
    limits = {limit.name: limit.most for limit in key.limits}
    return {
        "id": key.id,
        "name": key.name,
        "owner": owners.get(key.owner, key.owner),
        "prefix": key.prefix,
        "state": state(key),
        "scope": key.scope,
        "models": key.models,
        "ips": key.ips,
        "ceilings": {name: credits_json(NanoUsd(limits[name])) for name in CEILINGS if name in limits},
        **{name: limits.get(name) for name in COUNTS},
        "timeout": None if key.timeout_ms is None else key.timeout_ms / 1_000,
        "cheaper_model": key.cheaper_model,
        "webhook": key.webhook,
        "children": key.children,
        "source": "file" if key.from_file else "database",
        "created_us": key.created_us,
        "expires_us": key.expires_us,
        "revoked_us": key.revoked_us,
        "last_used_us": key.last_used_us,
    }


def _declared(settings: Settings) -> set[tuple[str, str]]:
    return {(key.name, key.owner) for key in settings.keys}


def _ours(settings: Settings, key: Key, owners: dict[str, str]) -> None:
    """Refuse what the file owns."""
    if (key.name, owners.get(key.owner, "")) in _declared(settings) or is_of_file(key):
        raise Mistake(
            f"{whose_file(settings)} declares the key {key.name}: change it there, then send SIGHUP. "
            f"`deeptoken keys revoke` ends it at once."
        )
    if key.from_file:
        raise Trouble(f"The key {key.name} was declared by the file and is out of use until it is again.")


def _print_secret(key: Key, secret: str, owners: dict[str, str], as_json: bool) -> None:
    if as_json:
        print_json({**as_row(key, owners), "secret": secret})
        return
    click.echo(secret)
    say(f"The secret of {key.name} ({key.id}) is shown this once: keep it.")


def _print(key: Key, owners: dict[str, str], as_json: bool) -> None:
    if as_json:
        print_json(as_row(key, owners))
        return
    print_facts(
        {
            "name": key.name,
            "id": key.id,
            "owner": owners.get(key.owner, key.owner),
            "starts with": key.prefix,
            "state": state(key),
            "scope": key.scope,
            "models": ", ".join(key.models) or "all",
            "addresses": ", ".join(key.ips) or "any",
            "limits": ", ".join(limit_texts(key)),
            "cheaper model": key.cheaper_model or "",
            "webhook": key.webhook or "",
            "makes child keys": yes(key.children),
            "expires": time(key.expires_us),
            "revoked": time(key.revoked_us),
            "last used": time(key.last_used_us),
            "declared in": _source(key),
            "created": time(key.created_us),
        }
    )


def _source(key: Key) -> str:
    return "file" if key.from_file else ""
