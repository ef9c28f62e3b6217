"""Who may be called: what each failure does to the channel and to the model on it."""

import msgspec
import pytest
from health_scene import BLAMED, NOW, entered, fail, failure, opened, state_of, succeed
from path_scene import sim

from deeptoken.gateway import health as module
from deeptoken.gateway.health import HEALTHY, Health, Standing
from deeptoken.providers.base import Cause

# What a failure does.


@pytest.mark.parametrize(
    ("cause", "times", "here", "other_model", "until"),
    [
        ("connect", 5, "breaker", "breaker", 5),
        ("outage", 5, "breaker", "", 5),
        ("slow", 5, "breaker", "", 5),
        ("capacity", 1, "cooling", "", 1),
        ("credential", 1, "credential", "credential", 600),
        ("misconfigured", 1, "misconfigured", "", 600),
        ("caller", 500, "", "", 0),
    ],
)
def test_each_cause_closes_what_it_must_and_nothing_else(
    cause: Cause, times: int, here: str, other_model: str, until: float
) -> None:
    health = opened(cause, times - 1)
    assert health.standing("c", "m", NOW) is HEALTHY

    fail(health, cause)

    standing = health.standing("c", "m", NOW)
    assert (standing.open, standing.why) == (bool(here), here)
    assert not here or standing.until == NOW + until
    assert health.standing("c", "n", NOW).why == other_model
    assert health.standing("d", "m", NOW) is HEALTHY


@pytest.mark.parametrize("cause", BLAMED)
def test_a_row_of_different_calls_is_one_row_only_if_the_same_part_is_to_blame(cause: Cause) -> None:
    health = Health()

    for number in range(4):
        fail(health, cause, model=f"m{number}")
    fail(health, "outage" if cause == "connect" else "connect")
    fail(health, cause, model="m5")

    assert not health.troubled


def test_a_channel_that_answers_badly_can_be_reached() -> None:
    health = opened("connect")

    fail(health, "outage", now=NOW + 5)

    assert state_of(health, "c", None, NOW + 5).state == "closed"
    assert health.standing("c", "m", NOW + 5) == Standing(share=0.1)


@pytest.mark.parametrize("cause", ["outage", "slow", "capacity", "misconfigured", "caller", "connect"])
def test_only_a_good_answer_shows_that_a_credential_is_good_again(cause: Cause) -> None:
    health = opened("credential", 1)

    fail(health, cause, model="n", now=NOW + 600)

    assert health.standing("c", "o", NOW + 600).why == "credential"
    succeed(health, model="o", now=NOW + 1_200)
    assert health.standing("c", "o", NOW + 1_200) == Standing(share=0.1)


@pytest.mark.parametrize("cause", ["capacity", "caller"])
def test_a_probe_that_says_nothing_of_the_model_is_given_back(cause: Cause) -> None:
    health = opened()

    fail(health, cause, now=NOW + 5)

    later = NOW + 5 + (1 if cause == "capacity" else 0)
    assert health.standing("c", "m", later) == Standing(why="breaker", until=NOW + 5, share=0.1)
    assert entered(health, "c", "m", later).probe


def test_a_caller_who_leaves_gives_the_probe_back() -> None:
    health = opened()
    probe = entered(health, "c", "m", NOW + 5)
    assert health.enter("c", "m", NOW + 5, last_hope=True) is None

    health.released(probe)

    assert entered(health, "c", "m", NOW + 5).probe


def test_to_release_what_was_reported_changes_nothing() -> None:
    health = opened()
    probe = entered(health, "c", "m", NOW + 5)
    health.succeeded(probe, NOW + 5)
    health.released(probe)
    health.failed(probe, failure("outage"), NOW + 5, 0.0)

    assert state_of(health, "c", "m").failures == 0
    assert not entered(health, "c", "m", NOW + 5).probe


