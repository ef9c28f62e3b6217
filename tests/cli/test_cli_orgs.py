"""`deeptoken orgs`, and organizations in the commands about keys, wallets and usage."""

from pathlib import Path

import pytest
from cli_scene import CONFIGURATION, Installation, call, install

from deeptoken import ids


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    made = install(tmp_path_factory.mktemp("orgs"))
    for name in ("ann", "bob"):
        made.done("users", "create", name)
    return made


def actions(place: Installation) -> list[str]:
    with place.reader() as reader:
        rows = [
            row
            for row in reader.audited(None, before=2**62, limit=100)
            if row.actor_name != "file" and not row.action.startswith(("user.", "key.", "wallet."))
        ]
    assert {row.actor_name for row in rows} <= {"command line"}
    return [row.action for row in reversed(rows)]


def test_an_organization_is_made_with_its_owner_and_wallet(place: Installation) -> None:
    row = place.row(
        "orgs", "create", "acme", "--owner", "ann", "--mode", "fallback", "--tier", "pro", "--grant", "2.5",
        "--budget", "20", "--name", "Acme Inc",
    )  # fmt: skip

    assert (row["slug"], row["owner"], row["mode"], row["tier"]) == ("acme", "ann", "fallback", "pro")
    assert (row["balance"], row["budget"], row["name"]) == (2_500_000, 20_000_000, "Acme Inc")
    assert place.row("orgs", "show", "org:acme") == row == place.row("orgs", "list")
    assert "ann (owner)" in place.done("orgs", "show", "acme")
    assert "acme" in place.done("orgs", "list")
    assert place.row("wallets", "show", "org:acme")["balance"] == 2_500_000
    assert actions(place) == ["org.create"]


def test_it_is_changed_suspended_and_deleted(place: Installation) -> None:
    place.done("orgs", "create", "acme", "--owner", "ann", "--grant", "1")
    place.done("keys", "create", "ci", "--owner", "org:acme")

    row = place.row("orgs", "edit", "acme", "--mode", "fallback", "--budget", "7", "--tier", "pro")
    assert (row["mode"], row["budget"], row["tier"], row["keys"]) == ("fallback", 7_000_000, "pro", 1)
    assert place.row("orgs", "edit", "acme", "--budget", "none")["budget"] is None
    place.done("orgs", "suspend", "acme")
    assert place.row("orgs", "show", "acme")["state"] == "suspended"
    assert "suspended already" in place.run("orgs", "suspend", "acme").stderr
    place.done("orgs", "resume", "acme")

    assert "has $1.00" in place.refusal("orgs", "delete", "acme")
    place.done("orgs", "create", "lab", "--owner", "ann")
    place.done("keys", "create", "of-lab", "--owner", "org:lab")
    place.done("orgs", "delete", "lab")
    assert "There is no organization" in place.refusal("orgs", "show", "lab")
    assert next(row for row in place.rows("keys", "list", "--all") if row["name"] == "of-lab")["revoked_us"]
    assert "a slug is given once" in place.refusal("orgs", "create", "lab", "--owner", "ann")
    assert actions(place) == [
        "org.create", "org.change", "org.change", "org.change", "org.change", "org.create", "org.delete",
    ]  # fmt: skip


def test_members_are_seated_changed_and_removed(place: Installation) -> None:
    place.done("orgs", "create", "acme", "--owner", "ann")

    place.done("orgs", "seat", "acme", "bob", "--role", "billing", "--budget", "3")
    rows = {row["user"]: row for row in place.rows("orgs", "members", "acme")}
    assert {name: row["role"] for name, row in rows.items()} == {"ann": "owner", "bob": "billing"}
    assert rows["bob"]["budget"] == 3_000_000
    assert "$3.00 a month" in place.done("orgs", "members", "acme")
    place.done("orgs", "seat", "acme", "bob", "--role", "member", "--budget", "none")
    assert "nothing was changed" in place.run("orgs", "seat", "acme", "bob", "--role", "member").stderr
    assert "there is no role" in place.refusal("orgs", "seat", "acme", "bob", "--role", "boss")
    assert "transfers the organization" in place.refusal("orgs", "remove", "acme", "ann")

    place.done("orgs", "transfer", "acme", "bob")
    assert place.row("orgs", "show", "acme")["owner"] == "bob"
    assert "is the owner already" in place.refusal("orgs", "transfer", "acme", "bob")
    place.done("orgs", "remove", "acme", "ann")
    assert "There is no member" in place.refusal("orgs", "remove", "acme", "ann")
    assert actions(place) == ["org.create", "member.add", "member.change", "org.transfer", "member.remove"]


