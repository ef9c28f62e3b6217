"""Own keys: ``/api/keys``. Those of an organization are the same under ``/api/orgs/{slug}/keys``."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from deeptoken.accounts import keys
from deeptoken.accounts.keys import KeyShown, Webhook
from deeptoken.accounts.permissions import SCOPES, ensure_gives
from deeptoken.api.management.route import Asked, Nothing, Page, Route, Slice, limit_of, one, sliced
from deeptoken.errors import Conflict
from deeptoken.store.queries.people import Key

Usd = Decimal
Count = Annotated[int, Meta(ge=1, le=10**15)]
Window = Literal["5h", "1d", "7d"]
GRACE_MAX_S = 30 * 86_400
SECOND_US = 1_000_000


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a key may. What is not there stays as it is; null, or an empty list, takes the rule away.

    Ceilings are USD in a rolling window, `timeout` seconds, `expires` a date or a moment.
    """

    models: list[str] | UnsetType | None = UNSET
    ips: list[str] | UnsetType | None = UNSET
    ceilings: dict[Window, Usd] | UnsetType | None = UNSET
    rpm: Count | UnsetType | None = UNSET
    tpm: Count | UnsetType | None = UNSET
    concurrency: Count | UnsetType | None = UNSET
    timeout: Annotated[float, Meta(gt=0, le=10**8)] | UnsetType | None = UNSET
    scope: Literal["call", "read", "manage"] | UnsetType = UNSET
    expires: datetime | UnsetType | None = UNSET
    cheaper_model: Annotated[str, Meta(min_length=1, max_length=256)] | UnsetType | None = UNSET
    webhook: Webhook | UnsetType | None = UNSET
    children: bool | UnsetType = UNSET

    def told(self) -> dict[str, Any]:
        """As `accounts.keys.ruled` takes them."""
        values = {name: getattr(self, name) for name in Rules.__struct_fields__}
        told = {name: value for name, value in values.items() if value is not UNSET}
        if isinstance(told.get("timeout"), float):
            told["timeout"] = Decimal(str(told["timeout"]))
        return told


