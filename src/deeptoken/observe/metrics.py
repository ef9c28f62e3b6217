"""What Prometheus reads. Names are the specification's; labels are bounded by the configuration: a model is
its listed id or its pattern, a channel its name.
"""

from collections.abc import Callable, Iterable
from functools import partial

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from deeptoken.observe.record import Record

OVERHEAD_S = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5)
UPSTREAM_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
COMMIT_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5)


class Metrics:
    """One registry for one gateway. Label sets are looked up once and kept."""

    def __init__(self) -> None:
        # A series more for each counter, which says when it began: nobody asks for it.
        disable_created_metrics()
        self.registry = CollectorRegistry()
        counter = partial(Counter, registry=self.registry, namespace="deeptoken")
        histogram = partial(Histogram, registry=self.registry, namespace="deeptoken")
        self._requests = counter("requests", "Requests that ended.", ("model", "channel", "status"))
        self._attempts = counter("attempts", "Attempts, by how they ended.", ("channel", "cause"))
        self._tokens = counter("tokens", "Tokens, by class.", ("model", "class"))
        self._charged = counter("charged_credits", "Credits charged.", ("model",))
        self._loss = counter("operator_loss_credits", "Credits that the operator bore.", ("cause",))
        self._overhead = histogram("overhead_seconds", "Our own time.", buckets=OVERHEAD_S)
        self._upstream = histogram("upstream_seconds", "Time of providers.", ("channel",), buckets=UPSTREAM_S)
        self._first = histogram(
            "first_token_seconds", "Time to the first token.", ("channel",), buckets=UPSTREAM_S
        )
        self.commit = histogram("ledger_commit_seconds", "A batch made durable.", buckets=COMMIT_S)
        self._observe_overhead = self._overhead.observe
        self._add_requests: dict[tuple[str, str, int], Callable[[float], None]] = {}
        self._add_tokens: dict[str, tuple[Callable[[float], None], ...]] = {}
        self._observe_upstream: dict[str, tuple[Callable[[float], None], Callable[[float], None]]] = {}

    def gauge(self, name: str, help: str, read: Callable[[], float]) -> None:
        """A gauge that is read when Prometheus asks."""
        Gauge(name, help, registry=self.registry, namespace="deeptoken").set_function(read)

    def request(self, model: str, record: Record, waited_s: float, classes: tuple[int, ...]) -> None:
        """A call that ended. `classes` are prompt, cached, cache write, completion and reasoning tokens."""
        channel = record.channel or ""
        key = model, channel, record.status
        add = self._add_requests.get(key)
        if add is None:
            add = self._add_requests[key] = self._requests.labels(model, channel, str(record.status)).inc
        add(1)
        self._observe_overhead(record.overhead_ms / 1_000)
        if channel:
            upstream, first = self._upstream_of(channel)
            upstream(waited_s)
            if record.ttft_ms is not None:
                first(record.ttft_ms / 1_000)
        if any(classes):
            adders = self._tokens_of(model)
            for adder, count in zip(adders, classes, strict=False):
                if count:
                    adder(count)
            adders[-1](float(bytes(record.charged)))

    def attempts(self, channels_and_causes: Iterable[tuple[str, str]]) -> None:
        for channel, cause in channels_and_causes:
            self._attempts.labels(channel, cause).inc()

    def lost(self, cause: str, credits: float) -> None:
        self._loss.labels(cause).inc(credits)

    def page(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)

    def _upstream_of(self, channel: str) -> tuple[Callable[[float], None], Callable[[float], None]]:
        found = self._observe_upstream.get(channel)
        if found is None:
            found = self._upstream.labels(channel).observe, self._first.labels(channel).observe
            self._observe_upstream[channel] = found
        return found

    def _tokens_of(self, model: str) -> tuple[Callable[[float], None], ...]:
        found = self._add_tokens.get(model)
        if found is None:
            names = ("prompt", "cached", "cache_write", "completion", "reasoning")
            counters = [self._tokens.labels(model, name).inc for name in names]
            found = self._add_tokens[model] = (*counters, self._charged.labels(model).inc)
        return found
