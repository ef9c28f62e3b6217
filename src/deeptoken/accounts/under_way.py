"""A sign-in by an issuer, under way: what is known of it stands sealed in a cookie of the browser that began.

    Begun     sent to the issuer; ends when the browser comes back, with the same state
    Proven    the issuer has said who it is; the code of the second factor is still missing

Nothing of it is kept here: any worker can end what another began. That none ends twice is written down.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TypeVar

import msgspec

from deeptoken import clock, ids
from deeptoken.accounts.oidc import Sent
from deeptoken.accounts.person import Person
from deeptoken.errors import SignInFailed
from deeptoken.store.secrets import Secrets
from deeptoken.store.sqlite import StoreError

LASTS_US = 600_000_000
SEALED_MAX = 3_500
AGAIN = "This sign-in was not begun in this browser, or has ended. Begin again: GET /api/session/oidc."


class Begun(msgspec.Struct, frozen=True, kw_only=True, tag="begun"):
    """`session` is the one that begins to link an identity; None: somebody signs in."""

    provider: str
    issuer: str
    sent: Sent
    next: str
    """The local path to go to at the end."""
    expires_us: int
    session: str | None = None


class Proven(msgspec.Struct, frozen=True, kw_only=True, tag="proven"):
    """Who it is, before the second factor. `identity` is None of one that is not linked yet."""

    id: str
    provider: str
    person: Person
    user: str
    name: str
    identity: str | None
    expires_us: int


UnderWay = TypeVar("UnderWay", Begun, Proven)


def begin(provider: str, issuer: str, redirect_uri: str, next: str, session: str | None) -> Begun:
    """With a state, a nonce and a verifier of 256 bits each."""
    sent = Sent(
        state=ids.new_token(), nonce=ids.new_token(), verifier=ids.new_token(), redirect_uri=redirect_uri
    )
    return Begun(
        provider=provider,
        issuer=issuer,
        sent=sent,
        next=next,
        expires_us=clock.wall_us() + LASTS_US,
        session=session,
    )


def sealed(secrets: Secrets, what: Begun | Proven) -> str:
    """As the cookie has it."""
    said = msgspec.json.encode(what).decode()
    return urlsafe_b64encode(secrets.seal(said, type(what).__name__)).decode().rstrip("=")


def opened(secrets: Secrets, cookie: str | None, kind: type[UnderWay]) -> UnderWay:
    """Raises `SignInFailed`: there is none, it is somebody else's making, or its time is over."""
    if cookie is None or len(cookie) > SEALED_MAX:
        raise SignInFailed(AGAIN)
    try:
        raw = urlsafe_b64decode(cookie + "=" * (-len(cookie) % 4))
        what = msgspec.json.decode(secrets.open(raw, kind.__name__), type=kind)
    except (StoreError, ValueError):
        raise SignInFailed(AGAIN) from None
    if what.expires_us <= clock.wall_us():
        raise SignInFailed(AGAIN)
    return what
