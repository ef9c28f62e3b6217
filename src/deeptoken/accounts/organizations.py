"""Organizations: made by a person, changed by who manages their settings, ended by their owner.

    create   the organization, its owner's seat and its wallet
    edit     name, mode, budget, webhook; its tier is the operator's
    delete   only without money and without open calls; its keys end with it

A slug is given once: that of an organization which was deleted is not given again.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import msgspec

from deeptoken import clock, ids
from deeptoken.accounts.change import Actor, change
from deeptoken.accounts.keys import in_credits
from deeptoken.config_people import SLUG
from deeptoken.errors import BadRequest, Conflict
from deeptoken.identity.roles import OWNER, PERMISSIONS
from deeptoken.ledger.postings import Edit, OpenWallet, Posting
from deeptoken.money import NanoUsd, show, usd
from deeptoken.store.queries.account_statements import (
    add_member,
    add_organization,
    delete_organization,
    end_keys,
    set_organization,
)
from deeptoken.store.queries.accounts import Member, Organization
from deeptoken.store.queries.money import Wallet

NAME_MAX = 100


class OrganizationShown(msgspec.Struct, frozen=True, kw_only=True):
    """An organization as it is told to people. `budget` is credits in a month."""

    id: str
    slug: str
    name: str
    mode: str
    """``strict`` or ``fallback``."""
    tier: str
    budget: Decimal | None
    webhook: str | None
    """Null for who does not manage the settings."""
    state: str
    """``active`` or ``suspended``."""
    role: str | None
    """That of who asks; an organization's own key has none."""
    permissions: tuple[str, ...]
    """Those of who asks."""
    source: str
    """``file`` or ``database``."""
    created_us: int
    version: int


def shown(org: Organization, role: str | None, may: frozenset[str]) -> OrganizationShown:
    """As who has that role and those permissions sees it."""
    return OrganizationShown(
        id=org.id,
        slug=org.slug,
        name=org.name,
        mode=org.mode,
        tier=org.tier or "default",
        budget=budget_shown(org.budget),
        webhook=org.webhook if "settings.manage" in may else None,
        state="active" if org.suspended_us is None else "suspended",
        role=role,
        permissions=tuple(name for name in PERMISSIONS if name in may),
        source="file" if org.from_file else "database",
        created_us=org.created_us,
        version=org.version,
    )


def new_organization(slug: str, name: str | None = None, mode: str = "strict") -> Organization:
    """Raises `BadRequest`: it cannot be called so."""
    if not SLUG.fullmatch(slug):
        raise BadRequest(
            "slug: at most 40 of a-z, 0-9 and -, and no - at either end, such as acme.", param="slug"
        )
    return Organization(
        id=ids.new_id("org"),
        slug=slug,
        name=slug if name is None else checked_name(name),
        mode=mode,
        created_us=clock.wall_us(),
    )


def checked_name(name: str) -> str:
    """Raises `BadRequest`: nobody could read it."""
    if not name.strip() or not name.isprintable() or len(name) > NAME_MAX:
        raise BadRequest(f"name: 1 to {NAME_MAX} characters that can be read.", param="name")
    return name


def budget_of(told: Decimal | None) -> int | None:
    """USD a month as nano-USD.

    Raises:
        BadRequest: that is no amount above 0.
    """
    if told is None:
        return None
    try:
        most = usd(str(told))
    except ValueError as error:
        raise BadRequest(f"budget_usd: {error}.", param="budget_usd") from None
    if most <= 0:
        raise BadRequest("budget_usd: an amount in USD above 0, or null for none.", param="budget_usd")
    return most


def budget_shown(budget: int | None) -> Decimal | None:
    return None if budget is None else in_credits(budget)


def ensure_free(slug: str, known: Organization | None) -> None:
    """Raises `Conflict`: there is one of that slug, or was."""
    if known is not None:
        raise Conflict(
            f"There is an organization {slug!r} already, or there was one: a slug is given once.",
            param="slug",
        )


def ensure_not_of_file(org: Organization, what: str = "it") -> None:
    """Raises `Conflict`: the configuration file owns it."""
    if org.from_file:
        raise Conflict(f"The configuration file declares the organization {org.slug!r}: change {what} there.")


def create(actor: Actor, org: Organization, owner: str, owner_name: str) -> list[Posting]:
    """With its owner, by id and name, and its wallet."""
    seat = Member(org=org.id, user=owner, role=OWNER, created_us=org.created_us)
    made = change(
        actor,
        "org.create",
        f"org:{org.slug}",
        add_organization(org),
        add_member(seat),
        tenant=org.id,
        after=facts(org) | {"owner": owner_name},
    )
    return [made, OpenWallet(wallet=org.id)]


def edit(actor: Actor, before: Organization, after: Organization) -> Edit:
    """From what was read to what is wanted; nothing if it has changed since."""
    return change(
        actor,
        "org.change",
        f"org:{before.slug}",
        set_organization(after),
        tenant=before.id,
        before=facts(before),
        after=facts(after),
    )


def delete(actor: Actor, org: Organization, wallet: Wallet | None, keys: Iterable[str]) -> Edit:
    """With its keys that still work; these are their ids.

    Raises:
        Conflict: it has money, or calls in flight.
    """
    ensure_not_of_file(org)
    if wallet is not None and (wallet.balance or wallet.held):
        raise Conflict(
            f"The wallet of {org.slug!r} has {show(wallet.balance)}, of which {show(NanoUsd(wallet.held))} "
            "is held by calls in flight. Wait for these, and use the rest up or ask the operator to take it "
            "back; then delete the organization."
        )
    now_us = clock.wall_us()
    steps = [delete_organization(org.id, now_us)]
    if list(keys):
        steps.append(end_keys(org.id, now_us))
    return change(
        actor, "org.delete", f"org:{org.slug}", *steps, tenant=org.id, before=facts(org), closes=org.id
    )


def facts(org: Organization) -> dict[str, Any]:
    """What can be changed, as the audit log has it: of the webhook, which may hold a secret, the host."""
    return {
        "name": org.name,
        "mode": org.mode,
        "tier": org.tier or "default",
        "budget": budget_shown(org.budget),
        "webhook": None if org.webhook is None else urlsplit(org.webhook).hostname,
        "suspended": org.suspended_us is not None,
    }
