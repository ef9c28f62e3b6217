"""What judges the figures of the benchmarks: RESULTS.md, ratios that fell, slopes, pages."""

from pathlib import Path
from typing import Any, cast

import long
import pages
import pytest
import results
import run as bench_run
from figures import Rounds
from results import Run

FIGURES = {"whole_1k": 0.1, "stream_cpu": 2.0, "added_p50": 1.0}

# RESULTS.md


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "RESULTS.md"
    monkeypatch.setattr(results, "RESULTS", place)
    return place


def closing(run: Run, *, quick: bool = False, busy: bool = False) -> int:
    return bench_run._closing(run, quick=quick, busy=busy)


def test_a_run_with_a_figure_that_had_no_good_round_fails_and_writes_nothing(file: Path) -> None:
    run = Run(figures=dict(FIGURES))
    assert not bench_run._enough(Rounds([], dropped=5), "whole_30k", run)

    code = closing(run)

    assert (code, file.exists()) == (1, False)


def test_a_busy_run_writes_nothing_and_judges_nothing(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = closing(Run(figures={"whole_1k": 0.001}), busy=True)

    assert (code, file.exists()) == (0, False)
    assert "not judged" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("figure", "now", "code"),
    [
        pytest.param("whole_1k", 0.081, 0, id="a little less of what should be more"),
        pytest.param("whole_1k", 0.079, 1, id="too little"),
        pytest.param("stream_cpu", 2.39, 0, id="a little more of what should be less"),
        pytest.param("stream_cpu", 2.41, 1, id="too much"),
        pytest.param("whole_1k", 0.3, 0, id="better"),
        pytest.param("added_p50", 9.0, 0, id="what is no ratio is not compared"),
    ],
)
def test_a_quick_run_fails_where_a_ratio_fell_by_more_than_a_fifth(
    file: Path, figure: str, now: float, code: int
) -> None:
    results.write(Run(figures=dict(FIGURES)), "bench")
    before = file.read_text()

    assert closing(Run(figures=FIGURES | {figure: now}), quick=True) == code
    assert file.read_text() == before


def test_a_full_run_leaves_what_has_runs_of_its_own(file: Path) -> None:
    results.write(Run(figures=dict(FIGURES)), "bench")
    assert results.keep(Run(figures={"litellm": 70.0}, parts={"Other gateways": ["LiteLLM: 1"]}), "peers")
    assert results.keep(Run(figures={"memory_slope": 0.2}, parts={long.MEMORY: ["flat"]}), "long")

    results.write(Run(figures={"whole_1k": 0.2}), "bench again")

    assert results.last() == {"whole_1k": 0.2, "litellm": 70.0, "memory_slope": 0.2}
    text = file.read_text()
    assert "- LiteLLM: 1\n" in text
    assert "- flat\n" in text
    assert "| the first over LiteLLM without a database | **70x** | >= 60x | >= 200x | first bar |" in text
    assert "make bench-peers" not in text


def test_a_full_run_with_other_gateways_has_their_figures_anew(file: Path) -> None:
    results.write(Run(figures={"litellm": 70.0, "portkey": 9.0}, parts={"Other gateways": ["old"]}), "bench")

    results.write(Run(figures={"litellm": 60.0}, parts={"Other gateways": ["new"]}), "bench")

    assert results.last() == {"litellm": 60.0}
    assert "old" not in file.read_text()


def test_a_part_alone_has_nothing_to_be_added_to(file: Path) -> None:
    assert not results.keep(Run(figures={"litellm": 70.0}, parts={"Other gateways": ["new"]}), "peers")
    assert not file.exists()


def test_what_was_never_measured_is_said_and_no_longer_once_it_was(file: Path) -> None:
    results.write(Run(figures=dict(FIGURES), skipped=["The moon: it is far."]), "bench")
    assert "- Other gateways: none is installed." in file.read_text()

    results.keep(Run(figures={"litellm": 70.0}, parts={"Other gateways": ["new"]}), "peers")

    assert "- Other gateways: none" not in file.read_text()
    assert "- The moon: it is far.\n- Memory over half an hour: `make bench-long`" in file.read_text()


@pytest.mark.parametrize(
    ("slope", "verdict"),
    [
        pytest.param(0.04, "goal", id="flat"),
        pytest.param(-0.04, "goal", id="flat from below"),
        pytest.param(0.9, "first bar", id="a little"),
        pytest.param(1.3, "**missed**", id="up"),
        pytest.param(-1.3, "**missed**", id="down"),
    ],
)
def test_memory_that_falls_is_as_little_flat_as_memory_that_rises(slope: float, verdict: str) -> None:
    assert results.said(Run(figures={"memory_slope": slope})).endswith(f"| {verdict} |")


# The long run


def test_the_slope_is_that_of_the_second_half_in_percent_per_half_hour() -> None:
    filling = [(float(at), 10.0 + at) for at in range(90)]
    settled = [(float(at), 100.0 + (at - 135) / 1_800) for at in range(90, 181)]

    assert long.slope(filling + settled) == pytest.approx(1.0)


def test_a_slope_takes_two_samples() -> None:
    with pytest.raises(ValueError, match="more minutes"):
        long.slope([(1.0, 90.0), (20.0, 91.0)])


def test_each_part_of_a_long_run_is_kept_and_they_share_what_they_call(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Once:
        def __init__(self) -> None:
            self.asked = 0

        def upstreams(self) -> tuple[str, str]:
            self.asked += 1
            return "whole", "streams"

    def measured(_: object, rows: int, run: Run, whole: str, streams: str) -> list[str]:
        run.figures["usage_page"] = 12.0
        return [f"{rows} rows, {whole} and {streams}"]

    samples = [(float(at), 100.0) for at in range(0, 1_810, 10)]
    monkeypatch.setattr(long, "_memory", lambda stage, minutes, *servers: long.sloped(samples))
    monkeypatch.setattr(pages, "measure", measured)
    results.write(Run(figures=dict(FIGURES)), "bench")
    stage = Once()

    assert long.run(cast(Any, stage), minutes=long.MINUTES, rows=pages.ROWS, write=True) == 0

    assert stage.asked == 1
    assert results.last() == FIGURES | {"memory_slope": 0.0, "usage_page": 12.0}
    assert "100.0 to 100.0 MB in the second half" in file.read_text()


def page(*numbers: int, **fields: str) -> list[dict[str, str]]:
    return [{"id": f"{number:03}", "owner": "user:often", "model": "bench-3", **fields} for number in numbers]


FULL = tuple(range(pages.PAGE_ROWS + 100, 100, -1))


def test_a_full_page_of_the_filter_newest_first_is_right() -> None:
    assert pages.right(page(*FULL), {"model": "bench-3", "user": "often", "after": "201"})
    assert pages.right(page(5, 4, model="bench-rare"), {"model": "bench-rare"})


@pytest.mark.parametrize(
    ("rows", "query"),
    [
        pytest.param(page(*FULL[::-1]), {}, id="oldest first"),
        pytest.param(page(*FULL[:-1], FULL[-2]), {}, id="a row twice"),
        pytest.param(page(*FULL[:-1]), {}, id="a row short"),
        pytest.param(page(*FULL), {"model": "bench-4"}, id="another model"),
        pytest.param(page(*FULL), {"user": "seldom"}, id="another member"),
        pytest.param(page(*FULL), {"after": "150"}, id="of the page before"),
    ],
)
def test_a_page_that_is_not_what_was_asked_for_is_wrong(
    rows: list[dict[str, str]], query: dict[str, str]
) -> None:
    assert not pages.right(rows, query)
