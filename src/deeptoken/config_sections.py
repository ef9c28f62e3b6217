"""The tables of the configuration file, key by key, and what must hold between them."""

from collections.abc import Collection, Mapping
from pathlib import Path as FilePath
from typing import Any, NamedTuple

from deeptoken.catalog.entry import Entry
from deeptoken.catalog.model import Channel, Group, Rates, Tier, Timeouts
from deeptoken.config_fields import (
    Field,
    Wrong,
    address_of,
    expected,
    fee,
    flag,
    mailbox,
    many,
    network,
    one_of,
    own_address,
    pattern,
    price,
    quote,
    ratio,
    read_table,
    seconds,
    secret_of,
    table,
    text,
    whole,
)
from deeptoken.config_lines import Path
from deeptoken.config_options import OPTION_FIELDS, OPTIONS
from deeptoken.settings import Database, Email, Secret, Server, Tls

MODALITIES = ("text", "image", "audio", "video", "file")
ELSEWHERE = Secret("kept elsewhere")
"""Stands for a secret in a command that needs none."""

WORKERS_MAX = 64
MAIL_TLS = ("starttls", "implicit", "none")
HERE = ("localhost", "127.0.0.1", "::1")


class Sources(NamedTuple):
    """Where secrets and files come from, and which secrets stood in the file itself."""

    environ: Mapping[str, str]
    folder: FilePath
    plain: list[Path]
    fetched: bool = True
    """False: a secret that is kept elsewhere is not looked for; `ELSEWHERE` stands for it."""

    def file(self, value: Any, path: Path) -> FilePath:
        """A file that is there, named relative to the configuration."""
        found = self.folder / text(value, path)
        if not found.is_file():
            raise Wrong(path, f"there is no file {found}")
        return found

    def secret(self, value: Any, path: Path) -> Secret:
        """``{ env = "NAME" }``, ``{ file = "path" }`` or the text itself."""
        match value:
            case str() if value.strip():
                self.plain.append(path)
                return secret_of(value, path)
            case {"env": str(), **more} | {"file": str(), **more} if not more and not self.fetched:
                return ELSEWHERE
            case {"env": str(name), **more} if not more:
                found = self.environ.get(name, "")
                if not found.strip():
                    raise Wrong(path, f"the environment variable {name} is not set")
                return secret_of(found, path)
            case {"file": str(name), **more} if not more:
                return self._secret_file(name, path)
        raise expected('{ env = "NAME" }, { file = "path" } or a text', value, path)

    def _secret_file(self, name: str, path: Path) -> Secret:
        try:
            said = (self.folder / name).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise Wrong(path, f"cannot read the file {self.folder / name}: {type(error).__name__}") from None
        if not said.strip():
            raise Wrong(path, f"the file {self.folder / name} is empty")
        return secret_of(said, path)


def server_fields(sources: Sources) -> dict[str, Field]:
    above_zero, size = seconds(), whole(1)
    tls = {
        "certificate": Field(sources.file, textual=True, needed=True),
        "key": Field(sources.file, textual=True, needed=True),
    }
    return {
        "host": Field(text, textual=True),
        "port": Field(whole(0, 65_535)),
        "workers": Field(_workers),
        "trusted_proxies": Field(many(network), listed=True),
        "tls": Field(lambda raw, path: Tls(**read_table(raw, path, tls)), inner=tls),
        "metrics_token": Field(sources.secret, textual=True),
        "public_url": Field(address_of, textual=True),
        "body_bytes_max": Field(size),
        "header_bytes_max": Field(size),
        "header_seconds": Field(above_zero),
        "body_idle_seconds": Field(above_zero),
        "keep_alive_seconds": Field(above_zero),
        "connections_max": Field(size),
        "in_flight_max": Field(size),
        "request_seconds": Field(above_zero),
        "stream_seconds": Field(above_zero),
        "queue_seconds": Field(seconds(zero=True)),
        "heartbeat_seconds": Field(above_zero),
        "notice_seconds": Field(seconds(zero=True)),
        "drain_seconds": Field(seconds(zero=True)),
    }


def read_server(raw: Any, sources: Sources) -> Server:
    return Server(**read_table(raw, ("server",), server_fields(sources)))


