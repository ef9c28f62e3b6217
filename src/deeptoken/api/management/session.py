"""Signing in and out: ``/api/session``, ``/api/password``, one's sessions and password."""

from typing import Annotated

import msgspec
from msgspec import Meta

from deeptoken import clock, ids
from deeptoken.accounts import letters, second_factor, sign_in
from deeptoken.accounts.attempts import checked_password
from deeptoken.accounts.change import Actor
from deeptoken.api.management.cookie import SignedIn, dropped, kept
from deeptoken.api.management.route import (
    Asked,
    Nothing,
    Page,
    Route,
    Slice,
    World,
    limit_of,
    sliced,
)
from deeptoken.errors import (
    AccountSuspended,
    NotFound,
    PreconditionFailed,
    SecondFactorRequired,
    SignInFailed,
)
from deeptoken.ledger.postings import Edit, Posting, Statement
from deeptoken.mail import Letter
from deeptoken.store.queries.sign_in import Login, Session, end_session, tidy_sessions

Password = Annotated[str, Meta(max_length=1_000)]
Code = Annotated[str, Meta(max_length=100)]
USER = "user:"


class SignIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A user's name and password; the code where there is a second factor."""

    user: Annotated[str, Meta(min_length=1, max_length=200)]
    password: Password
    code: Code | None = None


