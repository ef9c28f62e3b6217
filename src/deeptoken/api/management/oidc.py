"""Signing in by the word of an issuer: ``/api/session/oidc``.

    GET  /api/session/oidc/{name}             a state in a cookie, and on to the issuer
    GET  /api/session/oidc/{name}/callback    back with the same state: a session, and on to a page of ours
    POST /api/session/oidc                    the code of the second factor, where the user has one

The same way back ends what ``POST /api/me/identities`` begins: it links instead of signing in.
"""

import hmac
import re

import msgspec

from deeptoken import clock, ids
from deeptoken.accounts import identities, second_factor, under_way
from deeptoken.accounts.administration import create_user, new_user
from deeptoken.accounts.change import Actor
from deeptoken.accounts.person import Person
from deeptoken.accounts.sign_in import IDLE_US
from deeptoken.accounts.under_way import AGAIN, LASTS_US, Begun, Proven
from deeptoken.api.management.cookie import BEGUN, COOKIE, PROVEN, carried
from deeptoken.api.management.invitations import is_invited
from deeptoken.api.management.route import Asked, Redirect, Route, Slice, one
from deeptoken.api.management.session import USER, WRONG, Code, SignedInShown, enter, notify
from deeptoken.errors import AccountSuspended, BadRequest, PreconditionFailed, SignInFailed
from deeptoken.ledger.postings import Statement
from deeptoken.settings import Oidc
from deeptoken.store.queries.identities import Known, take_sign_in, tidy_sign_ins
from deeptoken.store.queries.sign_in import Login
from deeptoken.store.reads import Reader

OIDC = "/api/session/oidc"
LOCAL = re.compile(r"/(?:[!-.0-\[\]-~][!-\[\]-~]{0,498})?")
"""A path of ours: no other host (``//``), no backslash, which browsers take for a slash."""
CODE_MISSING = "second_factor=required"
"""In the query of where a browser goes on: ``POST /api/session/oidc`` takes the code."""
WAYS = "The list of linked accounts"
SUSPENDED = "This account is suspended. Ask the operator why."


