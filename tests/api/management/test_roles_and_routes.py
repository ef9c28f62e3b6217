"""Who may what: every role on every route of the table. A route that is added is tried by itself."""

import asyncio
import re
from pathlib import Path

import pytest

from deeptoken.accounts.permissions import MACHINE
from deeptoken.api.management.route import Route
from deeptoken.api.management.table import ROUTES
from deeptoken.identity.roles import PERMISSIONS, ROLES
from management_scene import PEOPLE, Managed, managed
from whole_scene import Reply

WHO = (*PEOPLE, "machine", "nobody")
PLACE = re.compile(r"\{(\w+)(?::\w+)?\}")
UNKNOWN = "nothing-of-that-name"


def path_of(route: Route) -> str:
    """Within acme, of something that is not there."""
    return PLACE.sub(lambda place: "acme" if place[1] == "slug" else UNKNOWN, route.path)


def may(who: str, route: Route) -> bool:
    """What the specification's table of roles says."""
    match route.needs:
        case "nobody":
            return True
        case "account":
            return who != "nobody"
        case "session":
            return False
        case "person":
            return who not in ("machine", "nobody")
        case "operator":
            return who == "root"
    return route.needs in (MACHINE if who == "machine" else ROLES.get(who, ()))


def is_let_in(reply: Reply) -> bool:
    code = reply.json["error"]["code"] if reply.status >= 400 else ""
    return reply.status not in (401, 403) and code != "org_not_found"


def expected_refusal(who: str, route: Route) -> tuple[int, str]:
    if who == "nobody":
        return 401, "invalid_api_key"
    outside = route.needs in PERMISSIONS and who not in (*ROLES, "machine")
    return (404, "org_not_found") if outside else (403, "permission_denied")


async def breaches(there: Managed, who: str) -> list[str]:
    """The routes on which the answer is another than the table says."""
    found = []
    for route in ROUTES:
        reply = await there.ask(None if who == "nobody" else who, route.method, path_of(route))
        if may(who, route):
            right = is_let_in(reply)
        else:
            right = not is_let_in(reply) and (reply.status, reply.error["code"]) == expected_refusal(
                who, route
            )
        if not right:
            found.append(f"{route.method} {route.path} ({route.needs}): {reply.status} {reply.body!r}")
    return found


@pytest.mark.parametrize("who", WHO)
def test_each_route_lets_in_exactly_who_has_its_permission(tmp_path: Path, who: str) -> None:
    async def story() -> None:
        async with managed(tmp_path) as there:
            assert await breaches(there, who) == []

    asyncio.run(story())


def test_the_table_has_each_route_once_and_says_what_it_is() -> None:
    named = [(route.method, route.path) for route in ROUTES]

    assert len(set(named)) == len(named)
    assert [route.path for route in ROUTES if not route.path.startswith("/api/")] == []
    assert [route.summary for route in ROUTES if not route.summary or route.summary.endswith(".")] == []
    assert [route.path for route in ROUTES if route.method == "PATCH" and not route.matched] == []
    assert [route.path for route in ROUTES if ("{slug}" in route.path) != (route.needs in PERMISSIONS)] == []


def test_reading_needs_a_right_to_read_and_changing_one_to_change() -> None:
    reading = (".read", ".own")

    assert [
        f"{route.method} {route.path}"
        for route in ROUTES
        if route.needs in PERMISSIONS and (route.method == "GET") != route.needs.endswith(reading)
    ] == []


def test_the_roles_are_those_of_the_specification() -> None:
    alone = {"org.delete", "org.transfer"}

    assert ROLES["owner"] == set(PERMISSIONS)
    assert ROLES["admin"] == set(PERMISSIONS) - alone
    assert not ROLES["billing"] & {"members.manage", "keys.read", "keys.manage", "calls.make"}
    assert ROLES["member"] == {"org.read", "calls.make", "usage.own"}
    assert not any(name.endswith((".manage", ".make")) for name in ROLES["viewer"])
