"""`deeptoken orgs`: who belongs to an organization, as what, and who is invited."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec

from deeptoken import clock
from deeptoken.accounts import invitations, members, roles
from deeptoken.accounts.change import COMMAND_LINE
from deeptoken.accounts.permissions import ALL
from deeptoken.cli.books import reader, write
from deeptoken.cli.names import USER, find_organization, find_user, unknown
from deeptoken.cli.options import Mistake, Trouble, dollars, load, say, with_config, with_json
from deeptoken.cli.output import print_json, print_table, time, yes
from deeptoken.errors import Refused
from deeptoken.identity.roles import PERMISSIONS, ROLES
from deeptoken.ledger.postings import Edit
from deeptoken.money import NanoUsd, show
from deeptoken.settings import Settings
from deeptoken.store.queries.accounts import Member, Organization, Seated
from deeptoken.store.reads import Reader


def monthly(text: str) -> NanoUsd:
    """US dollars a month; 0 for `none`."""
    return NanoUsd(0) if text == "none" else dollars(text)


@contextmanager
def refusable() -> Iterator[None]:
    """What may not be is told as a wrong call."""
    try:
        yield
    except Refused as refused:
        raise Mistake(refused.message) from None


def posted(settings: Settings, edit: Edit) -> None:
    """Raises `Trouble`: somebody else was first."""
    if not write(settings, edit):
        raise Trouble("It was changed meanwhile: look, and try again.")


@click.command("members")
@click.argument("slug")
@with_config
@with_json
def list_members(slug: str, file: Path | None, as_json: bool) -> None:
    """The members of an organization."""
    with reader(load(file)) as books:
        org = find_organization(books, slug)
        rows, custom = books.seated(org.id), members.custom_roles(books.roles(org.id))
    if as_json:
        for row in rows:
            print_json(members.shown(row, custom))
        return
    print_table(
        [
            {
                "user": row.name,
                "role": row.member.role,
                "budget": "" if row.member.budget is None else f"{show(NanoUsd(row.member.budget))} a month",
                "declared in": "file" if row.member.from_file else "",
                "since": time(row.member.created_us),
            }
            for row in rows
        ],
        right=("budget",),
        empty="There are no members.",
    )


@click.command("seat")
@click.argument("slug")
@click.argument("user")
@click.option("--role", help="A role: admin, billing, member, viewer, or one of the organization's own.")
@click.option("--budget", type=monthly, metavar="USD", help="In a calendar month (UTC); `none` for none.")
@with_config
def seat(slug: str, user: str, role: str | None, budget: NanoUsd | None, file: Path | None) -> None:
    """Make USER a member, without an invitation, or change a member's role or budget."""
    settings = load(file)
    with reader(settings) as books, refusable():
        org = find_organization(books, slug)
        who, custom = find_user(books, user), members.custom_roles(books.roles(org.id))
        known = books.seat(org.id, who.id)
        if known is None:
            made = Member(
                org=org.id,
                user=who.id,
                role=role or "member",
                budget=budget or None,
                created_us=clock.wall_us(),
            )
            posted(settings, members.add(COMMAND_LINE, ALL, org, who.name, made, custom))
            click.echo(f"{who.name} is a member of {org.slug}: {made.role}.")
            return
        wanted = msgspec.structs.replace(
            known.member,
            role=role or known.member.role,
            budget=known.member.budget if budget is None else budget or None,
        )
        after = msgspec.structs.replace(known, member=wanted)
        if after == known:
            say("That is so already: nothing was changed.")
            return
        posted(settings, members.edit(COMMAND_LINE, ALL, org, known, after, custom))
    click.echo(f"{who.name} has the role {wanted.role} in {org.slug}.")


@click.command("remove")
@click.argument("slug")
@click.argument("user")
@with_config
def remove(slug: str, user: str, file: Path | None) -> None:
    """Remove a member. The owner hands the organization over first: `transfer`."""
    settings = load(file)
    with reader(settings) as books, refusable():
        org, seated = _member(books, slug, user)
        custom = members.custom_roles(books.roles(org.id))
        posted(settings, members.remove(COMMAND_LINE, ALL, org, seated, custom))
    click.echo(f"{seated.name} is no member of {org.slug} any more.")


@click.command("transfer")
@click.argument("slug")
@click.argument("user")
@with_config
def transfer(slug: str, user: str, file: Path | None) -> None:
    """Make another member the owner; the old one becomes an admin."""
    settings = load(file)
    with reader(settings) as books, refusable():
        org, heir = _member(books, slug, user)
        owner = books.seated_owner(org.id)
        assert owner is not None, "an organization has an owner"
        posted(settings, members.transfer(COMMAND_LINE, org, owner, heir))
    click.echo(f"{heir.name} is the owner of {org.slug}.")


