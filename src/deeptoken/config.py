"""Reads the configuration: one TOML file, and the environment over it. Nothing else reads the environment.

    find            which file: --config, else DEEPTOKEN_CONFIG, else ./deeptoken.toml
    load            that file as settings, checked whole; the first thing wrong stops it, with its line

Every value outside lists can be set by a variable: DEEPTOKEN_SERVER__PORT=9000 is `port` in ``[server]``.
Numbers are read as decimals; no float ever holds money.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path as FilePath
from typing import Any

import msgspec

from deeptoken import config_oidc, config_options, config_people
from deeptoken import config_sections as sections
from deeptoken.config_fields import Field, Wrong, nearest, quote, table, tables
from deeptoken.config_keys import key_fields, read_key
from deeptoken.config_lines import Lines, Path
from deeptoken.settings import ConfigError, DeclaredKey, Settings

FILE = "deeptoken.toml"
PREFIX = "DEEPTOKEN_"
FILE_VARIABLE = "DEEPTOKEN_CONFIG"
LISTS = ("channels", "models", "users", "keys", "organizations", "oidc")
SECTIONS = ("server", "database", "email", "groups", *LISTS)
NOT_HERE: Mapping[Path, str] = {
    ("secrets_key",): "with SQLite the secrets key is a file beside the database",
}
"""Keys that a later version knows. A limit that cannot take effect is refused, not ignored."""


def environment() -> Mapping[str, str]:
    """The environment of this process."""
    return os.environ  # noqa: TID251


def find(path: FilePath | None, environ: Mapping[str, str]) -> FilePath | None:
    """The configuration file, if there is one.

    Raises:
        ConfigError: a file was named, and it is not there.
    """
    named = path or (FilePath(environ[FILE_VARIABLE]) if environ.get(FILE_VARIABLE) else None)
    if named is None:
        default = FilePath(FILE)
        return default if default.is_file() else None
    if not named.is_file():
        by = "--config" if path else FILE_VARIABLE
        raise ConfigError(f"there is no such file; {by} names it", file=named)
    return named


def load(
    path: FilePath | None,
    environ: Mapping[str, str],
    *,
    providers: Mapping[str, str | None],
    secrets: bool = True,
) -> Settings:
    """The settings of a file (None: of the environment alone), checked.

    Without `secrets`, those that are kept elsewhere are not looked for: to administer takes none.
    `providers` are the names that a channel may use, each with its own base URL (None: it has none).

    Raises:
        ConfigError: the first thing that is wrong.
    """
    text = _read(path)
    try:
        raw = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise _malformed(error, path, text) from None
    folder = path.resolve().parent if path else FilePath.cwd()
    plain: list[Path] = []
    sources = sections.Sources(environ, folder, plain, secrets)
    variables: dict[Path, str] = {}
    try:
        _overlay(raw, sources, variables)
        settings = _settings(raw, path, sources, providers)
    except Wrong as wrong:
        raise _located(wrong, raw, path, text, variables) from None
    told = tuple(_place(place, raw) for place in plain if place not in variables)
    return msgspec.structs.replace(settings, plain_secrets=told)


def known_settings() -> dict[str, list[str]]:
    """Every key there is, by its table: what the documentation explains."""
    sources = sections.Sources({}, FilePath(), [])
    options = config_options.OPTION_FIELDS
    return {
        "server": list(sections.server_fields(sources)),
        "database": list(sections.DATABASE),
        "email": list(sections.email_fields(sources)),
        "oidc": list(config_oidc.oidc_fields(sources)),
        "channels": list(sections.channel_fields(sources, (), (), options)),
        "models": list(sections.MODEL),
        "groups": list(sections.GROUP),
        "users": list(config_people.user_fields(())),
        "organizations": list(config_people.organization_fields((), ())),
        "keys": list(key_fields(sources, ())),
    }


def warnings(settings: Settings) -> list[str]:
    """What works and should not stay so."""
    return [
        f'{where} stands in the file as plain text; write {{ env = "NAME" }} or {{ file = "path" }}'
        for where in settings.plain_secrets
    ]


def _read(path: FilePath | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigError("the file is not UTF-8", file=path) from None
    except OSError as error:
        raise ConfigError(f"cannot read the file: {error.strerror}", file=path) from None


def _settings(
    raw: dict[str, Any], path: FilePath | None, sources: sections.Sources, providers: Mapping[str, str | None]
) -> Settings:
    for here, why in NOT_HERE.items():
        if _has(raw, here):
            raise Wrong(here, why)
    for key in raw:
        if key not in SECTIONS:
            raise Wrong((key,), f"unknown key {quote(key)}{nearest(key, SECTIONS)}")
    server = sections.read_server(raw.get("server", {}), sources)
    database = sections.read_database(raw.get("database", {}), sources.folder)
    email = sections.read_email(raw["email"], sources, server) if "email" in raw else None
    oidc = config_oidc.read_all(_each(raw, "oidc"), sources, server)
    groups = sections.read_groups(raw.get("groups", {}))
    channels = tuple(
        sections.read_channel(one, where, sources, providers=providers, groups=groups)
        for where, one in _each(raw, "channels")
    )
    models = tuple(sections.read_model(one, where) for where, one in _each(raw, "models"))
    users = tuple(config_people.read_user(one, where, groups=groups) for where, one in _each(raw, "users"))
    organizations = tuple(
        config_people.read_organization(one, where, users=users, groups=groups)
        for where, one in _each(raw, "organizations")
    )
    owners = [f"user:{user.name}" for user in users] + [f"org:{org.slug}" for org in organizations]
    keys = tuple(read_key(one, where, sources, owners=owners) for where, one in _each(raw, "keys"))
    sections.unique([(c.name, ("channels", n, "name")) for n, c in enumerate(channels)], "channels")
    sections.unique([(m.id, ("models", n, "id")) for n, m in enumerate(models)], "models")
    sections.unique([(u.name, ("users", n, "name")) for n, u in enumerate(users)], "users")
    sections.unique(
        [(o.slug, ("organizations", n, "slug")) for n, o in enumerate(organizations)], "organizations"
    )
    sections.unique([(f"{k.name} of {k.owner}", ("keys", n, "name")) for n, k in enumerate(keys)], "keys")
    _ensure_secrets_differ(keys)
    return Settings(
        file=path,
        server=server,
        database=database,
        email=email,
        oidc=oidc,
        channels=channels,
        models=models,
        groups=groups,
        users=users,
        organizations=organizations,
        keys=keys,
    )


def _ensure_secrets_differ(keys: tuple[DeclaredKey, ...]) -> None:
    digests = [k.digest for k in keys]
    for n, digest in enumerate(digests):
        if digest and digest in digests[:n]:
            raise Wrong(
                ("keys", n), f"has the same secret as the key {quote(keys[digests.index(digest)].name)}"
            )


def _each(raw: dict[str, Any], name: str) -> list[tuple[Path, Any]]:
    return [((name, n), one) for n, one in enumerate(tables(raw.get(name, []), (name,)))]


def _has(raw: Any, path: Path) -> bool:
    for part in path:
        if not isinstance(raw, dict) or part not in raw:
            return False
        raw = raw[part]
    return True


def _overlay(raw: dict[str, Any], sources: sections.Sources, variables: dict[Path, str]) -> None:
    """Put the variables of the environment over the file's values; remember which value is whose."""
    tree: dict[str, Any] = {
        "server": sections.server_fields(sources),
        "database": sections.DATABASE,
        "email": sections.email_fields(sources),
    }
    for name in sorted(sources.environ):
        if not name.startswith(PREFIX) or "__" not in name:
            continue
        first, *rest = name.removeprefix(PREFIX).lower().split("__")
        path: Path = (first, *rest)
        if first == "groups" and len(rest) == 2:
            names = {group.lower(): group for group in table(raw.get("groups", {}), ("groups",))}
            path = (first, names.get(rest[0], rest[0]), rest[1])
            field = sections.GROUP.get(rest[1])
        else:
            field = _field(tree.get(first, {}), rest)
        if field is None:
            raise ConfigError(f"the environment variable {name} names no setting{_hint(path, tree)}")
        variables[path] = name
        _put(raw, path, _value(sources.environ[name], field))


