"""TLS: whom the client trusts; and its calls through proxies."""

import asyncio
import ssl

import pytest

from certificates import Certificate
from deeptoken.dial import Proxies
from deeptoken.net import Client, Lost, Unreachable
from deeptoken.wire.http import HttpRequest
from upstreams import Handler, Received, Run, ScriptedServer, answer, answering, both_loops, read_request

LARGE = bytes(range(256)) * 32_768
PROXY = "http://proxy.test:3128"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(tmp_path_factory.mktemp("tls"))


@both_loops
def test_tls_is_verified_named_and_spoken_with_http_1_1(run: Run, certificate: Certificate) -> None:
    async def main() -> None:
        spoken: list[object] = []
        names: list[object] = []

        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            spoken.append(writer.get_extra_info("ssl_object").selected_alpn_protocol())
            while request := await read_request(reader):
                writer.write(answer(request.body))

        tls = certificate.server()
        tls.sni_callback = lambda _, name, __: names.append(name)
        async with ScriptedServer(handler, tls=tls) as server:
            client = Client(tls=certificate.client())

            for body in (b"small", LARGE):
                request = HttpRequest(server.url(host="localhost"), (), body)
                response = await client.send(request, connect_s=5, head_s=5)
                assert await response.whole(5) == body

            assert (spoken, names) == (["http/1.1"], ["localhost"])
            await client.close()

    run(main)


@both_loops
def test_a_certificate_that_nobody_vouches_for_or_for_another_name_is_unreachable(
    run: Run, certificate: Certificate
) -> None:
    async def main() -> None:
        async with ScriptedServer(answering(answer()), tls=certificate.server()) as server:
            for client, host in ((Client(), "localhost"), (Client(tls=certificate.client()), "127.0.0.1")):
                with pytest.raises(Unreachable, match="certificate"):
                    await client.send(HttpRequest(server.url(host=host)), connect_s=5, head_s=5)
                await client.close()

    run(main)


@both_loops
def test_tls_with_someone_who_does_not_speak_it_is_unreachable(run: Run) -> None:
    async def main() -> None:
        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(10)
            if server.connections == 1:
                writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        async with ScriptedServer(handler) as server:
            client = Client()

            url = server.url().replace("http:", "https:")
            for _ in range(2):
                with pytest.raises(Unreachable):
                    await client.send(HttpRequest(url), connect_s=5, head_s=5)
            await client.close()

    run(main)


@both_loops
def test_over_tls_an_early_answer_ends_the_connection_and_a_cut_one_is_lost(
    run: Run, certificate: Certificate
) -> None:
    async def main() -> None:
        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            if server.connections == 1:
                writer.write(answer(b"early", status="413 Too Large"))
                await asyncio.Event().wait()
            writer.write(answer(b"whole")[:-1])

        async with ScriptedServer(handler, tls=certificate.server()) as server:
            client = Client(tls=certificate.client())
            url = server.url(host="localhost")

            early = await client.send(HttpRequest(url, (), LARGE * 4), connect_s=5, head_s=5)
            assert await early.whole(5) == b"early"

            cut = await client.send(HttpRequest(url), connect_s=5, head_s=5)
            with pytest.raises(Lost):
                await cut.whole(5)
            assert server.connections == 2
            await client.close()

    run(main)


@both_loops
def test_over_tls_an_answer_read_late_frees_its_connection_for_the_next(
    run: Run, certificate: Certificate
) -> None:
    async def main() -> None:
        async with ScriptedServer(answering(answer(LARGE)), tls=certificate.server()) as server:
            client = Client(tls=certificate.client())
            url = server.url(host="localhost")

            for _ in range(2):
                response = await client.send(HttpRequest(url), connect_s=5, head_s=5)
                for _ in range(100):
                    await asyncio.sleep(0)
                assert response.size < len(LARGE) // 2
                assert await response.whole(5) == LARGE

            assert server.connections == 1
            await client.close()

    run(main)


@both_loops
def test_a_client_closed_while_it_connects_uses_the_connection_no_more(
    run: Run, certificate: Certificate
) -> None:
    async def main() -> None:
        seen: list[Received] = []
        tls = certificate.server()
        async with ScriptedServer(answering(answer(), into=seen), tls=tls) as server:
            client = Client(tls=certificate.client())
            closing: list[asyncio.Task[None]] = []
            tls.sni_callback = lambda *_: closing.append(asyncio.create_task(client.close()))
            request = HttpRequest(server.url(host="localhost"))

            with pytest.raises(Unreachable):
                await client.send(request, connect_s=5, head_s=5)

            await asyncio.gather(*closing)
            assert (len(closing), seen, client._pools.opened) == (1, [], set())

    run(main)


