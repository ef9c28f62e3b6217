"""The breaker by example: when it opens, whom it lets in, and which calls count."""

import pytest

from deeptoken.gateway.breaker import SHARE_FIRST, Breaker, Ticket

NOW = 1_000.0


def entered(breaker: Breaker, now: float, *, last_hope: bool = False) -> Ticket:
    assert breaker.admits(now, last_hope=last_hope)
    return breaker.enter(now)


def fail(breaker: Breaker, now: float, times: int = 1) -> None:
    for _ in range(times):
        breaker.failed(entered(breaker, now), now, 0.0)


def succeed(breaker: Breaker, now: float, times: int = 1) -> None:
    for _ in range(times):
        breaker.succeeded(entered(breaker, now), now)


def opened(now: float = NOW) -> Breaker:
    breaker = Breaker()
    fail(breaker, now, 5)
    return breaker


# It opens.


def test_five_failures_in_a_row_open_it_for_five_seconds() -> None:
    breaker = Breaker()

    fail(breaker, NOW, 4)

    assert breaker.admits(NOW)
    fail(breaker, NOW)
    assert (breaker.why, breaker.until, breaker.failures) == ("breaker", NOW + 5, 5)
    assert not breaker.admits(NOW + 4.99)
    assert breaker.admits(NOW + 5)


def test_a_success_between_begins_a_new_row() -> None:
    breaker = Breaker()

    fail(breaker, NOW, 4)
    succeed(breaker, NOW)
    fail(breaker, NOW, 4)

    assert breaker.admits(NOW)


@pytest.mark.parametrize(
    ("outcomes", "apart_s", "opens"),
    [
        ("+-" * 10, 0.0, True),
        ("+" + "+-" * 10, 0.0, False),  # 47 %
        ("+-" * 9, 0.0, False),  # of too few
        ("+-" * 10, 1.5, True),
        ("+-" * 10, 1.625, False),  # the first is more than 30 s old when the last one fails
    ],
)
def test_half_of_twenty_calls_of_the_last_thirty_seconds_open_it(
    outcomes: str, apart_s: float, opens: bool
) -> None:
    breaker = Breaker()

    for number, outcome in enumerate(outcomes):
        told = succeed if outcome == "+" else fail
        told(breaker, NOW + number * apart_s)

    assert bool(breaker.why) is opens


def test_each_failed_probe_doubles_the_pause_up_to_five_minutes() -> None:
    breaker, pauses, now = opened(), [], NOW

    for _ in range(8):
        pauses.append(breaker.until - now)
        now = breaker.until
        fail(breaker, now)

    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300]


@pytest.mark.parametrize(
    ("closed_s", "pause_s"), [(0.0, 40.0), (299.0, 40.0), (300.0, 20.0), (601.0, 10.0), (9_999.0, 5.0)]
)
def test_each_five_minutes_closed_take_back_one_doubling(closed_s: float, pause_s: float) -> None:
    breaker = opened()
    fail(breaker, breaker.until, 1)
    fail(breaker, breaker.until, 1)
    closed = breaker.until
    succeed(breaker, closed)

    fail(breaker, closed + closed_s, 5)

    assert breaker.until - closed - closed_s == pause_s


def test_chance_makes_a_pause_a_twentieth_longer_at_most() -> None:
    breaker = Breaker()
    for chance in (0.0, 0.0, 0.0, 0.0, 0.5):
        breaker.failed(breaker.enter(NOW), NOW, chance)

    assert breaker.until == NOW + 5 * 1.025


def test_what_happened_before_it_opened_is_no_part_of_what_comes_after() -> None:
    breaker = Breaker()
    for outcome in "+-" * 9 + "--":
        (succeed if outcome == "+" else fail)(breaker, NOW)
    succeed(breaker, breaker.until)

    fail(breaker, NOW + 6, 4)

    assert breaker.why == ""


# Half-open.


def test_when_the_pause_is_over_one_probe_goes_and_nobody_else() -> None:
    breaker = opened()

    probe = entered(breaker, NOW + 5)

    assert probe.probe
    assert not breaker.admits(NOW + 5)
    assert not breaker.admits(NOW + 5_000, last_hope=True)


def test_a_successful_probe_closes_it_and_its_share_grows_back_in_thirty_seconds() -> None:
    breaker = opened()
    probe = entered(breaker, NOW + 5)

    breaker.succeeded(probe, NOW + 6)

    assert breaker.why == ""
    shares = [round(breaker.share(NOW + 6 + passed), 3) for passed in (0, 10, 20, 30, 300)]
    assert shares == [SHARE_FIRST, 0.4, 0.7, 1.0, 1.0]


