"""Each change that the command line makes is written down: what, of whom, before and after, and no secret."""

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
        rows = list(reversed(reader.audited(None, before=2**62, limit=100)))

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
        rows = reader.audited(None, before=2**62, limit=100)

    assert [row.action for row in rows] == ["wallet.grant", "user.create"]
