"""The second factor: a code of the moment (TOTP, RFC 6238), or one of the recovery codes, each taken once."""

from urllib.parse import quote

import pyotp

from deeptoken import ids
from deeptoken.ledger.postings import Statement
from deeptoken.store.queries.sign_in import Factor, set_codes, take_step

STEP_S = 30
DIGITS = 6
RECOVERY_CODES = 10
ISSUER = "DeepToken"


def new_secret() -> str:
    """160 bits, in base32, as authenticators take it."""
    return ids.new_code(32)


def uri(secret: str, name: str) -> str:
    """What an authenticator's camera reads."""
    label = quote(f"{ISSUER}:{name}", safe="")
    return f"otpauth://totp/{label}?secret={secret}&issuer={ISSUER}&digits={DIGITS}&period={STEP_S}"


def new_codes() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Recovery codes of 80 bits as they are shown once, and what is kept of them."""
    codes = tuple(ids.new_code(16) for _ in range(RECOVERY_CODES))
    told = tuple("-".join(code[n : n + 4] for n in range(0, 16, 4)).lower() for code in codes)
    return told, tuple(ids.digest(code).hex() for code in codes)


def step_of(secret: str, code: str, now_us: int) -> int | None:
    """The time step that a code belongs to: this one, or the one before or behind."""
    totp, code = pyotp.TOTP(secret, digits=DIGITS, interval=STEP_S), _plain(code)
    now = now_us // (STEP_S * 1_000_000)
    for step in (now, now - 1, now + 1):
        if pyotp.utils.strings_equal(totp.generate_otp(step), code):
            return step
    return None


def taken(user: str, factor: Factor, secret: str, code: str, now_us: int) -> Statement | None:
    """What takes a code, so that it is not taken twice; None: it is wrong, or was taken before."""
    step = step_of(secret, code, now_us)
    if step is not None:
        return take_step(user, step) if step > factor.step else None
    digest = ids.digest(_plain(code)).hex()
    if digest not in factor.codes:
        return None
    return set_codes(user, factor.codes, tuple(kept for kept in factor.codes if kept != digest))


def _plain(code: str) -> str:
    return code.replace(" ", "").replace("-", "").upper()
