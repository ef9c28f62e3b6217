"""`models`: when the first model fails, the next one answers, by its own name and at its own price."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from provider_scene import (
    Provider,
    Scene,
    Script,
    both,
    channel,
    lasting,
    nothing_is_held,
    row_of,
    says,
)

from log_scene import Logged
from upstreams import answer
from whole_scene import chat

JSON = "Content-Type: application/json"
PRICES = """
[[models]]
id = "second/model"
prompt = 3
completion = 5
"""
COST = {False: 3 * 3_000 + 2 * 5_000, True: 3 * 3_000 + 3 * 5_000}
"""Of the second model's answer, whole and streamed."""


def refuses(status: str, message: str, code: str | None) -> Script:
    told = {"error": {"message": message, "type": "invalid_request_error", "param": "messages", "code": code}}
    return says(answer(json.dumps(told).encode(), JSON, status=status))


FAILING: dict[str, tuple[Script, str]] = {
    "down": (refuses("500 Oops", "boom", None), "outage"),
    "busy": (refuses("429 Too Many Requests", "slow down", None), "capacity"),
    "missing": (refuses("404 Not Found", "no model hidden-missing", "model_not_found"), "misconfigured"),
    "long": (refuses("400 Bad Request", "too long", "context_length_exceeded"), "caller"),
    "told-long": (refuses("400 Bad Request", "prompt is too long: 9 tokens > 8 maximum", None), "caller"),
    "filter": (refuses("400 Bad Request", "not that", "content_filter"), "caller"),
}
OTHER = {
    "400": refuses("400 Bad Request", "temperature is too high", "invalid_value"),
    "413": refuses("413 Payload Too Large", "the body is too large", None),
    "422": refuses("422 Unprocessable Entity", "bad schema", None),
}


def configuration(provider: Provider) -> str:
    told = [PRICES]
    for name, (script, _) in FAILING.items():
        for kind in ("whole", "stream"):
            provider.scripts[f"{name}-{kind}"] = script
            told.append(channel(provider, f"{name}-{kind}"))
    for name, script in OTHER.items():
        provider.scripts[name] = script
        told.append(channel(provider, name))
    provider.scripts["second"] = both("from the second")
    models = '{ "second/model" = "hidden-second" }'
    told.append(channel(provider, "second", models=models, label='"spare"'))
    return "".join(told)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with lasting(tmp_path_factory.mktemp("fallback"), configuration) as scene:
        yield scene


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", FAILING)
def test_the_next_model_answers_by_its_own_name_and_is_charged_at_its_own_price(
    name: str, stream: bool, scene: Scene
) -> None:
    first = f"{name}-{'stream' if stream else 'whole'}"

    async def main() -> None:
        usage = {"include": True}
        options = {"stream_options": {"include_usage": True}} if stream else {}
        body = chat("hi", model=f"m/{first}", models=["second/model"], stream=stream, usage=usage, **options)
        reply = await scene.gateway.ask(body)

        assert reply.status == 200, reply.body
        said = reply.chunks if stream else [reply.json]
        assert {one["model"] for one in said} == {"second/model"}
        assert reply.headers["x-deeptoken-channel"] == "spare"
        assert reply.headers["x-deeptoken-attempts"] == "2"
        cost = COST[stream]
        told = said[-1]["usage"]
        assert (told["prompt_tokens"], told["completion_tokens"]) == (3, 3 if stream else 2)
        assert told["cost"] == cost / 1_000
        row = await row_of(scene.gateway, reply.headers["x-deeptoken-id"])
        assert (row.model, row.channel, row.outcome) == ("second/model", "second", "complete")
        assert row.charged == row.cost == cost
        await nothing_is_held(scene.gateway)
        generation = (await scene.gateway.ask(path=f"/v1/generation?id={row.id}")).json
        assert generation["model"] == "second/model"
        tries = [(one["model"], one["channel"], one.get("cause")) for one in generation["attempts"]]
        assert tries == [(f"m/{first}", first, FAILING[name][1]), ("second/model", "second", None)]

    scene.run(main)


@pytest.mark.parametrize("name", OTHER)
def test_what_is_wrong_for_every_model_goes_back_to_the_caller(name: str, scene: Scene) -> None:
    async def main() -> None:
        before = len(scene.provider.requests["second"])
        reply = await scene.gateway.ask(chat("hi", model=f"m/{name}", models=["second/model"]))

        assert (reply.status, reply.error["type"]) == (int(name), "user")
        assert len(scene.provider.requests["second"]) == before
        row = await row_of(scene.gateway, reply.headers["x-deeptoken-id"])
        assert (row.model, row.charged) == (f"m/{name}", 0)

    scene.run(main)


async def log_line(scene: Scene, logged: Logged, id: str) -> dict[str, Any]:
    """The log line of one call, once it is there."""
    said = ""
    for _ in range(2_000):
        said += logged.news()
        for line in said.split("\n")[:-1]:
            told: dict[str, Any] = json.loads(line)
            if (told.get("id"), told["event"]) == (id, "request"):
                return told
        await scene.gateway.ask(path="/healthz")
    raise AssertionError("there is no log line")


def test_log_and_metrics_name_the_model_that_answered(tmp_path: Path, logged: Logged) -> None:
    with lasting(tmp_path, configuration) as scene:

        async def main() -> None:
            body = chat("hi", model="m/down-whole", models=["second/model"])
            reply = await scene.gateway.ask(body)

            line = await log_line(scene, logged, reply.headers["x-deeptoken-id"])
            assert (line["model"], line["channel"], line["attempts"]) == ("second/model", "second", 2)
            assert line["charged"] == COST[False] / 1_000
            page = (await scene.gateway.ask(path="/metrics")).body.decode()
            assert 'requests_total{channel="second",model="second/model",status="200"} 1.0' in page
            assert f'charged_credits_total{{model="second/model"}} {COST[False] / 1_000}' in page
            assert 'attempts_total{cause="outage",channel="down-whole"} 1.0' in page

        scene.run(main)


def test_a_fallback_that_does_not_exist_is_refused_before_anybody_is_asked(scene: Scene) -> None:
    async def main() -> None:
        before = len(scene.provider.requests["down-whole"])
        reply = await scene.gateway.ask(chat("hi", model="m/down-whole", models=["no/such"]))

        assert (reply.status, reply.error["param"]) == (404, "models[0]")
        assert len(scene.provider.requests["down-whole"]) == before

    scene.run(main)
