"""A connection whose client leaves is free at once: it is no circle that waits for the collector."""

import asyncio
import gc

import pytest

from connection_scene import Wire, connect
from deeptoken.api.exchange import Exchange

ASKED = b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n"


async def waits(exchange: Exchange) -> None:
    """Begins an answer, and waits for what never comes."""
    exchange.begin(200, b"", b"one ")
    try:
        await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError:
        exchange.let_go()


@pytest.mark.parametrize("sent", [ASKED, ASKED + ASKED], ids=["one", "with another behind it"])
def test_a_client_who_leaves_amid_its_answer_leaves_no_circle(sent: bytes) -> None:
    async def main() -> None:
        connection = connect(Wire(), waits)
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
