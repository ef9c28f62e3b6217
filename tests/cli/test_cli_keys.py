"""`deeptoken keys`."""

import json

import pytest
from cli_scene import Installation, call, install
from click.testing import CliRunner

from deeptoken import clock, ids
from deeptoken.accounts.callers import people
from deeptoken.catalog.model import Group
from deeptoken.cli.main import main
from deeptoken.errors import KeyInvalid


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return install(tmp_path_factory.mktemp("keys"))


def test_generate_prints_a_secret_with_its_digest_and_needs_no_installation() -> None:
    result = CliRunner().invoke(main, ["keys", "generate", "--json"])

    told = json.loads(result.stdout)
    assert set(told) == {"secret", "sha256"}
    assert ids.well_formed(told["secret"])
    assert told["sha256"] == ids.digest(told["secret"]).hex()


def test_generate_prints_the_secret_alone_for_a_shell() -> None:
    result = CliRunner().invoke(main, ["keys", "generate"])

    assert ids.well_formed(result.stdout.strip())


def test_create_prints_the_secret_and_the_database_knows_only_its_digest(place: Installation) -> None:
    secret = place.done("keys", "create", "made", "--owner", "user:ops").strip()

    key = next(key for key in place.all_keys() if key.name == "made")
    assert ids.well_formed(secret)
    assert (key.sha256, key.prefix) == (ids.digest(secret), secret[: ids.KEY_SHOWN])
    assert not any(secret.encode() in path.read_bytes() for path in place.folder.iterdir() if path.is_file())


def test_create_takes_every_limit(place: Installation) -> None:
    options = ["--model", "sim/*", "--model", "gpt-4o", "--ip", "10.0.0.0/8", "--ceiling", "5h=2.50"]
    options += [
        "--ceiling",
        "7d=100",
        "--rpm",
        "60",
        "--tpm",
        "5000",
        "--concurrency",
        "3",
        "--timeout",
        "2.5",
        "--cheaper-model",
        "sim/echo",
        "--webhook",
        "https://example.com/budgets?token=hidden",
        "--children",
    ]

    row = place.row("keys", "create", "limited", "--owner", "ops", "--expires", "2099-01-31", *options)

    assert (row["models"], row["ips"], row["scope"]) == (["sim/*", "gpt-4o"], ["10.0.0.0/8"], "call")
    assert (row["cheaper_model"], row["children"]) == ("sim/echo", True)
    with place.reader() as reader:
        audited = reader.audited(None, before=2**62, limit=1)[0]
    assert '"webhook":"example.com"' in str(audited.after)
    assert "hidden" not in str(audited.after)
    away = place.row("keys", "edit", "limited", "--no-cheaper-model", "--no-webhook", "--no-children")
    assert (away["cheaper_model"], away["webhook"], away["children"]) == (None, None, False)
    assert row["ceilings"] == {"5h": 2_500_000, "7d": 100_000_000}
    assert (row["rpm"], row["tpm"], row["concurrency"], row["timeout"]) == (60, 5000, 3, 2.5)
    assert "timeout 2.5 s" in place.done("keys", "show", "limited")
    assert row["expires_us"] == 4_073_500_800_000_000
    assert ids.well_formed(row["secret"])


@pytest.mark.parametrize(
    ("option", "why"),
    [
        (("--model", "a*b"), '--model: a pattern has one "*"'),
        (("--ip", "10.0.0.1/8"), "--ip: expected an address or a range"),
        (("--ceiling", "2h=1"), "'2h=1' is no ceiling"),
        (("--ceiling", "5h=much"), "'5h=much' is no ceiling"),
        (("--ceiling", "5h=0.0000000001"), "--ceiling: an amount in USD has at most nine decimals"),
        (("--timeout", "-1"), "-1"),
        (("--timeout", "inf"), "--timeout: expected"),
        (("--expires", "soon"), "'soon' is no time"),
        (("--expires", "2001-01-01"), "--expires: that time has passed"),
        (("--model", "a", "--any-model"), "--model and --any-model contradict"),
        (("--webhook", "x", "--no-webhook"), "--webhook and --no-webhook contradict"),
        (("--webhook", "example.com", "--ceiling", "5h=1"), "--webhook: expected a URL"),
        (("--webhook", "", "--ceiling", "5h=1"), "--webhook: expected a URL"),
        (("--webhook", f"https://{'x' * 2_000}", "--ceiling", "5h=1"), "--webhook: expected a URL"),
        (("--webhook", "https://example.com/budgets"), "--webhook: the key has no ceiling"),
        (("--cheaper-model", "", "--ceiling", "5h=1"), "--cheaper-model: expected a text"),
        (("--ceiling", "5h=2", "--ceiling", "1d=1"), "--ceiling: it is above that over 1d"),
        (("--scope", "manage", "--rpm", "5"), "--rpm: a key of the scope 'manage' makes no calls"),
        (("--cheaper-model", "sim/echo"), "--cheaper-model: the key has no ceiling"),
        (("--scope", "read", "--children"), "--children: a key of the scope 'read' makes no calls"),
    ],
)
def test_create_says_which_limit_cannot_be(place: Installation, option: tuple[str, ...], why: str) -> None:
    line = place.refusal("keys", "create", "wrong", "--owner", "ops", *option)

    assert why in line
    assert "wrong" not in place.done("keys", "list")


