"""What every answer of the API has in common: browsers, unknown routes, labels, addresses."""

import json
from collections.abc import Iterator

import pytest
from provider_scene import Provider, Scene, both, channel, lasting

from deeptoken import ids
from whole_scene import Reply, chat

ORIGIN = "https://app.example"
EXPOSED = (
    "x-deeptoken-id, x-request-id, x-deeptoken-channel, x-deeptoken-attempts, x-deeptoken-cost, "
    "x-deeptoken-max-tokens, x-deeptoken-replay, retry-after"
)
NARROW = ids.new_secret()


def configuration(provider: Provider) -> str:
    provider.scripts["up"] = both("fine")
    key = f"""
[[keys]]
name = "narrow"
owner = "ops"
secret = "{NARROW}"
ips = ["198.51.100.0/24", "2001:db8::/32"]
"""
    return channel(provider, "up") + key


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    proxies = 'trusted_proxies = ["127.0.0.1", "10.0.0.0/8"]'
    with lasting(tmp_path_factory.mktemp("surface"), configuration, server=proxies) as scene:
        yield scene


def asked(scene: Scene, body: object = b"", **options: str) -> Reply:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return scene.run(lambda: scene.gateway.ask(raw, **options))


FINE = chat("hi", model="m/up")


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/models", "/v1/models/m/up", "/v1/nothing", "/api/catalog"]
)
def test_a_browser_may_ask_before_it_calls_without_a_key(path: str, scene: Scene) -> None:
    reply = asked(
        scene,
        method="OPTIONS",
        path=path,
        authorization="",
        origin=ORIGIN,
        access_control_request_method="POST",
        access_control_request_headers="authorization, content-type, x-stainless-lang",
    )

    assert (reply.status, reply.body) == (204, b"")
    assert reply.headers["access-control-allow-origin"] == "*"
    assert "POST" in reply.headers["access-control-allow-methods"]
    assert reply.headers["access-control-allow-headers"] == "*, authorization"
    assert int(reply.headers["access-control-max-age"]) > 0
    assert "access-control-allow-credentials" not in reply.headers


@pytest.mark.parametrize("stream", [False, True])
def test_a_browser_may_read_answers_errors_and_our_headers(stream: bool, scene: Scene) -> None:
    served = asked(scene, FINE | {"stream": stream}, origin=ORIGIN)
    refused = asked(scene, FINE, origin=ORIGIN, authorization="Bearer nobody")
    missing = asked(scene, path="/v1/nothing", origin=ORIGIN)

    assert [reply.status for reply in (served, refused, missing)] == [200, 401, 404]
    for reply in (served, refused, missing):
        assert reply.headers["access-control-allow-origin"] == "*"
        exposed = reply.headers["access-control-expose-headers"].split(", ")
        assert set(EXPOSED.split(", ")) <= set(exposed)
        assert "access-control-allow-credentials" not in reply.headers
        assert "set-cookie" not in reply.headers


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/catalog"])
def test_the_origins_that_may_call_are_said_once(path: str, scene: Scene) -> None:
    """A browser takes two of them for none."""

    async def main() -> bytes:
        client = await scene.gateway.connect()
        method = "access-control-request-method: POST"
        client.write(f"OPTIONS {path} HTTP/1.1\r\nhost: x\r\norigin: {ORIGIN}\r\n{method}\r\n\r\n".encode())
        return await client.reader.readuntil(b"\r\n\r\n")

    raw = scene.run(main)

    lines = raw.lower().split(b"\r\n")
    assert [line for line in lines if line.startswith(b"access-control-allow-origin")] == [
        b"access-control-allow-origin: *"
    ]


def test_a_browser_may_read_why_a_request_was_refused_before_it_was_one(scene: Scene) -> None:
    large = asked(scene, path="/v1/models", origin=ORIGIN, x_long="a" * 40_000)
    unasked = asked(scene, path="/v1/models", x_long="a" * 40_000)

    assert (large.status, large.headers["access-control-allow-origin"]) == (431, "*")
    assert "x-deeptoken-id" in large.headers["access-control-expose-headers"]
    assert (unasked.status, "access-control-allow-origin" in unasked.headers) == (431, False)


