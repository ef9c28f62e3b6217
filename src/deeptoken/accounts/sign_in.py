"""Signing in: sessions, one-time links that set a password, and what is written down of them.

    link -> password -> session (a cookie) -> ended by signing out, by a new password, after 7 idle or 30 days

A session's token is made anew at each sign-in and at each change of the password; only its SHA-256 is kept.
"""

import hmac
from base64 import urlsafe_b64encode

from deeptoken import clock, ids
from deeptoken.accounts.change import Actor, change
from deeptoken.ledger.postings import Edit, Statement
from deeptoken.store.queries.sign_in import (
    Session,
    add_session,
    confirm_factor,
    remove_factor,
    renew_codes,
    set_link,
    set_password,
    use_link,
)

DAY_US = 86_400_000_000
SESSION_US = 30 * DAY_US
IDLE_US = 7 * DAY_US
SEEN_EVERY_US = 300_000_000
"""How often it is written down that a session is in use."""
LINK_US = DAY_US
AGENT_MAX = 200


def new_session(user: str, *, address: str | None, agent: str) -> tuple[Session, str]:
    """With its token."""
    token, now_us = ids.new_token(), clock.wall_us()
    session = Session(
        id=ids.new_id("ses"),
        user=user,
        sha256=ids.digest(token),
        address=address,
        agent=agent[:AGENT_MAX],
        created_us=now_us,
        seen_us=now_us,
        expires_us=now_us + SESSION_US,
    )
    return session, token


def csrf(token: str) -> str:
    """What a page sends as ``X-CSRF-Token``: made of the session's token, which no page can read."""
    return urlsafe_b64encode(hmac.digest(token.encode(), b"csrf", "sha256")).decode().rstrip("=")


def begin(actor: Actor, session: Session, *taken: Statement, provider: str | None = None) -> Edit:
    """A session, if what it takes is still there: a code of the second factor, an identity of `provider`."""
    by = {} if provider is None else {"by": provider}
    return change(
        actor,
        "user.sign-in",
        actor.name,
        *taken,
        add_session(session),
        tenant=session.user,
        after={"session": session.id, "agent": session.agent} | by,
    )


def change_password(actor: Actor, user: str, hash: str, session: Session, *taken: Statement) -> Edit:
    """All sessions end; the one that changed it goes on as another."""
    steps = (*taken, set_password(user, hash, clock.wall_us()), add_session(session))
    return change(actor, "user.password", actor.name, *steps, tenant=user)


def follow_link(actor: Actor, user: str, sha256: bytes, hash: str) -> Edit:
    """A password, by a link that is open."""
    now_us = clock.wall_us()
    steps = (use_link(user, sha256, now_us), set_password(user, hash, now_us))
    return change(actor, "user.password", actor.name, *steps, tenant=user, after={"by": "link"})


def new_link(
    actor: Actor, user: str, name: str, *, without_second_factor: bool = False, lasts_us: int = LINK_US
) -> tuple[Edit, str, int]:
    """A token that sets a user's password once, and when it ends. An earlier one of the user ends now."""
    token, expires_us = ids.new_token(), clock.wall_us() + lasts_us
    steps = [set_link(user, ids.digest(token), expires_us)]
    if without_second_factor:
        steps.append(remove_factor(user))
    edit = change(
        actor,
        "user.link",
        f"user:{name}",
        *steps,
        tenant=user,
        after={"expires_us": expires_us, "second_factor_removed": without_second_factor},
    )
    return edit, token, expires_us


def confirm(actor: Actor, user: str, secret: bytes, step: int, codes: tuple[str, ...]) -> Edit:
    """The second factor is asked for from now on."""
    step_taken = confirm_factor(user, secret, step, codes, clock.wall_us())
    return change(
        actor, "user.second-factor", actor.name, step_taken, tenant=user, after={"second_factor": True}
    )


def drop_factor(actor: Actor, user: str, *taken: Statement) -> Edit:
    return change(
        actor,
        "user.second-factor",
        actor.name,
        *taken,
        remove_factor(user),
        tenant=user,
        after={"second_factor": False},
    )


def new_codes(actor: Actor, user: str, codes: tuple[str, ...], *taken: Statement) -> Edit:
    """Other recovery codes; the old ones end."""
    return change(
        actor,
        "user.second-factor",
        actor.name,
        *taken,
        renew_codes(user, codes),
        tenant=user,
        after={"recovery_codes": len(codes)},
    )
