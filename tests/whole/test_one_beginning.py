"""After the first content nobody else is asked: a stream that breaks ends with an error; its row says why."""

from collections.abc import Iterator
from typing import Any

import pytest
from provider_scene import (
    Provider,
    Scene,
    Script,
    both,
    channel,
    chunk,
    lasting,
    nothing_is_held,
    row_of,
    says_and_closes,
    says_and_resets,
    says_and_waits,
    stream_head,
)

from whole_scene import chat

BEGUN = stream_head() + chunk("", role=True) + chunk("one ") + chunk("two")
BREAKS: dict[str, tuple[Script, str, str]] = {
    "reset": (says_and_resets(BEGUN), "outage", "upstream_error"),
    "cut": (says_and_closes(BEGUN + b'data: {"id"'), "outage", "upstream_invalid_response"),
    "idle": (says_and_waits(BEGUN), "slow", "upstream_timeout"),
}
"""How it breaks, the cause, and what the client is told."""
PROMPT = 8
"""What ``hi`` counts."""


def configuration(provider: Provider) -> str:
    told = []
    for name, (script, _, _) in BREAKS.items():
        provider.scripts[name] = script
        told.append(channel(provider, name, priority="1", timeout="{ idle = 0.1 }"))
        told.append(channel(provider, "spare", name, name=f'"{name}-2"'))
    provider.scripts["spare"] = both("another beginning")
    return "".join(told)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with lasting(tmp_path_factory.mktemp("beginning"), configuration) as scene:
        yield scene


@pytest.mark.parametrize("how", BREAKS)
def test_a_stream_that_breaks_after_its_first_content_has_no_second_beginning(how: str, scene: Scene) -> None:
    _, cause, code = BREAKS[how]

    async def main() -> None:
        reply = await scene.gateway.ask(chat("hi", model=f"m/{how}", stream=True))

        *said, last = reply.chunks
        roles = [one["choices"][0]["delta"].get("role") for one in said]
        assert (roles.count("assistant"), reply.text) == (1, "one two")
        assert (last["error"]["code"], reply.events.count("[DONE]")) == (code, 0)
        assert scene.provider.requests["spare"] == []
        row = await row_of(scene.gateway, reply.headers["x-deeptoken-id"])
        assert (row.outcome, row.channel, row.code) == ("cut", how, code)
        assert row.charged == row.cost == PROMPT * 1_000 + 2 * 2_000
        await nothing_is_held(scene.gateway)
        told = await scene.gateway.ask(path=f"/v1/generation?id={row.id}")
        attempt: dict[str, Any] = told.json["attempts"][0]
        assert len(told.json["attempts"]) == 1
        assert (attempt["channel"], attempt["model"], attempt["cause"]) == (how, f"m/{how}", cause)
        assert (attempt["status"], attempt["accepted"]) == (200, True)
        assert attempt["message"]
        assert attempt["began_ms"] <= attempt["ttft_ms"] <= attempt["began_ms"] + attempt["duration_ms"]

    scene.run(main)