def email_fields(sources: Sources) -> dict[str, Field]:
    return {
        "host": Field(text, textual=True, needed=True),
        "port": Field(whole(1, 65_535)),
        "tls": Field(one_of(MAIL_TLS, "way of TLS"), textual=True),
        "username": Field(text, textual=True),
        "password": Field(sources.secret, textual=True),
        "from": Field(mailbox, textual=True, needed=True),
    }


def read_email(raw: Any, sources: Sources, server: Server) -> Email:
    where: Path = ("email",)
    values = read_table(raw, where, email_fields(sources))
    values["sender"] = values.pop("from")
    email = Email(**values)
    if bool(email.username) != bool(email.password):
        raise Wrong(where, "username and password belong together: set both, or none")
    if email.tls == "none" and email.password and email.host not in HERE:
        raise Wrong(where, 'tls = "none" would send the password in the clear: "starttls" or "implicit"')
    if not server.public_url:
        raise Wrong(where, "server.public_url is missing: mails name it, such as https://gateway.example")
    return email


DATABASE: Mapping[str, Field] = {"url": Field(text, textual=True)}
GROUP: Mapping[str, Field] = {"ratio": Field(ratio), "weight": Field(whole(1))}


def read_database(raw: Any, folder: FilePath) -> Database:
    """SQLite only: three slashes start at the configuration's folder, four at the root."""
    url = read_table(raw, ("database",), DATABASE).get("url", "sqlite:///deeptoken.db")
    where: Path = ("database", "url")
    if url.startswith(("postgresql:", "postgres:")):
        raise Wrong(where, "this version serves SQLite only: sqlite:///deeptoken.db")
    path = url.removeprefix("sqlite:///")
    if path == url or not path.strip("/") or path.endswith("/"):
        raise Wrong(
            where, "expected sqlite:///deeptoken.db (beside this file) or sqlite:////var/lib/deeptoken.db"
        )
    return Database(url=url, path=(folder / path).resolve())


def read_groups(raw: Any) -> tuple[Group, ...]:
    """All groups; `default` is always there, and the first."""
    groups = {"default": Group("default")}
    for name, told in table(raw, ("groups",)).items():
        values = read_table(told, ("groups", name), GROUP)
        groups[name] = Group(name, ratio_ppm=values.get("ratio", 1_000_000), weight=values.get("weight", 1))
    return tuple(groups.values())


def channel_fields(
    sources: Sources, providers: Collection[str], groups: tuple[Group, ...], options: Collection[str]
) -> dict[str, Field]:
    return {
        "name": Field(text, needed=True),
        "provider": Field(one_of(providers, "provider"), needed=True),
        "label": Field(text),
        "base_url": Field(address_of),
        "api_key": Field(sources.secret),
        "models": Field(_channel_models),
        "priority": Field(whole(-1_000_000, 1_000_000)),
        "weight": Field(whole(1)),
        "groups": Field(many(one_of([group.name for group in groups], "group"))),
        "timeout": Field(_timeouts),
        "max_concurrency": Field(whole(1)),
        "rpm": Field(whole(1)),
        "tpm": Field(whole(1)),
        "enabled": Field(flag),
        **{name: OPTION_FIELDS[name] for name in options},
    }


def read_channel(
    raw: Any, path: Path, sources: Sources, *, providers: Mapping[str, str | None], groups: tuple[Group, ...]
) -> Channel:
    """One ``[[channels]]``. `providers` gives each provider's own base URL, or None where it has none."""
    options: Collection[str] = ()
    if "provider" in table(raw, path):
        # First of all, since it decides which other keys there are.
        told = one_of(providers, "provider")(raw["provider"], (*path, "provider"))
        options = OPTIONS.get(told, ())
    values = read_table(raw, path, channel_fields(sources, providers, groups, options))
    provider = values["provider"]
    own = values.pop("base_url", None)
    base_url = own or own_address(provider, providers[provider], values.get("region"), path)
    return Channel(
        label=values.pop("label", provider),
        base_url=base_url,
        models=values.pop("models", {}),
        secret=values.pop("api_key", Secret("")),
        groups=values.pop("groups", None) or ("default",),
        options={name: values.pop(name) for name in options if name in values},
        **values,
    )


