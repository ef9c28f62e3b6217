"""The figures against their bars, and RESULTS.md: written by a full run, read by a quick one."""

import os
import platform
import re
import shutil
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from deeptoken import clock

RESULTS = Path(__file__).parent / "RESULTS.md"
PACKAGES = ("deeptoken", "uvicorn", "uvloop", "httptools", "msgspec", "apsw")
NOTHING_LEFT_OUT = "Nothing was left out."
LOSS_MAX = 0.2
"""What a quick run may be worse than the last full one."""


class Bar(msgspec.Struct, frozen=True):
    """A row of the specification's table. `more`: more is better. `ratio`: a quick run compares it."""

    name: str
    what: str
    unit: str
    first: float
    goal: float
    more: bool = False
    ratio: bool = False
    either: bool = False
    """Above and below zero are as bad; what rounds to 0.0 is zero."""


BARS = (
    Bar("whole_1k", "not streamed, 1 KB, 64 connections: requests/s over nginx", "", 0.10, 0.33, True, True),
    Bar("whole_30k", "the same with a 30 KB prompt", "", 0.06, 0.25, True, True),
    Bar("litellm", "the first over LiteLLM without a database", "x", 60, 200, True),
    Bar("portkey", "the first over Portkey's gateway", "x", 10, 30, True),
    Bar("added_p50", "added p50 at 500 requests/s, open loop", " ms", 2, 0.6),
    Bar("added_p99", "added p99 at 500 requests/s, open loop", " ms", 8, 2),
    Bar("stream_cpu", "100 streams x 50 events/s: CPU per event over nginx's", "x", 2.5, 1.3, False, True),
    Bar("first_event", "added time to the first event", " ms", 4, 1),
    Bar("routing", "a routing decision with 200 channels and 2,000 models", " us", 30, 10),
    Bar("memory_requests", "resident memory after 50,000 requests", " MB", 150, 90),
    Bar("memory_streams", "resident memory with 1,000 open streams", " MB", 250, 120),
    Bar("start", "start to ready, empty SQLite", " s", 2, 0.7),
    Bar("crowd_start", "start to ready with 10,000 keys of 1,000 organizations", " s", 2, 0.7),
    Bar("crowd", "requests/s with these over requests/s with one", "", 0.95, 1, True),
    Bar("workers", "requests/s of workers = 2 over workers = 1", "x", 1.7, 1.9, True),
    Bar("memory_slope", "slope of memory over 30 minutes of load, up or down", " %", 1, 0, either=True),
    Bar("usage_page", "a usage page at ten million rows, median", " ms", 100, 20),
    Bar("usage_page_worst", "the slowest of them", " ms", 100, 20),
)
PARTS = {
    "Other gateways": ("litellm", "portkey"),
    "Memory over half an hour": ("memory_slope",),
    "Usage pages": ("usage_page", "usage_page_worst"),
}
"""What has runs of its own: a chapter, and its figures. A full run without them leaves them as they were."""
HOW = {
    "Other gateways": "none is installed. `make bench-peers` installs and measures them.",
    "Memory over half an hour": "`make bench-long` measures it.",
    "Usage pages": "`make bench-long` asks for them, at ten million rows.",
}
LAST = re.compile(r"```json\n(?P<figures>.*?)\n```", re.DOTALL)


class Run(msgspec.Struct):
    """What a run found: figures by the name of their bar, and the numbers behind them."""

    figures: dict[str, float] = {}
    details: list[str] = []
    parts: dict[str, list[str]] = {}
    """The details of what has a chapter of its own in `PARTS`."""
    skipped: list[str] = []
    """What was not measured, and why."""
    failed: list[str] = []
    """What was to be measured and could not."""


def said(run: Run, *, judged: bool = True) -> str:
    """The table of figures. What a busy machine measured is not judged: a ratio can be too good there."""
    lines = ["| figure | measured | first bar | goal | |", "| --- | --- | --- | --- | --- |"]
    for bar in BARS:
        if (value := run.figures.get(bar.name)) is not None:
            sign = ">=" if bar.more else "<="
            lines.append(
                f"| {bar.what} | **{value:.3g}{bar.unit}** | {sign} {bar.first:g}{bar.unit} "
                f"| {sign} {bar.goal:g}{bar.unit} | {_verdict(bar, value) if judged else 'not judged'} |"
            )
    return "\n".join(lines)


