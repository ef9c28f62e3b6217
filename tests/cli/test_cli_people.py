"""`deeptoken users` and `deeptoken wallets`."""

import asyncio

import pytest
from cli_scene import Installation, call, install

from deeptoken.accounts import identities
from deeptoken.accounts.change import COMMAND_LINE
from deeptoken.accounts.person import Person
from deeptoken.store.ledger import open_writer


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return install(tmp_path_factory.mktemp("people"))


def test_a_user_is_made_with_its_wallet(place: Installation) -> None:
    row = place.row("users", "create", "ann@example.com", "--tier", "pro", "--grant", "2.50")

    assert (row["name"], row["tier"], row["operator"]) == ("ann@example.com", "pro", False)
    assert row["balance"] == 2_500_000
    assert place.row("users", "show", "user:ann@example.com") == row
    assert place.row("wallets", "show", "ann@example.com")["balance"] == 2_500_000


def test_a_user_is_listed_with_its_keys(place: Installation) -> None:
    place.done("users", "create", "bea")
    place.done("keys", "create", "one", "--owner", "bea")

    rows = {row["name"]: row for row in place.rows("users", "list")}

    assert (rows["bea"]["keys"], rows["bea"]["source"], rows["ops"]["source"]) == (1, "database", "file")
    assert "one" in place.done("users", "show", "bea")
    assert "bea" in place.done("users", "list")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("a b",), "A user's name has no spaces and no colon."),
        (("user:x",), "A user's name has no spaces and no colon."),
        (("ops",), "declares ops already"),
        (("cy", "--tier", "por"), 'did you mean "pro"?'),
        (("cy", "--grant", "0"), "no amount in USD above 0"),
    ],
)
def test_a_user_that_cannot_be_is_refused(place: Installation, words: tuple[str, ...], why: str) -> None:
    line = place.refusal("users", "create", *words)

    assert why in line


def test_a_name_is_taken_once(place: Installation) -> None:
    place.done("users", "create", "dan")

    assert "There is a user dan already" in place.refusal("users", "create", "dan")


def test_edit_changes_tier_and_operator(place: Installation) -> None:
    place.done("users", "create", "eve", "--tier", "pro")

    row = place.row("users", "edit", "eve", "--operator")

    assert (row["tier"], row["operator"]) == ("pro", True)
    assert place.row("users", "edit", "eve", "--tier", "default", "--no-operator")["tier"] == "default"
    assert place.row("users", "show", "eve")["operator"] is False
    assert "Say what to change" in place.refusal("users", "edit", "eve")


def test_a_user_of_the_file_is_changed_in_the_file(place: Installation) -> None:
    line = place.refusal("users", "edit", "ops", "--no-operator")

    assert f"{place.file} declares the user ops" in line


def test_a_user_is_suspended_and_resumed(place: Installation) -> None:
    place.done("users", "suspend", "poor")
    suspended = place.row("users", "show", "poor")
    again = place.run("users", "suspend", "poor")
    place.done("users", "resume", "poor")

    assert suspended["state"] == "suspended"
    assert "suspended already" in again.stderr
    assert place.row("users", "show", "poor")["state"] == "active"
    assert "There is no user" in place.refusal("users", "suspend", "nobody")
    assert "There is no user" in place.refusal("users", "resume", "nobody")


def test_a_grant_is_a_lot_with_its_expiry(place: Installation) -> None:
    place.done("users", "create", "fay")

    place.done("wallets", "grant", "user:fay", "25", "--expires", "2099-12-31")

    wallet = place.row("wallets", "show", "user:fay")
    assert (wallet["balance"], wallet["held"], wallet["available"]) == (25_000_000, 0, 25_000_000)
    (lot,) = wallet["lots"]
    assert (lot["granted"], lot["remaining"], lot["source"]) == (25_000_000, 25_000_000, "grant")
    assert lot["expires_us"] == 4_102_358_400_000_000
    assert "$25.00" in place.done("wallets", "show", "fay")


def test_a_grant_with_the_same_reference_is_made_once(place: Installation) -> None:
    place.done("users", "create", "gil")

    place.done("wallets", "grant", "gil", "1", "--ref", "invoice 7")
    again = place.run("wallets", "grant", "gil", "1", "--ref", "invoice 7")

    assert (again.exit_code, "granted before" in again.stderr) == (0, True)
    assert place.row("wallets", "show", "gil")["balance"] == 1_000_000


