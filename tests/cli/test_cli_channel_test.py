"""`deeptoken channels test`."""

import json
from pathlib import Path
from typing import Any

import pytest
from cli_routing_scene import CHANNELS, NOBODY, server, serving_at
from cli_scene import Installation, install

SECRET = "sk-upstream-0123456789"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return serving_at(install(tmp_path_factory.mktemp("routing")), NOBODY + CHANNELS)


def streamed(*words: str) -> bytes:
    events: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}
    ]
    events += [{"choices": [{"index": 0, "delta": {"content": word}}]} for word in words]
    events += [{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]
    usage = {"prompt_tokens": 9, "completion_tokens": len(words), "total_tokens": 9 + len(words)}
    events += [{"choices": [], "usage": usage}]
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "hidden"}
    lines = [f"data: {json.dumps(head | event)}\n\n" for event in events]
    return "".join([*lines, "data: [DONE]\n\n"]).encode()


def upstream(place: Installation, name: str, port: int, *words: str) -> None:
    """A channel to a server on that port, in the database."""
    url = f"http://127.0.0.1:{port}/v1"
    told = ("channels", "create", name, "--provider", "openai", "--base-url", url, "--api-key-env", "UP")
    place.done(*told, *words, env={"UP": SECRET})


def test_a_channel_is_called_for_real_and_nobody_pays(tmp_path: Path) -> None:
    place, asked = install(tmp_path), []

    def answer(path: str, headers: dict[str, str], body: bytes) -> tuple[int, str, bytes]:
        asked.append((path, headers["authorization"], json.loads(body)))
        return 200, "text/event-stream", streamed("Hello", " there")

    with server(answer) as port:
        upstream(
            place, "real", port, "--model", "m/one=hidden-one", "--model", "m/two=hidden-two", "--disabled"
        )
        row = place.row("channels", "test", "real")
        other = place.row("channels", "test", "real", "--model", "m/two")
        shown = place.done("channels", "test", "real")

    (path, authorization, body), (_, _, second), _ = asked
    assert (path, authorization) == ("/v1/chat/completions", f"Bearer {SECRET}")
    assert (body["model"], second["model"]) == ("hidden-one", "hidden-two")
    assert body["stream"] is True
    assert {body.get("max_tokens"), body.get("max_completion_tokens")} == {16, None}
    assert (row["ok"], row["status"], row["cause"], row["answer"]) == (True, 200, None, "Hello there")
    assert (row["prompt_tokens"], row["completion_tokens"], row["billed"]) == (9, 2, False)
    assert 0 <= row["ttft_ms"] <= row["duration_ms"]
    assert (row["channel"], row["model"], other["upstream_model"]) == ("real", "m/one", "hidden-two")
    assert "nobody here" in shown
    assert place.rows("usage") == []


FAILURES: list[tuple[int, bytes, str, str]] = [
    (401, f'{{"error": {{"message": "wrong key {SECRET}"}}}}'.encode(), "credential", "wrong key [secret]"),
    (
        404,
        b'{"error": {"message": "no hidden-m", "code": "model_not_found"}}',
        "misconfigured",
        "no m",
    ),
    (429, b'{"error": {"message": "slow down"}}', "capacity", "slow down"),
    (500, b'{"error": {"message": "boom"}}', "outage", "boom"),
    (400, b'{"error": {"message": "bad field"}}', "caller", "bad field"),
]


@pytest.mark.parametrize(("status", "body", "cause", "message"), FAILURES)
def test_a_channel_that_fails_says_so_in_the_provider_s_words_and_ends_with_1(
    status: int, body: bytes, cause: str, message: str, tmp_path: Path
) -> None:
    place = install(tmp_path)
    with server(lambda *_: (status, "application/json", body)) as port:
        upstream(place, "real", port, "--model", "m=hidden-m")
        told = place.run("channels", "test", "real", "--json")
        shown = place.run("channels", "test", "real")

    row = json.loads(told.stdout)
    assert told.exit_code == shown.exit_code == 1
    assert (row["ok"], row["status"], row["cause"], row["message"]) == (False, status, cause, message)
    assert f"The channel real does not work ({cause})." in told.stderr
    assert message in shown.stdout
    assert SECRET not in told.output + shown.output


def test_an_answer_that_breaks_off_fails_too(tmp_path: Path) -> None:
    place = install(tmp_path)
    cut = streamed("Hello", " there").partition(
        b'data: {"id": "chatcmpl-1", "object": "chat.completion.chunk"'
    )
    half = streamed("Hello").split(b"\n\n")[:2]
    assert cut[1]
    with server(lambda *_: (200, "text/event-stream", b"\n\n".join(half) + b"\n\n")) as port:
        upstream(place, "real", port, "--model", "m")
        told = place.run("channels", "test", "real", "--json")

    row = json.loads(told.stdout)
    assert told.exit_code == 1
    assert (row["ok"], row["status"], row["cause"], row["answer"]) == (False, 200, "outage", "Hello")


def test_a_channel_of_the_file_is_tested_with_the_credential_that_the_file_names(place: Installation) -> None:
    file = place.file.read_text()
    place.file.write_text(
        file + '[[channels]]\nname = "up"\nprovider = "openai"\napi_key = { env = "NOT_THERE" }\n'
        'base_url = "http://127.0.0.1:1/v1"\nmodels = ["m"]\n'
    )

    missing = place.refusal("channels", "test", "up")
    there = place.run("channels", "test", "up", "--json", env={"NOT_THERE": SECRET})

    place.file.write_text(file)
    assert "NOT_THERE is not set" in missing
    assert json.loads(there.stdout)["cause"] == "connect"


def test_a_channel_that_names_no_model_is_tested_with_its_cheapest_that_talks(tmp_path: Path) -> None:
    place, asked = install(tmp_path), []

    def answer(path: str, headers: dict[str, str], body: bytes) -> tuple[int, str, bytes]:
        asked.append(json.loads(body)["model"])
        return 200, "text/event-stream", streamed("Hello")

    with server(answer) as port:
        upstream(place, "real", port, "--disabled")
        row = place.row("channels", "test", "real")
        place.done("channels", "enable", "real")
        models = [row for row in place.rows("models", "list") if row["channels"][0]["channel"] == "real"]

    talking = [one for one in models if float(one["prices"]["completion"])]
    assert len(talking) < len(models)
    cheapest = min(
        talking, key=lambda one: float(one["prices"]["prompt"]) + float(one["prices"]["completion"])
    )
    assert row["model"] == cheapest["id"]
    assert asked == [row["upstream_model"]]
    assert place.row("channels", "test", "sim")["ok"]
    place.done("channels", "create", "mine", "--provider", "vllm")
    assert "the price book knows none of vllm: say which by --model" in place.refusal(
        "channels", "test", "mine"
    )


@pytest.mark.parametrize(
    ("name", "words", "why"),
    [
        ("nothing", (), 'There is no channel "nothing"'),
        ("first", ("--model", "other"), "does not serve 'other': it has house/a"),
    ],
)
def test_a_test_that_cannot_be_made_says_why(
    name: str, words: tuple[str, ...], why: str, place: Installation
) -> None:
    assert why in place.refusal("channels", "test", name, *words)


def test_the_built_in_provider_is_tested_without_a_network(place: Installation) -> None:
    row = place.row("channels", "test", "sim", "--model", "sim/text")

    assert (row["ok"], row["completion_tokens"]) == (True, 16)
