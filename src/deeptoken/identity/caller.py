"""Who calls: an API key with all that the path of a call needs of its owner."""

import ipaddress

import msgspec

from deeptoken.catalog.model import Group
from deeptoken.catalog.patterns import any_matches
from deeptoken.ledger.postings import Limit

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Caller(msgspec.Struct, frozen=True):
    """A valid key. Where there is no limit, the tuple is empty."""

    key: str
    """The id, ``key_...``; `key_name` is what people call it."""
    key_name: str
    owner: str
    """Who pays: ``user:ops``, ``org:acme``, as people write it."""
    wallet: str
    """The id of the wallet that pays."""
    group: Group
    models: tuple[str, ...] = ()
    """Ids and patterns; empty: all."""
    networks: tuple[Network, ...] = ()
    limits: tuple[Limit, ...] = ()
    timeout_s: float | None = None
    """The most that a call may take, where that is less than the server's own."""
    scope: str = "call"
    expires_us: int | None = None
    suspended: bool = False

    account: str = ""
    """The id of the user or organization that the key belongs to."""
    parent: "Bounds | None" = None
    """What the key that made it allows, where it is a child."""
    cheaper_model: str | None = None
    """What is called instead once a budget is nearly used."""
    webhook: str | None = None
    """Who is told when a budget is nearly used."""
    children: bool = False
    """It may make child keys."""
    fallback: str | None = None
    """The wallet that pays when the first cannot: its id."""
    fallback_owner: str = ""
    subjects: tuple[str, ...] = ()
    """At whose limits its calls count besides the key's: ``key_...`` (its parent), ``org_...``,
    ``org_.../usr_...``."""

    @property
    def personal(self) -> bool:
        """It belongs to a person."""
        return not self.account.startswith("org_")

    def may_call(self, model: str) -> bool:
        if self.models and not any_matches(self.models, model):
            return False
        parent = self.parent
        return parent is None or not parent.models or any_matches(parent.models, model)


class Bounds(msgspec.Struct, frozen=True):
    """Models and addresses that a key allows: ids and patterns; empty: all."""

    models: tuple[str, ...]
    networks: tuple[Network, ...]