def test_a_reference_stands_for_one_grant(place: Installation) -> None:
    place.done("users", "create", "ivy")
    place.done("wallets", "grant", "ivy", "1", "--ref", "invoice 8")

    more = place.refusal("wallets", "grant", "ivy", "2", "--ref", "invoice 8", code=1)
    other = place.refusal("wallets", "grant", "poor", "1", "--ref", "invoice 8", code=1)

    assert "is a grant of $1" in more
    assert "to another wallet" in other
    assert place.row("wallets", "show", "ivy")["balance"] == 1_000_000


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("user:nobody", "1"), "There is no user"),
        (("poor", "-1"), "-1"),
        (("poor", "ten"), "'ten' is no amount in USD above 0"),
        (("poor", "0.0000000001"), "at most nine decimals"),
        (("poor", "1e30"), "at most 4611686018.427387904, found '1e30'."),
        (("poor", "1", "--expires", "2001-01-01"), "that time has passed"),
    ],
)
def test_a_grant_that_cannot_be_is_refused(place: Installation, words: tuple[str, ...], why: str) -> None:
    line = place.refusal("wallets", "grant", *words)

    assert why in line
    assert place.row("wallets", "show", "poor")["balance"] == 0


def test_wallets_are_listed_in_credits_and_shown_in_dollars(place: Installation) -> None:
    place.done("users", "create", "hal", "--grant", "0.000001")

    rows = {row["wallet"]: row for row in place.rows("wallets", "list")}

    assert rows["user:hal"]["balance"] == 1
    assert "$0.000001" in place.done("wallets", "list")


def test_a_refund_returns_what_a_call_was_charged_and_never_more(place: Installation) -> None:
    place.done("keys", "create", "refunded", "--owner", "ops")
    id = call(place, "refunded")
    (row,) = place.rows("usage", "--key", "refunded")
    before = place.row("wallets", "show", "ops")["balance"]

    place.done("wallets", "refund", id, "0.001")
    place.done("wallets", "refund", id)
    line = place.refusal("wallets", "refund", id)

    after = place.row("wallets", "show", "ops")
    assert after["balance"] == before + row["charged"]
    assert [lot["granted"] for lot in after["lots"]][-2:] == [1_000, row["charged"] - 1_000]
    assert "$0.00 can be given back" in line


def test_a_refund_with_the_same_reference_is_made_once(place: Installation) -> None:
    id = call(place)

    place.done("wallets", "refund", id, "--ref", "ticket 3")
    again = place.run("wallets", "refund", id, "--ref", "ticket 3")

    assert again.exit_code == 0
    assert "refunded before" in again.stderr


def test_a_refund_names_a_usage_row_and_is_within_its_charge(place: Installation) -> None:
    id = call(place)

    assert "There is no usage row" in place.refusal("wallets", "refund", "nothing")
    assert "can be given back, and no more" in place.refusal("wallets", "refund", id, "5")


def test_linked_accounts_are_listed_and_unlinked_also_the_last(place: Installation) -> None:
    place.done("users", "create", "ida")
    with place.reader() as reader:
        user = reader.user_named("ida")
    assert user is not None
    person = Person("https://issuer.example", "subject-1", "ida@example.com")

    async def link() -> None:
        async with open_writer(place.database) as ledger:
            await ledger.post(identities.link(COMMAND_LINE, user, "ida", person))

    assert place.rows("users", "identities", "ida") == []
    asyncio.run(link())

    row = place.row("users", "identities", "ida")
    assert (row["provider"], row["issuer"], row["subject"]) == (None, "https://issuer.example", "subject-1")
    assert "ida@example.com" in place.done("users", "identities", "user:ida")
    assert "has no linked account" in place.refusal("users", "identities", "ops", "--remove", row["id"])
    assert place.rows("users", "identities", "ida", "--remove", row["id"]) == []
    assert "has no linked account" in place.refusal("users", "identities", "ida", "--remove", row["id"])
    actions = [row["action"] for row in place.rows("audit", "--limit", "50")]
    assert actions.count("identity.unlink") == 1