def test_create_refuses_an_unknown_owner_a_taken_name_and_what_looks_like_an_id(place: Installation) -> None:
    assert 'did you mean "ops"?' in place.refusal("keys", "create", "x", "--owner", "opps")
    assert "There is no organization" in place.refusal("keys", "create", "x", "--owner", "org:acme")
    assert "has a key ci already" in place.refusal("keys", "create", "ci", "--owner", "ops")
    assert "key_" in place.refusal("keys", "create", "key_1", "--owner", "ops")


def test_show_knows_a_key_by_name_id_and_owner(place: Installation) -> None:
    made = place.row("keys", "create", "shown", "--owner", "ops")

    shown = [place.row("keys", "show", name) for name in ("shown", made["id"], "ops/shown", "user:ops/shown")]

    del made["secret"]
    assert shown == [made] * 4
    assert "shown" in place.done("keys", "show", "shown")


def test_a_name_that_two_owners_have_asks_for_the_owner(place: Installation) -> None:
    for owner in ("ops", "poor"):
        place.done("keys", "create", "twin", "--owner", owner)

    line = place.refusal("keys", "show", "twin")

    assert "ops/twin" in line
    assert "poor/twin" in line
    assert place.row("keys", "show", "poor/twin")["owner"] == "user:poor"


def test_edit_changes_what_is_named_and_leaves_the_rest(place: Installation) -> None:
    place.done(
        "keys", "create", "edited", "--owner", "ops", "--rpm", "5", "--ceiling", "1d=3", "--model", "a"
    )

    row = place.row("keys", "edit", "edited", "--rpm", "0", "--tpm", "9", "--any-model", "--ip", "::1")

    assert (row["rpm"], row["tpm"], row["models"], row["ips"]) == (None, 9, [], ["::1/128"])
    assert row["ceilings"] == {"1d": 3_000_000}
    assert place.row("keys", "show", "edited") == row


def test_edit_sets_a_timeout_keeps_it_and_takes_it_away(place: Installation) -> None:
    place.done("keys", "create", "timed", "--owner", "ops")

    told = [place.row("keys", "edit", "timed", *option)["timeout"] for option in TIMEOUTS]

    assert told == [30, 30, None]


TIMEOUTS = (("--timeout", "30"), ("--rpm", "5"), ("--timeout", "0"))


def test_edit_refuses_what_contradicts_the_rules_that_stay(place: Installation) -> None:
    options = ("--ceiling", "1d=3", "--cheaper-model", "sim/echo")
    before = place.row("keys", "create", "consistent", "--owner", "ops", *options)

    lines = [place.refusal("keys", "edit", "consistent", *option) for option in CONTRADICTIONS]

    assert "--ceiling: it is above that over 1d" in lines[0]
    assert "--cheaper-model: the key has no ceiling" in lines[1]
    assert "--ceiling: a key of the scope 'read' makes no calls" in lines[2]
    assert {**place.row("keys", "show", "consistent"), "secret": before["secret"]} == before


CONTRADICTIONS = (("--ceiling", "5h=4"), ("--ceiling", "1d=0"), ("--scope", "read"))


def test_show_tells_the_cheaper_model_the_webhook_and_whether_it_makes_children(place: Installation) -> None:
    options = ("--ceiling", "1d=3", "--cheaper-model", "sim/echo", "--webhook", "https://example.com/b")
    place.done("keys", "create", "told", "--owner", "ops", "--children", *options)

    text, row = place.done("keys", "show", "told"), place.row("keys", "show", "told")

    facts = dict(line.split("  ", 1) for line in text.splitlines() if "  " in line)
    assert facts["cheaper model"].strip() == "sim/echo"
    assert facts["webhook"].strip() == row["webhook"] == "https://example.com/b"
    assert facts["makes child keys"].strip() == "yes"
    assert (row["cheaper_model"], row["children"]) == ("sim/echo", True)


