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
LOSS_MAX = 0.2
"""What a quick run may be worse than the last full one."""


class Bar(msgspec.Struct, frozen=True):
    """A row of the specification's table. `more`: more is better."""

    name: str
    what: str
    unit: str
    first: float
    goal: float
    more: bool = False
    ratio: bool = False


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
    Bar("memory_slope", "slope of memory over 30 minutes of load", " %", 1, 0),
)
TABLE = re.compile(r"\| figure .*?\n\n", re.DOTALL)
LAST = re.compile(r"```json\n(?P<figures>.*?)\n```", re.DOTALL)


class Run(msgspec.Struct):
    """What a run found: figures by the name of their bar, and the numbers behind them."""

    figures: dict[str, float] = {}
    details: list[str] = []
    skipped: list[str] = []
    """What this version does not measure."""
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
    """RESULTS.md anew. The slope of memory of an earlier long run stays."""
    before = last()
    if "memory_slope" in before:
        run.figures.setdefault("memory_slope", before["memory_slope"])
    parts = [
        "# Results of the last full run",
        f"`{command}`, {_today()}. How it is measured: README.md.",
        said(run),
        "## Machine and versions",
        "\n".join(f"- {line}" for line in machine()),
        "## Behind the figures",
        "\n".join(f"- {line}" for line in run.details),
        "## Not measured",
        "\n".join(f"- {line}" for line in run.skipped) or "Nothing was left out.",
        "## For `--quick`",
        _block(run.figures),
    ]
    RESULTS.write_text("\n\n".join(parts) + "\n")


def keep(figures: dict[str, float]) -> None:
    """RESULTS.md with these figures and all else as it was."""
    if RESULTS.exists():
        text = TABLE.sub(lambda _: said(Run(figures=figures)) + "\n\n", RESULTS.read_text(), count=1)
        RESULTS.write_text(LAST.sub(lambda _: _block(figures), text))


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
    nginx = "no nginx"
    if shutil.which("nginx"):
        nginx = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=False).stderr.strip()
    return [
        f"{os.cpu_count()} cores of {model[0].partition(':')[2].strip() if model else platform.machine()}, "
        f"{int(total[0].split()[1]) // 1024:,} MB, Linux {platform.release()}",
        f"Python {platform.python_version()}, {nginx.removeprefix('nginx version: ').replace('/', ' ')}",
        ", ".join(f"{package} {_version(package)}" for package in PACKAGES),
    ]


def _block(figures: dict[str, float]) -> str:
    return f"```json\n{msgspec.json.format(msgspec.json.encode(figures)).decode()}\n```"


def _today() -> str:
    return f"{datetime.fromtimestamp(clock.wall_s(), UTC):%Y-%m-%d}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"


def _verdict(bar: Bar, value: float) -> str:
    def reached(level: float) -> bool:
        return value >= level if bar.more else value <= level

    return "goal" if reached(bar.goal) else "first bar" if reached(bar.first) else "**missed**"
