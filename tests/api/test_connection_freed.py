"""A connection whose client leaves is free at once: it is no circle that waits for the collector."""

import asyncio
import gc
from typing import Any, cast

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from deeptoken.api.connection import Connection, protocol
from deeptoken.api.exchange import Exchange
from deeptoken.settings import Server

ASKED = b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n"


class Wire:
    """A transport that takes everything."""

    def write(self, data: bytes) -> None:
        pass

    def close(self) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def get_extra_info(self, _: str, default: object = None) -> object:
        return default

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


async def waits(exchange: Exchange) -> None:
    """Begins an answer, and waits for what never comes."""
    exchange.begin(200, b"", b"one ")
    try:
        await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError:
        exchange.let_go()


async def connected() -> Connection:
    async def no_app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("no route but the hot ones is asked for")

    config = Config(no_app, interface="asgi3", log_config=None)
    config.load()
    made = protocol(Server(), waits)(config, ServerState(), {}, asyncio.get_running_loop())
    made.connection_made(cast(asyncio.Transport, Wire()))
    return made


@pytest.mark.parametrize("sent", [ASKED, ASKED + ASKED], ids=["one", "with another behind it"])
def test_a_client_who_leaves_amid_its_answer_leaves_no_circle(sent: bytes) -> None:
    async def main() -> None:
        connection = await connected()
        connection.data_received(sent)
        await asyncio.sleep(0)
        gc.collect()
        gc.disable()
        try:
            connection.connection_lost(None)
            kind = type(connection)
            del connection
            for _ in range(5):
                await asyncio.sleep(0)

            assert not [one for one in gc.get_objects() if type(one) in (kind, Exchange)]
        finally:
            gc.enable()

    asyncio.run(main())