def test_a_stream_that_breaks_after_its_first_content_counts() -> None:
    health = Health()

    for _ in range(5):
        entry = entered(health, "c", "m")
        health.succeeded(entry, NOW)
        health.failed(entry, failure("outage"), NOW + 60, 0.0)
        health.released(entry)

    assert health.standing("c", "m", NOW + 60).why == "breaker"
    assert state_of(health, "c", "m").error_share == 1


# Cooling.


def test_retry_after_30_keeps_that_model_off_that_channel_for_30_to_33_seconds() -> None:
    health = Health()

    health.failed(entered(health, "c", "m"), failure("capacity", 30.0), NOW, 0.999)

    assert health.enter("c", "m", NOW + 30, last_hope=True) is None
    assert health.standing("c", "m", NOW + 33) is HEALTHY
    assert health.enter("c", "m", NOW + 33) is not None
    assert not health.troubled


def test_no_number_of_429_opens_the_breaker() -> None:
    health, now = Health(), NOW

    for _ in range(100):
        fail(health, "capacity", now=now)
        now = health.standing("c", "m", now).until

    assert health.standing("c", "m", now) is HEALTHY


def test_while_it_cools_that_is_why_also_when_its_breaker_is_open() -> None:
    health = Health()
    slow_one = entered(health, "c", "m")
    for _ in range(5):
        fail(health, "outage")

    health.failed(slow_one, failure("capacity", 2.0), NOW, 0.0)

    standing = health.standing("c", "m", NOW)
    assert (standing.open, standing.why, standing.until) == (True, "cooling", NOW + 5)
    assert health.standing("c", "m", NOW + 3).why == "breaker"


# Both breakers.


def test_where_the_channel_and_the_model_are_open_one_call_probes_both() -> None:
    health = opened()
    for _ in range(5):
        fail(health, "connect", model="n", now=NOW + 1)
    assert health.standing("c", "m", NOW + 1).until == NOW + 6

    probe = entered(health, "c", "m", NOW + 6)

    assert health.standing("c", "n", NOW + 6).probing
    assert health.enter("c", "n", NOW + 6) is None
    health.succeeded(probe, NOW + 6)
    assert health.standing("c", "m", NOW + 6) == health.standing("c", "n", NOW + 6) == Standing(share=0.1)


def test_who_is_refused_by_one_breaker_takes_no_probe_from_the_other() -> None:
    health = opened("outage")
    for _ in range(5):
        fail(health, "connect", model="n")
    probe = entered(health, "c", "n", NOW + 5)

    refused = health.enter("c", "m", NOW + 5)
    health.succeeded(probe, NOW + 5)

    assert refused is None
    assert entered(health, "c", "m", NOW + 5).probe


def test_the_share_grows_back_and_then_it_is_as_well_as_the_others() -> None:
    health = opened()
    succeed(health, now=NOW + 5)

    shares = [round(health.standing("c", "m", NOW + 5 + passed).share, 2) for passed in (0, 10, 20)]

    assert shares == [0.1, 0.4, 0.7]
    assert health.standing("c", "m", NOW + 35) is HEALTHY
    assert not health.troubled


@pytest.mark.parametrize("order", [("outage", "connect"), ("connect", "outage")])
def test_of_two_shares_the_smaller_counts(order: tuple[Cause, Cause]) -> None:
    health, now = Health(), NOW
    for cause in order:
        model = "m" if cause == "outage" else "n"
        for _ in range(5):
            fail(health, cause, model=model, now=now)
        succeed(health, model=model, now=now + 5)
        now += 10

    assert health.standing("c", "m", now).share == pytest.approx(0.1 + 0.9 * 5 / 30)


# People, and reloads.


