"""API keys: who may come in, and with what words the rest is turned away."""

import hashlib
import ipaddress
import sys
from contextlib import suppress
from types import FrameType
from typing import Any

import pytest

from deeptoken import ids
from deeptoken.catalog.model import Group
from deeptoken.config_keys import CEILINGS, SCOPES
from deeptoken.errors import AddressNotAllowed, KeyInvalid, ModelNotAllowed
from deeptoken.identity.caller import Caller
from deeptoken.identity.keys import Keys, authorise, declared_limits
from deeptoken.ledger.postings import DAY_US, HOUR_US, MINUTE_US, WINDOWS, Limit
from deeptoken.money import NanoUsd
from deeptoken.settings import DeclaredKey

NOW_US = 1_800_000_000_000_000
BODY = "0123456789" * 4
SECRET = f"dtk_{BODY}{ids.checksum(BODY)}"


def caller(
    *networks: str, models: tuple[str, ...] = (), expires_us: int | None = None, secret: str = SECRET
) -> tuple[bytes, Caller]:
    return hashlib.sha256(secret.encode()).digest(), Caller(
        key="key_1",
        key_name="ci",
        owner="user:ops",
        wallet="usr_1",
        group=Group("default"),
        networks=tuple(ipaddress.ip_network(network) for network in networks),
        models=models,
        expires_us=expires_us,
    )


def keys(*networks: str, expires_us: int | None = None) -> Keys:
    return Keys(dict([caller(*networks, expires_us=expires_us)]))


def test_a_key_is_known_by_the_sha256_of_its_secret() -> None:
    found = keys().authenticate(SECRET, None, NOW_US)

    assert found.key == "key_1"


class Watched(dict[bytes, Caller]):
    """Notes what is looked up."""

    def __init__(self, callers: dict[bytes, Caller]) -> None:
        super().__init__(callers)
        self.asked: list[bytes] = []

    def get(self, digest: bytes, default: Any = None) -> Any:
        self.asked.append(digest)
        return super().get(digest, default)


def steps(secret: str) -> tuple[list[str], list[bytes]]:
    """Every call and line that it takes to refuse a key, and what was looked up."""
    watched, taken = Watched(dict([caller()])), []

    def step(frame: FrameType, event: str, _: object) -> Any:
        taken.append(f"{frame.f_code.co_name}:{frame.f_lineno}:{event}")
        return step

    known, before = Keys(watched), sys.gettrace()
    sys.settrace(step)
    try:
        with suppress(KeyInvalid):
            known.authenticate(secret, None, NOW_US)
    finally:
        sys.settrace(before)
    return taken, watched.asked


def test_the_look_up_takes_a_digest_and_no_more_steps_however_much_of_a_key_is_right() -> None:
    """What takes the same steps over values of the same length takes the same time."""
    right = BODY[:-1]
    bodies = (f"{right}0", f"{BODY[:20]}{'z' * 20}", "z" * 40)
    guesses = [f"dtk_{body}{ids.checksum(body)}" for body in bodies]
    typos = [SECRET[:-1] + "z", "dtk_z" + SECRET[5:]]

    for kind in (guesses, typos):
        took = [steps(secret) for secret in kind]
        assert all(taken == took[0][0] for taken, _ in took)
        assert [[len(digest) for digest in asked] for _, asked in took] == [[32]] * len(kind)
        assert [asked for _, asked in took] == [[ids.digest(secret)] for secret in kind]


@pytest.mark.parametrize("nothing", [None, ""])
def test_a_missing_key_is_told_how_to_send_one(nothing: str | None) -> None:
    with pytest.raises(KeyInvalid, match=r"Authorization: Bearer dtk_"):
        keys().authenticate(nothing, None, NOW_US)


@pytest.mark.parametrize(
    "secret",
    [
        "dtk_short",
        SECRET[:-1] + "!",
        SECRET[:10] + "Z" + SECRET[11:],
        "sk-" + SECRET[3:],
        SECRET + "x",
        "é" * 50,
    ],
)
def test_a_typo_is_called_a_typo(secret: str) -> None:
    with pytest.raises(KeyInvalid, match="typo") as refused:
        keys().authenticate(secret, None, NOW_US)

    assert secret not in str(refused.value)


def test_a_well_formed_key_that_nobody_made_is_unknown() -> None:
    other = f"dtk_{'A' * 40}{ids.checksum('A' * 40)}"

    with pytest.raises(KeyInvalid, match="not known"):
        keys().authenticate(other, None, NOW_US)


def test_a_revoked_key_is_out_even_if_it_is_still_listed() -> None:
    digest, one = caller()

    with pytest.raises(KeyInvalid, match="revoked"):
        Keys({digest: one}, {digest}).authenticate(SECRET, None, NOW_US)


def test_a_key_expires_at_its_time_and_not_before() -> None:
    expiring = keys(expires_us=NOW_US)

    assert expiring.authenticate(SECRET, None, NOW_US - 1).key == "key_1"
    with pytest.raises(KeyInvalid, match="expired"):
        expiring.authenticate(SECRET, None, NOW_US)


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("10.1.2.3", True),
        ("11.1.2.3", False),
        ("2001:db8::7", True),
        ("2001:db9::7", False),
        ("::ffff:10.1.2.3", True),
        ("::ffff:11.1.2.3", False),
        ("not an address", False),
        (None, False),
    ],
)
def test_a_key_bound_to_addresses_works_from_those_alone(address: str | None, inside: bool) -> None:
    bound = keys("10.0.0.0/8", "2001:db8::/32")

    if inside:
        assert bound.authenticate(SECRET, address, NOW_US).key == "key_1"
        return
    with pytest.raises(AddressNotAllowed):
        bound.authenticate(SECRET, address, NOW_US)


@pytest.mark.parametrize(
    ("models", "id", "allowed"),
    [
        ((), "anything", True),
        (("gpt-4o",), "gpt-4o", True),
        (("gpt-4o",), "gpt-4o-mini", False),
        (("gpt-4o*", "acme/*"), "gpt-4o-mini", True),
        (("gpt-4o*", "acme/*"), "claude", False),
    ],
)
def test_a_key_calls_what_is_on_its_list(models: tuple[str, ...], id: str, allowed: bool) -> None:
    _, one = caller(models=models)

    if allowed:
        authorise(one, id)
        return
    with pytest.raises(ModelNotAllowed) as refused:
        authorise(one, id)
    assert refused.value.param == "model"


def test_the_limits_of_a_declared_key_reach_the_ledger() -> None:
    ceilings = {"5h": NanoUsd(5), "7d": NanoUsd(7)}
    key = DeclaredKey("ci", "user:ops", b"", ceilings=ceilings, rpm=600, tpm=10_000, concurrency=4)

    limits = declared_limits(key)

    assert limits == (
        Limit("usd", 5 * HOUR_US, 5, "5h"),
        Limit("usd", 7 * DAY_US, 7, "7d"),
        Limit("requests", MINUTE_US, 600, "rpm"),
        Limit("tokens", MINUTE_US, 10_000, "tpm"),
        Limit("concurrent", 0, 4, "concurrency"),
    )


def test_the_configuration_knows_the_ledger_s_windows_and_all_scopes() -> None:
    assert set(CEILINGS) == set(WINDOWS)
    assert SCOPES == ("call", "read", "manage")
