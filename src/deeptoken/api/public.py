"""What needs no key: the catalog, and what operators and balancers read. Routed by starlette."""

import hmac
import ipaddress
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deeptoken.api import errors as envelope
from deeptoken.api.exchange import CROSS_ORIGIN, PREFLIGHT
from deeptoken.api.management.serve import request_ids
from deeptoken.catalog.catalog import Catalog
from deeptoken.catalog.listing import entry
from deeptoken.errors import DeeptokenError, MethodNotAllowed, NotFound, PermissionDenied
from deeptoken.settings import Server

GROUP_SHOWN = "free"
CORS = {name.decode(): value.decode() for name, value in CROSS_ORIGIN}
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
FORWARDED = ("forwarded", "x-forwarded-for", "via")


class Told(msgspec.Struct, frozen=True):
    """What operators read, of one process or of all of them."""

    metrics: Callable[[], Awaitable[bytes]]
    health: Callable[[], Awaitable[dict[str, Any]]]


class Public:
    """The routes outside ``/v1``. `catalog`, `state` and `told` are asked at each request."""

    def __init__(
        self,
        catalog: Callable[[], Catalog],
        state: Callable[[], dict[str, Any]],
        told: Told,
        server: Server,
    ) -> None:
        self._catalog = catalog
        self._state = state
        self._told = told
        self._server = server

    def application(self, managed: Sequence[Route] = ()) -> Starlette:
        """With the routes of the management API."""
        return Starlette(
            routes=[
                *managed,
                Route("/api/catalog", self.catalog, methods=["GET"]),
                Route("/api/catalog", _preflight, methods=["OPTIONS"]),
                Route("/healthz", self.healthz, methods=["GET"]),
                Route("/readyz", self.readyz, methods=["GET"]),
                Route("/metrics", self.metrics, methods=["GET"]),
            ],
            exception_handlers={
                HTTPException: _http_error,
                DeeptokenError: _error,
                Exception: _unexpected,
            },
        )

    async def catalog(self, request: Request) -> Response:
        """The catalog with prices, as group `free` sees it, else `default`."""
        catalog = self._catalog()
        group = catalog.group(GROUP_SHOWN)
        entries = []
        for id in catalog.exact_ids(group.name):
            model = catalog.model(id, group.name)
            if model is not None:
                entries.append(entry(model, group))
        return _json(request, {"object": "list", "data": entries}, headers=CORS)

    async def healthz(self, request: Request) -> Response:
        """The process lives."""
        return _json(request, {"status": "ok"})

    async def readyz(self, request: Request) -> Response:
        """Whether a balancer should send calls here; for who may read the metrics, how the channels stand."""
        state = self._state()
        told = state | await self._told.health() if self._may_read(request) else state
        return _json(request, told, status=200 if state["ready"] else 503)

    async def metrics(self, request: Request) -> Response:
        """For who has the token; without one, for this machine, unless the request was forwarded.

        Raises:
            PermissionDenied: anyone else.
        """
        if not self._may_read(request):
            if self._server.metrics_token is not None:
                raise PermissionDenied("Send the metrics token: Authorization: Bearer ...")
            raise PermissionDenied("Without server.metrics_token, /metrics answers this machine only.")
        return Response(await self._told.metrics(), media_type=METRICS_TYPE, headers=request_ids(request))

    def _may_read(self, request: Request) -> bool:
        """What is the operator's: the names of channels, and what is wrong with them."""
        token = self._server.metrics_token
        if token is None:
            return _is_local(request)
        sent = request.headers.get("authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(sent.encode(), token.encode())


def _is_local(request: Request) -> bool:
    if request.client is None or any(name in request.headers for name in FORWARDED):
        return False
    return ipaddress.ip_address(request.client.host).is_loopback


async def _preflight(request: Request) -> Response:
    headers = {name.decode(): value.decode() for name, value in PREFLIGHT}
    return Response(status_code=204, headers=request_ids(request) | CORS | headers)


def _json(
    request: Request, value: object, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    return Response(
        msgspec.json.encode(value),
        status_code=status,
        media_type="application/json",
        headers=request_ids(request) | (headers or {}),
    )


async def _error(request: Request, error: Exception) -> Response:
    assert isinstance(error, DeeptokenError)
    headers = {name.decode(): value.decode() for name, value in envelope.headers(error)}
    return Response(envelope.body(error), status_code=error.status, headers=request_ids(request) | headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    """Our fault; starlette raises it once more, for the log."""
    return await _error(request, DeeptokenError())


async def _http_error(request: Request, error: Exception) -> Response:
    """Starlette's own: a route or a method that is not there."""
    assert isinstance(error, HTTPException)
    path = request.url.path
    if error.status_code == 405:
        allowed = tuple((error.headers or {}).get("Allow", "GET").split(", "))
        message = f"{path} takes {', '.join(allowed)}, not {request.method}."
        return await _error(request, MethodNotAllowed(message, allowed=allowed))
    return await _error(request, NotFound(f"There is no {path}. The documentation lists the endpoints."))
