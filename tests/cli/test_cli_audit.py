"""Each change that the command line makes is written down: what, of whom, before and after, and no secret."""

import json
from pathlib import Path

import pytest
from cli_scene import Installation, install

from deeptoken import ids


@pytest.fixture
def place(tmp_path: Path) -> Installation:
    return install(tmp_path)


def test_what_the_command_line_changes_is_in_the_log_without_a_secret(place: Installation) -> None:
    secrets = []
    made = place.row("keys", "create", "ci2", "--owner", "ops", "--rpm", "60")
    secrets.append(made["secret"])
    place.done("keys", "edit", "ci2", "--rpm", "30")
    secrets.append(place.row("keys", "rotate", "ci2")["secret"])
    place.done("keys", "revoke", "ci2")
    place.done("keys", "delete", "ci2")
    place.done("users", "create", "ann", "--grant", "2")
    place.done("users", "suspend", "ann")
    place.done("wallets", "grant", "ann", "3")

    with place.reader() as reader:
        rows = [
            row for row in reversed(reader.audited(None, before=2**62, limit=100)) if row.actor_name != "file"
        ]

    assert [row.action for row in rows] == [
        "key.create",
        "key.change",
        "key.rotate",
        "key.revoke",
        "key.delete",
        "user.create",
        "wallet.grant",
        "user.change",
        "wallet.grant",
    ]
    assert {row.actor_name for row in rows} == {"command line"}
    assert '"rpm":60' in str(rows[1].before)
    assert '"rpm":30' in str(rows[1].after)
    told = "".join(f"{row.before}{row.after}{row.subject}" for row in rows)
    for secret in secrets:
        assert secret not in told
        assert ids.digest(secret).hex() not in told


def test_a_grant_under_a_known_reference_is_not_written_down_again(place: Installation) -> None:
    place.done("users", "create", "ann")
    for _ in range(2):
        place.done("wallets", "grant", "ann", "3", "--ref", "order-1")

    with place.reader() as reader:
        rows = reader.audited(None, before=2**62, limit=2)

    assert [row.action for row in rows] == ["wallet.grant", "user.create"]


def test_the_log_is_printed_newest_first_of_one_owner_and_as_json_lines(place: Installation) -> None:
    place.done("users", "create", "ann")
    place.done("keys", "create", "hers", "--owner", "ann", "--rpm", "60")
    place.done("users", "create", "bob")
    place.done("keys", "edit", "hers", "--rpm", "30")

    table = place.done("audit", "--limit", "2").splitlines()
    rows = [json.loads(line) for line in place.done("audit", "--of", "ann", "--all", "--json").splitlines()]

    assert ("key.change" in table[1], "user:bob" in table[2], len(table)) == (True, True, 3)
    assert [row["action"] for row in rows] == ["key.change", "key.create", "user.create"]
    assert (rows[0]["before"]["rpm"], rows[0]["after"]["rpm"], rows[0]["actor"]) == (60, 30, "command line")
    assert "There is no user" in place.refusal("audit", "--of", "nobody")