def test_an_operator_clears_a_model_or_a_whole_channel() -> None:
    health = opened("credential", 1)
    fail(health, "misconfigured", channel="d", model="m")
    fail(health, "misconfigured", channel="d", model="n")

    health.clear("d", "m")
    health.clear("c")

    assert health.standing("c", "m", NOW) is HEALTHY
    assert health.standing("d", "m", NOW) is HEALTHY
    assert health.standing("d", "n", NOW).why == "misconfigured"
    health.clear("d")
    health.standing("d", "n", NOW)
    assert not health.troubled


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ({}, "credential"),
        ({"weight": 9, "label": "other"}, "credential"),
        ({"secret": "another"}, ""),
        ({"base_url": "https://other"}, ""),
        ({"options": {"api_version": "2"}}, ""),
    ],
)
def test_a_channel_with_another_credential_or_address_starts_anew(
    change: dict[str, object], left: str
) -> None:
    health, channel = Health(), sim("c", {"m": "m"}, secret="one")
    health.kept([channel])
    fail(health, "misconfigured", model="n")
    fail(health, "credential")

    health.kept([msgspec.structs.replace(channel, **change)])

    assert health.standing("c", "m", NOW).why == left
    assert bool(health.states(NOW)) is bool(left)


def test_a_model_that_is_called_otherwise_now_is_asked_again() -> None:
    health, channel = Health(), sim("c", {"m": "wrong"})
    health.kept([channel])
    fail(health, "misconfigured")

    health.kept([msgspec.structs.replace(channel, models={"m": "right"})])

    assert health.standing("c", "m", NOW) is HEALTHY


def test_a_channel_that_is_gone_is_forgotten_and_calls_under_way_there_say_nothing() -> None:
    health = opened()
    health.kept([sim("c", {})])
    late = [entered(health, "c", "n") for _ in range(2)]

    health.kept([])
    health.failed(late[0], failure("credential"), NOW, 0.0)
    health.failed(late[1], failure("misconfigured"), NOW, 0.0)

    assert not health.troubled
    assert health.states(NOW) == []


def test_states_tell_people_what_is_wrong_and_for_how_long() -> None:
    health = opened()
    succeed(health, model="n")
    health.measured("c", "n", ttft_s=0.5, tokens=100, seconds=2.0, now=NOW)
    fail(health, "capacity", model="o")

    states = health.states(NOW + 0.5)

    assert [(one.model, one.state, one.why, one.wait_s, one.failures, one.share) for one in states] == [
        (None, "closed", "", 0, 0, 1),
        ("m", "open", "breaker", 4.5, 5, 0.1),
        ("n", "closed", "", 0, 0, 1),
        ("o", "cooling", "cooling", 0.5, 0, 1),
    ]
    assert state_of(health, "c", "m", NOW + 5).state == "half-open"
    speed = states[2].speed
    assert speed == health.speed("c", "n")
    assert speed is not None
    assert (speed.ttft_s, speed.tokens_per_s, speed.ttft_p95_s) == (0.5, 50, 0.5)
    assert health.speed("c", "m") is None


def test_made_up_models_take_no_memory_and_push_out_nobody_who_is_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "TARGETS_MAX", 10)
    health = opened()
    health.failed(entered(health, "c", "busy"), failure("capacity", 30.0), NOW, 0.0)

    for number in range(1_000):
        fail(health, "misconfigured", model=f"made-up-{number}")

    assert len(health.states(NOW)) == 11
    assert health.standing("c", "m", NOW).why == "breaker"
    assert health.standing("c", "busy", NOW).why == "cooling"
    assert health.standing("c", "made-up-0", NOW) is HEALTHY
    assert health.standing("c", "made-up-999", NOW).why == "misconfigured"


def test_who_is_called_is_remembered_longer_than_who_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TARGETS_MAX", 10)
    health = Health()
    for model in ("called", "idle"):
        health.measured("c", model, ttft_s=1, now=NOW)

    for number in range(15):
        succeed(health, model=f"m{number}")
        succeed(health, model="called")

    assert health.speed("c", "called") is not None
    assert health.speed("c", "idle") is None
