"""API keys: what they may, how they are made, changed and ended.

    create -> revoke (at once, for good) -> delete (its usage stays)
    rotate = another secret under the same id; the old one goes on as its child for a while

What a key may is read as the configuration file reads it; a limit that could not take effect is refused.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec

from deeptoken import clock, ids
from deeptoken.accounts.change import Actor, change
from deeptoken.config_fields import Wrong, read_table
from deeptoken.config_keys import CEILINGS, COUNTS, WEBHOOK_MAX, contradiction, key_fields
from deeptoken.config_keys import webhook as read_webhook
from deeptoken.config_sections import Sources
from deeptoken.errors import BadRequest, Conflict
from deeptoken.identity.keys import declared_limits, milliseconds
from deeptoken.ledger.postings import Edit, Limit, Statement
from deeptoken.money import NanoUsd, credits
from deeptoken.settings import DeclaredKey
from deeptoken.store.queries.people import Key
from deeptoken.store.queries.statements import add_key, delete_key, revoke_key, set_key

ORDER = (*CEILINGS, "total", *COUNTS)
OLD = 6
"""How many characters of its id tell an old secret's key from the next one."""
NAME_MAX = 100
Webhook = Annotated[str, msgspec.Meta(pattern="^https://", max_length=WEBHOOK_MAX)]
"""An address that is told of budgets: of a key, of an organization."""


