"""`deeptoken bench`: load on a running gateway, and what came of it."""

import asyncio
from pathlib import Path

import click
import msgspec

from deeptoken.bench import Percentiles, Plan, Progress, Result, run
from deeptoken.cli.gateway import api_key, origin, with_gateway
from deeptoken.cli.options import Trouble, with_config, with_json
from deeptoken.cli.output import print_facts, print_json, print_table
from deeptoken.cli.progress import bar


@click.command()
@click.option("--model", required=True, help="Which model to ask; it costs what it costs.")
@click.option("--connections", type=click.IntRange(min=1), default=64, show_default=True)
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), help="Requests a second, whatever comes."
)
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), default=10.0, show_default=True)
@click.option("--requests", type=click.IntRange(min=1), help="Stop after so many.")
@click.option("--stream", is_flag=True, help="Ask for streams.")
@click.option("--prompt-words", type=click.IntRange(min=1), default=100, show_default=True)
@click.option("--max-tokens", type=click.IntRange(min=1), default=64, show_default=True)
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), default=60.0, show_default=True)
@with_gateway
@with_config
@with_json
def command(
    model: str,
    connections: int,
    rate: float | None,
    seconds: float,
    requests: int | None,
    stream: bool,
    prompt_words: int,
    max_tokens: int,
    timeout: float,
    url: str | None,
    key_env: str,
    file: Path | None,
    as_json: bool,
) -> None:
    """Ask a running gateway as fast as it answers, or at a fixed --rate. Exit code 1 if an answer was wrong.

    With --rate a latency counts from when the request was due.
    """
    plan = Plan(
        url=origin(url, file),
        key=api_key(key_env),
        model=model,
        connections=connections,
        rate=rate,
        seconds=seconds,
        requests=requests,
        stream=stream,
        prompt_words=prompt_words,
        max_tokens=max_tokens,
        timeout_seconds=timeout,
    )
    with bar() as advance:

        def report(progress: Progress) -> None:
            advance(f"{progress.right} right of {progress.requests}", progress.share, 1.0)

        result = asyncio.run(run(plan, report))
    if as_json:
        print_json(msgspec.to_builtins(result))
    else:
        _print(result)
    if result.errors or not result.right:
        told = ", ".join(f"{count} x {name}" for name, count in result.errors.items())
        raise Trouble(f"Not every answer was right: {told or 'there was none'}.")


def _print(result: Result) -> None:
    print_facts(
        {
            "requests": f"{result.requests} in {result.seconds:.1f} s",
            "right": f"{result.right}, {result.per_second:,.0f} a second",
            "events": f"{result.events}" if result.events else None,
        }
    )
    rows = [
        {"ms": name} | {at: f"{value:.1f}" for at, value in msgspec.structs.asdict(told).items()}
        for name, told in (("whole answer", result.latency_ms), ("first byte", result.first_byte_ms))
        if told is not None
    ]
    if rows:
        click.echo()
        print_table(rows, right=Percentiles.__struct_fields__, empty="")
