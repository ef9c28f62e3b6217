"""From a URL to a connection: splitting, proxies, TLS.

    split       a URL as where it leads (`Origin`) and the first bytes of a request after its method
    dial        a connection to an origin: straight, or through a proxy
    Pool        the connections to an origin that wait for the next request
    Proxies     which proxies there are, and for whom they are not used

A plain call through a proxy names the whole URL (RFC 9112, section 3.2.2); a call over TLS asks the proxy
for a tunnel by ``CONNECT`` (RFC 9110, section 9.3.6). Everything that fails here is an `OSError`: no byte
of a request has left.
"""

import asyncio
import base64
import ipaddress
import re
import ssl
from collections.abc import Mapping
from typing import Generic, Protocol, TypeVar
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

import msgspec

from deeptoken.wire.http import Unsendable

PORTS = {"http": 80, "https": 443}
TUNNEL_HEAD_BYTES_MAX = 16 * 1024
CACHED_MAX = 1024
"""How many URLs are remembered with what is known of them."""
CLOCK_S = 0.002
"""How coarse a loop's clock may be."""

_URL = re.compile(r"https?://[!-~]+", re.IGNORECASE)
_TUNNEL_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[ \r]")


class Proxies(msgspec.Struct, frozen=True):
    """The proxies for plain and for TLS calls, and the hosts that are called without one.

    An entry of `no_proxy` is ``*``, a host (its subdomains count, a dot before it or not), an address or
    a network (``10.0.0.0/8``), each but a network with a port or without. This machine itself is never
    called through a proxy, unless `loopback` is set.
    """

    http: str | None = None
    https: str | None = None
    no_proxy: tuple[str, ...] = ()
    loopback: bool = False

    @classmethod
    def told(cls, variables: Mapping[str, str]) -> "Proxies":
        """As everybody's: HTTPS_PROXY, HTTP_PROXY and NO_PROXY, in either case."""
        http, https, exceptions = (
            variables.get(name) or variables.get(name.upper()) or ""
            for name in ("http_proxy", "https_proxy", "no_proxy")
        )
        names = tuple(name.strip() for name in exceptions.split(",") if name.strip())
        return cls(http=http or None, https=https or None, no_proxy=names)


class Proxy(msgspec.Struct, frozen=True):
    host: str
    port: int
    secure: bool
    authorization: str | None = None


class Origin(msgspec.Struct, frozen=True):
    """Where connections lead: what shares an origin can share a connection."""

    secure: bool
    host: str
    port: int
    proxy: Proxy | None = None

    @property
    def needs_tls(self) -> bool:
        return self.secure or (self.proxy is not None and self.proxy.secure)

    def __str__(self) -> str:
        return authority(self.host, self.port)


def authority(host: str, port: int) -> str:
    """Host and port as a URL writes them: ``[::1]:8080``."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def verified_tls() -> ssl.SSLContext:
    """TLS that trusts what the system trusts. Reads its certificates from disk: some 30 ms."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def split(url: str, proxies: Proxies) -> tuple[Origin, str, str]:
    """Where `url` leads, the request line after its method, and the value of ``host``.

    Raises:
        Unsendable: it is no URL that a request can be sent to as it stands.
    """
    parts = _parts(url)
    scheme, host, port = parts.scheme, parts.hostname or "", _port(parts)
    if parts.username is not None or parts.password is not None:
        raise Unsendable("A URL must not carry a user or a password; send them in a header.")
    name = authority(host, port)
    if port == PORTS[scheme]:
        name = name.rpartition(":")[0]
    path = parts.path or "/"
    if parts.query:
        path += "?" + parts.query
    proxy = _proxy_for(scheme, host, port, proxies)
    origin = Origin(secure=scheme == "https", host=host, port=port, proxy=proxy)
    if proxy is None or origin.secure:
        return origin, f" {path} HTTP/1.1\r\n", name
    authorization = f"proxy-authorization: {proxy.authorization}\r\n" if proxy.authorization else ""
    return origin, f" http://{name}{path} HTTP/1.1\r\n{authorization}", name


def read_proxy(url: str) -> Proxy:
    """Read a proxy's URL; ``host:port`` alone is one too. A user and password in it become basic auth.

    Raises:
        Unsendable: it is no proxy that speaks HTTP.
    """
    parts = _parts(url if "://" in url else f"http://{url}")
    authorization = None
    if parts.username is not None:
        pair = unquote_to_bytes(parts.username) + b":" + unquote_to_bytes(parts.password or "")
        authorization = "Basic " + base64.b64encode(pair).decode()
    return Proxy(parts.hostname or "", _port(parts), parts.scheme == "https", authorization)


