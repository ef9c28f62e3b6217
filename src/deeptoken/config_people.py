"""The tables of the configuration file that declare users and organizations."""

import re
from collections.abc import Mapping
from typing import Any

from deeptoken.catalog.model import Group
from deeptoken.config_fields import Field, Wrong, amount, flag, many, one_of, quote, read_table, text
from deeptoken.config_lines import Path
from deeptoken.settings import MEMBER_ROLES, DeclaredMember, DeclaredOrganization, DeclaredUser

SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
MODES = ("strict", "fallback")


def user_fields(groups: tuple[Group, ...]) -> dict[str, Field]:
    return {
        "name": Field(_account, needed=True),
        "tier": Field(one_of([group.name for group in groups], "tier")),
        "operator": Field(flag),
        "grant_usd": Field(amount),
    }


def read_user(raw: Any, path: Path, *, groups: tuple[Group, ...]) -> DeclaredUser:
    """One ``[[users]]``."""
    values = read_table(raw, path, user_fields(groups))
    return DeclaredUser(grant=values.pop("grant_usd", 0), **values)


def slug(value: Any, path: Path) -> str:
    """What an organization is called."""
    if not SLUG.fullmatch(text(value, path)):
        raise Wrong(
            path,
            f"{quote(str(value))} is no slug: at most 40 of a-z, 0-9 and -, and no - at either end",
        )
    return str(value)


def budget(value: Any, path: Path) -> int:
    """USD a month."""
    most = amount(value, path)
    if most == 0:
        raise Wrong(path, "expected an amount in USD above 0")
    return most


def organization_fields(users: tuple[DeclaredUser, ...], groups: tuple[Group, ...]) -> Mapping[str, Field]:
    names = one_of([user.name for user in users], "user")
    member = {
        "user": Field(names, needed=True),
        "role": Field(one_of(MEMBER_ROLES, "role")),
        "budget_usd": Field(budget),
    }

    def one_member(raw: Any, path: Path) -> DeclaredMember:
        values = read_table(raw, path, member)
        return DeclaredMember(budget=values.pop("budget_usd", None), **values)

    return {
        "slug": Field(slug, needed=True),
        "owner": Field(names, needed=True),
        "name": Field(text),
        "mode": Field(one_of(MODES, "mode")),
        "tier": Field(one_of([group.name for group in groups], "tier")),
        "budget_usd": Field(budget),
        "members": Field(many(one_member)),
        "grant_usd": Field(amount),
    }


def read_organization(
    raw: Any, path: Path, *, users: tuple[DeclaredUser, ...], groups: tuple[Group, ...]
) -> DeclaredOrganization:
    """One ``[[organizations]]``."""
    values = read_table(raw, path, organization_fields(users, groups))
    declared = DeclaredOrganization(
        grant=values.pop("grant_usd", 0), budget=values.pop("budget_usd", None), **values
    )
    seen = {declared.owner}
    for n, member in enumerate(declared.members):
        if member.user in seen:
            raise Wrong(
                (*path, "members", n, "user"), f"{quote(member.user)} is a member already, or the owner"
            )
        seen.add(member.user)
    return declared


def _account(value: Any, path: Path) -> str:
    """A user's name or e-mail address."""
    if any(c.isspace() or c == ":" for c in text(value, path)):
        raise Wrong(path, "a user's name has no spaces and no colon")
    return str(value)
