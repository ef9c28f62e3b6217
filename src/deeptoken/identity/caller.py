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
    """``user:ops``, as people write it."""
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

    def may_call(self, model: str) -> bool:
        return not self.models or any_matches(self.models, model)
