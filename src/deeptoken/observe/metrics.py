"""What Prometheus reads. Names are the specification's; labels are bounded by the configuration: a model is
its listed id or its pattern, a channel its name.

A call adds to plain numbers; the library's families are made of them when somebody asks for the page
(measured: its own counters, with a lock each, take a tenth of the time of a call). What ended is counted some
calls at a time: the same few lines, again and again, run faster than once in each call.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import accumulate

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from deeptoken.observe.record import Record

OVERHEAD_S = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5)
UPSTREAM_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
COMMIT_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5)
CLASSES = (
    "prompt",
    "cached",
    "cache_write",
    "cache_write_1h",
    "prompt_audio",
    "completion",
    "reasoning",
    "completion_audio",
    "images",
    "characters",
    "seconds",
    "searches",
    "completion_image",
)
"""As in `wire/usage.py`, in its order."""
CREDIT = 1_000
"""Nano-USD."""
AT_ONCE = 64
"""So many calls are counted together."""

Labels = tuple[str, ...]


Rows = list[tuple[Labels, list[float]]]


class Gauge(msgspec.Struct, frozen=True):
    """One as it stood."""

    name: str
    help: str
    labels: Labels
    most: bool
    """Of several processes the greatest counts, not the sum."""
    values: list[tuple[Labels, float]]


class Numbers(msgspec.Struct, frozen=True):
    """All that one process has counted."""

    counts: list[list[tuple[Labels, int]]]
    times: list[Rows]
    gauges: list[Gauge]


class Counts:
    """A counter: a number for each set of labels."""

    def __init__(self, name: str, help: str, labels: Labels) -> None:
        self._about = name, help
        self._labels = labels
        self.values: defaultdict[Labels, int] = defaultdict(int)
        self.unit = 1

    def family(self) -> Metric:
        family = CounterMetricFamily(*self._about, labels=self._labels)
        for labels, value in self.values.items():
            family.add_metric(labels, value / self.unit)
        return family


class Times:
    """A histogram of seconds."""

    def __init__(self, name: str, help: str, buckets: tuple[float, ...], labels: Labels = ()) -> None:
        self._about = name, help
        self._buckets = buckets
        self._labels = labels
        self._rows: dict[Labels, list[float]] = {}
        """How many fell into each bucket, and at the end the sum of all."""

    def observe(self, seconds: float, *labels: str) -> None:
        row = self._rows.get(labels)
        if row is None:
            row = self._rows[labels] = [0] * (len(self._buckets) + 2)
        row[bisect_left(self._buckets, seconds)] += 1
        row[-1] += seconds

    def rows(self) -> Rows:
        return list(self._rows.items())

    def add(self, rows: Rows) -> None:
        """What another process observed."""
        for labels, counted in rows:
            row = self._rows.get(labels)
            self._rows[labels] = (
                counted if row is None else [a + b for a, b in zip(row, counted, strict=True)]
            )

    def family(self) -> Metric:
        family = HistogramMetricFamily(*self._about, labels=self._labels)
        bounds = [*(str(float(bucket)) for bucket in self._buckets), "+Inf"]
        for labels, (*counts, total) in self._rows.items():
            buckets = list(zip(bounds, accumulate(counts), strict=True))
            family.add_metric(labels, buckets, sum_value=total)
        return family


class Metrics:
    """The numbers of one gateway."""

    def __init__(self) -> None:
        self._requests = Counts("deeptoken_requests", "Requests that ended.", ("model", "channel", "status"))
        self._attempts = Counts("deeptoken_attempts", "Attempts, by how they ended.", ("channel", "cause"))
        self._tokens = Counts("deeptoken_tokens", "Tokens and other units, by class.", ("model", "class"))
        self._charged = Counts("deeptoken_charged_credits", "Credits charged.", ("model",))
        self._lost = Counts("deeptoken_operator_loss_credits", "Credits that the operator bore.", ("cause",))
        self._charged.unit = self._lost.unit = CREDIT
        self._overhead = Times("deeptoken_overhead_seconds", "Our own time in a call.", OVERHEAD_S)
        self._upstream = Times(
            "deeptoken_upstream_seconds", "Time of providers in a call.", UPSTREAM_S, ("channel",)
        )
        self._first = Times(
            "deeptoken_first_token_seconds", "Time to the first token.", UPSTREAM_S, ("channel",)
        )
        self._commit = Times("deeptoken_ledger_commit_seconds", "A batch made durable.", COMMIT_S)
        self._counts = (self._requests, self._attempts, self._tokens, self._charged, self._lost)
        self._times = (self._overhead, self._upstream, self._first, self._commit)
        self._gauges: list[Callable[[], Gauge]] = []
        self._ended: list[tuple[str, Record, float, tuple[int, ...]]] = []
        """Calls that ended and are not counted yet."""
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def gauge(self, name: str, help: str, read: Callable[[], float]) -> None:
        """A gauge that is read when Prometheus asks."""
        self.gauges(name, help, (), lambda: {(): read()})

    def gauges(
        self,
        name: str,
        help: str,
        labels: Labels,
        read: Callable[[], Mapping[Labels, float]],
        *,
        most: bool = False,
    ) -> None:
        """The same with labels: their values, and the number for each. Of several processes the sum counts,
        or the `most`."""
        self._gauges.append(lambda: Gauge(f"deeptoken_{name}", help, labels, most, list(read().items())))

    def request(self, model: str, record: Record, waited_s: float, classes: tuple[int, ...]) -> None:
        """A call that ended. `classes` are the counts of CLASSES."""
        self._ended.append((model, record, waited_s, classes))
        if len(self._ended) >= AT_ONCE:
            self._count()

    def _count(self) -> None:
        ended, self._ended = self._ended, []
        for model, record, waited_s, classes in ended:
            self._count_one(model, record, waited_s, classes)

    def _count_one(self, model: str, record: Record, waited_s: float, classes: tuple[int, ...]) -> None:
        channel = record.channel or ""
        self._requests.values[model, channel, str(record.status)] += 1
        self._overhead.observe(record.overhead_ms / 1_000)
        if channel:
            self._upstream.observe(waited_s, channel)
            if record.ttft_ms is not None:
                self._first.observe(record.ttft_ms / 1_000, channel)
        tokens = self._tokens.values
        for name, count in zip(CLASSES, classes, strict=True):
            if count:
                tokens[model, name] += count

    def attempt(self, channel: str, cause: str) -> None:
        self._attempts.values[channel, cause] += 1

    def charged(self, model: str, nano_usd: int) -> None:
        self._charged.values[(model,)] += nano_usd

    def lost(self, cause: str, nano_usd: int) -> None:
        self._lost.values[(cause,)] += nano_usd

    def committed(self, seconds: float) -> None:
        self._commit.observe(seconds)

    def numbers(self) -> Numbers:
        """All there is, for another process to add."""
        self._count()
        return Numbers(
            [list(counts.values.items()) for counts in self._counts],
            [times.rows() for times in self._times],
            [gauge() for gauge in self._gauges],
        )

    def page(self, others: Iterable[Numbers] = ()) -> bytes:
        """The exposition format, with what other processes counted."""
        told = [self.numbers(), *others]
        if len(told) == 1:
            return generate_latest(self._registry)
        whole = Metrics()
        for numbers in told:
            whole._add(numbers)
        for gauge in _summed([gauge for numbers in told for gauge in numbers.gauges]):
            whole._gauges.append(partial(_same, gauge))
        return generate_latest(whole._registry)

    def _add(self, numbers: Numbers) -> None:
        for counts, values in zip(self._counts, numbers.counts, strict=True):
            for labels, value in values:
                counts.values[labels] += value
        for times, rows in zip(self._times, numbers.times, strict=True):
            times.add(rows)

    def collect(self) -> Iterator[Metric]:
        """What the registry asks for."""
        self._count()
        for counts in self._counts:
            yield counts.family()
        for times in self._times:
            yield times.family()
        for read in self._gauges:
            gauge = read()
            family = GaugeMetricFamily(gauge.name, gauge.help, labels=gauge.labels)
            for values, number in gauge.values:
                family.add_metric(values, number)
            yield family


def _same(gauge: Gauge) -> Gauge:
    return gauge


def _summed(gauges: Iterable[Gauge]) -> list[Gauge]:
    """Those of one name made one."""
    found: dict[str, tuple[Gauge, dict[Labels, float]]] = {}
    for gauge in gauges:
        _, values = found.setdefault(gauge.name, (gauge, {}))
        for labels, value in gauge.values:
            before = values.get(labels, 0.0)
            values[labels] = max(before, value) if gauge.most else before + value
    return [msgspec.structs.replace(gauge, values=list(values.items())) for gauge, values in found.values()]