class NewKey(Rules, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key to be made."""

    name: Annotated[str, Meta(min_length=1, max_length=keys.NAME_MAX)]


class Made(KeyShown, frozen=True, kw_only=True):
    """A key with its secret, which is shown this once."""

    secret: str


class Rotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For how many seconds the old secret goes on."""

    grace: Annotated[int, Meta(ge=0, le=GRACE_MAX_S)] = 0


class Owner(msgspec.Struct, frozen=True):
    """Whose keys a request is about."""

    id: str
    name: str


def owner_of(asked: Asked) -> Owner:
    """The organization of the path, else the actor's own account."""
    if asked.tenant is not None:
        return Owner(asked.tenant.id, asked.tenant.owner)
    assert asked.actor.account is not None
    return Owner(asked.actor.account, asked.actor.name)


async def _key(asked: Asked) -> Key:
    owner, id = owner_of(asked).id, asked.path["id"]
    found = await asked.world.read(lambda reader: reader.key(id))
    return one(found if found is not None and found.owner == owner else None, "key", id)


def _ours(key: Key) -> Key:
    """Refuse what the file owns."""
    if keys.is_of_file(key):
        raise Conflict(f"The configuration file declares the key {key.name!r}: change it there.")
    if key.revoked_us is not None:
        raise Conflict(f"The key {key.name!r} is revoked, which is for good: create another.")
    return key


def _ensure_may(asked: Asked, *scopes: str) -> None:
    """Raises `PermissionDenied`: such a key of the organization could do what the actor cannot."""
    for scope in scopes if asked.tenant is not None else ():
        ensure_gives(asked.may, SCOPES[scope], f"A key of the scope {scope!r}")


async def list_keys(asked: Asked) -> Slice:
    owner, limit = owner_of(asked), limit_of(asked.query)
    rows = await asked.world.read(lambda reader: reader.keys_of(owner.id, asked.query.after, limit + 1))
    return sliced([keys.shown(key, owner.name) for key in rows], limit, lambda key: str(key.id))


async def show_key(asked: Asked) -> KeyShown:
    return keys.shown(await _key(asked), owner_of(asked).name)


async def create_key(asked: Asked) -> Made:
    owner, body = owner_of(asked), asked.body
    others = await asked.world.read(lambda reader: reader.keys_of(owner.id, "", 1_000_000))
    name = keys.checked_name(body.name, owner.id, others)
    key, secret = keys.new_key(name, owner.id, created_by=asked.actor.user)
    key = keys.ruled(key, body.told())
    _ensure_may(asked, key.scope)
    await asked.change(keys.create(asked.actor, key, owner.name))
    return _with_secret(keys.shown(key, owner.name), secret)


async def change_key(asked: Asked) -> KeyShown:
    owner, key = owner_of(asked), _ours(await _key(asked))
    asked.matched(key.version)
    wanted = keys.ruled(key, asked.body.told())
    _ensure_may(asked, key.scope, wanted.scope)
    if wanted == key:
        return keys.shown(key, owner.name)
    await asked.change(keys.edit(asked.actor, key, wanted, owner.name))
    return keys.shown(msgspec.structs.replace(wanted, version=key.version + 1), owner.name)


async def rotate_key(asked: Asked) -> Made:
    owner, key = owner_of(asked), _ours(await _key(asked))
    _ensure_may(asked, key.scope)
    done, then, secret, _ = keys.rotate(asked.actor, key, owner.name, asked.body.grace * SECOND_US)
    await asked.change(done)
    return _with_secret(keys.shown(then, owner.name), secret)


async def revoke_key(asked: Asked) -> KeyShown:
    """A second time it changes nothing."""
    owner, key = owner_of(asked), await _key(asked)
    if key.revoked_us is None:
        await asked.change(keys.revoke(asked.actor, key, owner.name))
    return keys.shown(await _key(asked), owner.name)


async def delete_key(asked: Asked) -> Nothing:
    owner, key = owner_of(asked), await _key(asked)
    if keys.is_of_file(key):
        raise Conflict(f"The configuration file declares the key {key.name!r}: take it out there first.")
    if key.revoked_us is None:
        raise Conflict(f"The key {key.name!r} still works: revoke it first.")
    await asked.change(keys.delete(asked.actor, key, owner.name))
    return Nothing()


def _with_secret(key: KeyShown, secret: str) -> Made:
    return Made(**msgspec.structs.asdict(key), secret=secret)


def routes(prefix: str, read: Any, manage: Any, whose: str) -> list[Route]:
    """The routes of keys under `prefix`, for who has the permissions `read` and `manage`."""
    one_key = f"{prefix}/{{id}}"
    return [
        Route(method="GET", path=prefix, needs=read, handler=list_keys, query=Page, answer=list[KeyShown],
              summary=f"{whose} keys, oldest first"),
        Route(method="POST", path=prefix, needs=manage, handler=create_key, body=NewKey, answer=Made,
              status=201, errors=(409,), summary="A new key; its secret is shown this once"),
        Route(method="GET", path=one_key, needs=read, handler=show_key, answer=KeyShown, errors=(404,),
              summary="One key"),
        Route(method="PATCH", path=one_key, needs=manage, handler=change_key, body=Rules, answer=KeyShown,
              matched=True, errors=(404, 409), summary="Change what a key may"),
        Route(method="DELETE", path=one_key, needs=manage, handler=delete_key, status=204,
              errors=(404, 409, 412), summary="Take a revoked key out of the list; its usage stays"),
        Route(method="POST", path=f"{one_key}/revoke", needs=manage, handler=revoke_key, answer=KeyShown,
              errors=(404, 412), summary="End a key, at once and for good"),
        Route(method="POST", path=f"{one_key}/rotate", needs=manage, handler=rotate_key, body=Rotation,
              answer=Made, errors=(404, 409, 412), summary="Give a key another secret"),
    ]  # fmt: skip


ROUTES = routes("/api/keys", "account", "account", "Own")