def tunnelling(port: int, into: list[Received], *, say: bytes = b"HTTP/1.1 200 Connected\r\n\r\n") -> Handler:
    """A small proxy: answers CONNECT with `say`, then passes bytes to and from `port` here."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await read_request(reader)
        assert request is not None
        into.append(request)
        for place in range(len(say)):
            writer.write(say[place : place + 1])
            await writer.drain()
        if b" 200 " not in say:
            return
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await asyncio.gather(pump(reader, upstream_writer), pump(upstream_reader, writer))
        finally:
            upstream_writer.close()

    return handler


@both_loops
def test_a_plain_call_names_the_whole_url_to_the_proxy_with_its_password(run: Run) -> None:
    async def main() -> None:
        seen: list[Received] = []
        async with ScriptedServer(answering(answer(b"ok"), into=seen)) as proxy:
            client = Client(proxies=Proxies(http=f"http://user:pass@127.0.0.1:{proxy.port}"))

            for path in ("/a", "/b"):
                request = HttpRequest(f"http://model.test{path}", (("x", "1"),))
                assert await (await client.send(request, connect_s=5, head_s=5)).whole(5) == b"ok"

            assert seen[0].line == "POST http://model.test/a HTTP/1.1"
            assert seen[0].fields["host"] == "model.test"
            assert seen[0].fields["proxy-authorization"] == "Basic dXNlcjpwYXNz"
            assert proxy.connections == 1
            await client.close()

    run(main)


@both_loops
def test_a_body_that_comes_in_pieces_goes_over_tls_as_over_any_connection(
    run: Run, certificate: Certificate
) -> None:
    class Halves:
        size = len(LARGE)
        left = 2

        async def read(self) -> bytes:
            self.left -= 1
            return LARGE[: len(LARGE) // 2] if self.left >= 0 else b""

    async def main() -> None:
        seen: list[Received] = []
        handler = answering(answer(b"ok"), into=seen)
        async with ScriptedServer(handler, tls=certificate.server()) as server:
            client = Client(tls=certificate.client())

            request = HttpRequest(server.url(host="localhost"), upload=Halves())
            response = await client.send(request, connect_s=5, head_s=5)

            assert await response.whole(5) == b"ok"
            assert seen[0].body == LARGE
            await client.close()

    run(main)


@both_loops
@pytest.mark.parametrize("secure_proxy", [False, True], ids=["plain proxy", "tls proxy"])
def test_a_tls_call_goes_through_a_tunnel_and_only_the_proxy_sees_its_password(
    run: Run, certificate: Certificate, secure_proxy: bool
) -> None:
    async def main() -> None:
        seen: list[Received] = []
        asked: list[Received] = []
        proxy_tls = certificate.server() if secure_proxy else None
        upstream = ScriptedServer(answering(answer(b"ok"), into=seen), tls=certificate.server())
        async with upstream, ScriptedServer(tunnelling(upstream.port, asked), tls=proxy_tls) as proxy:
            url = proxy.url(host="user:pass@localhost")
            client = Client(tls=certificate.client(), proxies=Proxies(https=url))

            for body in (b"", LARGE):
                request = HttpRequest("https://model.test/v1", (), body)
                assert await (await client.send(request, connect_s=5, head_s=5)).whole(5) == b"ok"

            assert asked[0].line == "CONNECT model.test:443 HTTP/1.1"
            assert asked[0].fields == {"host": "model.test:443", "proxy-authorization": "Basic dXNlcjpwYXNz"}
            assert (seen[0].line, seen[0].fields["host"]) == ("POST /v1 HTTP/1.1", "model.test")
            assert "proxy-authorization" not in seen[0].fields
            assert seen[1].body == LARGE
            assert (proxy.connections, upstream.connections) == (1, 1)
            await client.close()

    run(main)


@both_loops
@pytest.mark.parametrize(
    ("say", "message"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407"),
        (b"HTTP/1.1 403\r\n\r\n", "403"),
        (b"what?\r\n\r\n", "HTTP"),
        (b"x" * 20_000, "HTTP"),
        (b"", "closed"),
    ],
)
def test_a_proxy_that_refuses_a_tunnel_is_unreachable(run: Run, say: bytes, message: str) -> None:
    async def main() -> None:
        async with ScriptedServer(tunnelling(0, [], say=say)) as proxy:
            client = Client(proxies=Proxies(https=proxy.url()))

            with pytest.raises(Unreachable, match=message):
                await client.send(HttpRequest("https://model.test/"), connect_s=5, head_s=5)

            await client.close()

    run(main)


@both_loops
def test_a_proxy_that_refuses_a_plain_call_is_unreachable(run: Run) -> None:
    async def main() -> None:
        async with ScriptedServer(answering(answer(status="407 Who Are You"))) as proxy:
            client = Client(proxies=Proxies(http=proxy.url()))

            with pytest.raises(Unreachable, match="407"):
                await client.send(HttpRequest("http://model.test/"), connect_s=5, head_s=5)

            await client.close()

    run(main)


@both_loops
def test_a_task_cancelled_in_a_tunnel_leaves_nothing_open(run: Run) -> None:
    async def main() -> None:
        tls = ssl.create_default_context()
        for count in range(1, 25):
            gone = asyncio.Event()

            async def handler(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gone: asyncio.Event = gone
            ) -> None:
                try:
                    if await read_request(reader):
                        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
                        await reader.read()
                except ConnectionError:
                    pass
                gone.set()

            async with ScriptedServer(handler) as proxy:
                client = Client(proxies=Proxies(https=proxy.url()), tls=tls)
                request = HttpRequest("https://model.test/")
                sending = asyncio.create_task(client.send(request, connect_s=5, head_s=5))
                for _ in range(count):
                    await asyncio.sleep(0)

                sending.cancel()

                with pytest.raises(asyncio.CancelledError):
                    await sending
                await gone.wait()
                await client.close()

    run(main)
