"""Codes of the moment against the vectors of RFC 6238, and each taken once."""

from base64 import b32encode

import pytest

from deeptoken.accounts import second_factor
from deeptoken.store.queries.sign_in import Factor

NOW = 1_800_000_000_000_000
SECRET = b32encode(b"12345678901234567890").decode()
"""Appendix B's, of which the last six digits are taken."""


@pytest.mark.parametrize(
    ("at_s", "code"),
    [
        pytest.param(1_111_111_111, "050471", id="1111111111"),
        pytest.param(1_111_111_109, "081804", id="1111111109"),
        pytest.param(1_234_567_890, "005924", id="1234567890"),
        pytest.param(20_000_000_000, "353130", id="20000000000"),
    ],
)
def test_the_vectors_of_the_rfc(at_s: int, code: str) -> None:
    at_us, step = at_s * 1_000_000, at_s // 30

    assert second_factor.step_of(SECRET, code, at_us) == step
    assert second_factor.step_of(SECRET, f" {code[:3]} {code[3:]}", at_us + 30_000_000) == step
    assert second_factor.step_of(SECRET, code, at_us + 60_000_000) is None
    assert second_factor.step_of(SECRET, code, at_us - 60_000_000) is None


def test_a_code_is_taken_of_a_later_step_alone() -> None:
    step = 59 // 30
    fresh = Factor(secret=b"", step=step - 1, codes=(), confirmed=True)
    used = Factor(secret=b"", step=step, codes=(), confirmed=True)

    assert second_factor.taken("usr_1", fresh, SECRET, "287082", 59_000_000) is not None
    assert second_factor.taken("usr_1", used, SECRET, "287082", 59_000_000) is None


def test_a_recovery_code_is_known_as_people_type_it_and_leaves_the_others() -> None:
    told, kept = second_factor.new_codes()
    factor = Factor(secret=b"", step=0, codes=kept, confirmed=True)

    statement = second_factor.taken("usr_1", factor, SECRET, told[3].replace("-", " ").upper(), NOW)

    assert len(set(told)) == second_factor.RECOVERY_CODES
    assert statement is not None
    assert kept[3] not in str(statement.parameters[2])
    assert kept[4] in str(statement.parameters[2])
    assert second_factor.taken("usr_1", factor, SECRET, "aaaa-aaaa-aaaa-aaaa", NOW) is None


def test_what_an_authenticator_reads() -> None:
    assert second_factor.uri("ABC", "ann@example.com") == (
        "otpauth://totp/DeepToken%3Aann%40example.com?secret=ABC&issuer=DeepToken&digits=6&period=30"
    )
