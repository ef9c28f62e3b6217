"""Nothing of one organization is in an answer to another's people, whatever they read and guess."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deeptoken import ids
from deeptoken.api.management.route import Route
from deeptoken.api.management.table import ROUTES
from management_scene import PEOPLE, Managed
from organization_scene import Story, call, change, found, grant, join, key_of, tell
from whole_scene import Reply

PLACE = re.compile(r"\{(\w+)(?::\w+)?\}")
NOWHERE = "nowhere-4d1f"
READS = [route for route in ROUTES if route.method == "GET" and route.needs != "operator"]
ASKING = (*(who for who in PEOPLE if who not in ("stranger", "root")), "machine")
AMOUNTS = ("7391731", "3917317", "5173917", "6813579")
RIVAL = """
[[users]]
name = "rivalry-owner"
grant_usd = 6.813579
[[users]]
name = "rivalry-member"
[[keys]]
name = "manage"
owner = "rivalry-owner"
scope = "manage"
secret = "{owner}"
[[keys]]
name = "manage"
owner = "rivalry-member"
scope = "manage"
secret = "{member}"
"""


@dataclass
class Rival:
    """Another tenant: what can be guessed of it, by a route's parameter, and what must not show."""

    guesses: dict[str, list[str]]
    marks: set[str]


async def settle(there: Managed) -> Rival:
    """A rival with a bit of everything, its amounts unlike any other."""
    org = await found(there, "rivalry", "rivalry-owner", name="Rivalry Inc")
    hook = {"webhook": "https://rivalry.example.com/hook"}
    changed = await change(there, org, hook, by="rivalry-owner", seen_by="rivalry-owner")
    assert changed.status == 200
    await grant(there, "org:rivalry", "7.391731")
    invited = await join(there, org, "rivalry-member", by="rivalry-owner", budget_usd="3.917317")
    role = await there.done(
        "rivalry-owner", "POST", f"{org}/roles", {"name": "rivalry-role", "permissions": ["org.read"]}
    )
    key = await there.done(
        "rivalry-owner", "POST", f"{org}/keys", {"name": "rivalry-key", "ceilings": {"1d": "5.173917"}}
    )
    secret, before = await key_of(there, "rivalry-member"), len(there.gateway.rows())
    for reply in (await call(there, key["secret"]), await call(there, secret, "rivalry")):
        assert reply.status == 200
    rows = [row for row in await there.gateway.settled(before + 2) if row.wallet == "org:rivalry"]
    with there.gateway.reader() as reader:
        row = reader.organization("rivalry")
        assert row is not None
        lots = [lot.id for lot in reader.lots(row.id)]
        users = {user.name: user.id for user in reader.users()}
        keys = reader.keys()
    personal = [one.id for one in keys if one.owner == users["rivalry-owner"]]
    usage = [row.id for row in rows]
    guesses = {
        "id": [key["id"], invited["id"], *usage, *personal, *lots, row.id],
        "slug": ["rivalry", row.id],
        "user": ["rivalry-owner", "rivalry-member", users["rivalry-owner"]],
        "role": [role["name"]],
    }
    marks = {
        "rivalry", "Rivalry", row.id, key["id"], key["prefix"], invited["id"], *usage, *lots, *personal,
        users["rivalry-owner"], users["rivalry-member"], *AMOUNTS,
    }  # fmt: skip
    return Rival(guesses, marks)


def paths(route: Route, guesses: dict[str, list[str]]) -> list[tuple[str, str]]:
    """Every guess in every place of a route, and the same path with what is nowhere."""
    names = PLACE.findall(route.path)
    if not names:
        return [(route.path, route.path)]
    places = []
    for slug in ("acme", *guesses["slug"]) if "slug" in names else ("",):
        rest = [name for name in names if name != "slug"]
        base = route.path.replace("{slug}", slug)
        blank = route.path.replace("{slug}", slug if slug == "acme" else NOWHERE)
        if not rest:
            places.append((base, blank))
        for name in rest:
            for guess in guesses.get(name, guesses["id"]):
                places.append((PLACE.sub(guess, base), PLACE.sub(NOWHERE, blank)))
    return places


