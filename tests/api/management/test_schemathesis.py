"""Schemathesis plays the whole management API from its OpenAPI document, through a socket: as an operator, an
owner, a member, somebody at a browser, and nobody. It finds no 5xx and no answer that is not documented.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from browser_scene import signed_in
from deeptoken.api.management.table import ROUTES
from management_scene import Managed, managed

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 2
SECONDS = 60
LAST = ("/api/session", "/api/password", "/api/me/password", "/api/me/second-factor")
"""What signing in is made of: played at the end, since it slows itself down and ends sessions."""
DONE_SHARE = 0.6
"""Of the operations: each of so many was done at least once, so that the run saw more than refusals."""
KNOWN = {
    "slug": "acme",
    "org": "acme",
    "user": "viewer",
    "name": "viewer",
    "role": "helper",
    "wallet": "user:viewer",
}
"""What there is, by the name of a parameter of a path."""
CHANNEL = "/api/admin/channels/{name}"


async def ready(there: Managed) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """Whoever plays, with the headers that show who it is; and ids of what may go, by their paths."""
    await there.done(
        "owner", "POST", "/api/orgs/acme/roles", b'{"name": "helper", "permissions": ["calls.make"]}'
    )
    shared = await there.done("owner", "POST", "/api/orgs/acme/keys", b'{"name": "spare"}')
    own = await there.done("member", "POST", "/api/keys", b'{"name": "spare"}')
    await there.done("root", "POST", "/api/admin/channels", b'{"name": "spare", "provider": "sim"}')
    invited = b'{"email": "eve@example.com", "role": "member"}'
    invitation = await there.done("owner", "POST", "/api/orgs/acme/invitations", invited)
    browser = await signed_in(there, "admin")
    cookie = {
        "Cookie": f"__Host-deeptoken={browser.token}",
        "X-CSRF-Token": browser.csrf,
        "Sec-Fetch-Site": "same-origin",
    }
    bearers = {who: {"Authorization": f"Bearer {there.secrets[who]}"} for who in ("root", "owner", "member")}
    ids = {
        "/api/keys/{id}": own["id"],
        "/api/orgs/{slug}/keys/{id}": shared["id"],
        "/api/orgs/{slug}/invitations/{id}": invitation["id"],
    }
    return {**bearers, "browser": cookie, "nobody": {}}, ids


class Played:
    """What was answered."""

    def __init__(
        self,
        base_url: str,
        document: dict[str, Any],
        who: Mapping[str, dict[str, str]],
        ids: Mapping[str, str],
    ) -> None:
        self.done: set[str] = set()
        self.statuses: set[int] = set()
        self.requests = 0
        self._base_url = base_url
        self._who = who
        self._ids = ids
        found = list(schemathesis.openapi.from_dict(document).get_all_operations())
        self._operations = [one.ok() for one in found if isinstance(one, Ok)]
        assert len(self._operations) == len(found), "the document has operations that cannot be read"

    def play(self) -> None:
        with requests.Session() as session:
            for operation in sorted(
                self._operations,
                key=lambda one: (one.path in LAST, one.path, one.method.upper() == "DELETE", one.method),
            ):
                self._play(session, operation, GenerationMode.POSITIVE, self._there(operation.path))
                self._play(session, operation, GenerationMode.POSITIVE, {})
                if operation.body:
                    self._play(session, operation, GenerationMode.NEGATIVE, {})

    def _there(self, path: str) -> dict[str, str]:
        """The parameters of that path, for what there is."""
        id = next((id for begun, id in self._ids.items() if path.startswith(begun)), None)
        known = {**KNOWN, "name": "spare"} if path.startswith(CHANNEL) else KNOWN
        return known if id is None else {**known, "id": id}

    def _play(
        self, session: requests.Session, operation: Any, mode: GenerationMode, there: dict[str, str]
    ) -> None:
        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def sent(case: Any) -> None:
            case.path_parameters = {
                name: there.get(name, value) for name, value in (case.path_parameters or {}).items()
            }
            for headers in self._who.values():
                self._send(session, operation, case, headers)

        sent()

    def _send(self, session: requests.Session, operation: Any, case: Any, headers: dict[str, str]) -> None:
        match = {"If-Match": '"1"'} if operation.method.upper() == "PATCH" else {}
        session.cookies.clear()
        answer = case.call_and_validate(
            base_url=self._base_url,
            session=session,
            headers={**headers, **match},
            checks=CHECKS,
            timeout=SECONDS,
            allow_redirects=False,
        )
        self.requests += 1
        self.statuses.add(answer.status_code)
        if answer.status_code < 300:
            self.done.add(f"{operation.method.upper()} {operation.path}")


def test_schemathesis_finds_no_5xx_and_no_undocumented_answer(tmp_path: Path) -> None:
    async def story() -> Played:
        async with managed(tmp_path) as there:
            who, ids = await ready(there)
            document = await there.done("member", "GET", "/api/openapi.json")
            played = Played(f"http://127.0.0.1:{there.gateway.port}", document, who, ids)
            await asyncio.to_thread(played.play)
            return played

    played = asyncio.run(story())

    print(f"\n{played.requests} requests, {len(played.done)} of {len(ROUTES)} done, {played.statuses}")
    assert {200, 201, 204, 400, 401, 403, 404} <= played.statuses
    assert len(played.done) >= DONE_SHARE * len(ROUTES), sorted(
        {f"{route.method} {route.path}" for route in ROUTES} - played.done
    )


def test_an_answer_that_is_not_documented_is_found(tmp_path: Path) -> None:
    async def story() -> None:
        async with managed(tmp_path) as there:
            document = await there.done("member", "GET", "/api/openapi.json")
            operation = document["paths"]["/api/me"]["get"]
            del operation["responses"]["401"]
            alone = {**document, "paths": {"/api/me": {"get": operation}}}
            played = Played(f"http://127.0.0.1:{there.gateway.port}", alone, {"nobody": {}}, {})
            with pytest.raises(FailureGroup, match="Undocumented status code"):
                await asyncio.to_thread(played.play)

    asyncio.run(story())
