"""The OpenAPI document says what is served; what is served answers nothing that it does not say."""

import asyncio
import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it has no stubs
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from deeptoken.api.management.openapi import document
from deeptoken.api.management.table import ROUTES
from management_scene import Managed, managed

WHO = (None, "root", "owner", "member", "machine")
NAMES = ["acme", "other", "owner", "member", "admin", "caller", "none", "..", "a b", "\u00e4"]
FIELDS = sorted({name for route in ROUTES if route.body for name in route.body.__struct_fields__})
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10**16),
    st.sampled_from(["1d", "member", "calls.make", "strict", "fallback", "manage", "x" * 300, "\x00", "0.5"]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.lists(st.sampled_from(["sim/*", "10.0.0.0/8", "calls.make", ""]), max_size=2),
    st.dictionaries(st.sampled_from(["5h", "1d", "2d"]), st.integers(-1, 9), max_size=2),
)
BODIES = st.one_of(
    st.dictionaries(st.sampled_from([*FIELDS, "colour"]), VALUES, max_size=4).map(json.dumps),
    st.sampled_from(["", "null", "[]", "{", '{"name": 1e999}', "[" * 5_000, '"\ud800"', '{"rpm": NaN}']),
)
ASKED = st.tuples(
    st.sampled_from(ROUTES),
    st.sampled_from(WHO),
    st.sampled_from(NAMES),
    BODIES,
    st.sampled_from(["", "?limit=1", "?limit=0", "?after=x", "?colour=1", "?format=jsonl"]),
    st.sampled_from(['"1"', "", "*", '"999999999999999999"']),
)


def test_it_has_every_route_with_its_permission_and_its_structs() -> None:
    told = document(ROUTES)

    operations = {
        (method.upper(), path): operation
        for path, methods in told["paths"].items()
        for method, operation in methods.items()
    }
    assert operations.keys() == {(route.method, route.path) for route in ROUTES}
    assert len({operation["operationId"] for operation in operations.values()}) == len(operations)
    for route in ROUTES:
        assert operations[route.method, route.path]["x-permission"] == route.needs
    for name, schema in told["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert name
    refs = set(json.dumps(told).split('"#/components/schemas/')[1:])
    assert {ref.partition('"')[0] for ref in refs} <= told["components"]["schemas"].keys()


def validated(told: dict[str, Any], schema: Any, answer: Any) -> None:
    whole = {**schema, "components": told["components"]}
    jsonschema.Draft202012Validator(whole).validate(answer)


async def played(there: Managed, told: dict[str, Any], asked: list[Any]) -> None:
    for route, who, name, body, query, match in asked:
        path = route.path
        for parameter in ("slug", "user", "id", "role", "name"):
            path = path.replace(f"{{{parameter}}}", "acme" if parameter == "slug" and name > "o" else name)
        path = path.replace(" ", "%20").replace("\u00e4", "%C3%A4")
        raw = body.encode(errors="surrogatepass") if route.body is not None else b""
        reply = await there.ask(who, route.method, path + query, raw or None, if_match=match)
        said = told["paths"][route.path][route.method.lower()]["responses"]
        shown = (route.method, path + query, who, body, reply.status, reply.body)
        assert reply.status < 500, shown
        if path.replace("..", "") != path:
            continue
        assert str(reply.status) in said, shown
        content = said[str(reply.status)].get("content")
        if content is None:
            assert reply.body == b"", shown
            continue
        kind = reply.headers["content-type"].partition(";")[0]
        assert kind in content, shown
        if kind == "application/json":
            validated(told, content[kind]["schema"], reply.json)


@given(st.lists(ASKED, min_size=60, max_size=60))
@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_whatever_is_sent_is_answered_as_the_document_says(tmp_path_factory: Any, asked: list[Any]) -> None:
    async def story() -> None:
        async with managed(Path(tmp_path_factory.mktemp("fuzz"))) as there:
            told = await there.done("member", "GET", "/api/openapi.json")
            await played(there, told, asked)

    asyncio.run(story())