@click.command("invite")
@click.argument("slug")
@click.argument("email")
@click.option("--role", default="member", show_default=True, help="As what.")
@click.option("--budget", type=dollars, metavar="USD", help="In a calendar month (UTC).")
@click.option(
    "--days", type=click.IntRange(1, invitations.DAYS_MAX), default=invitations.DAYS, show_default=True
)
@with_config
@with_json
def invite(
    slug: str, email: str, role: str, budget: NanoUsd | None, days: int, file: Path | None, as_json: bool
) -> None:
    """Invite somebody and print the token, once: whoever sends it to the gateway becomes a member."""
    settings = load(file)
    with reader(settings) as books, refusable():
        org = find_organization(books, slug)
        custom = members.custom_roles(books.roles(org.id))
        made, token = invitations.new_invitation(COMMAND_LINE, org, email, role, budget, days)
        posted(settings, invitations.create(COMMAND_LINE, ALL, org, made, custom))
    if as_json:
        print_json(
            {"id": made.id, "email": email, "role": role, "expires_us": made.expires_us, "token": token}
        )
        return
    say(f"The invitation of {email} to {org.slug} is good once, until {time(made.expires_us)} UTC.")
    click.echo(token)


@click.command("invitations")
@click.argument("slug")
@with_config
@with_json
def list_invitations(slug: str, file: Path | None, as_json: bool) -> None:
    """The invitations, oldest first."""
    with reader(load(file)) as books:
        rows = books.invitations(find_organization(books, slug).id)
        names = dict(books.owners())
    told = [invitations.shown(row, names) for row in rows]
    if as_json:
        for row in told:
            print_json(row)
        return
    print_table(
        [
            {
                "id": row.id,
                "email": row.email,
                "role": row.role,
                "state": row.state,
                "by": row.invited_by,
                "expires": time(row.expires_us),
            }
            for row in told
        ],
        empty="There are no invitations. `deeptoken orgs invite` makes one.",
    )


@click.command("uninvite")
@click.argument("slug")
@click.argument("id")
@with_config
def uninvite(slug: str, id: str, file: Path | None) -> None:
    """Revoke an invitation."""
    settings = load(file)
    with reader(settings) as books, refusable():
        org = find_organization(books, slug)
        found = books.invitation_of(id, org.id)
        if found is None:
            raise Mistake(f"There is no invitation {id}; `deeptoken orgs invitations {org.slug}` lists them.")
        posted(settings, invitations.revoke(COMMAND_LINE, org, found))
    click.echo(f"The invitation of {found.email} is revoked.")


@click.command("roles")
@click.argument("slug")
@with_config
@with_json
def list_roles(slug: str, file: Path | None, as_json: bool) -> None:
    """The roles: those that every organization has, then its own."""
    with reader(load(file)) as books:
        own = books.roles(find_organization(books, slug).id)
    rows = [*(roles.builtin(name) for name in ROLES), *(roles.shown(role) for role in own)]
    if as_json:
        for row in rows:
            print_json(row)
        return
    print_table(
        [
            {"role": row.name, "its own": yes(not row.builtin), "may": ", ".join(row.permissions)}
            for row in rows
        ],
        empty="There are no roles.",
    )


@click.command("role")
@click.argument("slug")
@click.argument("name")
@click.option(
    "--permission", "told", multiple=True, type=click.Choice(PERMISSIONS), help="What it may; one each time."
)
@click.option("--delete", is_flag=True, help="Delete it, if nobody has it.")
@with_config
def role(slug: str, name: str, told: tuple[str, ...], delete: bool, file: Path | None) -> None:
    """Make a role of the organization's own, or change what it may."""
    settings = load(file)
    if bool(told) == delete:
        raise Mistake("Say what the role may, with --permission, or --delete.")
    with reader(settings) as books, refusable():
        org = find_organization(books, slug)
        own = {one.name: one for one in books.roles(org.id)}
        known = own.get(name)
        if delete:
            if known is None:
                raise unknown("role", name, own, f"`deeptoken orgs roles {org.slug}` lists them")
            given = roles.is_given(known, books.seated(org.id), books.invitations(org.id))
            posted(settings, roles.delete(COMMAND_LINE, ALL, org, known, given=given))
            click.echo(f"The role {name} is deleted.")
            return
        permissions = roles.checked_permissions(ALL, told)
        if known is None:
            roles.checked_name(name, own.values())
            posted(settings, roles.create(COMMAND_LINE, org, name, permissions)[0])
        else:
            posted(settings, roles.edit(COMMAND_LINE, ALL, org, known, permissions))
    click.echo(f"The role {name} may {', '.join(permissions)}.")


def _member(books: Reader, slug: str, user: str) -> tuple[Organization, Seated]:
    org = find_organization(books, slug)
    bare = user.removeprefix(USER)
    found = books.seated_named(org.id, bare)
    if found is None:
        names = [row.name for row in books.seated(org.id)]
        raise unknown("member", bare, names, f"`deeptoken orgs members {org.slug}` lists them")
    return org, found


COMMANDS = (
    list_members,
    seat,
    remove,
    transfer,
    invite,
    list_invitations,
    uninvite,
    list_roles,
    role,
)
