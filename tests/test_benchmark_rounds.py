"""What judges the rounds of the benchmarks: noise, wrong answers, who is left out."""

import itertools
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Self

import figures
import msgspec
import peers
import processes
import pytest
import run as bench_run
import several
from figures import Latency, Length, Load, Rounds, rounds
from peers import Peer
from processes import LAPS, OTHERS_CORES_MAX, NotReady, Pace, Server, Watch
from results import Run

from deeptoken import clock

ALIKE = Latency(p50=1_000, p90=1_000, p99=2_000, p999=2_000, max=2_000)
GOOD = Load(
    seconds=2.0,
    answers=200,
    wrong=0,
    broken=0,
    unsent=0,
    events=0,
    latency=ALIKE,
    first=ALIKE,
    server_cores=1.0,
)


def server(name: str, *, peer: bool = False) -> Server:
    made = Server(name, 1, subprocess.Popen(["true"]), Path("none"))
    made.process.wait()
    made.peer = peer
    return made


class Seen(Watch):
    """A watch that says what it is told."""

    def __init__(self, others: float, slowness: float = 1.0) -> None:
        self.others_cores = others
        self.slowness = slowness

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass


def watches(*others: float) -> Callable[[], Watch]:
    given = iter(others)
    return lambda: Seen(next(given))


def changed(**values: float) -> Load:
    return msgspec.structs.replace(GOOD, **values)


def measured(
    loads: dict[str, Iterable[Load]],
    *,
    others: tuple[float, ...] = (0.0,) * 9,
    wanted: int = 2,
    busy: bool = False,
    peer: str = "",
) -> tuple[Rounds, list[str]]:
    """Rounds of these loads, and who was asked, in order."""
    length, asked = Length(busy=busy), list[str]()
    length.spare_s = 0.0
    given = {name: iter(each) for name, each in loads.items()}

    def measure(one: Server) -> Load:
        asked.append(one.name)
        return next(given[one.name])

    servers = [server(name, peer=name == peer) for name in loads]
    return rounds("a figure", servers, measure, wanted, length, watched=watches(*others)), asked


# Rounds


def test_a_round_in_which_others_were_busy_is_dropped_and_counted() -> None:
    quiet, loud = OTHERS_CORES_MAX, OTHERS_CORES_MAX + 0.01

    done, _ = measured({"gateway": [GOOD] * 2, "nginx": [GOOD] * 2}, others=(loud, quiet))

    assert (len(done.kept), done.dropped) == (1, 1)


def test_a_busy_run_keeps_what_a_strict_one_drops() -> None:
    done, _ = measured({"gateway": [GOOD] * 2}, others=(1.0, 1.0), busy=True)

    assert (len(done.kept), done.dropped) == (2, 0)


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(changed(wrong=1), id="a wrong answer"),
        pytest.param(changed(broken=1), id="a broken connection"),
        pytest.param(changed(unsent=1), id="a request that was not sent"),
        pytest.param(changed(answers=0), id="no answer"),
    ],
)
@pytest.mark.parametrize("busy", [pytest.param(False, id="strict"), pytest.param(True, id="busy")])
def test_a_round_with_a_wrong_answer_is_dropped_on_a_busy_machine_too(bad: Load, busy: bool) -> None:
    done, _ = measured({"gateway": [GOOD, bad], "nginx": [GOOD, GOOD]}, busy=busy)

    assert (len(done.kept), done.dropped) == (1, 1)


def test_what_a_peer_answers_wrong_costs_its_own_figure_alone() -> None:
    half = changed(answers=100)

    done, _ = measured(
        {"gateway": [GOOD] * 2, "litellm": [changed(wrong=1), half]}, peer="litellm", others=(0.0, 0.0)
    )

    assert (len(done.kept), done.dropped) == (2, 0)
    assert done.ratio(lambda load: load.per_second, "gateway", "litellm") == 2.0
    assert done.has("litellm")


def test_a_peer_that_is_never_right_has_no_figure() -> None:
    done, _ = measured({"gateway": [GOOD] * 2, "litellm": [changed(wrong=1)] * 2}, peer="litellm")
    run = Run()

    bench_run._over_peers(done, [server("gateway"), server("litellm", peer=True)], run)

    assert not done.has("litellm")
    assert (run.figures, run.parts) == ({}, {})


def test_the_order_turns_round_from_one_round_to_the_next() -> None:
    _, asked = measured({"gateway": [GOOD] * 2, "nginx": [GOOD] * 2})

    assert asked == ["gateway", "nginx", "nginx", "gateway"]


@pytest.mark.parametrize(
    ("spare_s", "tried", "left_s"),
    [
        pytest.param(0.0, 2, 0.0, id="no time left"),
        pytest.param(9.0, 2, 9.0, id="less than a round takes"),
        pytest.param(15.0, 3, 5.0, id="enough for one"),
        pytest.param(60.0, 2 + figures.MORE_ROUNDS, 40.0, id="enough for all"),
    ],
)
def test_more_rounds_than_wanted_are_tried_as_long_as_there_is_time(
    monkeypatch: pytest.MonkeyPatch, spare_s: float, tried: int, left_s: float
) -> None:
    times = itertools.count(0.0, 10.0)
    monkeypatch.setattr(clock, "monotonic", lambda: next(times))
    length = Length()
    length.spare_s = spare_s

    done = rounds("a figure", [server("gateway")], lambda _: GOOD, 2, length, watched=watches(*(1.0,) * 9))

    assert (len(done.kept), done.dropped, length.spare_s) == (0, tried, left_s)


