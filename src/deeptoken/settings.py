"""What an operator can set, as frozen values. `config.py` reads them; docs/configuration.md explains each.

Nothing here is a default of somebody else: a channel, a model and a group are the catalog's own values.
"""

import hashlib
import ipaddress
from pathlib import Path
from typing import Literal

import msgspec

from deeptoken.catalog.entry import Entry
from deeptoken.catalog.model import Channel, Group
from deeptoken.money import NanoUsd

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Scope = Literal["call", "read", "manage"]


class ConfigError(Exception):
    """A wrong key or value: where it stands, what was expected. Its text never has a secret in it."""

    def __init__(self, message: str, *, file: Path | None = None, line: int | None = None) -> None:
        where = "".join(f"{part}:" for part in (file, line) if part is not None)
        super().__init__(f"{where} {message}" if where else message)
        self.message = message
        self.file = file
        self.line = line


class Secret(str):
    """A text that does not show itself in a log, a traceback or a repr."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret(...)"


class Tls(msgspec.Struct, frozen=True):
    certificate: Path
    key: Path


class Server(msgspec.Struct, frozen=True):
    """``[server]``. Times are seconds, sizes bytes."""

    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    trusted_proxies: tuple[Network, ...] = ()
    tls: Tls | None = None
    metrics_token: Secret | None = None
    public_url: str = ""
    """Where people reach this gateway: what mails name."""
    body_bytes_max: int = 32 * 1024 * 1024
    header_bytes_max: int = 32 * 1024
    header_seconds: float = 10.0
    body_idle_seconds: float = 30.0
    keep_alive_seconds: float = 75.0
    connections_max: int = 10_000
    in_flight_max: int = 2_000
    request_seconds: float = 600.0
    stream_seconds: float = 3_600.0
    queue_seconds: float = 5.0
    heartbeat_seconds: float = 15.0
    notice_seconds: float = 0.0
    drain_seconds: float = 30.0


class Email(msgspec.Struct, frozen=True):
    """``[email]``: the server that takes mails, and from whom they are. `username` is empty where none is
    needed."""

    host: str
    sender: str
    """``DeepToken <noreply@gateway.example>``, or the address alone."""
    port: int = 587
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    username: str = ""
    password: Secret = Secret("")


class Oidc(msgspec.Struct, frozen=True):
    """``[[oidc]]``: an issuer whose word is taken for who somebody is (OpenID Connect)."""

    name: str
    issuer: str
    """To the letter as it calls itself."""
    client_id: str
    client_secret: Secret
    label: str
    """What people read."""
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    match_email: bool = False
    """An address that the issuer has verified signs in who has confirmed it here."""
    create_users: bool = False
    domains: tuple[str, ...] = ()
    """Only who has a verified address in one of these may come; none: anybody."""


class Database(msgspec.Struct, frozen=True):
    """``[database]``. `path` is where the file of a SQLite URL lies."""

    url: str
    path: Path

    @property
    def installation(self) -> str:
        """Who a gateway is that serves this database: two on one machine differ, and it tells no path."""
        return hashlib.sha256(str(self.path).encode()).hexdigest()[:16]


class DeclaredUser(msgspec.Struct, frozen=True):
    """A user that the file declares. `grant` is credited once."""

    name: str
    tier: str | None = None
    operator: bool = False
    grant: NanoUsd = NanoUsd(0)


class DeclaredKey(msgspec.Struct, frozen=True):
    """An API key that the file declares, by the SHA-256 of its secret."""

    name: str
    owner: str
    """``user:ops``, ``org:acme``."""
    digest: bytes
    """Empty where the secret was not fetched."""
    shown: str = ""
    """The first characters of the secret; empty where only its SHA-256 is known."""
    models: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()
    ceilings: dict[str, NanoUsd] = {}
    rpm: int | None = None
    tpm: int | None = None
    concurrency: int | None = None
    timeout_s: float | None = None
    """The most that one of its calls may take."""
    cheaper_model: str | None = None
    """What answers once a ceiling is nearly used."""
    webhook: str | None = None
    """Who is told when one is."""
    children: bool = False
    """It may make child keys."""
    scope: Scope = "call"
    expires_us: int | None = None


MEMBER_ROLES = ("admin", "billing", "member", "viewer")
"""What the file can make of a member; the owner stands beside them."""


class DeclaredMember(msgspec.Struct, frozen=True):
    """A member of a declared organization; `user` is a name."""

    user: str
    role: str = "member"
    budget: NanoUsd | None = None
    """A month."""


class DeclaredOrganization(msgspec.Struct, frozen=True):
    """An organization that the file declares, with its members. `grant` is credited once."""

    slug: str
    owner: str
    """A user's name."""
    name: str = ""
    mode: Literal["strict", "fallback"] = "strict"
    tier: str | None = None
    budget: NanoUsd | None = None
    """A month."""
    members: tuple[DeclaredMember, ...] = ()
    grant: NanoUsd = NanoUsd(0)


class Settings(msgspec.Struct, frozen=True):
    """All of a configuration."""

    file: Path | None
    server: Server
    database: Database
    channels: tuple[Channel, ...] = ()
    models: tuple[Entry, ...] = ()
    groups: tuple[Group, ...] = (Group("default"),)
    """`default` is always one of them."""
    users: tuple[DeclaredUser, ...] = ()
    organizations: tuple[DeclaredOrganization, ...] = ()
    keys: tuple[DeclaredKey, ...] = ()
    email: Email | None = None
    """None: what mails would say is printed to the log."""
    oidc: tuple[Oidc, ...] = ()
    plain_secrets: tuple[str, ...] = ()
    """Where a secret stands in the file itself: ``channel "openai-main", api_key``."""
