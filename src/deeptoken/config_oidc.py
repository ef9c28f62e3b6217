"""The ``[[oidc]]`` tables of the configuration file: whose word is taken for who somebody is."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from deeptoken.config_fields import Field, Wrong, expected, flag, many, read_table, text
from deeptoken.config_lines import Path
from deeptoken.config_people import slug
from deeptoken.config_sections import HERE, Sources, unique
from deeptoken.settings import Oidc, Server

SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]{1,200}")
DOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+")
GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MICROSOFT = ("login.microsoftonline.com", "login.microsoftonline.us", "login.partner.microsoftonline.cn")
MICROSOFTS_OWN = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""The tenant of personal accounts (learn.microsoft.com/entra/identity-platform/v2-protocols-oidc)."""
OPENID = "openid"


def oidc_fields(sources: Sources) -> Mapping[str, Field]:
    return {
        "name": Field(slug, needed=True),
        "label": Field(text),
        "issuer": Field(issuer, needed=True),
        "client_id": Field(text, needed=True),
        "client_secret": Field(sources.secret, needed=True),
        "scopes": Field(_scopes),
        "match_email": Field(flag),
        "create_users": Field(flag),
        "domains": Field(_domains),
    }


def read_all(each: list[tuple[Path, Any]], sources: Sources, server: Server) -> tuple[Oidc, ...]:
    """All ``[[oidc]]``, of which no two have a name or an issuer in common."""
    declared = tuple(read_oidc(one, where, sources, server) for where, one in each)
    unique([(one.name, ("oidc", n, "name")) for n, one in enumerate(declared)], "[[oidc]] of the name")
    # Else it could not be told by whose settings somebody came.
    unique([(one.issuer, ("oidc", n, "issuer")) for n, one in enumerate(declared)], "[[oidc]] of the issuer")
    return declared


def read_oidc(raw: Any, path: Path, sources: Sources, server: Server) -> Oidc:
    """One of them."""
    values = read_table(raw, path, oidc_fields(sources))
    if not server.public_url:
        why = "server.public_url is missing: browsers are sent back there, such as https://gateway.example"
        raise Wrong(path, why)
    if not _is_safe(server.public_url):
        raise Wrong(path, "server.public_url is not https: a browser keeps no cookie of a sign-in there")
    return Oidc(label=values.pop("label", values["name"]), **values)


def issuer(value: Any, path: Path) -> str:
    """The URL that an issuer calls itself by, to the letter."""
    said = text(value, path)
    try:
        told = urlsplit(said)
        whole = bool(told.hostname) and told.port != 0 and not told.username
    except ValueError:
        whole = False
    if not whole or not said.isascii() or any(c.isspace() for c in said):
        raise Wrong(path, "expected the issuer's URL, such as https://accounts.google.com")
    if "?" in said or "#" in said:
        raise Wrong(path, 'an issuer\'s URL has no "?" and no "#"')
    if not _is_safe(said):
        raise Wrong(path, "an issuer is reached over https; http is for one on this machine")
    if told.path.endswith("/.well-known/openid-configuration"):
        raise Wrong(path, 'leave "/.well-known/openid-configuration" at its end out')
    if told.hostname in MICROSOFT:
        _ensure_tenant(told.path, path)
    return said


def _ensure_tenant(where: str, path: Path) -> None:
    """Microsoft's addresses for many tenants name no issuer: it would be whoever the token says."""
    tenant, _, rest = where.strip("/").partition("/")
    shape = "https://login.microsoftonline.com/TENANT/v2.0, where TENANT is the directory's id (a GUID)"
    if tenant in ("common", "organizations"):
        raise Wrong(path, f'"{tenant}" is no one issuer, but all of Microsoft\'s tenants: write {shape}')
    if tenant == "consumers":
        raise Wrong(path, f'the issuer of Microsoft\'s personal accounts is the tenant "{MICROSOFTS_OWN}"')
    if not GUID.fullmatch(tenant) or rest != "v2.0":
        raise Wrong(path, f"expected {shape}")


def _is_safe(url: str) -> bool:
    told = urlsplit(url)
    return told.scheme == "https" or (told.scheme == "http" and told.hostname in HERE)


def _scopes(value: Any, path: Path) -> tuple[str, ...]:
    scopes: tuple[str, ...] = many(_scope)(value, path)
    if OPENID not in scopes:
        raise Wrong(path, '"openid" is missing: without it an issuer does not say who somebody is')
    return scopes


def _scope(value: Any, path: Path) -> str:
    if not SCOPE.fullmatch(text(value, path)):
        raise expected("a scope, one word such as email", value, path)
    return str(value)


def _domains(value: Any, path: Path) -> tuple[str, ...]:
    domains: tuple[str, ...] = many(_domain)(value, path)
    if not domains:
        raise Wrong(path, "names nobody's domain: leave it out to let those of every domain in")
    return domains


def _domain(value: Any, path: Path) -> str:
    said = text(value, path).lower()
    if not DOMAIN.fullmatch(said):
        raise Wrong(path, "expected a domain of e-mail addresses, such as example.com")
    return said