def test_the_public_catalog_may_be_read_by_any_page(scene: Scene) -> None:
    reply = asked(scene, path="/api/catalog", authorization="", origin=ORIGIN)

    assert (reply.status, reply.headers["access-control-allow-origin"]) == (200, "*")


@pytest.mark.parametrize(
    "path", ["/v1/nothing", "/v1/", "/v1", "/nothing", "/", "/v1/chat/completions/", "/V1/models"]
)
def test_a_route_that_is_not_there_is_said_in_the_envelope(path: str, scene: Scene) -> None:
    reply = asked(scene, path=path)

    assert (reply.status, reply.error["code"]) == (404, "not_found")
    assert reply.error["type"] == reply.headers["x-gateway-error-category"] == "user"
    assert path in reply.error["message"]
    assert reply.headers["x-request-id"] == reply.headers["x-deeptoken-id"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/chat/completions", "POST"),
        ("DELETE", "/v1/chat/completions", "POST"),
        ("PATCH", "/v1/models", "GET"),
        ("POST", "/v1/models/m/up", "GET"),
        ("PUT", "/v1/credits", "GET"),
        ("POST", "/api/catalog", "GET"),
        ("DELETE", "/healthz", "GET"),
    ],
)
def test_a_method_that_a_route_does_not_take_is_said_in_the_envelope(
    method: str, path: str, allowed: str, scene: Scene
) -> None:
    reply = asked(scene, method=method, path=path)

    assert (reply.status, reply.error["code"]) == (405, "method_not_allowed")
    assert allowed in reply.headers["allow"].split(", ")
    assert allowed in reply.error["message"]
    assert "x-request-id" in reply.headers


@pytest.mark.parametrize("label", ["a", "~!x/y=z\"'{}", "r" * 128])
def test_a_label_of_the_caller_comes_back(label: str, scene: Scene) -> None:
    served = asked(scene, FINE, x_request_id=label)
    refused = asked(scene, b"{", x_request_id=label)

    assert served.headers["x-request-id"] == refused.headers["x-request-id"] == label
    assert served.headers["x-deeptoken-id"] != label
    assert refused.headers["x-deeptoken-id"] != served.headers["x-deeptoken-id"]


@pytest.mark.parametrize("label", ["r" * 129, "two words", "tab\there", "caf\xc3\xa9"])
def test_what_is_no_label_is_replaced_by_our_id(label: str, scene: Scene) -> None:
    reply = asked(scene, FINE, x_request_id=label)

    assert reply.status == 200
    assert reply.headers["x-request-id"] == reply.headers["x-deeptoken-id"]


@pytest.mark.parametrize(
    ("chain", "status"),
    [
        ({"x_forwarded_for": "198.51.100.7"}, 200),
        ({"x_forwarded_for": "203.0.113.9, 198.51.100.7, 10.1.2.3"}, 200),
        ({"x_forwarded_for": "198.51.100.7, 203.0.113.9"}, 403),
        ({"x_forwarded_for": "198.51.100.7, nonsense"}, 403),
        ({"forwarded": "for=203.0.113.9, for=198.51.100.7;proto=https"}, 200),
        ({"forwarded": 'for="[2001:db8::1]:4711"'}, 200),
        ({"forwarded": "for=203.0.113.9", "x_forwarded_for": "198.51.100.7"}, 403),
        ({"forwarded": "for=unknown"}, 403),
        ({}, 403),
    ],
)
def test_a_key_with_addresses_works_from_these_alone_as_trusted_proxies_tell(
    chain: dict[str, str], status: int, scene: Scene
) -> None:
    reply = asked(scene, FINE, authorization=f"Bearer {NARROW}", **chain)

    assert reply.status == status
    assert status == 200 or reply.error["code"] == "ip_not_allowed"


def test_a_chain_told_by_a_stranger_is_not_believed(tmp_path_factory: pytest.TempPathFactory) -> None:
    with lasting(tmp_path_factory.mktemp("stranger"), configuration) as scene:
        reply = asked(scene, FINE, authorization=f"Bearer {NARROW}", x_forwarded_for="198.51.100.7")

        assert (reply.status, reply.error["code"]) == (403, "ip_not_allowed")