def told(reply: Reply, path: str) -> tuple[int, str]:
    """Status and body, without what the request itself had said."""
    said = reply.body.decode()
    for part in sorted(path.split("/"), key=len, reverse=True):
        if part and part not in ("api", "orgs", "acme"):
            said = said.replace(part, "…")
    return reply.status, said


@pytest.mark.parametrize("who", ASKING)
def test_nothing_of_another_tenant_is_in_any_answer(tmp_path: Path, who: str) -> None:
    async def story(there: Managed) -> None:
        assert (await call(there, await key_of(there, "member"), "acme")).status == 200
        await there.gateway.settled(1)
        rival = await settle(there)
        for route in READS:
            for path, blank in paths(route, rival.guesses):
                reply = await there.ask(who, "GET", path)
                status, body = told(reply, path)
                shown = sorted(mark for mark in rival.marks if mark in body)
                assert shown == [], (path, shown)
                if path != blank:
                    # Of what is another's one learns no more than of what is not there.
                    nothing = told(await there.ask(who, "GET", blank), blank)
                    assert (status, body) == nothing, path

    tell_with_rival(tmp_path, story)


def test_its_own_people_see_all_of_it(tmp_path: Path) -> None:
    """What the test above looks for is there to be found."""

    async def story(there: Managed) -> None:
        rival = await settle(there)
        seen = ""
        for route in READS:
            for path, _ in paths(route, rival.guesses):
                seen += (await there.ask("rivalry-owner", "GET", path)).body.decode()
        ids_of_users = {mark for mark in rival.marks if mark.startswith("usr_")}
        assert sorted(mark for mark in rival.marks - ids_of_users if mark not in seen) == []

    tell_with_rival(tmp_path, story)


@pytest.mark.parametrize("who", ["owner", "machine"])
def test_nothing_of_another_tenant_is_changed(tmp_path: Path, who: str) -> None:
    """Nor does an attempt tell that it is there."""
    changes: list[tuple[str, str, Any]] = [
        ("PATCH", "/keys/{id}", {"rpm": 1}),
        ("DELETE", "/keys/{id}", None),
        ("POST", "/keys/{id}/revoke", None),
        ("POST", "/keys/{id}/rotate", {}),
        ("DELETE", "/invitations/{id}", None),
        ("PATCH", "/members/{user}", {"role": "viewer"}),
        ("DELETE", "/members/{user}", None),
        ("PATCH", "/roles/{role}", {"permissions": ["org.read"]}),
        ("DELETE", "/roles/{role}", None),
    ]

    async def story(there: Managed) -> None:
        rival = await settle(there)
        with there.gateway.reader() as reader:
            before = (reader.keys(), reader.members(), reader.roles(), reader.organizations())
        for method, path, body in changes:
            for org in ("/api/orgs/acme", "/api/orgs/rivalry", "/api"):
                [name] = PLACE.findall(path)
                for guess in rival.guesses[name]:
                    asked = org + PLACE.sub(guess, path)
                    reply = await there.ask(who, method, asked, body, if_match='"1"')
                    assert reply.status in (404, 405), (asked, reply)
        if who == "owner":
            heir = {"user": "rivalry-owner"}
            assert (await there.refused(who, "POST", "/api/orgs/acme/transfer", heir))[0] == 404
        with there.gateway.reader() as reader:
            after = (reader.keys(), reader.members(), reader.roles(), reader.organizations())
        assert before == after

    tell_with_rival(tmp_path, story)


def tell_with_rival(folder: Path, story: Story) -> None:
    secrets = {"owner": ids.new_secret(), "member": ids.new_secret()}

    async def with_rival(there: Managed) -> None:
        there.secrets |= {f"rivalry-{name}": secret for name, secret in secrets.items()}
        await story(there)

    tell(folder, with_rival, RIVAL.format(**secrets))
