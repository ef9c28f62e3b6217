"""What Prometheus reads. Names are the specification's; labels are bounded by the configuration: a model is
its listed id or its pattern, a channel its name.

A call adds to plain numbers; the library's families are made of them when somebody asks for the page
(measured: its own counters, with a lock each, take a tenth of the time of a call).
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate

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

Labels = tuple[str, ...]


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
        self._gauges: list[tuple[str, str, Labels, Callable[[], Mapping[Labels, float]]]] = []
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def gauge(self, name: str, help: str, read: Callable[[], float]) -> None:
        """A gauge that is read when Prometheus asks."""
        self.gauges(name, help, (), lambda: {(): read()})

    def gauges(
        self, name: str, help: str, labels: Labels, read: Callable[[], Mapping[Labels, float]]
    ) -> None:
        """The same with labels: their values, and the number for each."""
        self._gauges.append((f"deeptoken_{name}", help, labels, read))

    def request(self, model: str, record: Record, waited_s: float, classes: tuple[int, ...]) -> None:
        """A call that ended. `classes` are the counts of CLASSES."""
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

    def attempts(self, channels_and_causes: Iterable[tuple[str, str]]) -> None:
        for labels in channels_and_causes:
            self._attempts.values[labels] += 1

    def charged(self, model: str, nano_usd: int) -> None:
        self._charged.values[(model,)] += nano_usd

    def lost(self, cause: str, nano_usd: int) -> None:
        self._lost.values[(cause,)] += nano_usd

    def committed(self, seconds: float) -> None:
        self._commit.observe(seconds)

    def page(self) -> bytes:
        """The exposition format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """What the registry asks for."""
        for counts in (self._requests, self._attempts, self._tokens, self._charged, self._lost):
            yield counts.family()
        for times in (self._overhead, self._upstream, self._first, self._commit):
            yield times.family()
        for name, help, labels, read in self._gauges:
            family = GaugeMetricFamily(name, help, labels=labels)
            for values, number in read().items():
                family.add_metric(values, number)
            yield family