def test_a_probe_that_is_given_back_lets_another_go_at_once() -> None:
    breaker = opened()
    probe = entered(breaker, NOW + 5)

    breaker.released(probe)

    assert breaker.why == "breaker"
    assert entered(breaker, NOW + 5).probe
    breaker.released(probe)
    assert not breaker.admits(NOW + 5)


def test_the_last_hope_goes_before_its_time_one_at_a_time_and_lengthens_nothing() -> None:
    breaker = opened()

    hope = entered(breaker, NOW + 1, last_hope=True)
    breaker.failed(hope, NOW + 2, 0.0)

    assert hope.early
    assert breaker.until == NOW + 2 + 5
    fail(breaker, breaker.until)
    assert breaker.until == NOW + 2 + 5 + 10


def test_the_last_hope_brings_no_probe_nearer() -> None:
    breaker = Breaker()
    for _ in range(5):
        breaker.failed(breaker.enter(NOW), NOW, 0.9)
    until = breaker.until

    breaker.failed(entered(breaker, NOW, last_hope=True), NOW, 0.0)

    assert breaker.until == until


def test_tripped_it_probes_every_ten_minutes_until_one_succeeds() -> None:
    breaker = Breaker()

    breaker.tripped(breaker.enter(NOW), "credential", NOW, 0.0)
    fail(breaker, NOW + 600)

    assert (breaker.why, breaker.until) == ("credential", NOW + 1_200)
    succeed(breaker, NOW + 1_200)
    assert breaker.why == ""


def test_an_operator_closes_it_with_all_of_its_share_and_no_past() -> None:
    breaker = opened()
    fail(breaker, NOW + 5)

    breaker.clear()

    assert breaker.admits(NOW + 5)
    assert breaker.share(NOW + 5) == 1
    fail(breaker, NOW + 6, 5)
    assert breaker.until == NOW + 6 + 5


# Calls that overlap.


def test_calls_that_began_before_it_opened_neither_count_twice_nor_close_it() -> None:
    breaker = Breaker()
    late = [breaker.enter(NOW) for _ in range(8)]
    fail(breaker, NOW, 5)
    until = breaker.until

    breaker.failed(late[0], NOW + 1, 0.0)
    breaker.succeeded(late[1], NOW + 1)
    breaker.tripped(late[2], "credential", NOW + 1, 0.0)
    probe = entered(breaker, until)
    breaker.released(late[3])
    breaker.failed(late[4], until, 0.0)

    assert (breaker.why, breaker.until, breaker.probing) == ("breaker", until, True)
    breaker.succeeded(probe, until)
    breaker.failed(late[5], until, 0.0)
    assert (breaker.why, breaker.failures) == ("", 0)


def test_a_stream_that_breaks_after_its_success_is_a_failure_only() -> None:
    breaker = Breaker()

    for _ in range(5):
        ticket = breaker.enter(NOW)
        breaker.succeeded(ticket, NOW)
        breaker.failed(ticket, NOW + 1, 0.0)

    assert breaker.why == "breaker"


def test_a_stream_that_breaks_is_one_call_of_the_twenty() -> None:
    breaker = Breaker()

    for _ in range(10):
        succeed(breaker, NOW)
        ticket = breaker.enter(NOW)
        breaker.succeeded(ticket, NOW)
        breaker.failed(ticket, NOW, 0.0)

    assert breaker.why == "breaker"


def test_streams_that_all_break_while_they_overlap_are_a_row_too() -> None:
    breaker = Breaker()
    streams = [breaker.enter(NOW) for _ in range(5)]
    for stream in streams:
        breaker.succeeded(stream, NOW)

    for stream in streams:
        breaker.failed(stream, NOW + 60, 0.0)

    assert breaker.why == "breaker"


def test_a_probe_that_breaks_after_it_closed_the_breaker_is_the_first_failure() -> None:
    breaker = opened()
    probe = entered(breaker, NOW + 5)
    breaker.succeeded(probe, NOW + 5)

    breaker.failed(probe, NOW + 9, 0.0)

    assert (breaker.why, breaker.failures) == ("", 1)
    fail(breaker, NOW + 9, 4)
    assert breaker.why == "breaker"


def test_what_is_told_of_a_call_twice_counts_once() -> None:
    breaker = Breaker()
    ticket = breaker.enter(NOW)

    for _ in range(9):
        breaker.failed(ticket, NOW, 0.0)

    assert (breaker.why, breaker.failures) == ("", 1)
