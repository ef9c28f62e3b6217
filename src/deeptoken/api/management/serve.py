"""One request of the management API, from its route to its answer.

who            a session's cookie, or a key of the scope `manage`         401, 403
may they       the route's permission, in the organization of its path    403, 404
what           body and query, as the route's structs                     400, 412, 413, 415
done           the handler
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as Mounted

from deeptoken import clock, ids
from deeptoken.accounts.change import Actor
from deeptoken.accounts.permissions import belongs, permissions_in
from deeptoken.accounts.sign_in import IDLE_US, SEEN_EVERY_US
from deeptoken.api.address import Proxies
from deeptoken.api.exchange import label
from deeptoken.api.management.cookie import COOKIE, SignedIn, ensure_own_page, ensure_token
from deeptoken.api.management.route import Asked, Lines, Nothing, Redirect, Route, World
from deeptoken.errors import (
    AccountSuspended,
    BadRequest,
    KeyInvalid,
    OrganizationNotFound,
    PermissionDenied,
    PreconditionFailed,
    RequestTooLarge,
    UnsupportedMedia,
)
from deeptoken.identity.caller import Caller
from deeptoken.identity.organizations import Tenant
from deeptoken.store.queries.sign_in import Visitor, see_session

BODY_MAX = 256 * 1024
ETAG = re.compile(r'\s*(?:W/)?"(\d{1,18})"\s*')
LINES_TYPE = "application/jsonl"
SAFE = ("GET", "HEAD")

encode = msgspec.json.Encoder(decimal_format="number").encode


class Management:
    """Serves the table of routes."""

    def __init__(self, world: World, routes: Iterable[Route]) -> None:
        self._world = world
        self._routes = list(routes)

    def mounted(self) -> list[Mounted]:
        """The routes as starlette takes them: one for each path."""
        paths: dict[str, dict[str, Route]] = {}
        for route in self._routes:
            paths.setdefault(route.path, {})[route.method] = route
        return [
            Mounted(path, self._endpoint(methods), methods=list(methods)) for path, methods in paths.items()
        ]

    def _endpoint(self, methods: Mapping[str, Route]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            return await self._serve(methods["GET" if request.method == "HEAD" else request.method], request)

        return endpoint

    async def _serve(self, route: Route, request: Request) -> Response:
        actor, signed_in = await self._who(route, request)
        tenant = self._tenant(route, request, actor)
        match = _match(request) if route.matched else None
        asked = Asked(
            world=self._world,
            actor=actor,
            path=request.path_params,
            body=None if route.body is None else await _body(request, route.body),
            query=None if route.query is None else _query(request, route.query),
            match=match,
            tenant=tenant,
            signed_in=signed_in,
            headers=request.headers,
            cookies=request.cookies,
            answer_headers=[],
        )
        told = await route.handler(asked)
        headers = request_ids(request) | {"cache-control": "no-store"}
        version = getattr(told, "version", None)
        if isinstance(version, int):
            headers["etag"] = f'"{version}"'
        if isinstance(told, Nothing):
            response = Response(status_code=204, headers=headers)
        elif isinstance(told, Redirect):
            response = Response(status_code=route.status, headers=headers | {"location": told.location})
        elif isinstance(told, Lines):
            lines = b"".join(encode(row) + b"\n" for row in told.rows)
            response = Response(lines, route.status, headers=headers, media_type=LINES_TYPE)
        else:
            response = Response(encode(told), route.status, headers=headers, media_type="application/json")
        for name, value in asked.answer_headers:
            response.headers.append(name, value)
        return response

    async def _who(self, route: Route, request: Request) -> tuple[Actor, SignedIn | None]:
        """Who asks, and their session where it is not by a key.

        Raises:
            KeyInvalid: nobody is known, and the route needs one.
            PermissionDenied: a key of another scope, or for what only a session may.
            CsrfFailed: it came from somebody else's page.
        """
        address = Proxies(self._world.settings.server.trusted_proxies).client(
            request.client.host if request.client else None,
            {name.lower(): value for name, value in request.scope["headers"]},
        )
        sent = request.headers.get("authorization", "")
        if sent[:7].lower() == "bearer ":
            actor = await self._of_key(sent[7:].strip(), address)
            if route.needs == "session":
                raise PermissionDenied("Only who is signed in may do this, and no key: POST /api/session.")
            return actor, None
        if request.method not in SAFE:
            ensure_own_page(request.headers)
        token = request.cookies.get(COOKIE)
        if token is not None and route.needs != "nobody":
            visitor = await self._visitor(token)
            if visitor is not None:
                if request.method not in SAFE:
                    ensure_token(request.headers, token)
                return _person(visitor, address), SignedIn(visitor.session, token)
        if route.needs != "nobody":
            raise KeyInvalid("Sign in, or send an API key of the scope manage: Authorization: Bearer dtk_...")
        return Actor(name="nobody", address=address), None

    async def _visitor(self, token: str) -> Visitor | None:
        """Raises `AccountSuspended`."""
        now_us = clock.wall_us()
        visitor = await self._world.read(
            lambda reader: reader.visitor(ids.digest(token), now_us, now_us - IDLE_US)
        )
        if visitor is None:
            return None
        if visitor.suspended:
            raise AccountSuspended("This account is suspended. Ask the operator why.")
        if visitor.session.seen_us < now_us - SEEN_EVERY_US:
            await self._world.post(see_session(visitor.session.id, now_us))
        return visitor

    async def _of_key(self, secret: str, address: str | None) -> Actor:
        try:
            caller = self._world.snapshot.keys.authenticate(secret, address, clock.wall_us())
        except KeyInvalid:
            # It may have been made a moment ago.
            if not await self._world.news():
                raise
            caller = self._world.snapshot.keys.authenticate(secret, address, clock.wall_us())
        if caller.suspended:
            raise AccountSuspended("This account is suspended. Ask the operator why.")
        if caller.scope != "manage":
            raise PermissionDenied(
                f"This API key has the scope {caller.scope!r}; the management API needs one of manage."
            )
        return _key_actor(caller, address, operator=caller.account in self._world.snapshot.operators)

    def _tenant(self, route: Route, request: Request, actor: Actor) -> Tenant | None:
        """The organization of the path, for who may do this in it.

        Raises:
            OrganizationNotFound: there is none, or none that the actor belongs to: the two look the same.
            PermissionDenied: the actor's role does not have it.
        """
        if route.needs in ("nobody", "account", "session"):
            return None
        if route.needs == "person":
            if actor.user is None:
                raise PermissionDenied("Only a person may do this: sign in, or send a key of your own.")
            return None
        if route.needs == "operator":
            if not actor.operator:
                raise PermissionDenied("Only an operator of this installation may do this.")
            return None
        slug = request.path_params["slug"]
        tenant = self._world.snapshot.organizations.find(slug)
        if tenant is None or not belongs(tenant, actor):
            raise OrganizationNotFound(f"There is no organization {slug!r} that you belong to.")
        if route.oneself and actor.name == f"user:{request.path_params['user']}":
            return tenant
        if route.needs not in permissions_in(tenant, actor):
            raise PermissionDenied(f"Your role in {slug!r} does not have the permission {route.needs}.")
        return tenant


def _person(visitor: Visitor, address: str | None) -> Actor:
    user = visitor.session.user
    return Actor(
        name=f"user:{visitor.name}", account=user, by=user, address=address, operator=visitor.operator
    )


def _key_actor(caller: Caller, address: str | None, *, operator: bool) -> Actor:
    return Actor(
        name=caller.owner,
        account=caller.account,
        by=caller.key,
        address=address,
        operator=operator and caller.personal,
    )


def _match(request: Request) -> int:
    """Raises `PreconditionFailed`: there is no version to compare with."""
    told = ETAG.fullmatch(request.headers.get("if-match", ""))
    if told is None:
        raise PreconditionFailed("Send the ETag of what you read as If-Match, so that no change is lost.")
    return int(told[1])


async def _body(request: Request, kind: Any) -> Any:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedMedia("The body is JSON: send Content-Type: application/json.")
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > BODY_MAX:
            raise RequestTooLarge(f"The body has more than {BODY_MAX} bytes.")
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise unreadable(error) from None


def _query(request: Request, kind: Any) -> Any:
    told = request.query_params.multi_items()
    if len({name for name, _ in told}) != len(told):
        raise BadRequest("A parameter stands twice in the query.")
    try:
        return msgspec.convert(dict(told), kind, strict=False)
    except msgspec.ValidationError as error:
        raise unreadable(error) from None


def unreadable(error: Exception) -> BadRequest:
    """What msgspec says of a body or query, as our error: ``Expected `str`, got `int` - at `$.name```."""
    said, _, where = str(error).partition(" - at ")
    path = where.removeprefix("`key` in ").strip("`").removeprefix("$").removeprefix(".")
    unknown = re.search(r"unknown field `([^`]*)`|required field `([^`]*)`", said)
    if unknown:
        path = ".".join(part for part in (path, unknown[1] or unknown[2]) if part)
    what = said.replace("`", "").replace("Object ", "The object ")
    return BadRequest(f"{path}: {what}." if path else f"{what}.", param=path or None)


def request_ids(request: Request) -> dict[str, str]:
    """``X-DeepToken-Id`` and ``X-Request-Id``, which every answer has."""
    id = ids.uuid7()
    sent = request.headers.get("x-request-id")
    return {"x-deeptoken-id": id, "x-request-id": label(sent.encode("latin-1") if sent else None) or id}
