"""The OpenAPI document of the management API, made from its table of routes and the structs that validate."""

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, get_args, get_origin

import msgspec

from deeptoken import __version__
from deeptoken.api.management.cookie import COOKIE
from deeptoken.api.management.route import Lines, Nothing, Redirect, Route

PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "code", "param"],
            "properties": {
                "message": {"type": "string"},
                "type": {"enum": ["platform", "upstream", "quota", "user"]},
                "code": {"type": "string"},
                "param": {"type": ["string", "null"]},
            },
        }
    },
}
ALWAYS = (400, 405, 503)
"""What any route may answer: a query that cannot be, another method, a ledger that does not keep up."""


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """Of version 3.1."""
    rows = list(routes)
    kinds = [kind for route in rows for kind in (route.body, _item(route.answer)) if _is_struct(kind)]
    template = "#/components/schemas/{name}"
    _, components = msgspec.json.schema_components(dict.fromkeys(kinds), ref_template=template)
    paths: dict[str, dict[str, Any]] = {}
    for route in rows:
        path = PARAMETER.sub(r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route)
    schemas = {name: _numbers(schema) for name, schema in components.items()}
    return {
        "openapi": "3.1.0",
        "info": {"title": "DeepToken management API", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": {**schemas, "Error": ERROR},
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "scope manage"},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": COOKIE,
                    "description": "of POST /api/session; what changes something sends X-CSRF-Token besides",
                },
            },
        },
        "security": [{"key": []}, {"session": []}],
    }


def statuses(route: Route) -> list[int]:
    """All that it answers."""
    found = {route.status, *ALWAYS, *route.errors}
    if route.needs != "nobody":
        found |= {401, 403}
    if "{" in route.path:
        found.add(404)
    if route.body is not None:
        found |= {413, 415}
    if route.matched:
        found.add(412)
    if route.method != "GET":
        # What it changes may contradict what is there, or be changed meanwhile.
        found |= {409, 412}
    return sorted(found)


def _operation(route: Route) -> dict[str, Any]:
    told: dict[str, Any] = {
        "summary": route.summary,
        "operationId": re.sub(r"\W+", "_", f"{route.method.lower()}{route.path}").strip("_"),
        "x-permission": route.needs,
        "parameters": _parameters(route),
        "responses": {str(status): _response(route, status) for status in statuses(route)},
    }
    if route.body is not None:
        told["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _schema(route.body)}},
        }
    if route.needs == "nobody":
        told["security"] = []
    elif route.needs == "session":
        told["security"] = [{"session": []}]
    return told


def _parameters(route: Route) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in PARAMETER.findall(route.path)
    ]
    if route.query is not None:
        (schema,), components = msgspec.json.schema_components([route.query])
        for name, about in components[schema["$ref"].rpartition("/")[2]]["properties"].items():
            found.append({"name": name, "in": "query", "required": False, "schema": about})
    if route.matched:
        found.append({"name": "If-Match", "in": "header", "required": True, "schema": {"type": "string"}})
    return found


def _response(route: Route, status: int) -> dict[str, Any]:
    what = HTTPStatus(status).phrase
    if status != route.status:
        return {
            "description": what,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
        }
    if route.answer is Nothing:
        return {"description": what}
    if route.answer is Redirect:
        where = {"description": "where to go on", "required": True, "schema": {"type": "string"}}
        return {"description": what, "headers": {"Location": where}}
    content = {"application/json": {"schema": _answered(route.answer)}}
    if route.query is not None and "format" in route.query.__struct_fields__:
        content["application/jsonl"] = {"schema": {"type": "string"}}
    return {"description": what, "content": content}


def _answered(answer: Any) -> dict[str, Any]:
    if answer is Lines:
        return {"type": "string"}
    if get_origin(answer) is list:
        return {
            "type": "object",
            "required": ["data", "next"],
            "properties": {
                "data": {"type": "array", "items": _schema(_item(answer))},
                "next": {"type": ["string", "null"]},
            },
        }
    return _schema(answer)


def _item(answer: Any) -> Any:
    return get_args(answer)[0] if get_origin(answer) is list else answer


def _schema(kind: Any) -> dict[str, Any]:
    if not _is_struct(kind):
        return {}
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def _is_struct(kind: Any) -> bool:
    return (
        isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind not in (Nothing, Lines, Redirect)
    )


def _numbers(schema: Any) -> Any:
    """Amounts are JSON numbers; what is sent may be the text of one too."""
    match schema:
        case {"type": "string", "format": "decimal", **rest}:
            return {"type": ["number", "string"], **rest}
        case dict():
            return {name: _numbers(value) for name, value in schema.items()}
        case list():
            return [_numbers(value) for value in schema]
    return schema
