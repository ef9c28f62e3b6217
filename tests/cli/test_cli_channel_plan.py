"""`deeptoken channels plan`."""

import json
from pathlib import Path
from typing import Any

import pytest
from cli_routing_scene import CHANNELS, DOWN, NOBODY, ready, server, serving_at, stands
from cli_scene import Installation, install


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return serving_at(install(tmp_path_factory.mktemp("routing")), NOBODY + CHANNELS)


def test_a_plan_names_channels_and_their_names_for_the_model_with_the_reasons(place: Installation) -> None:
    first, second = place.rows("channels", "plan", "house/a")

    assert first == {
        "place": 1,
        "channel": "first",
        "provider": "sim",
        "model": "house/a",
        "upstream_model": "hidden-a",
        "reason": "priority 9",
    }
    assert (second["place"], second["channel"], second["reason"]) == (2, "second", "priority 0")
    table = place.done("channels", "plan", "house/a").splitlines()
    assert table[0].split("  ")[0] == "place"
    assert "hidden-a" in table[1]


def test_without_a_gateway_all_channels_are_taken_as_healthy_and_it_says_so(place: Installation) -> None:
    result = place.run("channels", "plan", "house/a", "--json")

    assert result.exit_code == 0
    assert "All channels are taken as healthy. No gateway answers at http://127.0.0.1:1." in result.stderr


def test_a_plan_is_that_of_a_group_or_of_a_key_s_owner(place: Installation) -> None:
    names = [row["channel"] for row in place.rows("channels", "plan", "house/a", "--group", "pro")]
    of_key = [row["channel"] for row in place.rows("channels", "plan", "house/a", "--key", "ci")]

    assert names == of_key == ["theirs", "first", "second"]


def test_a_price_is_what_the_group_pays(place: Installation, tmp_path: Path) -> None:
    body = tmp_path / "body.json"
    messages = [{"role": "user", "content": "Hello."}]
    body.write_text(json.dumps({"messages": messages, "provider": {"sort": "price"}}))

    words = ("channels", "plan", "house/a", "--body", str(body))
    full, half = place.rows(*words), place.rows(*words, "--group", "pro")

    assert full[0]["reason"].startswith("by price: $1 per 1M prompt tokens, $2 per 1M")
    assert half[0]["reason"].startswith("by price: $0.5 per 1M prompt tokens, $1 per 1M")


def test_what_the_body_needs_counts_as_the_options_do(place: Installation, tmp_path: Path) -> None:
    body = tmp_path / "body.json"
    tools = [{"type": "function", "function": {"name": "f"}}]
    body.write_text(json.dumps({"messages": [{"role": "user", "content": "Hello."}], "tools": tools}))

    told = place.run("channels", "plan", "house/blind", "--body", str(body))

    assert "tools: 'house/blind' does not call tools." in told.stderr


def test_a_plan_for_a_key_keeps_to_its_list(place: Installation) -> None:
    place.done("keys", "create", "narrow", "--owner", "ops", "--model", "house/b")

    told = place.run("channels", "plan", "house/a", "--key", "narrow")

    assert told.exit_code == 1
    assert "may not call 'house/a'" in told.stderr


@pytest.mark.parametrize("need", ["--tools", "--vision", "--audio", "--files", "--json-schema"])
def test_what_nobody_can_meet_is_told_by_the_option_that_asked_for_it(need: str, place: Installation) -> None:
    told = place.run("channels", "plan", "house/blind", need)

    assert told.exit_code == 1
    assert f"{need}: 'house/blind' does not " in told.stderr
    assert len(place.rows("channels", "plan", "house/a", need)) == 2


