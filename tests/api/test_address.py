"""Whose address counts: nobody can write their own."""

import ipaddress

import pytest

from deeptoken.api.address import Proxies

TRUSTED = Proxies([ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")])


@pytest.mark.parametrize(
    ("peer", "headers", "client"),
    [
        ("192.0.2.1", {}, "192.0.2.1"),
        ("192.0.2.1", {b"x-forwarded-for": b"1.1.1.1"}, "192.0.2.1"),
        ("10.0.0.1", {}, "10.0.0.1"),
        ("10.0.0.1", {b"x-forwarded-for": b"1.1.1.1"}, "1.1.1.1"),
        ("10.0.0.1", {b"x-forwarded-for": b"6.6.6.6, 1.1.1.1"}, "1.1.1.1"),
        ("10.0.0.1", {b"x-forwarded-for": b"1.1.1.1, 10.0.0.2"}, "1.1.1.1"),
        ("10.0.0.1", {b"x-forwarded-for": b"1.1.1.1:4711"}, "1.1.1.1"),
        ("10.0.0.1", {b"x-forwarded-for": b"10.0.0.3, 10.0.0.2"}, "10.0.0.3"),
        ("10.0.0.1", {b"x-forwarded-for": b"1.1.1.1, nonsense"}, None),
        ("10.0.0.1", {b"forwarded": b'for=1.1.1.1;proto=https, for="[2001:db8::1]:80"'}, "2001:db8::1"),
        ("10.0.0.1", {b"forwarded": b"for=unknown"}, None),
        ("10.0.0.1", {b"forwarded": b"proto=https"}, None),
        ("fd00::1", {b"x-forwarded-for": b"2001:db8::7"}, "2001:db8::7"),
        (None, {b"x-forwarded-for": b"1.1.1.1"}, None),
    ],
)
def test_the_client_is_the_last_hop_that_a_trusted_proxy_saw(
    peer: str | None, headers: dict[bytes, bytes], client: str | None
) -> None:
    assert TRUSTED.client(peer, headers) == client
