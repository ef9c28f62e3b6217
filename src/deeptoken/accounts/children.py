"""Child keys: for one run of an agent, one job. Narrower than the key that makes them, with an end and a cap.

What a child spends counts at its parent's limits too, and it ends with its parent. Its budget is a cap and no
deposit: what it does not use was never taken from anybody.
"""

import ipaddress
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta

from deeptoken import clock
from deeptoken.accounts.keys import NAME_MAX, checked_name, new_key, ruled
from deeptoken.config_keys import COUNTS
from deeptoken.errors import BadRequest, Conflict, PermissionDenied
from deeptoken.ledger.postings import ALWAYS_US, Limit, Statement
from deeptoken.money import usd
from deeptoken.store.queries.people import Key
from deeptoken.store.queries.statements import tidy_children

SECOND_US = 1_000_000
LIFE_S = 86_400
LIFE_MAX_S = 30 * LIFE_S
CHILDREN_MAX = 1_000
"""Of a key, at the same time."""
KEPT_US = 7 * LIFE_S * SECOND_US
"""So long one that has expired is still shown."""


class NewChild(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A child key to be made: what it may spend in all, and for how many seconds it lives."""

    budget_usd: Decimal
    name: Annotated[str, Meta(min_length=1, max_length=NAME_MAX)] | None = None
    models: list[str] | None = None
    ips: list[str] | None = None
    rpm: Annotated[int, Meta(ge=1, le=10**15)] | None = None
    tpm: Annotated[int, Meta(ge=1, le=10**15)] | None = None
    concurrency: Annotated[int, Meta(ge=1, le=10**15)] | None = None
    expires_in: Annotated[int, Meta(ge=1, le=LIFE_MAX_S)] = LIFE_S


def child(parent: Key, asked: NewChild, others: Sequence[Key]) -> tuple[Key, str]:
    """The child and its secret; `others` are the keys of the same owner.

    Raises:
        PermissionDenied: this key makes no children.
        BadRequest: what is asked for is wider than the parent, or cannot be; `param` names it.
        Conflict: there are too many, or one of that name.
    """
    if parent.parent is not None or not parent.children:
        raise PermissionDenied("This API key makes no child keys. Its owner can allow it: children.")
    now_us = clock.wall_us()
    alive = [key for key in others if key.parent == parent.id and (key.expires_us or 0) > now_us]
    if len(alive) >= CHILDREN_MAX:
        raise Conflict(f"This key has {CHILDREN_MAX} children. Wait until some have ended, or end some.")
    key, secret = new_key("", parent.owner, created_by=parent.created_by)
    name = asked.name or f"{parent.name[: NAME_MAX - 40]}-child-{key.id[-12:]}"
    key = msgspec.structs.replace(key, name=checked_name(name, parent.owner, others))
    told = {name: getattr(asked, name) for name in ("models", "ips", *COUNTS)}
    key = ruled(key, {name: value for name, value in told.items() if value is not None})
    _ensure_narrower(key, parent)
    until_us = now_us + asked.expires_in * SECOND_US
    life = Limit("usd", ALWAYS_US, _budget(asked.budget_usd), "total")
    return msgspec.structs.replace(
        key,
        limits=(life, *key.limits),
        parent=parent.id,
        expires_us=min(until_us, parent.expires_us or until_us),
    ), secret


def tidied() -> tuple[Statement, Statement]:
    """Those that expired long ago go: each was one run of something. What they spent stays."""
    now_us = clock.wall_us()
    return tidy_children(now_us - KEPT_US, now_us)


def _budget(dollars: Decimal) -> int:
    try:
        amount = usd(str(dollars))
    except ValueError as error:
        raise BadRequest(f"budget_usd: {error}.", param="budget_usd") from None
    if amount <= 0:
        raise BadRequest("budget_usd: expected an amount in US dollars above 0.", param="budget_usd")
    return amount


def _ensure_narrower(key: Key, parent: Key) -> None:
    for model in key.models if parent.models else ():
        if not any(_covers(wide, model) for wide in parent.models):
            raise BadRequest(f"models: {model!r} is not among those of the key itself.", param="models")
    nets = [ipaddress.ip_network(text) for text in parent.ips]
    for text in key.ips if nets else ():
        net = ipaddress.ip_network(text)
        # Of different versions nothing is a part of the other.
        if not any(net.version == wide.version and _inside(net, wide) for wide in nets):
            raise BadRequest(f"ips: {text} is not among those of the key itself.", param="ips")


def _covers(wide: str, narrow: str) -> bool:
    return wide == narrow or (wide.endswith("*") and narrow.startswith(wide[:-1]))


def _inside(
    net: ipaddress.IPv4Network | ipaddress.IPv6Network, wide: ipaddress.IPv4Network | ipaddress.IPv6Network
) -> bool:
    return wide.network_address <= net.network_address and net.broadcast_address <= wide.broadcast_address  # type: ignore[operator] # of one version
