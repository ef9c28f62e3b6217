"""What a route of the management API is: where, who may, what is sent and what is answered.

The table of them (`table.py`) is what is served, what the OpenAPI document is made from, and what the tests
walk: a route that declares nothing cannot be.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, Protocol, TypeVar

import msgspec

from deeptoken.accounts.attempts import Attempts as SignIns
from deeptoken.accounts.change import Actor
from deeptoken.accounts.oidc import Issuers
from deeptoken.accounts.permissions import permissions_in
from deeptoken.api.management.cookie import SignedIn
from deeptoken.catalog.model import Group
from deeptoken.errors import BadRequest, Conflict, NotFound, PreconditionFailed
from deeptoken.gateway.route import Attempts
from deeptoken.gateway.snapshot import Snapshot
from deeptoken.identity.organizations import Tenant
from deeptoken.identity.roles import Permission
from deeptoken.ledger.postings import Answer, Done, Posting, Rejected
from deeptoken.mail import Mail
from deeptoken.settings import Settings
from deeptoken.store.reads import Reader
from deeptoken.store.secrets import Secrets

Found = TypeVar("Found")

Needs = Literal["nobody", "account", "person", "session", "operator"] | Permission
"""``nobody``: no one has to be known; ``account``: anyone who is; ``person``: a user, no organization's own
key; ``session``: a person who is signed in, and no key; else a permission in the organization that the path
names."""

PAGE_DEFAULT, PAGE_MAX = 50, 200


class Page(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which part of a list: at most so many, after that cursor."""

    limit: int = PAGE_DEFAULT
    after: str = ""


class Nothing(msgspec.Struct, frozen=True):
    """An answer without a body: 204."""


class Redirect(msgspec.Struct, frozen=True):
    """An answer that sends the browser on."""

    location: str


class World(Protocol):
    """What the handlers need of the installation that runs."""

    @property
    def settings(self) -> Settings: ...
    @property
    def snapshot(self) -> Snapshot: ...
    @property
    def secrets(self) -> Secrets: ...
    @property
    def attempts(self) -> SignIns: ...
    @property
    def mail(self) -> Mail: ...
    @property
    def upstream(self) -> Attempts: ...
    @property
    def issuers(self) -> Issuers: ...
    async def read(self, ask: Callable[[Reader], Found]) -> Found: ...
    async def post(self, *postings: Posting) -> list[Answer]:
        """Answered when it is durable and every call sees it."""
        ...

    async def news(self) -> bool:
        """Whether something was written that the snapshot did not have; it has it now."""
        ...


class Asked(msgspec.Struct, frozen=True):
    """One request, as its handler gets it: authenticated, authorised, read."""

    world: World
    actor: Actor
    path: Mapping[str, str]
    body: Any
    query: Any
    match: int | None
    """The version that ``If-Match`` names."""
    tenant: Tenant | None = None
    """The organization that the path names."""
    signed_in: SignedIn | None = None
    headers: Mapping[str, str] = {}
    cookies: Mapping[str, str] = {}
    answer_headers: list[tuple[str, str]] = []
    """What else stands in the answer's head."""

    @property
    def org(self) -> Tenant:
        """The organization of a route that has one."""
        assert self.tenant is not None, "the route names no organization"
        return self.tenant

    @property
    def may(self) -> frozenset[str]:
        """What the actor may in it."""
        return permissions_in(self.org, self.actor)

    @property
    def groups(self) -> Mapping[str, Group]:
        return {group.name: group for group in self.world.settings.groups}

    def matched(self, version: int) -> None:
        """Raises `PreconditionFailed`: the change was made from another state than this."""
        if self.match != version:
            raise PreconditionFailed(
                f"This is at version {version} now. Read it again, and send its ETag as If-Match."
            )

    async def change(self, *postings: Posting) -> None:
        """Post what must change something.

        Raises:
            Conflict: what is there contradicts it.
            PreconditionFailed: somebody else was first.
        """
        for answer in await self.world.post(*postings):
            if isinstance(answer, Rejected):
                raise Conflict(answer.why)
            if isinstance(answer, Done) and not answer.changed:
                raise PreconditionFailed("It was changed meanwhile. Read it again.")


Handler = Callable[[Asked], Awaitable[Any]]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table. `answer` is the struct that it answers, ``list[Struct]`` for a page of them."""

    method: Literal["GET", "POST", "PATCH", "PUT", "DELETE"]
    path: str
    needs: Needs
    handler: Handler
    summary: str
    answer: Any = Nothing
    body: Any = None
    query: Any = None
    status: int = 200
    matched: bool = False
    """It takes ``If-Match``."""
    oneself: bool = False
    """Whom ``{user}`` in the path names may too, if they belong to the organization."""
    errors: tuple[int, ...] = ()
    """Which statuses it answers besides those that every such route does."""

    @property
    def paged(self) -> bool:
        return self.query is not None and issubclass(self.query, Page)


class Lines(msgspec.Struct, frozen=True):
    """An answer as JSON lines."""

    rows: list[Any]


class Slice(msgspec.Struct, frozen=True):
    """A page of a list: its rows, and the cursor of the next."""

    data: list[Any]
    next: str | None


def sliced(rows: list[Any], limit: int, cursor: Callable[[Any], str]) -> Slice:
    """Of `limit` rows and one more, if there is one: the page, and where the next begins."""
    page = rows[:limit]
    return Slice(page, cursor(page[-1]) if len(rows) > limit else None)


def one(found: Found | None, what: str, name: str) -> Found:
    """Raises `NotFound`, which does not tell whether somebody else has one of that name."""
    if found is None:
        raise NotFound(f"There is no {what} {name!r} here.")
    return found


def limit_of(page: Page) -> int:
    """How many rows are asked for.

    Raises:
        BadRequest: not 1 to 200.
    """
    if not 1 <= page.limit <= PAGE_MAX:
        raise BadRequest(f"limit: 1 to {PAGE_MAX} rows.", param="limit")
    return page.limit
