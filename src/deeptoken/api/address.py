"""The client's address: the socket's, unless the peer is a proxy that the operator trusts.

Then it is the right-most entry of ``Forwarded`` (RFC 7239) or ``X-Forwarded-For`` that is no trusted proxy
itself. What stands further left was written by whoever sent it. An entry that is no address ends the search:
the address is unknown, and a key with an address list refuses it.
"""

import ipaddress
import re
from collections.abc import Mapping, Sequence

from deeptoken.identity.caller import Network

FOR = re.compile(r"(?:^|;)\s*for\s*=\s*(\"[^\"]*\"|[^;]*)", re.IGNORECASE)


class Proxies:
    """The proxies that are believed."""

    def __init__(self, trusted: Sequence[Network]) -> None:
        self.trusted = tuple(trusted)

    def client(self, peer: str | None, headers: Mapping[bytes, bytes]) -> str | None:
        """The client's address, None if it cannot be known. `headers` by lower-case name."""
        if not self.trusted or peer is None or not self._trusts(peer):
            return peer
        if (forwarded := headers.get(b"forwarded")) is not None:
            hops = [_for(element) for element in forwarded.decode("latin-1").split(",")]
        elif (chain := headers.get(b"x-forwarded-for")) is not None:
            hops = [_bare(hop.strip()) for hop in chain.decode("latin-1").split(",")]
        else:
            return peer
        for hop in reversed(hops):
            if hop is None or not self._trusts(hop):
                return hop
        return hops[0]

    def _trusts(self, address: str) -> bool:
        ip = ipaddress.ip_address(address)
        return any(ip in network for network in self.trusted)


def _for(element: str) -> str | None:
    found = FOR.search(element)
    return _bare(found[1].strip().strip('"')) if found else None


def _bare(hop: str) -> str | None:
    """``192.0.2.1:80`` and ``[2001:db8::1]:80`` without their port; None if it is no address."""
    if hop.startswith("["):
        hop = hop[1:].partition("]")[0]
    elif hop.count(":") == 1:
        hop = hop.partition(":")[0]
    try:
        return str(ipaddress.ip_address(hop))
    except ValueError:
        return None
