"""The page that Prometheus reads: every name of the specification, with its labels and its numbers."""

from typing import Any

import msgspec
import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families as parsed

from deeptoken.observe.metrics import AT_ONCE, CLASSES, COMMIT_S, OVERHEAD_S, Metrics
from deeptoken.observe.record import Record
from deeptoken.wire.usage import Usage

USAGE = Usage(
    prompt=1, cached=2, cache_write=3, cache_write_1h=4, prompt_audio=5, completion=6, reasoning=7,
    completion_audio=8, images=9, characters=10, seconds=11, searches=12, completion_image=13,
)  # fmt: skip

NAMES = {
    "requests_total": {"model", "channel", "status"},
    "attempts_total": {"channel", "cause"},
    "tokens_total": {"model", "class"},
    "charged_credits_total": {"model"},
    "operator_loss_credits_total": {"cause"},
    "in_flight": set(),
    "queue_length": set(),
    "breaker_open": {"channel", "model"},
    "holds_open": set(),
    "ledger_queue": set(),
    "overhead_seconds": set(),
    "upstream_seconds": {"channel"},
    "first_token_seconds": {"channel"},
    "ledger_commit_seconds": set(),
}
"""The specification's."""


def record(**facts: Any) -> Record:
    usual: dict[str, Any] = {
        "time": "", "level": "info", "event": "request", "id": "i", "request_id": "r", "endpoint": "chat",
        "key": None, "wallet": None, "model": "acme/one", "channel": "a", "attempts": 1, "stream": False,
        "status": 200, "code": None, "outcome": "complete", "prompt_tokens": 0, "completion_tokens": 0,
        "charged": msgspec.Raw(b"0"), "ttft_ms": 250, "duration_ms": 1_000, "overhead_ms": 0.4,
    }  # fmt: skip
    return Record(**(usual | facts))


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every number of the page, by its name and labels."""
    return {
        (sample.name.removeprefix("deeptoken_"), frozenset(sample.labels.items())): sample.value
        for family in families(metrics)
        for sample in family.samples
    }


def families(metrics: Metrics) -> list[Metric]:
    return list(parsed(metrics.page().decode()))


def at(metrics: Metrics, name: str, **labels: str) -> float:
    return samples(metrics)[name, frozenset(labels.items())]


def call(metrics: Metrics, usage: Usage = USAGE, waited_s: float = 0.9, **facts: Any) -> None:
    metrics.request("acme/*", record(**facts), waited_s, msgspec.structs.astuple(usage))


def full() -> Metrics:
    """A page on which everything has happened once."""
    metrics = Metrics()
    for name in ("in_flight", "queue_length", "holds_open", "ledger_queue"):
        metrics.gauge(name, name, lambda: 3)
    metrics.gauges("breaker_open", "open", ("channel", "model"), lambda: {("a", "m"): 1.0})
    call(metrics)
    metrics.attempt("a", "ok")
    metrics.attempt("b", "timeout")
    metrics.charged("acme/*", 1)
    metrics.lost("dry", 1)
    metrics.committed(0.003)
    return metrics


def test_every_name_of_the_specification_is_on_the_page_with_its_labels() -> None:
    found: dict[str, set[str]] = {}
    for family in families(full()):
        for sample in family.samples:
            name = sample.name.removeprefix("deeptoken_")
            for end in ("_bucket", "_sum", "_count"):
                name = name.removesuffix(end)
            found.setdefault(name, set()).update(set(sample.labels) - {"le"})

    assert found == NAMES


def test_calls_are_counted_by_model_channel_and_status() -> None:
    metrics = Metrics()

    call(metrics)
    call(metrics)
    call(metrics, status=402, channel=None)

    assert at(metrics, "requests_total", model="acme/*", channel="a", status="200") == 2
    assert at(metrics, "requests_total", model="acme/*", channel="", status="402") == 1


def test_every_class_of_tokens_is_counted_under_its_name() -> None:
    metrics = Metrics()

    call(metrics)
    call(metrics, Usage(prompt=10))

    told = {name: at(metrics, "tokens_total", model="acme/*", **{"class": name}) for name in CLASSES}
    assert told == msgspec.structs.asdict(USAGE) | {"prompt": 11}
    assert Usage.__struct_fields__ == CLASSES


def test_tokens_of_fewer_classes_than_there_are_is_a_mistake() -> None:
    metrics = Metrics()
    metrics.request("m", record(), 0.0, (1, 2, 3, 4, 5))

    with pytest.raises(ValueError, match="shorter"):
        metrics.page()


def test_calls_are_on_the_page_however_many_wait_to_be_counted_together() -> None:
    metrics = Metrics()

    for ended in range(1, 2 * AT_ONCE + 2):
        call(metrics)
        if ended % 7 == 0:
            assert at(metrics, "requests_total", model="acme/*", channel="a", status="200") == ended

    assert at(metrics, "requests_total", model="acme/*", channel="a", status="200") == 2 * AT_ONCE + 1


def test_attempts_are_counted_by_channel_and_cause() -> None:
    metrics = Metrics()

    for channel, cause in (("a", "timeout"), ("a", "timeout"), ("b", "ok")):
        metrics.attempt(channel, cause)

    assert at(metrics, "attempts_total", channel="a", cause="timeout") == 2
    assert at(metrics, "attempts_total", channel="b", cause="ok") == 1


def test_credits_are_right_to_the_nano_dollar() -> None:
    metrics = Metrics()

    for _ in range(3):
        metrics.charged("m", 1)
    metrics.charged("m", 123_456_789_012_000)
    metrics.lost("cut", 2_500)
    metrics.lost("dry", 1)

    assert at(metrics, "charged_credits_total", model="m") == 123_456_789_012.003
    assert at(metrics, "operator_loss_credits_total", cause="cut") == 2.5
    assert at(metrics, "operator_loss_credits_total", cause="dry") == 0.001


def test_a_histogram_is_cumulative_and_a_value_on_a_bound_is_in_its_bucket() -> None:
    metrics = Metrics()
    seconds = (0.0005, 0.0006, 0.003, 5, 99)

    for value in seconds:
        metrics.committed(value)

    for bound in COMMIT_S:
        reached = sum(value <= bound for value in seconds)
        assert at(metrics, "ledger_commit_seconds_bucket", le=str(float(bound))) == reached
    assert at(metrics, "ledger_commit_seconds_bucket", le="+Inf") == 5
    assert at(metrics, "ledger_commit_seconds_count") == 5
    assert at(metrics, "ledger_commit_seconds_sum") == pytest.approx(sum(seconds))


def test_times_of_a_call_are_in_seconds_and_by_channel() -> None:
    metrics = Metrics()

    call(metrics, waited_s=0.9, overhead_ms=0.4, ttft_ms=250)
    call(metrics, waited_s=3.0, overhead_ms=30.0, ttft_ms=None)
    call(metrics, channel=None, ttft_ms=None, overhead_ms=0.1)

    assert at(metrics, "overhead_seconds_count") == 3
    assert at(metrics, "overhead_seconds_sum") == pytest.approx(0.0305)
    assert at(metrics, "overhead_seconds_bucket", le=str(OVERHEAD_S[1])) == 2
    assert at(metrics, "upstream_seconds_count", channel="a") == 2
    assert at(metrics, "upstream_seconds_sum", channel="a") == pytest.approx(3.9)
    assert at(metrics, "upstream_seconds_bucket", channel="a", le="1.0") == 1
    assert at(metrics, "first_token_seconds_count", channel="a") == 1
    assert at(metrics, "first_token_seconds_bucket", channel="a", le="0.25") == 1
    assert at(metrics, "first_token_seconds_bucket", channel="a", le="0.1") == 0


def test_a_gauge_is_read_when_the_page_is_asked_for() -> None:
    metrics = Metrics()
    flying = [1]
    metrics.gauge("in_flight", "Calls in flight.", lambda: flying[0])

    first = at(metrics, "in_flight")
    flying[0] = 7

    assert (first, at(metrics, "in_flight")) == (1, 7)


def test_a_gauge_with_labels_has_a_number_for_each_and_forgets_what_is_gone() -> None:
    metrics = Metrics()
    open_breakers: dict[tuple[str, ...], float] = {("a", ""): 0.0, ("a", "m"): 1.0}
    metrics.gauges("breaker_open", "Open.", ("channel", "model"), lambda: open_breakers)

    first = samples(metrics)
    del open_breakers["a", "m"]

    assert first["breaker_open", frozenset({"channel": "a", "model": "m"}.items())] == 1
    assert at(metrics, "breaker_open", channel="a", model="") == 0
    assert len(samples(metrics)) == len(first) - 1


def test_a_label_with_odd_characters_is_read_as_it_was() -> None:
    metrics = Metrics()

    metrics.charged('a"b\\c\nd', 1_000)

    assert at(metrics, "charged_credits_total", model='a"b\\c\nd') == 1
