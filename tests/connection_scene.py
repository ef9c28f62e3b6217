"""A connection of the gateway on a transport that is none."""

import asyncio
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from deeptoken.api.connection import Connection, Hot, protocol
from deeptoken.settings import Server


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written = b""
        self.ended = False

    def write(self, data: bytes) -> None:
        assert not self.ended, "nothing is written behind the end"
        self.written += data

    def close(self) -> None:
        self.ended = True

    def is_closing(self) -> bool:
        return self.ended

    def can_write_eof(self) -> bool:
        return False

    def get_extra_info(self, _: str, default: object = None) -> object:
        return default

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


def connect(
    wire: Wire, hot: Hot, settings: Server | None = None, loop: asyncio.AbstractEventLoop | None = None
) -> Connection:
    """Whose hot routes `hot` answers."""

    async def no_app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("no route but the hot ones is asked for")

    config = Config(no_app, interface="asgi3", log_config=None)
    config.load()
    made = protocol(settings or Server(), hot)(config, ServerState(), {}, loop or asyncio.get_running_loop())
    made.connection_made(cast(asyncio.Transport, wire))
    return made