def write(run: Run, command: str) -> None:
    """RESULTS.md anew. What has runs of its own stays, if this run had it not."""
    before, old = last(), chapters()
    for name, figures in PARTS.items():
        if name not in run.parts:
            run.figures = {figure: before[figure] for figure in figures if figure in before} | run.figures
    new = {
        "": _head(run, command),
        "Machine and versions": _listed(machine()),
        "Behind the figures": _listed(run.details),
        **{name: old[name] for name in PARTS if name in old},
        **_parts(run, command),
        "For `--quick`": _block(run.figures),
    }
    never = [f"{name}: {how}" for name, how in HOW.items() if name not in new]
    _put(new | {"Not measured": _listed(run.skipped + never) or NOTHING_LEFT_OUT})


def keep(run: Run, command: str) -> bool:
    """RESULTS.md with the chapters that this run has, and all else as it was; False if there is none yet."""
    known, figures = chapters(), last()
    if not figures:
        return False
    for name in run.parts:
        figures = {figure: value for figure, value in figures.items() if figure not in PARTS[name]}
    figures |= run.figures
    table = known[""].index("| figure")
    known[""] = known[""][:table] + said(Run(figures=figures))
    still = [
        line
        for line in known.get("Not measured", "").splitlines()
        if not any(line.startswith(f"- {name}:") for name in run.parts)
    ]
    known |= _parts(run, command)
    known["Not measured"] = "\n".join(still) or NOTHING_LEFT_OUT
    _put(known | {"For `--quick`": _block(figures)})
    return True


def chapters() -> dict[str, str]:
    """The text of RESULTS.md by headings; what stands before them under the empty one."""
    text = RESULTS.read_text() if RESULTS.exists() else ""
    head, *others = re.split(r"^## ", text, flags=re.MULTILINE)
    named = (other.partition("\n") for other in others)
    return {"": head.strip()} | {heading: body.strip() for heading, _, body in named}


def _put(known: dict[str, str]) -> None:
    order = ["", "Machine and versions", "Behind the figures", *PARTS, "Not measured", "For `--quick`"]
    parts = [f"## {name}\n\n{known[name]}" if name else known[name] for name in order if name in known]
    RESULTS.write_text("\n\n".join(parts) + "\n")


def _head(run: Run, command: str) -> str:
    told = f"`{command}`, {_today()}. How it is measured: README.md."
    return f"# Results of the last full run\n\n{told}\n\n{said(run)}"


def _parts(run: Run, command: str) -> dict[str, str]:
    return {name: f"`{command}`, {_today()}.\n\n{_listed(lines)}" for name, lines in run.parts.items()}


def _listed(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def last() -> dict[str, float]:
    """The figures of the last full run, if there was one."""
    found = LAST.search(RESULTS.read_text()) if RESULTS.exists() else None
    return msgspec.json.decode(found["figures"], type=dict[str, float]) if found else {}


def losses(run: Run) -> list[str]:
    """The ratios that fell behind the last full run."""
    before = last()
    lost = []
    for bar in BARS:
        if not bar.ratio or bar.name not in before or bar.name not in run.figures:
            continue
        was, now = before[bar.name], run.figures[bar.name]
        loss = 1 - now / was if bar.more else now / was - 1
        if loss > LOSS_MAX:
            lost.append(f"{bar.what}: {now:.3g}{bar.unit}, it was {was:.3g}{bar.unit}")
    return lost


def machine() -> list[str]:
    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    total = [line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal")]
    nginx = _said("nginx", "-v").removeprefix("nginx version: ").replace("/", " ")
    node = _said("node", "--version").replace("v", "Node ")
    return [
        f"{os.cpu_count()} cores of {model[0].partition(':')[2].strip() if model else platform.machine()}, "
        f"{int(total[0].split()[1]) // 1024:,} MB, Linux {platform.release()}",
        f"Python {platform.python_version()}, {nginx}, {node}",
        ", ".join(f"{package} {_version(package)}" for package in PACKAGES),
    ]


def _block(figures: dict[str, float]) -> str:
    return f"```json\n{msgspec.json.format(msgspec.json.encode(figures)).decode()}\n```"


def _today() -> str:
    return f"{datetime.fromtimestamp(clock.wall_s(), UTC):%Y-%m-%d}"


def _said(program: str, option: str) -> str:
    """What a program says of its version."""
    if shutil.which(program) is None:
        return f"no {program}"
    done = subprocess.run([program, option], capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).strip()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"


def _verdict(bar: Bar, value: float) -> str:
    if bar.either:
        value = abs(round(value, 1))

    def reached(level: float) -> bool:
        return value >= level if bar.more else value <= level

    return "goal" if reached(bar.goal) else "first bar" if reached(bar.first) else "**missed**"
