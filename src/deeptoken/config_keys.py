"""The table of the file that declares API keys, and which of their rules could never take effect."""

from collections.abc import Collection, Iterable, Mapping
from functools import partial
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

from deeptoken import ids
from deeptoken.config_fields import (
    Field,
    Wrong,
    amount,
    flag,
    key_name,
    many,
    moment,
    nearest,
    network,
    one_of,
    pattern,
    quote,
    read_table,
    seconds,
    sha256,
    table,
    text,
    whole,
)
from deeptoken.config_lines import Path
from deeptoken.config_sections import ELSEWHERE, Sources
from deeptoken.settings import DeclaredKey

CEILINGS = ("5h", "1d", "7d")
COUNTS = ("rpm", "tpm", "concurrency")
WEBHOOK_MAX = 2_000
SCOPES = ("call", "read", "manage")


def key_fields(sources: Sources, owners: Collection[str]) -> dict[str, Field]:
    """`owners` are ``user:ops``, ``org:acme``."""
    return {
        "name": Field(key_name, needed=True),
        "secret": Field(sources.secret),
        "sha256": Field(sha256),
        "owner": Field(partial(_owner, owners=owners), needed=True),
        "models": Field(many(pattern)),
        "ips": Field(many(network)),
        "ceilings": Field(_ceilings),
        "rpm": Field(whole(1)),
        "tpm": Field(whole(1)),
        "concurrency": Field(whole(1)),
        "timeout": Field(seconds()),
        "cheaper_model": Field(text),
        "webhook": Field(webhook),
        "children": Field(flag),
        "scope": Field(one_of(SCOPES, "scope")),
        "expires": Field(moment),
    }


def webhook(value: Any, path: Path) -> str:
    """Whom a warning is sent to: ``https``, since it goes through the public internet."""
    said = value if isinstance(value, str) and value.isascii() and value.isprintable() else ""
    try:
        told = urlsplit(said)
        whole = told.scheme == "https" and bool(told.hostname) and told.port != 0
    except ValueError:
        whole = False
    if not whole or " " in said or len(said) > WEBHOOK_MAX:
        raise Wrong(path, f"expected a URL that starts with https://, of at most {WEBHOOK_MAX} characters")
    return said


def contradiction(
    most: Mapping[str, int],
    counts: Iterable[str],
    scope: str,
    cheaper_model: str | None,
    webhook: str | None,
    children: bool,
    timeout: float | None,
) -> tuple[str, str] | None:
    """What of a key could never take effect, and why. `most` are its limits of money by their names."""
    windows = [window for window in CEILINGS if window in most]
    for shorter, longer in pairwise(windows):
        if most[shorter] > most[longer]:
            return f"ceilings.{shorter}", f"it is above that over {longer}, which binds first"
    if scope != "call":
        for name, given in (
            ("ceilings", windows),
            *((count, True) for count in counts),
            ("cheaper_model", cheaper_model),
            ("webhook", webhook),
            ("children", children),
            ("timeout", timeout),
        ):
            if given:
                return name, f"a key of the scope {scope!r} makes no calls, so that it would never bind"
    for name, given in (("cheaper_model", cheaper_model), ("webhook", webhook)):
        if given and not most:
            return name, "the key has no ceiling that could come near its end: give it one"
    return None


def _ensure_effective(values: Mapping[str, Any], path: Path) -> None:
    """Raises `Wrong`: something of a key could never take effect."""
    why = contradiction(
        values.get("ceilings", {}),
        [name for name in COUNTS if values.get(name)],
        values.get("scope", "call"),
        values.get("cheaper_model"),
        values.get("webhook"),
        values.get("children", False),
        values.get("timeout"),
    )
    if why is not None:
        where, message = why
        raise Wrong((*path, *where.split(".")), message)


def read_key(raw: Any, path: Path, sources: Sources, *, owners: Collection[str]) -> DeclaredKey:
    """One ``[[keys]]``: its secret, or the SHA-256 of it."""
    values = read_table(raw, path, key_fields(sources, owners))
    secret, digest = values.pop("secret", None), values.pop("sha256", None)
    if (secret is None) == (digest is None):
        raise Wrong(path, 'a key needs its "secret", or the "sha256" of it, and not both')
    if secret is not None:
        if secret is not ELSEWHERE and not ids.well_formed(secret):
            raise Wrong(
                (*path, "secret"),
                'this is no key, or it has a typo; "deeptoken keys generate" prints a well-formed one',
            )
        digest = b"" if secret is ELSEWHERE else ids.digest(secret)
    _ensure_effective(values, path)
    return DeclaredKey(
        digest=digest,
        shown=secret[: ids.KEY_SHOWN] if secret else "",
        networks=values.pop("ips", ()),
        timeout_s=values.pop("timeout", None),
        expires_us=values.pop("expires", None),
        **values,
    )


def _owner(value: Any, path: Path, *, owners: Collection[str]) -> str:
    """Without a prefix it is a user."""
    kind, mark, name = text(value, path).partition(":")
    if not mark:
        kind, name = "user", kind
    known = [owner.removeprefix(f"{kind}:") for owner in owners if owner.startswith(f"{kind}:")]
    one_of(known, "organization" if kind == "org" else "user")(name, path)
    return f"{kind}:{name}"


def _ceilings(value: Any, path: Path) -> dict[str, int]:
    for window in table(value, path):
        if window not in CEILINGS:
            raise Wrong((*path, window), f"unknown window {quote(window)}{nearest(window, CEILINGS)}")
    return {window: _above_zero(value[window], (*path, window)) for window in CEILINGS if window in value}


def _above_zero(value: Any, path: Path) -> int:
    limit = amount(value, path)
    if limit == 0:
        raise Wrong(path, "expected an amount in USD above 0")
    return limit