def _field(fields: Mapping[str, Field], rest: list[str]) -> Field | None:
    """The setting of this path, if it is one value."""
    found: Field | None = None
    for key in rest:
        found = fields.get(key)
        if found is None:
            return None
        fields = found.inner or {}
    return found if found and not found.inner else None


def _hint(path: Path, tree: Mapping[str, Mapping[str, Field]]) -> str:
    if path[0] in LISTS:
        return f"; {path[0]} is a list, which only the file can set"
    known = {f"{PREFIX}{section}__{key}".upper(): None for section, fields in tree.items() for key in fields}
    return nearest(f"{PREFIX}{'__'.join(map(str, path))}".upper(), known) if path[0] in tree else ""


def _value(text: str, field: Field) -> Any:
    """A variable as TOML would have said it. A list may be written with commas alone."""
    if field.textual:
        return text
    try:
        return tomllib.loads(f"value = {text}", parse_float=Decimal)["value"]
    except tomllib.TOMLDecodeError:
        return [part.strip() for part in text.split(",")] if field.listed else text


def _put(raw: dict[str, Any], path: Path, value: Any) -> None:
    for part in path[:-1]:
        raw = table(raw.setdefault(str(part), {}), path[:-1])
    raw[str(path[-1])] = value


def _located(
    wrong: Wrong, raw: dict[str, Any], file: FilePath | None, text: str, variables: Mapping[Path, str]
) -> ConfigError:
    for length in range(len(wrong.path), 0, -1):
        name = variables.get(wrong.path[:length])
        if name is not None:
            return ConfigError(f"the environment variable {name}: {wrong.message}")
    place = _place(wrong.path, raw)
    line = Lines(text).of(wrong.path) if file else None
    return ConfigError(f"{place}: {wrong.message}" if place else wrong.message, file=file, line=line)


def _place(path: Path, raw: Mapping[str, Any]) -> str:
    """A path as people say it: ``channel "openai-main", api_key``."""
    if len(path) < 2 or not isinstance(path[1], int):
        return ".".join(str(part) for part in path)
    one = raw[str(path[0])][path[1]]
    name = one.get("slug") or one.get("name") or one.get("id") if isinstance(one, dict) else None
    what = str(path[0]).removesuffix("s")
    who = f"{what} {quote(name)}" if isinstance(name, str) else f"the {what} number {path[1] + 1}"
    rest = ".".join(str(part) for part in path[2:])
    return f"{who}, {rest}" if rest else who


def _malformed(error: tomllib.TOMLDecodeError, path: FilePath | None, text: str) -> ConfigError:
    message, _, where = str(error).rpartition(" (at ")
    line = re.match(r"line (\d+)", where)
    last = len(text.splitlines())
    return ConfigError(
        f"this is not TOML: {message or error}", file=path, line=int(line[1]) if line else last
    )