def test_edit_takes_an_expiry_away(place: Installation) -> None:
    place.done("keys", "create", "lasting", "--owner", "ops", "--expires", "7d")

    row = place.row("keys", "edit", "lasting", "--never-expires")

    assert row["expires_us"] is None


def test_edit_wants_to_know_what(place: Installation) -> None:
    place.done("keys", "create", "same", "--owner", "ops")

    assert "Say what to change" in place.refusal("keys", "edit", "same")


def test_rotate_changes_the_secret_and_nothing_else(place: Installation) -> None:
    before = place.row("keys", "create", "turned", "--owner", "ops", "--rpm", "7")

    after = place.row("keys", "rotate", "turned")

    assert after["secret"] != before["secret"]
    changed = {name for name in after if after[name] != before[name]}
    assert changed <= {"secret", "prefix"}
    digests = {key.sha256 for key in place.all_keys()}
    assert ids.digest(after["secret"]) in digests
    assert ids.digest(before["secret"]) not in digests


def test_rotate_with_a_grace_keeps_the_old_secret_for_so_long(place: Installation) -> None:
    before = place.row("keys", "create", "graced", "--owner", "ops", "--model", "sim/echo", "--rpm", "7")

    after = place.row("keys", "rotate", "graced", "--grace", "24h")

    old = next(key for key in place.all_keys() if key.sha256 == ids.digest(before["secret"]))
    assert after["id"] == before["id"]
    assert old.name.startswith("graced-old-")
    # As a child of the key: its calls count at the key's own limits.
    assert (old.models, old.limits, old.parent) == (("sim/echo",), (), before["id"])
    assert old.expires_us is not None
    assert 0 < old.expires_us - clock.wall_us() <= 24 * 3_600_000_000


def test_revoke_ends_the_old_secret_of_a_key_too(place: Installation) -> None:
    made = place.row("keys", "create", "left", "--owner", "ops")
    place.done("keys", "rotate", "left", "--grace", "24h")

    place.done("keys", "revoke", "left")

    (old,) = [key for key in place.all_keys() if key.name.startswith("left-old-")]
    with place.reader() as reader:
        keys, _, _ = people(reader, {"default": Group("default")})
    with pytest.raises(KeyInvalid):
        keys.authenticate(made["secret"], None, clock.wall_us())
    assert old.sha256 == ids.digest(made["secret"])


def test_revoke_is_for_good(place: Installation) -> None:
    place.done("keys", "create", "ended", "--owner", "ops")

    place.done("keys", "revoke", "ended")

    assert place.row("keys", "show", "ended")["state"] == "revoked"
    assert "ended" not in place.done("keys", "list")
    assert "ended" in place.done("keys", "list", "--all")
    assert "is revoked" in place.refusal("keys", "rotate", "ended")
    assert "was revoked already" in place.run("keys", "revoke", "ended").stderr
    assert "There is no key" in place.refusal("keys", "revoke", "nobody")


def test_only_a_revoked_key_is_deleted_and_its_usage_stays(place: Installation) -> None:
    place.done("keys", "create", "gone", "--owner", "ops")
    id = call(place, "gone")

    line = place.refusal("keys", "delete", "gone")
    place.done("keys", "revoke", "gone")
    place.done("keys", "delete", "gone")

    assert "deeptoken keys revoke gone" in line
    assert "There is no key" in place.refusal("keys", "show", "gone")
    assert [row["id"] for row in place.rows("usage", "--key", "gone")] == [id]


@pytest.mark.parametrize("words", [("edit", "ci", "--rpm", "5"), ("rotate", "ci"), ("delete", "ci")])
def test_a_key_of_the_file_is_changed_in_the_file(place: Installation, words: tuple[str, ...]) -> None:
    line = place.refusal("keys", *words)

    assert f"{place.file} declares the key ci" in line


def test_a_key_of_the_file_can_be_revoked(tmp_path_factory: pytest.TempPathFactory) -> None:
    place = install(tmp_path_factory.mktemp("revoked"))

    place.done("keys", "revoke", "ci")

    assert place.row("keys", "show", "ci")["state"] == "revoked"
    assert "declares the key ci" in place.refusal("keys", "delete", "ci")


def test_list_shows_the_keys_of_one_owner(place: Installation) -> None:
    place.done("keys", "create", "alone", "--owner", "poor")

    owners = {row["owner"] for row in place.rows("keys", "list", "--owner", "poor")}

    assert owners == {"user:poor"}
    assert "There is no user" in place.refusal("keys", "list", "--owner", "nobody")


def test_a_keys_name_has_no_slash(place: Installation) -> None:
    assert "has no slash" in place.refusal("keys", "create", "ops/ci", "--owner", "ops")