async def dial(origin: Origin, connection: asyncio.Protocol, tls: ssl.SSLContext | None) -> None:
    """Connect `connection` to `origin`. The caller sets the limit in time; `tls` is there if it is needed.

    Raises:
        OSError: DNS, TCP, TLS or the proxy said no.
    """
    via = origin.proxy
    if via is None:
        await _reach(connection, origin.host, origin.port, tls if origin.secure else None)
    elif not origin.secure or tls is None:
        await _reach(connection, via.host, via.port, tls if via.secure else None)
    else:
        tunnel = _Tunnel()
        transport = await _reach(tunnel, via.host, via.port, tls if via.secure else None)
        try:
            transport.write(_connect_request(origin, via))
            await tunnel.done
            if tunnel.failed is not None:
                raise ConnectionRefusedError(tunnel.failed)
            await _secure(transport, connection, tls, origin.host)
        except BaseException:
            transport.abort()
            raise


class Idle(Protocol):
    """What a pool needs of a connection."""

    idle_since: float

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    def drop(self) -> None: ...


C = TypeVar("C", bound=Idle)


class Pool(Generic[C]):
    """The connections to one origin. The one used last is used next, so that the others can expire."""

    __slots__ = ("_idle_max", "_keep_alive_s", "_sweeper", "idle", "live", "opened", "origin")

    def __init__(self, origin: Origin, opened: set[C], *, idle_max: int, keep_alive_s: float) -> None:
        self.origin = origin
        self.opened = opened
        self.idle: dict[C, None] = {}
        """By the time they became idle: the oldest first."""
        self.live = True
        self._idle_max = idle_max
        self._keep_alive_s = keep_alive_s
        self._sweeper: asyncio.TimerHandle | None = None

    def park(self, connection: C) -> None:
        if not self.live or len(self.idle) >= self._idle_max:
            connection.drop()
            return
        loop = connection.loop
        connection.idle_since = loop.time()
        self.idle[connection] = None
        if self._sweeper is None:
            self._sweeper = loop.call_later(self._keep_alive_s, self._sweep, loop)

    def shut(self) -> None:
        self.live = False
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        self._sweeper = None
        while self.idle:
            oldest = next(iter(self.idle))
            left_s = oldest.idle_since + self._keep_alive_s - loop.time()
            if left_s > CLOCK_S:
                self._sweeper = loop.call_later(left_s, self._sweep, loop)
                return
            oldest.drop()


class Target(msgspec.Struct, Generic[C], frozen=True):
    """What is known of a URL."""

    pool: Pool[C]
    line: str
    """The first line of a request for it, after the method."""
    host: str
    """The field of that name."""


class Pools(Generic[C]):
    """A pool for each origin, and every connection that is open."""

    def __init__(self, proxies: Proxies, *, idle_max: int, keep_alive_s: float) -> None:
        self.opened: set[C] = set()
        self._proxies = proxies
        self._targets: dict[str, Target[C]] = {}
        self._idle_max = idle_max
        self._keep_alive_s = keep_alive_s
        self._pools: dict[Origin, Pool[C]] = {}

    def find(self, url: str) -> Target[C]:
        """Where a URL leads.

        Raises:
            Unsendable: nowhere.
        """
        return self._targets.get(url) or self._learn(url)

    def _learn(self, url: str) -> Target[C]:
        origin, line, host = split(url, self._proxies)
        if len(self._targets) >= CACHED_MAX:
            self._targets.clear()
            self._prune()
        target = self._targets[url] = Target(self._to(origin), line, f"host: {host}\r\n")
        return target

    def _to(self, origin: Origin) -> Pool[C]:
        pool = self._pools.get(origin)
        if pool is None:
            pool = Pool(origin, self.opened, idle_max=self._idle_max, keep_alive_s=self._keep_alive_s)
            self._pools[origin] = pool
        return pool

    def _prune(self) -> None:
        """Forget the origins without an idle connection; one at work there will not come back to idle."""
        for origin, pool in list(self._pools.items()):
            if not pool.idle:
                pool.shut()
                del self._pools[origin]

    def shut(self) -> list[C]:
        """Nothing becomes idle any more. What is open is the caller's to drop."""
        for pool in self._pools.values():
            pool.shut()
        return list(self.opened)