def read_model(raw: Any, path: Path) -> Entry:
    """One ``[[models]]``. Without prices it only adds what is known of a model of the price book."""
    values = read_table(raw, path, MODEL)
    priced = "tiers" in values or any(name in values for name in RATES)
    return Entry(
        id=values["id"],
        name=values.get("name"),
        rates=_rates(values, path) if priced else None,
        tiers=values.get("tiers", ()),
        context=values.get("context"),
        max_output=values.get("max_output"),
        owned_by=values.get("owned_by"),
        modalities=values.get("modalities"),
        capabilities=values.get("capabilities"),
    )


def unique(values: list[tuple[str, Path]], what: str) -> None:
    """No name twice.

    Raises:
        Wrong: at the second of them.
    """
    seen: set[str] = set()
    for name, path in values:
        if name in seen:
            raise Wrong(path, f"there are two {what} {quote(name)}")
        seen.add(name)


def _workers(value: Any, path: Path) -> int:
    count = whole(1)(value, path)
    if count > WORKERS_MAX:
        raise expected(f"at most {WORKERS_MAX} workers", value, path)
    return count


def _channel_models(value: Any, path: Path) -> dict[str, str]:
    """A list of ids, or a table of ids and what the upstream calls them."""
    if isinstance(value, list):
        return {name: name for name in many(pattern)(value, path)}
    if not isinstance(value, dict):
        raise expected("a list of ids, or a table of ids and the upstream's names", value, path)
    for ours, theirs in value.items():
        where = (*path, ours)
        pattern(ours, where)
        pattern(theirs, where)
        if theirs.endswith("*") and not ours.endswith("*"):
            raise Wrong(where, f'{quote(ours)} is one model: the upstream\'s name for it has no "*"')
    return value


def _timeouts(value: Any, path: Path) -> Timeouts:
    fields = dict.fromkeys(("connect", "first_byte", "idle", "total"), Field(seconds()))
    return Timeouts(**read_table(value, path, fields))


RATES = (
    "prompt",
    "completion",
    "cached_prompt",
    "cache_write",
    "cache_write_1h",
    "prompt_audio",
    "reasoning",
    "completion_audio",
    "completion_image",
    "character",
    "image",
    "second",
    "search",
    "request",
)
EACH = ("image", "second", "search", "request")
"""In USD for one of them; the others are per million."""
UNITS = ("character", "image", "second", "search")
RATE_FIELDS: Mapping[str, Field] = {name: Field(fee if name in EACH else price) for name in RATES}


def _rates(values: Mapping[str, Any], path: Path) -> Rates:
    told = {name: values[name] for name in RATES if name in values}
    if "prompt" not in told and told.keys().isdisjoint(UNITS):
        raise Wrong(path, '"prompt" is missing: a price needs it, or the price of another unit')
    told = {"prompt": 0, "completion": 0, **told}
    if "cached_prompt" in told:
        told["cached"] = told.pop("cached_prompt")
    return Rates(**told)


def _tier(value: Any, path: Path) -> Tier:
    values = read_table(value, path, {"above": Field(whole(1), needed=True), **RATE_FIELDS})
    return Tier(above=values["above"], rates=_rates(values, path))


def _tiers(value: Any, path: Path) -> tuple[Tier, ...]:
    tiers: tuple[Tier, ...] = many(_tier)(value, path)
    for n, tier in enumerate(tiers):
        if any(tier.above == other.above for other in tiers[:n]):
            raise Wrong((*path, n, "above"), f"there are two tiers above {tier.above}")
    return tiers


def _capabilities(value: Any, path: Path) -> dict[str, bool]:
    return {name: flag(told, (*path, name)) for name, told in table(value, path).items()}


MODEL: Mapping[str, Field] = {
    "id": Field(pattern, needed=True),
    "name": Field(text),
    **RATE_FIELDS,
    "tiers": Field(_tiers),
    "context": Field(whole(1)),
    "max_output": Field(whole(1)),
    "owned_by": Field(text),
    "modalities": Field(many(one_of(MODALITIES, "modality"))),
    "capabilities": Field(_capabilities),
}