def test_roles_of_its_own(place: Installation) -> None:
    place.done("orgs", "create", "acme", "--owner", "ann")

    place.done("orgs", "role", "acme", "caller", "--permission", "calls.make")
    place.done("orgs", "role", "acme", "caller", "--permission", "calls.make", "--permission", "usage.read")
    place.done("orgs", "seat", "acme", "bob", "--role", "caller")
    rows = {row["name"]: row for row in place.rows("orgs", "roles", "acme")}
    assert rows["caller"]["permissions"] == ["calls.make", "usage.own", "usage.read"]
    assert rows["owner"]["builtin"] is True
    assert "caller" in place.done("orgs", "roles", "acme")
    assert "A member has the role" in place.refusal("orgs", "role", "acme", "caller", "--delete")
    assert "only the owner" in place.refusal("orgs", "role", "acme", "x", "--permission", "org.delete")
    assert "There is a role" in place.refusal("orgs", "role", "acme", "viewer", "--permission", "org.read")
    assert "Say what the role may" in place.refusal("orgs", "role", "acme", "x")
    place.done("orgs", "remove", "acme", "bob")
    place.done("orgs", "role", "acme", "caller", "--delete")
    assert "There is no role" in place.refusal("orgs", "role", "acme", "caller", "--delete")


def test_an_invitation_is_printed_once_and_revoked(place: Installation) -> None:
    place.done("orgs", "create", "acme", "--owner", "ann")

    token = place.done("orgs", "invite", "acme", "bob@example.com", "--role", "viewer", "--days", "1").strip()
    made = place.row("orgs", "invite", "acme", "cy@example.com", "--budget", "4")
    first, second = place.rows("orgs", "invitations", "acme")
    assert (first["email"], first["role"]) == ("bob@example.com", "viewer")
    assert first["invited_by"] == "command line"
    assert (second["id"], second["budget"], "token" in second) == (made["id"], 4_000_000, False)
    assert len(token) == len(made["token"]) > 40
    assert "bob@example.com" in place.done("orgs", "invitations", "acme")

    place.done("orgs", "uninvite", "acme", first["id"])
    assert place.rows("orgs", "invitations", "acme")[0]["state"] == "revoked"
    assert "revoked already" in place.refusal("orgs", "uninvite", "acme", first["id"])
    assert "There is no invitation" in place.refusal("orgs", "uninvite", "acme", "inv_1")
    assert "e-mail address" in place.refusal("orgs", "invite", "acme", "bob")


def test_usage_and_keys_are_those_of_an_organization(place: Installation) -> None:
    place.done("orgs", "create", "acme", "--owner", "ann", "--grant", "1")
    place.done("keys", "create", "machine", "--owner", "org:acme")
    id = call(place, "machine")
    call(place, "ci")

    [row] = place.rows("usage", "--wallet", "org:acme")
    assert (row["id"], row["wallet"], row["key"]) == (id, "org:acme", "machine")
    [key] = place.rows("keys", "list", "--owner", "org:acme")
    assert key["owner"] == "org:acme"
    assert place.row("wallets", "show", "org:acme")["balance"] == 1_000_000 - row["charged"]
    assert "There is no organization" in place.refusal("usage", "--wallet", "org:none")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("create", "Acme", "--owner", "ann"), "slug: at most 40"),
        (("create", "acme", "--owner", "nobody"), "There is no user"),
        (("create", "acme", "--owner", "ann", "--tier", "por"), 'did you mean "pro"?'),
        (("edit", "nothing", "--mode", "strict"), "There is no organization"),
        (("delete", "nothing"), "There is no organization"),
    ],
    ids=["slug", "owner", "tier", "edit", "delete"],
)
def test_what_cannot_be_is_refused(place: Installation, words: tuple[str, ...], why: str) -> None:
    assert why in place.refusal("orgs", *words)
    assert actions(place) == []


def test_one_of_the_file_is_changed_in_the_file(tmp_path: Path) -> None:
    place = Installation(tmp_path)
    digest = ids.digest(ids.new_secret()).hex()
    filed = '[[organizations]]\nslug = "filed"\nowner = "ops"\n'
    place.file.write_text(CONFIGURATION.format(digest=digest) + filed)
    place.done("init")
    place.done("users", "create", "bob")

    assert "declares filed already" in place.refusal("orgs", "create", "filed", "--owner", "bob")

    assert "configuration file declares" in place.refusal("orgs", "edit", "filed", "--mode", "fallback")
    assert "configuration file declares" in place.refusal("orgs", "delete", "filed")
    place.done("orgs", "role", "filed", "caller", "--permission", "calls.make")
    place.done("orgs", "seat", "filed", "bob", "--role", "caller")
    assert [row["source"] for row in place.rows("orgs", "members", "filed")] == ["file", "database"]
    assert "Say what to change" in place.refusal("orgs", "edit", "filed")


def test_a_call_by_a_key_of_a_deleted_one_is_planned_as_it_would_go(place: Installation) -> None:
    place.done("orgs", "create", "lab", "--owner", "ann")
    place.done("keys", "create", "of-lab", "--owner", "org:lab")
    place.done("orgs", "delete", "lab")

    planned = place.run("channels", "plan", "sim/text", "--key", "of-lab")

    assert (planned.exit_code, "suspended" in planned.stderr) == (1, True)
