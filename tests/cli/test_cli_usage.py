"""`deeptoken usage`."""

import csv
import io
from pathlib import Path

import pytest
from cli_scene import USED, Installation, call, install

from deeptoken.cli import usage


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    made = install(tmp_path_factory.mktemp("usage"))
    made.done("keys", "create", "other", "--owner", "ops")
    for key, model, label in (("ci", "sim/text", "a"), ("other", "sim/echo", "b"), ("ci", "sim/echo", "c")):
        call(made, key, model, label)
    return made


def test_json_has_an_object_a_line_newest_last(place: Installation) -> None:
    rows = place.rows("usage")

    assert [row["request_id"] for row in rows] == ["a", "b", "c"]
    assert (rows[0]["key"], rows[0]["wallet"], rows[0]["channel"]) == ("ci", "user:ops", "sim")
    assert (rows[0]["prompt_tokens"], rows[0]["completion_tokens"]) == (
        USED.prompt_tokens,
        USED.completion_tokens,
    )
    assert rows[0]["charged"] == 1_350
    assert "attempts" not in rows[0]


def test_the_table_has_a_line_for_each_call(place: Installation) -> None:
    lines = place.done("usage").splitlines()

    assert len(lines) == 4
    assert "$0.00135" in lines[1]


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        (("--limit", "1"), ["c"]),
        (("--key", "other"), ["b"]),
        (("--key", "ops/ci"), ["a", "c"]),
        (("--model", "sim/echo"), ["b", "c"]),
        (("--wallet", "user:ops", "--channel", "sim"), ["a", "b", "c"]),
        (("--wallet", "poor"), []),
        (("--outcome", "failed"), []),
        (("--since", "1h", "--outcome", "complete"), ["a", "b", "c"]),
        (("--until", "2020-01-01"), []),
    ],
)
def test_filters_say_which_rows(place: Installation, options: tuple[str, ...], labels: list[str]) -> None:
    rows = place.rows("usage", *options)

    assert [row["request_id"] for row in rows] == labels


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--outcome", "good"), "'good' is not one of"),
        (("--since", "yesterday"), "'yesterday' is no time"),
        (("--since", "999999999w"), "too far away"),
        (("--wallet", "user:nobody"), "There is no user"),
        (("--limit", "0"), "--limit"),
        (("--key", "othr"), 'did you mean "other"?'),
        (("--key", "ops/nothing"), "There is no key"),
    ],
)
def test_a_filter_that_cannot_be_is_refused(place: Installation, options: tuple[str, ...], why: str) -> None:
    line = place.refusal("usage", *options)

    assert why in line


def test_show_tells_one_row_with_its_attempts(place: Installation) -> None:
    row = place.row("usage", "show", "b")

    assert (row["request_id"], row["key"]) == ("b", "other")
    assert [attempt["channel"] for attempt in row["attempts"]] == ["sim"]
    assert row["id"] in place.done("usage", "show", row["id"])
    assert "There is no usage row" in place.refusal("usage", "show", "z")


def test_what_was_given_back_of_a_call_is_seen_on_it(tmp_path: Path) -> None:
    place = install(tmp_path)
    call(place, label="r")
    before, unpaid = place.row("usage", "show", "r"), place.done("usage", "show", "r")

    for amount in ("0.0001", "0.00025"):
        place.done("wallets", "refund", "r", amount)

    assert before["refunded"] == 0
    assert "refunded" not in unpaid
    assert place.row("usage", "show", "r")["refunded"] == place.rows("usage")[0]["refunded"] == 350
    assert "$0.00035" in place.done("usage", "show", "r")
    assert "1350,350" in place.done("usage", "export", "--csv", "-")


def test_show_says_of_an_orphan_that_nobody_knows_whom_it_asked(tmp_path: Path) -> None:
    place = install(tmp_path)
    call(place, label="o", settled=False)

    told = place.run("usage", "show", "o")

    assert place.row("usage", "show", "o")["outcome"] == "orphan"
    assert "Whom it asked is not known: the gateway's process ended." in told.stderr


def test_a_key_name_that_two_owners_have_asks_for_the_owner(place: Installation) -> None:
    for owner in ("ops", "poor"):
        place.done("keys", "create", "twin", "--owner", owner)

    assert "poor/twin" in place.refusal("usage", "--key", "twin")
    assert place.rows("usage", "--key", "poor/twin") == []


def test_the_rows_of_a_deleted_key_are_found_by_its_name(tmp_path: Path) -> None:
    place = install(tmp_path)
    place.done("keys", "create", "gone", "--owner", "ops")
    call(place, "gone", label="d")
    place.done("keys", "revoke", "gone")
    place.done("keys", "delete", "gone")

    rows = place.rows("usage", "--key", "gone")

    assert [row["request_id"] for row in rows] == ["d"]


def test_options_of_the_list_are_refused_before_another_command(place: Installation) -> None:
    line = place.refusal("usage", "--model", "sim/echo", "show", "b")

    assert "Write the options behind the command" in line


def test_an_export_has_every_row_that_matches(place: Installation) -> None:
    target = place.folder / "usage.csv"

    told = place.run("usage", "export", "--csv", str(target), "--key", "ci")

    with target.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["request_id"] for row in rows] == ["c", "a"]
    assert [row["charged_credits"] for row in rows] == ["1350", "1350"]
    assert [row["cost_credits"] for row in rows] == ["1350", "1350"]
    assert "has 2 rows" in told.stderr


def test_an_export_goes_to_standard_output_page_by_page(
    place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "PAGE", 2)

    told = place.done("usage", "export", "--csv", "-")

    assert [row["request_id"] for row in csv.DictReader(io.StringIO(told))] == ["c", "b", "a"]


def test_an_export_without_rows_has_its_header(place: Installation) -> None:
    told = place.done("usage", "export", "--csv", "-", "--outcome", "failed")

    assert told.startswith("id,request_id,")
    assert told.endswith(",cost_credits,charged_credits,refunded_credits\n")
    assert len(told.splitlines()) == 1


def test_an_export_replaces_a_file_only_with_force(place: Installation) -> None:
    target = place.folder / "there.csv"
    target.write_text("mine")

    line = place.refusal("usage", "export", "--csv", str(target))
    kept = target.read_text()
    place.done("usage", "export", "--csv", str(target), "--force")

    assert "is there already" in line
    assert "There is no folder" in place.refusal("usage", "export", "--csv", str(target / "no" / "x.csv"))
    assert kept == "mine"
    assert target.read_text().startswith("id,request_id,")
