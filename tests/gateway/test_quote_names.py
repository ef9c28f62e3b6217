"""A quote names channels by their labels and models by their ids, whatever stands in its reasons."""

import json
from typing import Any

import msgspec
import pytest
from plan_scene import NOW, Standing, Ward, channel, chat, model
from quote_scene import RATES, quoted

from deeptoken.catalog.catalog import Found
from deeptoken.catalog.model import Candidate, Channel

SECRETS = ("hidden-name", "upstream-name", "secret-host")


def hidden(number: int, **settings: Any) -> Channel:
    return channel(
        f"hidden-name-{number}",
        label=f"Label {number}",
        base_url="https://secret-host.test",
        options={"sim": "secret-host"},
        **settings,
    )


def served_by(*channels: Channel, id: str = "m", **facts: Any) -> Found:
    at = model(id, rates=RATES, **facts)
    return Found(at, tuple(Candidate(one, at, f"upstream-name-{id}") for one in channels))


ALL = [
    {"only": ["Label 1", "Label 2"]},
    {"ignore": ["Label 1"]},
    {"order": ["Label 2"], "allow_fallbacks": False},
    {"order": ["Label 2", "Label 3"]},
    {"sort": "price"},
    {"sort": "throughput"},
    {"sort": "latency"},
    {"max_price": {"prompt": 5, "completion": 5}},
    {"require_parameters": True},
    {},
]


@pytest.mark.parametrize("provider", ALL, ids=str)
@pytest.mark.parametrize("why", ["breaker", "cooling", "credential", "misconfigured", "probing"])
@pytest.mark.parametrize("everybody", [False, True])
def test_callers_see_labels_and_ids_and_never_what_a_channel_is_called_here_or_upstream(
    provider: dict[str, Any], why: str, everybody: bool
) -> None:
    out = Standing(open=True, why=why, until=NOW + 9, probing=why == "probing")
    outs = {f"hidden-name-{number}": out for number in (range(9) if everybody else (2,))}
    channels = [hidden(number, priority=number % 3) for number in range(1, 9)]
    blind = served_by(*channels, id="blind", capabilities={"tools": False})
    tools = [{"type": "function", "function": {"name": "f"}}]

    told = quoted(
        served_by(*channels),
        blind,
        said=chat(provider=provider, tools=tools),
        health=Ward(outs),
        full=lambda one: one.name == "hidden-name-3",
    )

    text = json.dumps(told)
    assert not [secret for secret in SECRETS if secret in text]
    assert {one["channel"] for one in told["candidates"]} <= {f"Label {number}" for number in range(1, 9)}
    assert all(one["reason"] for one in [*told["candidates"], *told["left_out"]])


def test_channels_that_look_the_same_to_callers_are_left_out_once() -> None:
    channels = [hidden(number) for number in range(1, 9)]
    same = [msgspec.structs.replace(one, label="Same") for one in channels]

    told = quoted(served_by(*same))

    assert len(told["candidates"]) == 4
    assert told["left_out"] == [{"channel": "Same", "model": "m", "reason": "behind the 4 that are tried"}]


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        (Standing(open=True, why="breaker", until=NOW + 3), "it fails too often; its probe is due in 3 s"),
        (Standing(open=True, why="cooling", until=NOW + 30), "it is rate limited; asked again in 30 s"),
        (
            Standing(open=True, why="credential", until=NOW + 600),
            "it refuses the gateway's account; its probe is due in 600 s",
        ),
        (
            Standing(open=True, why="misconfigured", probing=True),
            "it does not have the model; a probe is under way",
        ),
    ],
)
def test_a_channel_that_is_out_says_why_in_words(standing: Standing, words: str) -> None:
    told = quoted(served_by(hidden(1), hidden(2)), health=Ward({"hidden-name-2": standing}))

    assert told["left_out"] == [{"channel": "Label 2", "model": "m", "reason": words}]
