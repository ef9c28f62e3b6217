"""`deeptoken mock`: a provider that misbehaves on demand, over HTTP."""

import asyncio
import signal

import click


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8090, show_default=True, help="0: any free one."
)
@click.option("--delay", type=click.FloatRange(min=0), help="Seconds before the first word.")
@click.option("--pace", type=click.FloatRange(min=0, min_open=True), help="Words a second.")
def command(host: str, port: int, delay: float | None, pace: float | None) -> None:
    """Serve OpenAI's and Anthropic's dialects, embeddings, images and the like too, until SIGTERM.

    The model decides: text, echo, slow, error-503, error-429-30, empty, stall, cut. Any key will do.
    """
    told = {"delay": delay, "pace": pace}
    asyncio.run(_serve(host, port, {name: value for name, value in told.items() if value is not None}))


async def _serve(host: str, port: int, options: dict[str, float]) -> None:
    # Only here: the other commands start without the server's libraries.
    from deeptoken.mock import running

    async with running(host, port, options=options) as base_url:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        click.echo(f"The mock serves {base_url}")
        await stop.wait()