class _Tunnel(asyncio.Protocol):
    """Asks a proxy for a tunnel and waits for its answer."""

    def __init__(self) -> None:
        self.done = asyncio.get_running_loop().create_future()
        self.failed: str | None = None
        self._head = b""

    def data_received(self, data: bytes) -> None:
        self._head += data
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if not end and len(self._head) <= TUNNEL_HEAD_BYTES_MAX:
            return
        status = _TUNNEL_STATUS.match(head + b"\r")
        if not status or not end:
            self.failed = "The proxy did not answer in HTTP."
        elif not status[1].startswith(b"2"):
            self.failed = f"The proxy refuses the tunnel with status {status[1].decode()}."
        elif rest:
            self.failed = "The proxy sent something into the tunnel."
        self._settle()

    def connection_lost(self, exc: Exception | None) -> None:
        self.failed = self.failed or "The proxy closed the connection."
        self._settle()

    def _settle(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


def _connect_request(origin: Origin, via: Proxy) -> bytes:
    name = authority(origin.host, origin.port)
    authorization = f"proxy-authorization: {via.authorization}\r\n" if via.authorization else ""
    return f"CONNECT {name} HTTP/1.1\r\nhost: {name}\r\n{authorization}\r\n".encode("ascii")


async def _reach(
    protocol: asyncio.Protocol, host: str, port: int, tls: ssl.SSLContext | None
) -> asyncio.Transport:
    if tls is None:
        return await _connect(protocol, host, port)
    # In two steps: cancelled at the wrong moment, the standard loop's one step shakes hands all the same.
    return await _secure(await _connect(asyncio.Protocol(), host, port), protocol, tls, host)


async def _secure(
    transport: asyncio.Transport, protocol: asyncio.Protocol, tls: ssl.SSLContext, name: str
) -> asyncio.Transport:
    loop = asyncio.get_running_loop()
    secured = await loop.start_tls(transport, protocol, tls, server_hostname=name)
    if secured is None:
        raise ConnectionResetError("The connection was lost in the handshake.")
    protocol.connection_made(secured)
    return secured


async def _connect(protocol: asyncio.Protocol, host: str, port: int) -> asyncio.Transport:
    # Without happy_eyeballs_delay: uvloop has none, and the standard loop's leaks its socket when cancelled.
    transport, _ = await asyncio.get_running_loop().create_connection(lambda: protocol, host, port)
    return transport


def _parts(url: str) -> SplitResult:
    # What urlsplit would silently drop (tabs, line ends) or let pass (spaces, controls) is refused first.
    if not _URL.fullmatch(url):
        raise Unsendable("A URL starts with http:// or https:// and has no spaces, controls or non-ASCII.")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise Unsendable(f"A URL needs a host: {error}.") from error
    if not parts.hostname:
        raise Unsendable("A URL needs a host.")
    return parts


def _port(parts: SplitResult) -> int:
    try:
        port = PORTS[parts.scheme] if parts.port is None else parts.port
    except ValueError as error:
        raise Unsendable(f"A URL's port is a number: {error}.") from error
    if port == 0:
        raise Unsendable("There is no port 0.")
    return port


def _proxy_for(scheme: str, host: str, port: int, proxies: Proxies) -> Proxy | None:
    url = proxies.https if scheme == "https" else proxies.http
    if not url:
        return None
    address = _address(host)
    local = address.is_loopback if address else host == "localhost" or host.endswith(".localhost")
    if local and not proxies.loopback:
        return None
    if any(_matches(entry.strip().lower(), host, address, port) for entry in proxies.no_proxy):
        return None
    return read_proxy(url)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _matches(
    entry: str, host: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None, port: int
) -> bool:
    """Does this entry of `no_proxy` mean this host?"""
    if entry == "*":
        return True
    if "/" in entry:
        try:
            return address is not None and address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    name, colon, number = entry.rpartition(":")
    if colon and number.isdigit() and (":" not in name or name.endswith("]")):
        if int(number) != port:
            return False
        entry = name
    entry = entry.removeprefix("[").removesuffix("]")
    if address is not None:
        return _address(entry) == address
    bare = entry.removeprefix("*").removeprefix(".")
    return bool(bare) and (host == bare or host.endswith("." + bare))
