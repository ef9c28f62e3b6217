"""The load generator, against the mock as its gateway."""

import asyncio
from collections.abc import Mapping

import pytest

from deeptoken import bench, mock
from deeptoken.bench import Plan, Progress, Result


def loaded(
    model: str,
    *,
    options: Mapping[str, float] | None = None,
    seen: list[Progress] | None = None,
    connections: int = 4,
    rate: float | None = None,
    seconds: float = 30,
    requests: int | None = None,
    stream: bool = False,
) -> Result:
    async def run() -> Result:
        async with mock.running(options=options) as url:
            plan = Plan(
                url=url.removesuffix("/v1"),
                key="any",
                model=model,
                connections=connections,
                rate=rate,
                seconds=seconds,
                requests=requests,
                stream=stream,
                prompt_words=3,
            )
            return await bench.run(plan, None if seen is None else seen.append)

    return asyncio.run(run())


def test_a_closed_loop_asks_as_often_as_it_was_told() -> None:
    result = loaded("echo", requests=50)

    assert (result.requests, result.right, result.errors) == (50, 50, {})
    assert result.latency_ms is not None
    assert result.first_byte_ms is not None
    ordered = result.latency_ms
    assert 0 < ordered.p50 <= ordered.p90 <= ordered.p99 <= ordered.p999 <= ordered.max
    assert result.first_byte_ms.p50 <= ordered.p50
    assert result.per_second == pytest.approx(50 / result.seconds)


def test_a_closed_loop_ends_with_its_time() -> None:
    result = loaded("echo", seconds=0.05)

    assert result.right >= 1
    assert result.seconds >= 0.05


def test_streams_are_read_to_their_end_and_their_events_counted() -> None:
    result = loaded("echo", requests=3, stream=True)

    # Role, three words, the reason to finish, usage and the end.
    assert (result.right, result.events) == (3, 3 * 7)


def test_an_open_loop_sends_at_its_rate_and_no_more() -> None:
    result = loaded("echo", rate=200, seconds=0.1)

    assert result.right == 20
    assert result.seconds >= 19 / 200


def test_a_latency_counts_from_when_the_request_was_due() -> None:
    # One connection that needs 50 ms an answer, and a request due each 10 ms: the queue grows by 40 ms each.
    result = loaded("echo", options={"delay": 0.05}, connections=1, rate=100, seconds=0.1)

    assert result.right == 10
    assert result.latency_ms is not None
    assert result.latency_ms.max >= 10 * 50 - 9 * 10


@pytest.mark.parametrize(
    ("model", "stream", "error"),
    [
        ("error-503", False, "503"),
        ("error-429-30", True, "429"),
        ("empty", False, "Lost"),
        ("cut", True, "Lost"),
    ],
)
def test_errors_are_counted_by_what_they_were(model: str, stream: bool, error: str) -> None:
    result = loaded(model, requests=5, stream=stream)

    assert (result.requests, result.right, result.errors) == (5, 0, {error: 5})
    assert result.latency_ms is None


def test_nobody_there_is_an_error_like_any_other() -> None:
    plan = Plan(url="http://127.0.0.1:1", key="any", model="m", requests=3)

    result = asyncio.run(bench.run(plan))

    assert result.errors == {"Unreachable": 3}


def test_progress_is_told_to_the_end() -> None:
    seen: list[Progress] = []

    loaded("echo", requests=20, seen=seen)

    assert seen[-1].share == 1
    assert seen[-1].requests == seen[-1].right == 20
    assert all(0 <= told.share <= 1 for told in seen)
