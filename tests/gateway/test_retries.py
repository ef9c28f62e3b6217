"""An outage is not multiplied: retries are a fifth of the requests, and ten a second."""

from hypothesis import given
from hypothesis import strategies as st

from deeptoken.gateway.retries import MODELS_MAX, RetryBudget

NOW = 1_000.0
steps = st.lists(
    st.tuples(st.sampled_from([0.0, 0.01, 0.1, 1.0, 20.0]), st.integers(0, 30), st.integers(0, 30)),
    max_size=40,
)


def taken(budget: RetryBudget, model: str, now: float, wanted: int) -> int:
    return sum(budget.may_retry(model, now) for _ in range(wanted))


@given(steps)
def test_no_history_gets_more_than_a_fifth_of_its_requests_and_ten_a_second(
    steps: list[tuple[float, int, int]],
) -> None:
    budget, now, asked, retried = RetryBudget(), NOW, 0, 0

    for passed, requests, retries in steps:
        now += passed
        for _ in range(requests):
            budget.asked("m", now)
        asked += requests
        retried += taken(budget, "m", now, retries)

        assert retried <= 0.2 * asked + 10 * (now - NOW) + 10 + 1e-6


def test_who_fails_a_fifth_of_the_time_gets_every_retry() -> None:
    budget, got = RetryBudget(), 0

    for number in range(10_000):
        now = NOW + number / 1_000
        budget.asked("m", now)
        if number % 5 == 0:
            got += budget.may_retry("m", now)

    assert got == 2_000


def test_in_an_outage_of_everything_a_fifth_and_ten_a_second_are_retried() -> None:
    budget, got = RetryBudget(), 0

    for number in range(10_000):
        now = NOW + number / 1_000
        budget.asked("m", now)
        got += taken(budget, "m", now, 3)

    assert 2_095 <= got <= 2_110


def test_a_quiet_model_may_retry_too_but_saves_nothing_up() -> None:
    budget = RetryBudget()
    for _ in range(10_000):
        budget.asked("m", NOW)

    assert taken(budget, "m", NOW + 3_600, 1_000) == 10
    assert taken(budget, "m", NOW + 3_600.5, 1_000) == 5


def test_models_do_not_share() -> None:
    budget = RetryBudget()
    taken(budget, "a", NOW, 100)

    assert taken(budget, "b", NOW, 100) == 10


def test_made_up_models_take_no_memory_and_forget_only_who_was_idle_longest() -> None:
    budget = RetryBudget()
    taken(budget, "idle", NOW, 10)
    taken(budget, "used", NOW, 10)

    for number in range(MODELS_MAX):
        budget.asked(f"made-up-{number}", NOW)
        assert not budget.may_retry("used", NOW)

    assert len(budget._budgets) == MODELS_MAX
    assert budget.may_retry("idle", NOW)
