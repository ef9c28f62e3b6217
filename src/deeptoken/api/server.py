"""The HTTP server: uvicorn's, with our connections (`connection.py`), on a socket that `app.py` opens."""

import asyncio
import errno
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from uvicorn.config import Config

from deeptoken.api.acceptor import Acceptor, Seat
from deeptoken.api.connection import Hot, protocol
from deeptoken.settings import ConfigError
from deeptoken.settings import Server as Settings

BACKLOG = 2048


class Server(uvicorn.Server):
    """uvicorn's server, without its signals: `app.py` decides when it ends."""

    listening: Callable[[str], object] | None = None
    """Told the address, once connections are taken there."""
    seat: Seat | None = None
    """Where several workers share the socket."""

    _acceptor: Acceptor | None = None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self.seat is None:
            await super().startup(sockets)
        else:
            await self._share(self.seat)
        if self.listening is not None and self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            scheme = "https" if self.config.is_ssl else "http"
            self.listening(f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}")

    async def _share(self, seat: Seat) -> None:
        """As uvicorn's `startup`, but that connections are left to others who have fewer."""
        await self.lifespan.startup()
        state = self.server_state

        def protocol() -> asyncio.Protocol:
            connection: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg] # ours
                config=self.config, server_state=state, app_state=self.lifespan.state
            )
            return connection

        self._acceptor = Acceptor(seat, protocol, self.config.ssl, lambda: len(state.connections))
        self.servers = [self._acceptor]  # type: ignore[list-item] # what uvicorn asks of them, it has
        self.started = True

    async def on_tick(self, counter: int) -> bool:
        if self._acceptor is not None:
            self._acceptor.count()
        return await super().on_tick(counter)


def listen(settings: Settings) -> socket.socket:
    """The listening socket.

    Raises:
        ConfigError: the address is taken, or not this machine's.
    """
    host, port = settings.host, settings.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        # Below zero are the numbers of a name that no resolver knows.
        if error.errno == errno.EADDRNOTAVAIL or (error.errno or 0) < 0:
            raise ConfigError(f"cannot listen on {host}: it is no address of this machine") from None
        raise ConfigError(
            f"cannot listen on {host} port {port}: {os.strerror(error.errno or 0)}. "
            "Use another --host or --port, or stop what listens there"
        ) from None


def server(application: Callable[..., Any], hot: Hot, settings: Settings) -> Server:
    """A server that is not started: `hot` answers the hot routes, the ASGI `application` all others."""
    tls = settings.tls
    config = Config(
        application,
        http=protocol(settings, hot),
        loop="none",
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_graceful_shutdown=max(1, int(settings.drain_seconds)),
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
    )
    return Server(config)