class KeyShown(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is told to people: never its secret. Amounts are credits, `timeout` seconds."""

    id: str
    name: str
    owner: str
    prefix: str
    state: str
    """``active``, ``revoked``, ``expired``, ``out of the file``."""
    scope: str
    models: tuple[str, ...]
    ips: tuple[str, ...]
    ceilings: dict[str, Decimal]
    rpm: int | None
    tpm: int | None
    concurrency: int | None
    timeout: float | None
    cheaper_model: str | None
    webhook: str | None
    children: bool
    parent: str | None
    total: Decimal | None
    """Of a child: what it may spend in all."""
    source: str
    """``file`` or ``database``."""
    created_us: int
    expires_us: int | None
    revoked_us: int | None
    last_used_us: int | None
    version: int


def shown(key: Key, owner: str) -> KeyShown:
    """`owner` as people write it."""
    most = {limit.name: limit.most for limit in key.limits if not limit.subject}
    return KeyShown(
        id=key.id,
        name=key.name,
        owner=owner,
        prefix=key.prefix,
        state=state(key),
        scope=key.scope,
        models=key.models,
        ips=key.ips,
        ceilings={name: in_credits(most[name]) for name in CEILINGS if name in most},
        rpm=most.get("rpm"),
        tpm=most.get("tpm"),
        concurrency=most.get("concurrency"),
        timeout=None if key.timeout_ms is None else key.timeout_ms / 1_000,
        cheaper_model=key.cheaper_model,
        webhook=key.webhook,
        children=key.children,
        parent=key.parent,
        total=in_credits(most["total"]) if "total" in most else None,
        source="file" if is_of_file(key) else "database",
        created_us=key.created_us,
        expires_us=key.expires_us,
        revoked_us=key.revoked_us,
        last_used_us=key.last_used_us,
        version=key.version,
    )


def in_credits(amount: int) -> Decimal:
    return Decimal(credits(NanoUsd(amount)))


def state(key: Key) -> str:
    """``active``, or why it is not."""
    if key.revoked_us is not None:
        return "revoked"
    if key.out_of_file_us is not None:
        return "out of the file"
    if key.expires_us is not None and key.expires_us <= clock.wall_us():
        return "expired"
    return "active"


def is_of_file(key: Key) -> bool:
    """Does the configuration file own it, as far as the database was told?"""
    return key.from_file and key.out_of_file_us is None


# What a key may.


def ruled(key: Key, told: Mapping[str, Any]) -> Key:
    """The key with what is told of it; the rest stays. The names and values are those of ``[[keys]]``.

    None, or an empty list, takes a rule away; a ceiling of 0 that one alone.

    Raises:
        BadRequest: a value cannot be, or could not take effect; `param` names it.
    """
    raw = {name: value for name, value in told.items() if value is not None and value != []}
    ceilings: dict[str, Any] = raw.pop("ceilings", None) or {}
    raw["ceilings"] = {window: most for window, most in ceilings.items() if most}
    fields = {name: field for name, field in key_fields(Sources({}, Path(), []), ()).items() if name in raw}
    try:
        values = read_table(raw, (), fields)
    except Wrong as wrong:
        where = ".".join(str(part) for part in wrong.path)
        raise BadRequest(f"{where}: {wrong.message}.", param=where or None) from None
    networks, timeout_s = values.pop("ips", ()), values.pop("timeout", None)
    expires_us = values.pop("expires", None)
    declared = DeclaredKey(name=key.name, owner=key.owner, digest=b"", networks=networks, **values)
    renewed = set(ceilings) | (told.keys() & set(COUNTS))
    if "ceilings" in told and not ceilings:
        renewed |= set(CEILINGS)
    wanted = msgspec.structs.replace(
        key,
        limits=_limits(key.limits, declared_limits(declared), renewed),
        models=declared.models if "models" in told else key.models,
        ips=tuple(str(network) for network in networks) if "ips" in told else key.ips,
        timeout_ms=milliseconds(timeout_s) if "timeout" in told else key.timeout_ms,
        scope=declared.scope if raw.get("scope") else key.scope,
        expires_us=expires_us if "expires" in told else key.expires_us,
        cheaper_model=declared.cheaper_model if "cheaper_model" in told else key.cheaper_model,
        webhook=declared.webhook if "webhook" in told else key.webhook,
        children=declared.children if "children" in told else key.children,
    )
    _ensure_effective(wanted, told)
    return wanted


def checked_webhook(told: str | None) -> str | None:
    """Raises `BadRequest`: it is no address that could be told of anything."""
    try:
        return None if told is None else read_webhook(told, ("webhook",))
    except Wrong as wrong:
        raise BadRequest(f"webhook: {wrong.message}.", param="webhook") from None


def _limits(now: tuple[Limit, ...], then: tuple[Limit, ...], told: set[str]) -> tuple[Limit, ...]:
    """Those that are not told stay; those that are told come anew, or go."""
    kept = [limit for limit in now if limit.name not in told]
    return tuple(sorted([*kept, *then], key=lambda limit: ORDER.index(limit.name)))


def _ensure_effective(key: Key, told: Mapping[str, Any]) -> None:
    """Refuse what could never take effect."""
    passed = key.expires_us is not None and key.expires_us <= clock.wall_us()
    if told.get("expires") is not None and passed:
        raise BadRequest("expires: that time has passed. Revoking is what ends a key.", param="expires")
    most = {limit.name: limit.most for limit in key.limits if limit.kind == "usd"}
    counts = [limit.name for limit in key.limits if limit.name in COUNTS]
    if why := contradiction(
        most, counts, key.scope, key.cheaper_model, key.webhook, key.children, key.timeout_ms
    ):
        param, message = why
        raise BadRequest(f"{param}: {message}.", param=param)


# Its life.


def checked_name(name: str, owner: str, others: Sequence[Key]) -> str:
    """`owner` is the id of who has the `others`.

    Raises:
        BadRequest: it is no name.
        Conflict: the owner has a key of that name.
    """
    if not name.strip() or name.startswith("key_") or "/" in name or len(name) > NAME_MAX:
        raise BadRequest(
            f"name: a key's name is not empty, has at most {NAME_MAX} characters and no slash (owner/name is "
            "how two of one name are told apart), and does not begin with key_, as ids do.",
            param="name",
        )
    if not name.isprintable():
        raise BadRequest("name: a key's name has no control characters.", param="name")
    if any(key.name == name and key.owner == owner for key in others):
        raise Conflict(f"There is a key {name!r} of this owner already. Name it otherwise.", param="name")
    return name


def new_key(name: str, owner: str, *, created_by: str | None = None) -> tuple[Key, str]:
    """A key without limits, and its secret. `owner` is an id."""
    secret = ids.new_secret()
    key = Key(
        id=ids.new_id("key"),
        name=name,
        owner=owner,
        sha256=ids.digest(secret),
        prefix=secret[: ids.KEY_SHOWN],
        created_by=created_by,
        created_us=clock.wall_us(),
    )
    return key, secret


def create(actor: Actor, key: Key, owner: str) -> Edit:
    """`owner` as people write it."""
    after = _told(key, owner)
    return change(actor, "key.create", subject(key, owner), add_key(key), tenant=key.owner, after=after)


def edit(actor: Actor, before: Key, after: Key, owner: str) -> Edit:
    """From what was read to what is wanted; nothing if it has changed since."""
    return change(
        actor,
        "key.change",
        subject(before, owner),
        set_key(after),
        tenant=before.owner,
        before=_told(before, owner),
        after=_told(msgspec.structs.replace(after, version=after.version + 1), owner),
    )


def rotate(actor: Actor, key: Key, owner: str, grace_us: int) -> tuple[Edit, Key, str, Key | None]:
    """Another secret: the change, the key as it then is, its secret, and the old one's key if it goes on.

    That is a child of the key: what it spends counts at the key's limits, and it ends with the key.
    """
    fresh, secret = new_key(key.name, key.owner)
    wanted = msgspec.structs.replace(key, sha256=fresh.sha256, prefix=fresh.prefix)
    steps: list[Statement] = [set_key(wanted)]
    old = None
    if grace_us:
        until_us = clock.wall_us() + grace_us
        old = msgspec.structs.replace(
            key,
            id=fresh.id,
            name=f"{key.name}-old-{fresh.id[-OLD:]}",
            limits=(),
            cheaper_model=None,
            webhook=None,
            children=False,
            parent=key.parent or key.id,
            expires_us=min(until_us, key.expires_us or until_us),
            created_us=fresh.created_us,
            last_used_us=None,
        )
        steps.append(add_key(old))
    done = change(
        actor,
        "key.rotate",
        subject(key, owner),
        *steps,
        tenant=key.owner,
        before={"prefix": key.prefix},
        after={"prefix": wanted.prefix, "old": None if old is None else old.name},
    )
    return done, msgspec.structs.replace(wanted, version=wanted.version + 1), secret, old


def revoke(actor: Actor, key: Key, owner: str) -> Edit:
    now_us = clock.wall_us()
    return change(
        actor,
        "key.revoke",
        subject(key, owner),
        revoke_key(key.id, now_us),
        tenant=key.owner,
        before={"revoked_us": None},
        after={"revoked_us": now_us},
    )


def delete(actor: Actor, key: Key, owner: str) -> Edit:
    """One that was revoked."""
    return change(
        actor,
        "key.delete",
        subject(key, owner),
        delete_key(key.id, clock.wall_us()),
        tenant=key.owner,
        before=_told(key, owner),
    )


def _told(key: Key, owner: str) -> KeyShown:
    """As the audit log has it: of the webhook, which may hold a secret, the host."""
    host = None if key.webhook is None else urlsplit(key.webhook).hostname
    return msgspec.structs.replace(shown(key, owner), webhook=host)


def subject(key: Key, owner: str) -> str:
    """A key in the audit log."""
    return f"key:{owner.removeprefix('user:')}/{key.name} ({key.id})"
