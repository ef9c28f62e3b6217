"""API keys: who calls, and which models they may call.

A key is found by its SHA-256, which always has the same length: the look-up compares no secret. A typo is
told apart from an unknown key by the key's own checksum. Limits are decided with the hold, by the ledger.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from deeptoken import ids
from deeptoken.errors import AddressNotAllowed, KeyInvalid, ModelNotAllowed
from deeptoken.identity.caller import Caller, Network
from deeptoken.ledger.postings import MINUTE_US, WINDOWS, Limit
from deeptoken.settings import DeclaredKey


class Keys:
    """All keys that there are, by the digest of their secret. A snapshot: a change makes a new one."""

    def __init__(self, callers: Mapping[bytes, Caller], revoked: AbstractSet[bytes] = frozenset()) -> None:
        self._callers = callers
        self._revoked = revoked

    def authenticate(self, secret: str | None, address: str | None, now_us: int) -> Caller:
        """The caller whose key this is.

        Raises:
            KeyInvalid: missing, mistyped, unknown, revoked or expired; the message says which.
            AddressNotAllowed: the key is bound to other addresses.
        """
        if not secret:
            raise KeyInvalid("No API key was sent. Send it as: Authorization: Bearer dtk_...")
        if len(secret) != ids.KEY_LENGTH or not secret.isascii():
            raise KeyInvalid(MISTYPED)
        digest = ids.digest(secret)
        caller = self._callers.get(digest)
        if caller is None or digest in self._revoked:
            raise self._refusal(secret, digest)
        if caller.expires_us is not None and caller.expires_us <= now_us:
            raise KeyInvalid("This API key has expired. Create a new one, or ask its owner for one.")
        if not _allowed(address, caller):
            raise AddressNotAllowed(
                f"This API key may not be used from {address or 'an unknown address'}. "
                "Call from an address on its list, or have the list changed."
            )
        return caller

    def _refusal(self, secret: str, digest: bytes) -> KeyInvalid:
        if digest in self._revoked:
            return KeyInvalid("This API key was revoked. Create a new one, or ask its owner for one.")
        if not ids.well_formed(secret):
            return KeyInvalid(MISTYPED)
        return KeyInvalid("This API key is not known here. Check which gateway it belongs to.")


MISTYPED = (
    "This is not a DeepToken key, or it has a typo: a key is dtk_ and 46 letters and digits. Copy it again."
)


def _allowed(address: str | None, caller: Caller) -> bool:
    """Is the address on the key's list, and on its parent's?"""
    if caller.networks and not is_within(address, caller.networks):
        return False
    parent = caller.parent
    return parent is None or not parent.networks or is_within(address, parent.networks)


def is_within(address: str | None, networks: Sequence[Network]) -> bool:
    """An IPv4 address inside an IPv6 one is the IPv4 address; one that is not known is nowhere."""
    if address is None:
        return False
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return any((mapped or ip) in network for network in networks)


def authorise(caller: Caller, model_id: str) -> None:
    """Let pass what is on the key's list of ids and patterns; an empty list is all.

    Raises:
        ModelNotAllowed: the list does not have it.
    """
    if not caller.may_call(model_id):
        raise ModelNotAllowed(
            f"This API key may not call {model_id!r}. GET /v1/models lists what it may call.", param="model"
        )


def declared_limits(key: DeclaredKey) -> tuple[Limit, ...]:
    """The limits of a key of the configuration file, as the ledger takes them."""
    limits = [Limit("usd", WINDOWS[name], amount, name) for name, amount in key.ceilings.items()]
    if key.rpm is not None:
        limits.append(Limit("requests", MINUTE_US, key.rpm, "rpm"))
    if key.tpm is not None:
        limits.append(Limit("tokens", MINUTE_US, key.tpm, "tpm"))
    if key.concurrency is not None:
        limits.append(Limit("concurrent", 0, key.concurrency, "concurrency"))
    return tuple(limits)


def milliseconds(timeout_s: float | None) -> int | None:
    """A key's timeout as it is stored: one at least."""
    return None if timeout_s is None else max(1, round(timeout_s * 1_000))
