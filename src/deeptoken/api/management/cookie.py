"""The cookie of a session, and how a request shows that it comes from our own page and not somebody else's.

A browser says where a request comes from (``Sec-Fetch-Site``, else ``Origin``); what changes something in a
session sends ``X-CSRF-Token`` besides, which only a page that could read an answer of ours knows.
"""

import hmac
from collections.abc import Mapping

import msgspec

from deeptoken.accounts.sign_in import SESSION_US, csrf
from deeptoken.accounts.under_way import LASTS_US
from deeptoken.errors import CsrfFailed
from deeptoken.store.queries.sign_in import Session

COOKIE = "__Host-deeptoken"
"""The prefix: browsers take it from this very host alone, over TLS or from this machine (RFC 6265bis)."""
BEGUN, PROVEN = f"{COOKIE}-oidc", f"{COOKIE}-code"
"""Of a sign-in by an issuer that is under way: before it has said who it is, and after."""
KEPT = "Path=/; Secure; HttpOnly; SameSite=Lax"
OWN = ("same-origin", "none")


class SignedIn(msgspec.Struct, frozen=True):
    """A session, and the token that its cookie brought."""

    session: Session
    token: str


def kept(token: str) -> tuple[str, str]:
    """The header that gives a browser the cookie."""
    return "set-cookie", f"{COOKIE}={token}; {KEPT}; Max-Age={SESSION_US // 1_000_000}"


def carried(name: str, sealed: str) -> tuple[str, str]:
    """The header that gives it what is under way."""
    return "set-cookie", f"{name}={sealed}; {KEPT}; Max-Age={LASTS_US // 1_000_000}"


def dropped() -> tuple[str, str]:
    """The header that takes it away."""
    return "set-cookie", f"{COOKIE}=; {KEPT}; Max-Age=0"


def ensure_own_page(headers: Mapping[str, str]) -> None:
    """Raises `CsrfFailed`: a browser says that another site's page sent this. Others say nothing of it."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        own = site in OWN
    else:
        own = origin is None or origin.partition("://")[2] == headers.get("host")
    if not own:
        raise CsrfFailed("This came from a page of another site.")


def ensure_token(headers: Mapping[str, str], token: str) -> None:
    """Raises `CsrfFailed`: the header that belongs to the session is not there."""
    if not hmac.compare_digest(headers.get("x-csrf-token", "").encode(), csrf(token).encode()):
        raise CsrfFailed("Send the csrf that GET /api/session tells as X-CSRF-Token.")