class NewPassword(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a link is good for: `token` is the link's."""

    token: Annotated[str, Meta(max_length=200)]
    password: Password


class ChangedPassword(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    current: Password
    password: Password
    code: Code | None = None


class SessionShown(msgspec.Struct, frozen=True, kw_only=True):
    """Where somebody is signed in."""

    id: str
    address: str | None
    agent: str
    """What the browser calls itself."""
    current: bool
    created_us: int
    seen_us: int
    """Within five minutes."""
    expires_us: int


class SignedInShown(msgspec.Struct, frozen=True, kw_only=True):
    """Who is signed in. `csrf` is sent as ``X-CSRF-Token`` with each change."""

    user: str
    operator: bool
    csrf: str
    session: SessionShown


def shown(session: Session, current: str) -> SessionShown:
    return SessionShown(
        id=session.id,
        address=session.address,
        agent=session.agent,
        current=session.id == current,
        created_us=session.created_us,
        seen_us=session.seen_us,
        expires_us=session.expires_us,
    )


def _told(name: str, operator: bool, session: Session, token: str) -> SignedInShown:
    return SignedInShown(
        user=name, operator=operator, csrf=sign_in.csrf(token), session=shown(session, session.id)
    )


def notify(world: World, name: str, what: str) -> None:
    """Tell a user's confirmed address that something was changed."""

    async def composed() -> Letter | None:
        found = await world.read(lambda reader: reader.reached(name))
        if found is None or found.address is None:
            return None
        return letters.changed(found.address, name, world.settings.server.public_url, what)

    world.mail.put(composed)


async def proven(asked: Asked, name: str, password: str, code: str | None) -> tuple[Login, list[Statement]]:
    """Who that is, and what takes the code. It counts as an attempt.

    Raises:
        TooManyAttempts: for that account, or from that address.
        SignInFailed: there is no such user, the password is wrong, or the code is.
        SecondFactorRequired: the password is right, and there is no code.
    """
    attempts, now_us = asked.world.attempts, clock.wall_us()
    attempts.take(name, asked.actor.address, now_us)
    login = await asked.world.read(lambda reader: reader.login(name))
    right = await attempts.right(None if login is None else login.hash, password)
    if login is None or not right:
        raise SignInFailed
    taken = []
    if login.factor is not None and login.factor.confirmed:
        if code is None:
            attempts.give_back(name, asked.actor.address)
            raise SecondFactorRequired
        secret = asked.world.secrets.open(login.factor.secret, login.user)
        step = second_factor.taken(login.user, login.factor, secret, code, now_us)
        if step is None:
            raise SignInFailed
        taken.append(step)
    if login.suspended:
        raise AccountSuspended("This account is suspended. Ask the operator why.")
    return login, taken


async def settled(asked: Asked, name: str, edit: Edit) -> None:
    """What was proven is done. Raises `SignInFailed`: the code was taken meanwhile."""
    try:
        await asked.change(edit)
    except PreconditionFailed:
        raise SignInFailed from None
    asked.world.attempts.give_back(name, asked.actor.address)


def signed_in(asked: Asked) -> SignedIn:
    """Of a route that needs a session."""
    assert asked.signed_in is not None, "the route needs no session"
    return asked.signed_in


def own_name(asked: Asked) -> str:
    return asked.actor.name.removeprefix(USER)


async def start(asked: Asked) -> SignedInShown:
    body = asked.body
    login, taken = await proven(asked, body.user, body.password, body.code)
    told = await enter(asked, login, *taken)
    asked.world.attempts.give_back(body.user, asked.actor.address)
    return told


async def enter(
    asked: Asked,
    login: Login,
    *taken: Statement,
    provider: str | None = None,
    also: tuple[Posting, ...] = (),
) -> SignedInShown:
    """Sign them in, in a session of its own, if what it takes is still there.

    Raises:
        SignInFailed: it was taken meanwhile.
    """
    actor = Actor(name=USER + login.name, account=login.user, by=login.user, address=asked.actor.address)
    session, token = _session(asked, login.user)
    try:
        await asked.change(sign_in.begin(actor, session, *taken, provider=provider), *also)
    except PreconditionFailed:
        raise SignInFailed from None
    now_us = clock.wall_us()
    await asked.world.post(tidy_sessions(now_us, now_us - sign_in.IDLE_US))
    asked.answer_headers.append(kept(token))
    return _told(login.name, login.operator, session, token)


def _session(asked: Asked, user: str) -> tuple[Session, str]:
    agent = asked.headers.get("user-agent", "")
    return sign_in.new_session(user, address=asked.actor.address, agent=agent)


async def show(asked: Asked) -> SignedInShown:
    there = signed_in(asked)
    return _told(own_name(asked), asked.actor.operator, there.session, there.token)


async def end(asked: Asked) -> Nothing:
    session = signed_in(asked).session
    await asked.world.post(end_session(session.id, session.user))
    asked.answer_headers.append(dropped())
    return Nothing()


async def list_sessions(asked: Asked) -> Slice:
    limit, after, there = limit_of(asked.query), asked.query.after, signed_in(asked).session
    rows = await asked.world.read(lambda reader: reader.sessions_of(there.user, after, limit + 1))
    return sliced([shown(row, there.id) for row in rows], limit, lambda row: str(row.id))


async def end_one(asked: Asked) -> Nothing:
    id, user = asked.path["id"], signed_in(asked).session.user
    try:
        await asked.change(end_session(id, user))
    except PreconditionFailed:
        raise NotFound(f"There is no session {id!r} here.") from None
    return Nothing()


async def change_password(asked: Asked) -> SignedInShown:
    body, name = asked.body, own_name(asked)
    checked_password(body.password, name)
    login, taken = await proven(asked, name, body.current, body.code)
    hash = await asked.world.attempts.hash(body.password)
    session, token = _session(asked, login.user)
    await settled(asked, name, sign_in.change_password(asked.actor, login.user, hash, session, *taken))
    asked.answer_headers.append(kept(token))
    notify(asked.world, name, "The password")
    return _told(login.name, login.operator, session, token)


async def follow_link(asked: Asked) -> Nothing:
    body, sha256 = asked.body, ids.digest(asked.body.token)
    asked.world.attempts.take(f"link {sha256.hex()}", asked.actor.address, clock.wall_us())
    name = await asked.world.read(lambda reader: reader.linked(sha256, clock.wall_us()))
    login = None if name is None else await asked.world.read(lambda reader: reader.login(name))
    if login is None:
        raise SignInFailed
    checked_password(body.password, login.name)
    hash = await asked.world.attempts.hash(body.password)
    actor = Actor(name=USER + login.name, account=login.user, by=login.user, address=asked.actor.address)
    await settled(asked, f"link {sha256.hex()}", sign_in.follow_link(actor, login.user, sha256, hash))
    notify(asked.world, login.name, "The password")
    return Nothing()


WRONG = (401, 403, 429)
ROUTES = [
    Route(method="POST", path="/api/session", needs="nobody", handler=start, body=SignIn,
          answer=SignedInShown, status=201, errors=WRONG, summary="Sign in: the session is a cookie"),
    Route(method="GET", path="/api/session", needs="session", handler=show, answer=SignedInShown,
          summary="Who is signed in, and the token that changes need"),
    Route(method="DELETE", path="/api/session", needs="session", handler=end, status=204, summary="Sign out"),
    Route(method="GET", path="/api/me/sessions", needs="session", handler=list_sessions, query=Page,
          answer=list[SessionShown], summary="Where one is signed in"),
    Route(method="DELETE", path="/api/me/sessions/{id}", needs="session", handler=end_one, status=204,
          errors=(404,), summary="Sign out there"),
    Route(method="PUT", path="/api/me/password", needs="session", handler=change_password,
          body=ChangedPassword, answer=SignedInShown, errors=WRONG,
          summary="Another password: every other session ends"),
    Route(method="PUT", path="/api/password", needs="nobody", handler=follow_link, body=NewPassword,
          status=204, errors=WRONG, summary="Set a password by a one-time link"),
]  # fmt: skip
