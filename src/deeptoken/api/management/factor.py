"""The second factor: ``/api/me/second-factor``. Who changes it proves who they are again."""

from typing import Annotated

import msgspec
from msgspec import Meta

from deeptoken import clock
from deeptoken.accounts import second_factor, sign_in
from deeptoken.api.management.route import Asked, Nothing, Route
from deeptoken.api.management.session import WRONG, Code, Password, own_name, proven, settled, signed_in
from deeptoken.errors import Conflict, PreconditionFailed, SignInFailed
from deeptoken.store.queries.sign_in import Factor, begin_factor


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """What an authenticator takes. It is asked for once a code of it was confirmed."""

    secret: str
    uri: str


class Proof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    password: Password
    code: Code | None = None


class Confirmation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    code: Annotated[str, Meta(max_length=100)]


class FactorShown(msgspec.Struct, frozen=True, kw_only=True):
    """Whether there is one, and how many recovery codes are left."""

    confirmed: bool
    recovery_codes_left: int


class RecoveryCodes(msgspec.Struct, frozen=True, kw_only=True):
    """Each stands in for a code once. They are shown once."""

    recovery_codes: tuple[str, ...]


async def show(asked: Asked) -> FactorShown:
    factor = await _factor(asked)
    if factor is None or not factor.confirmed:
        return FactorShown(confirmed=False, recovery_codes_left=0)
    return FactorShown(confirmed=True, recovery_codes_left=len(factor.codes))


async def _factor(asked: Asked) -> Factor | None:
    login = await asked.world.read(lambda reader: reader.login(own_name(asked)))
    return None if login is None else login.factor


async def begin(asked: Asked) -> Begun:
    name, user = own_name(asked), signed_in(asked).session.user
    await proven(asked, name, asked.body.password, asked.body.code)
    await asked.world.attempts.give_back(name, asked.actor.address)
    secret = second_factor.new_secret()
    try:
        await asked.change(begin_factor(user, asked.world.secrets.seal(secret, user)))
    except PreconditionFailed:
        raise Conflict("There is a second factor already: take it away first.") from None
    return Begun(secret=secret, uri=second_factor.uri(secret, name))


async def confirm(asked: Asked) -> RecoveryCodes:
    name, user, now_us = own_name(asked), signed_in(asked).session.user, clock.wall_us()
    await asked.world.attempts.take(name, asked.actor.address, now_us)
    factor = await _factor(asked)
    if factor is None or factor.confirmed:
        raise Conflict("Begin first: POST /api/me/second-factor.")
    secret = asked.world.secrets.open(factor.secret, user)
    step = second_factor.step_of(secret, asked.body.code, now_us)
    if step is None:
        raise SignInFailed
    told, digests = second_factor.new_codes()
    await settled(asked, name, sign_in.confirm(asked.actor, user, factor.secret, step, digests))
    return RecoveryCodes(recovery_codes=told)


async def renew(asked: Asked) -> RecoveryCodes:
    name = own_name(asked)
    login, taken = await proven(asked, name, asked.body.password, asked.body.code)
    if login.factor is None or not taken:
        raise Conflict("There is no second factor that could be recovered.")
    told, digests = second_factor.new_codes()
    await settled(asked, name, sign_in.new_codes(asked.actor, login.user, digests, *taken))
    return RecoveryCodes(recovery_codes=told)


async def remove(asked: Asked) -> Nothing:
    name = own_name(asked)
    login, taken = await proven(asked, name, asked.body.password, asked.body.code)
    if not taken:
        raise Conflict("There is no second factor.")
    await settled(asked, name, sign_in.drop_factor(asked.actor, login.user, *taken))
    return Nothing()


FACTOR = "/api/me/second-factor"
ROUTES = [
    Route(method="GET", path=FACTOR, needs="session", handler=show, answer=FactorShown,
          summary="Whether one has a second factor"),
    Route(method="POST", path=FACTOR, needs="session", handler=begin, body=Proof, answer=Begun, status=201,
          errors=WRONG, summary="Begin with an authenticator"),
    Route(method="PUT", path=FACTOR, needs="session", handler=confirm, body=Confirmation,
          answer=RecoveryCodes, errors=WRONG, summary="Confirm it by a code: from now on it is asked for"),
    Route(method="POST", path=f"{FACTOR}/recovery-codes", needs="session", handler=renew, body=Proof,
          answer=RecoveryCodes, errors=WRONG, summary="Other recovery codes"),
    Route(method="DELETE", path=FACTOR, needs="session", handler=remove, body=Proof, status=204, errors=WRONG,
          summary="Take the second factor away"),
]  # fmt: skip