class ProviderShown(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody whose word is taken. `start` is where a browser goes to sign in."""

    name: str
    label: str
    start: str


class Start(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    next: str = "/"
    """The local path to go to at the end."""


class Callback(msgspec.Struct, frozen=True, kw_only=True):
    """What an issuer sends a browser back with; some send more."""

    state: str = ""
    code: str = ""
    error: str = ""
    iss: str | None = None


class SecondFactor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    code: Code


def local(next: str) -> str:
    """Raises `BadRequest`: that is no path of this host."""
    if not LOCAL.fullmatch(next):
        raise BadRequest("next: a path of this host, such as /usage.", param="next")
    return next


def provider(asked: Asked, name: str) -> Oidc:
    """Raises `NotFound`: the configuration has none of that name."""
    found = {declared.name: declared for declared in asked.world.settings.oidc}
    return one(found.get(name), "sign-in", name)


async def list_providers(asked: Asked) -> Slice:
    rows = [
        ProviderShown(name=at.name, label=at.label, start=f"{OIDC}/{at.name}")
        for at in asked.world.settings.oidc
    ]
    return Slice(rows, None)


async def start(asked: Asked) -> Redirect:
    at, next = provider(asked, asked.path["name"]), local(asked.query.next)
    asked.world.attempts.take_from(asked.actor.address, clock.wall_us())
    return Redirect(await leave(asked, at, next))


async def leave(asked: Asked, at: Oidc, next: str, *, session: str | None = None) -> str:
    """Where the browser goes, which gets the cookie to come back with."""
    back = f"{asked.world.settings.server.public_url}{OIDC}/{at.name}/callback"
    begun = under_way.begin(at.name, at.issuer, back, next, session)
    url = await asked.world.issuers.begin(at, begun.sent)
    asked.answer_headers.append(carried(BEGUN, under_way.sealed(asked.world.secrets, begun)))
    return url


async def come_back(asked: Asked) -> Redirect:
    at, told, world = provider(asked, asked.path["name"]), asked.query, asked.world
    world.attempts.take_from(asked.actor.address, clock.wall_us())
    begun = under_way.opened(world.secrets, asked.cookies.get(BEGUN), Begun)
    same = hmac.compare_digest(begun.sent.state.encode(), told.state.encode())
    if not same or (begun.provider, begun.issuer) != (at.name, at.issuer):
        raise SignInFailed(AGAIN)
    await _once(asked, begun.sent.state, begun.expires_us)
    await world.issuers.ensure_from(at, told.iss)
    if told.error:
        raise SignInFailed(f"{at.label} did not let you in ({told.error[:100]!a}). Begin again.")
    if not told.code:
        raise BadRequest("code: the issuer sends one with the state.", param="code")

    async def wanted(subject: str) -> bool:
        """Only of who comes the first time, unless the domain counts each time."""
        known = await world.read(lambda reader: reader.known(at.issuer, subject))
        return known is None or bool(at.domains)

    person = await world.issuers.person(at, begun.sent, told.code, address=wanted)
    identities.ensure_welcome(at, person)
    if begun.session is not None:
        await _link(asked, at, begun.session, person)
        where = begun.next
    else:
        where = await _sign_in(asked, at, begun.next, person)
    for _ in ("its start", "its end"):
        world.attempts.give_back_from(asked.actor.address)
    return Redirect(where)


async def _once(asked: Asked, token: str, expires_us: int) -> None:
    """Raises `SignInFailed`: it has come to an end before."""
    try:
        await asked.change(take_sign_in(ids.digest(token), expires_us))
    except PreconditionFailed:
        raise SignInFailed(AGAIN) from None
    await asked.world.post(tidy_sign_ins(clock.wall_us()))


async def _sign_in(asked: Asked, at: Oidc, next: str, person: Person) -> str:
    """Where to go on, signed in or to say the second factor's code."""

    def ask(reader: Reader) -> tuple[Known | None, Login | None]:
        known = reader.known(person.issuer, person.subject)
        if known is None and at.match_email and person.email is not None:
            known = _by_address(reader, person.issuer, person.email)
        return known, None if known is None else reader.login(known.name)

    known, login = await asked.world.read(ask)
    if known is None or login is None:
        await _welcome(asked, at, person)
        return next
    if login.suspended:
        raise AccountSuspended(SUSPENDED)
    if login.factor is not None and login.factor.confirmed:
        proven = Proven(
            id=ids.new_token(),
            provider=at.name,
            person=person,
            user=known.user,
            name=known.name,
            identity=known.identity,
            expires_us=clock.wall_us() + LASTS_US,
        )
        asked.answer_headers.append(carried(PROVEN, under_way.sealed(asked.world.secrets, proven)))
        return _without_code(next)
    await _enter(asked, at.name, login, person, known.identity)
    return next


def _without_code(next: str) -> str:
    """The same place, told that the code is missing."""
    place, mark, part = next.partition("#")
    return f"{place}{'&' if '?' in place else '?'}{CODE_MISSING}{mark}{part}"


def _by_address(reader: Reader, issuer: str, address: str) -> Known | None:
    """Who has confirmed it, unless the issuer knows them as somebody else: an address changes hands."""
    known = reader.confirmed(address)
    if known is None or any(row.issuer == issuer for row in reader.identities_of(known.user)):
        return None
    return known


async def _enter(
    asked: Asked, by: str, login: Login, person: Person, identity: str | None, *taken: Statement
) -> SignedInShown:
    actor = _actor(asked, login.user, login.name)
    arrived = identities.arrived(actor, login.user, login.name, person, identity)
    told = await enter(asked, login, *taken, *arrived, provider=by)
    if identity is None:
        notify(asked.world, login.name, WAYS)
    return told


async def _welcome(asked: Asked, at: Oidc, person: Person) -> None:
    """A user for somebody whom nobody knows yet.

    Raises:
        PermissionDenied: nobody has asked them in, or the issuer has verified no address of theirs.
        Conflict: a user of that name or address is there.
    """
    world, address = asked.world, person.email
    if not at.create_users and (
        address is None or not await world.read(lambda reader: is_invited(reader, address))
    ):
        raise identities.unknown(at)
    name = identities.name_of(at, person)
    if await world.read(lambda reader: reader.named(name) or reader.confirmed(name) is not None):
        raise identities.taken(name)
    user = new_user(name)
    actor = _actor(asked, user.id, name)
    made, wallet = create_user(actor, user)
    linked = identities.linked(actor, user.id, name, person, used=True)
    login = Login(user=user.id, name=name, operator=False, suspended=False)
    steps = (*made.steps, identities.confirmed(user, person), *linked)
    await enter(asked, login, *steps, provider=at.name, also=(wallet,))


async def _link(asked: Asked, at: Oidc, session: str, person: Person) -> None:
    """Link whom the issuer means to who began it, and is still signed in."""
    token, now_us = asked.cookies.get(COOKIE, ""), clock.wall_us()
    visitor = await asked.world.read(
        lambda reader: reader.visitor(ids.digest(token), now_us, now_us - IDLE_US)
    )
    if visitor is None or visitor.session.id != session:
        raise SignInFailed(AGAIN)
    if visitor.suspended:
        raise AccountSuspended(SUSPENDED)
    user, name = visitor.session.user, visitor.name
    known = await asked.world.read(lambda reader: reader.known(person.issuer, person.subject))
    if known is not None and known.user == user:
        return
    await asked.change(identities.link(_actor(asked, user, name), user, name, person))
    notify(asked.world, name, WAYS)


async def finish(asked: Asked) -> SignedInShown:
    """By the code, which counts as an attempt."""
    world, address, now_us = asked.world, asked.actor.address, clock.wall_us()
    proven = under_way.opened(world.secrets, asked.cookies.get(PROVEN), Proven)
    world.attempts.take(proven.name, address, now_us)
    login = await world.read(lambda reader: reader.login(proven.name))
    if login is None or proven.person.issuer not in [at.issuer for at in world.settings.oidc]:
        raise SignInFailed(AGAIN)
    if login.suspended:
        raise AccountSuspended(SUSPENDED)
    taken = [take_sign_in(ids.digest(proven.id), proven.expires_us)]
    if login.factor is not None and login.factor.confirmed:
        secret = world.secrets.open(login.factor.secret, login.user)
        step = second_factor.taken(login.user, login.factor, secret, asked.body.code, now_us)
        if step is None:
            raise SignInFailed
        taken.append(step)
    told = await _enter(asked, proven.provider, login, proven.person, proven.identity, *taken)
    world.attempts.give_back(proven.name, address)
    return told


def _actor(asked: Asked, user: str, name: str) -> Actor:
    return Actor(name=USER + name, account=user, by=user, address=asked.actor.address)


ASKED = (*WRONG, 404, 502, 504)
ROUTES = [
    Route(method="GET", path=OIDC, needs="nobody", handler=list_providers, answer=list[ProviderShown],
          summary="By whose word one can sign in"),
    Route(method="GET", path=f"{OIDC}/{{name}}", needs="nobody", handler=start, query=Start, answer=Redirect,
          status=303, errors=ASKED, summary="Sign in by the word of an issuer: on to it"),
    Route(method="GET", path=f"{OIDC}/{{name}}/callback", needs="nobody", handler=come_back, query=Callback,
          answer=Redirect, status=303, errors=(*ASKED, 409), summary="Back from the issuer"),
    Route(method="POST", path=OIDC, needs="nobody", handler=finish, body=SecondFactor, answer=SignedInShown,
          status=201, errors=WRONG, summary="Say the second factor's code after an issuer's word"),
]  # fmt: skip
