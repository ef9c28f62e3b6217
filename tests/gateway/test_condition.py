"""How channels are shown to operators, and what of it Prometheus is told."""

from typing import Any

from plan_scene import channel

from deeptoken.gateway.condition import MODELS_MAX, Condition, conditions, open_breakers
from deeptoken.gateway.health import Health, State
from deeptoken.gateway.speed import Speed
from deeptoken.providers.base import Failure

NOW = 1_000.0
A, B = channel("a"), channel("b", enabled=False)


def state(channel: str, model: str | None, **facts: Any) -> State:
    usual: dict[str, Any] = {
        "state": "closed", "why": "", "wait_s": 0.0, "failures": 0, "share": 1.0, "error_share": 0.0,
        "speed": None,
    }  # fmt: skip
    return State(channel=channel, model=model, **(usual | facts))


def open_(channel: str, model: str | None, why: str = "breaker", state_: str = "open") -> State:
    return state(channel, model, state=state_, why=why, wait_s=3.0, share=0.1)


def test_every_channel_is_shown_also_one_that_was_never_called_with_its_models_behind_it() -> None:
    states = [state("a", "m2"), open_("a", None, "credential"), state("a", "m1"), state("gone", "m")]

    shown, left_out = conditions([B, A], states)

    assert [(one.channel, one.model, one.enabled, one.state) for one in shown] == [
        ("a", None, True, "open"),
        ("a", "m1", True, "closed"),
        ("a", "m2", True, "closed"),
        ("b", None, False, "closed"),
    ]
    assert left_out == 0


def test_numbers_are_rounded_and_what_was_not_measured_is_nothing() -> None:
    speed = Speed(ttft_s=0.12345, tokens_per_s=0.0, error_share=0.5, ttft_p95_s=None)
    states = [state("a", "m", speed=speed, error_share=1 / 3, share=0.55555, wait_s=2.3456)]

    (_, shown), _ = conditions([A], states)

    assert shown == Condition(
        "a", "m", True, wait_s=2.3, share=0.556, error_share=0.333, ttft_s=0.123, tokens_per_s=None
    )


def test_of_models_without_end_those_that_are_not_well_are_shown_first() -> None:
    well = [state("a", f"made-up-{number:05}") for number in range(MODELS_MAX)]
    ill = [open_("a", "z-open"), state("a", "z-recovers", share=0.4)]

    shown, left_out = conditions([A], well + ill)

    models = {one.model for one in shown}
    assert len(shown) == MODELS_MAX + 1
    assert left_out == 2
    assert {"z-open", "z-recovers", "made-up-00000"} <= models
    assert f"made-up-{MODELS_MAX - 1:05}" not in models


def test_what_health_knows_is_what_is_shown() -> None:
    health = Health()
    for _ in range(5):
        entry = health.enter("a", "m", NOW)
        assert entry is not None
        health.failed(entry, Failure("outage", "boom", 500), NOW, 0.0)

    (whole, model), _ = conditions([A], health.states(NOW + 1))

    assert (whole.state, whole.why) == ("closed", "")
    assert (model.model, model.state, model.why) == ("m", "open", "breaker")
    assert (model.wait_s, model.failures, model.error_share) == (4.0, 5, 1.0)


def label(channel: Any, id: str) -> str | None:
    return None if id == "unknown" else id.partition("/")[0] + "/*"


def test_a_breaker_counts_while_it_is_not_closed_under_a_label_that_callers_cannot_make() -> None:
    states = [
        open_("a", "acme/1"),
        open_("a", "acme/2", state_="half-open"),
        open_("a", "other/1", "misconfigured"),
        open_("a", "unknown"),
        state("a", "well/1"),
        open_("a", "busy/1", "cooling", "cooling"),
        open_("b", None),
        open_("gone", "acme/1"),
    ]

    told = open_breakers([A, B], states, label)

    assert told == {("a", ""): 0, ("a", "acme/*"): 1, ("a", "other/*"): 1}


def test_a_channel_s_own_breaker_has_no_model() -> None:
    assert open_breakers([A], [open_("a", None, "credential")], label) == {("a", ""): 1}