def test_the_body_of_a_call_brings_its_model_and_its_preferences(place: Installation, tmp_path: Path) -> None:
    body = tmp_path / "body.json"
    said = {
        "model": "house/a",
        "models": ["house/b"],
        "messages": [{"role": "user", "content": "Hello."}],
        "provider": {"ignore": ["public"]},
    }
    body.write_text(json.dumps(said))

    rows = place.rows("channels", "plan", "--body", str(body))
    other = place.rows("channels", "plan", "house/b", "--body", str(body))
    piped = place.done("channels", "plan", "--body", "-", "--json", input=json.dumps(said))

    assert [(row["place"], row["channel"], row["model"]) for row in rows] == [
        (1, "second", "house/a"),
        (2, "second", "house/b"),
        (None, "first", "house/a"),
    ]
    assert rows[2]["reason"] == "provider.ignore names it"
    assert [row["model"] for row in other] == ["house/b"]
    assert [json.loads(line) for line in piped.splitlines()] == rows
    assert "left out" in place.done("channels", "plan", "--body", str(body))


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        ((), 2, "Name a model, or the body of a call by --body."),
        (("house/a", "--body", "nowhere"), 2, "Cannot read nowhere"),
        (("house/a", "--group", "por"), 2, "there is no group 'por'"),
        (("house/a", "--group", "pro", "--key", "ci"), 2, "contradict each other"),
        (("house/a", "--key", "nobody"), 2, 'There is no key "nobody"'),
        (("nothing",), 1, "The model 'nothing' does not exist here"),
    ],
)
def test_a_plan_that_cannot_be_made_says_why(
    words: tuple[str, ...], code: int, why: str, place: Installation
) -> None:
    told = place.run("channels", "plan", *words)

    assert told.exit_code == code
    assert why in told.stderr


def test_a_body_that_is_none_is_a_mistake(place: Installation, tmp_path: Path) -> None:
    body = tmp_path / "body.json"
    body.write_text("{")

    assert f"{body} is not JSON" in place.refusal("channels", "plan", "--body", str(body))


def test_a_plan_knows_what_the_running_gateway_has_seen(tmp_path: Path) -> None:
    slow = stands("second", "house/a", ttft_s=0.5, tokens_per_s=80.0)
    with server(ready(DOWN, slow, status=503)) as port:
        place = serving_at(install(tmp_path), f"[server]\nport = {port}\n" + CHANNELS)

        result = place.run("channels", "plan", "house/a", "--json")
        fastest = place.rows("channels", "plan", "house/a:nitro")

    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.stderr == ""
    assert [(row["place"], row["channel"]) for row in rows] == [(1, "second"), (None, "first")]
    assert rows[1]["reason"] == "it refuses the gateway's account; its probe is due in 599 s"
    assert fastest[0]["reason"] == "by throughput: 80 tokens a second"


STANDINGS: list[tuple[list[dict[str, Any]], str]] = [
    ([stands("first", "house/a", state="cooling", why="cooling", wait_s=8.0)], "it is rate limited; asked"),
    (
        [stands("first", "house/a", state="open", why="misconfigured", wait_s=8.0)],
        "it does not have the model",
    ),
    ([stands("first", state="open", why="breaker", wait_s=8.0)], "it fails too often"),
    ([DOWN, stands("first", "house/a", state="cooling", why="cooling", wait_s=8.0)], "it is rate limited"),
]


@pytest.mark.parametrize(("health", "why"), STANDINGS)
def test_a_channel_is_out_where_it_or_the_model_on_it_is(
    health: list[dict[str, Any]], why: str, tmp_path: Path
) -> None:
    with server(ready(*health)) as port:
        place = serving_at(install(tmp_path), f"[server]\nport = {port}\n" + CHANNELS)
        rows = place.rows("channels", "plan", "house/a")

    assert [row["channel"] for row in rows] == ["second", "first"]
    assert rows[1]["reason"].startswith(why)


def test_when_all_are_out_the_plan_says_that_it_is_the_last_hope(tmp_path: Path) -> None:
    out: dict[str, Any] = {"state": "open", "why": "breaker", "wait_s": 9.0, "share": 0.1}
    half: dict[str, Any] = {"state": "half-open", "why": "breaker", "share": 0.1}
    with server(ready(DOWN, stands("second", **out))) as port:
        place = serving_at(install(tmp_path), f"[server]\nport = {port}\n" + CHANNELS)
        lost = place.run("channels", "plan", "house/a", "--json")
    with server(ready(DOWN, stands("second", **half))) as port:
        file = place.file.read_text()
        place.file.write_text(file[: file.index("[server]")] + f"[server]\nport = {port}\n" + CHANNELS)
        probing = place.rows("channels", "plan", "house/a")

    first = json.loads(lost.stdout.splitlines()[0])
    assert (first["channel"], first["reason"]) == ("second", "last hope: its probe is due in 9 s")
    assert "All of these are out" in lost.stderr
    assert (probing[0]["channel"], probing[0]["reason"]) == ("second", "priority 0, recovering: 10% of it")