def test_peers_take_part_in_the_first_kept_rounds() -> None:
    wanted = figures.PEER_ROUNDS + 2

    done, asked = measured({"gateway": [GOOD] * 9, "litellm": [GOOD] * 9}, wanted=wanted, peer="litellm")

    assert (asked.count("gateway"), asked.count("litellm")) == (wanted, figures.PEER_ROUNDS)
    assert done.ratio(lambda load: load.per_second, "gateway", "litellm") == 1.0


def test_a_ratio_is_of_loads_of_the_same_round() -> None:
    gateway = [changed(answers=100), changed(answers=300), changed(answers=900)]
    nginx = [changed(answers=1_000), changed(answers=1_000), changed(answers=9_000)]

    done, _ = measured({"gateway": gateway, "nginx": nginx}, wanted=3)

    # 0.1, 0.3, 0.1: the ratio of the medians would be 0.3.
    assert done.ratio(lambda load: load.per_second, "gateway", "nginx") == pytest.approx(0.1)


def test_others_are_all_that_is_busy_but_this_process_and_its_children(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clocks = {"busy": iter((100.0, 103.0)), "own": iter((10.0, 11.0)), "clock": iter((0.0, 2.0))}
    monkeypatch.setattr(processes, "_busy_s", lambda: next(clocks["busy"]))
    monkeypatch.setattr(processes, "_own_s", lambda: next(clocks["own"]))
    monkeypatch.setattr(clock, "monotonic", lambda: next(clocks["clock"]))

    with Watch(Pace(lambda: 1.0)) as watch:
        pass

    assert watch.others_cores == pytest.approx(1.0)
    assert not watch.calm


@pytest.mark.parametrize(
    ("laps", "calm"),
    [
        pytest.param((1.0, 1.0), True, id="as ever"),
        pytest.param((1.0, 1.5), False, id="slow behind it"),
        pytest.param((1.5, 1.0), True, id="it was never faster before"),
        pytest.param((1.0, 1.2), True, id="a little slower"),
    ],
)
def test_a_round_on_a_machine_that_was_slower_than_it_can_be_is_not_calm(
    laps: tuple[float, float], calm: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_busy_s", lambda: 0.0)
    monkeypatch.setattr(processes, "_own_s", lambda: 0.0)
    given = iter(lap for lap in laps for _ in range(LAPS))

    with Watch(Pace(lambda: next(given))) as watch:
        pass

    assert watch.calm is calm


def test_a_slow_round_is_dropped_and_its_reason_told(capsys: pytest.CaptureFixture[str]) -> None:
    length = Length()
    length.spare_s = 0.0

    done = rounds("a figure", [server("gateway")], lambda _: GOOD, 1, length, watched=lambda: Seen(0.0, 1.4))

    assert (len(done.kept), done.dropped) == (0, 1)
    assert "the machine was 1.40 times slower than at its best" in capsys.readouterr().out


# Workers, and other gateways


def two_workers(cores: int) -> Run:
    one, two = changed(server_cores=1.0), changed(answers=180, server_cores=1.08)
    run = Run()
    memories = {several.ONE: "90 MB", several.TWO: "200 MB"}
    several.told(Rounds([{several.ONE: one, several.TWO: two}]), memories, run, cores=cores)
    return run


def test_two_workers_are_compared_in_requests_where_there_are_four_cores() -> None:
    run = two_workers(4)

    assert run.figures == {"workers": pytest.approx(0.9)}
    assert run.skipped == []


def test_with_fewer_cores_the_cpu_of_a_request_is_told_and_why() -> None:
    run = two_workers(2)

    assert run.figures == {}
    assert any("1.20x the CPU a request" in line and "1.67x the requests/s" in line for line in run.details)
    assert any("takes four free cores" in line and "there are 2" in line for line in run.skipped)
    assert any("200 MB" in line for line in run.details)


def peer(command: list[list[str]]) -> Peer:
    return Peer(
        name="litellm", title="It", pins="litellm.txt", steps=lambda _: command, command=lambda *_: []
    )


def test_a_peer_is_there_once_it_is_installed_in_the_version_that_is_named(tmp_path: Path) -> None:
    one = peer([["true"]])
    assert "not installed" in (one.lacking(tmp_path) or "")

    assert peers.install(one, tmp_path) is None

    assert one.lacking(tmp_path) is None
    (tmp_path / one.name / peers.DONE).write_text("litellm==0.0.1\n")
    assert "another version" in (one.lacking(tmp_path) or "")


@pytest.mark.parametrize(
    ("step", "why"),
    [
        pytest.param(["no-such-program"], "no-such-program is not here", id="its program is not here"),
        pytest.param(["sh", "-c", "echo no room >&2; exit 1"], "sh said\nno room", id="it fails"),
    ],
)
def test_a_peer_that_cannot_be_installed_says_why_and_is_not_there(
    tmp_path: Path, step: list[str], why: str
) -> None:
    one = peer([["true"], step])

    assert why in (peers.install(one, tmp_path) or "")
    assert one.lacking(tmp_path) is not None


def test_peers_that_do_not_start_are_said_and_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def start(one: Peer, *_: object) -> Server:
        if one.name == "litellm":
            raise NotReady("It fell over.")
        return server(one.name)

    monkeypatch.setattr(peers, "_started", start)
    stage, bench, whole = object(), object(), object()

    found = peers.started(stage, bench, whole)  # type: ignore[arg-type]  # nobody looks at them

    assert [one.name for one in found] == ["portkey"]
    assert "Without LiteLLM" in capsys.readouterr().err
