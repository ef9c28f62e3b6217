"""`deeptoken channels health`: how the channels stand, as the gateway that runs has seen it."""

import asyncio
import ssl
from pathlib import Path

import click
import msgspec

from deeptoken.cli.gateway import origin, with_url
from deeptoken.cli.options import Trouble, load, say, with_config, with_json
from deeptoken.cli.output import print_json, print_table
from deeptoken.gateway.condition import Condition
from deeptoken.net import Client, NetError
from deeptoken.settings import Tls
from deeptoken.wire.http import HttpRequest

CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 10.0


class Report(msgspec.Struct, frozen=True):
    """What `/readyz` says of the channels. `health` is None where it does not say it to everybody."""

    installation: str | None = None
    health: list[Condition] | None = None
    health_left_out: int = 0


@click.command("health")
@with_url
@with_config
@with_json
def channels_health(url: str | None, file: Path | None, as_json: bool) -> None:
    """How the channels stand, and the models that were called on them: breakers, waits, measured speed."""
    report = reported(url, file)
    conditions = report.health or []
    if as_json:
        for condition in conditions:
            print_json(condition)
    else:
        print_table(
            [_cells(condition) for condition in conditions],
            right=("next try", "errors", "first token", "tokens/s"),
            empty="The gateway has no channels. `deeptoken channels create` makes one.",
        )
    if report.health_left_out:
        say(f"{report.health_left_out} more models were called. Those that are not well come first.")


def reported(url: str | None, file: Path | None) -> Report:
    """What the gateway says that runs.

    Raises:
        Trouble: none answers, or not to us, or it is another installation's that nobody named.
    """
    where = origin(url, file)
    settings = load(file)
    server = settings.server
    headers: tuple[tuple[str, str], ...] = ()
    if server.metrics_token is not None:
        # Only here a secret is needed: the gateway tells an operator alone.
        headers = (("authorization", f"Bearer {load(file, secrets=True).server.metrics_token}"),)
    tls = None if url is not None or server.tls is None else _trusting(server.tls)
    report = asyncio.run(_ask(HttpRequest(f"{where}/readyz", headers, method="GET"), tls))
    if report is None:
        raise Trouble(f"No gateway answers at {where}. Is it running? `deeptoken serve` starts it.")
    if report.health is None:
        raise Trouble(
            f"{where} does not tell how its channels stand: ask on its own machine, past any proxy, or with "
            "its metrics_token in the configuration."
        )
    if url is None and report.installation not in (None, settings.database.installation):
        raise Trouble(
            f"Another installation's gateway answers at {where}: it serves another database. "
            "Say where this one's is by --url."
        )
    return report


async def _ask(request: HttpRequest, tls: ssl.SSLContext | None) -> Report | None:
    client = Client(tls=tls)
    try:
        response = await client.send(request, connect_s=CONNECT_SECONDS, head_s=ANSWER_SECONDS)
        return msgspec.json.decode(await response.whole(ANSWER_SECONDS), type=Report)
    except (NetError, msgspec.DecodeError):
        return None
    finally:
        await client.close()


def _trusting(tls: Tls) -> ssl.SSLContext:
    """TLS that trusts the gateway's own certificate and no other, whatever name stands in it: we are asking
    this machine."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(tls.certificate)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.set_alpn_protocols(["http/1.1"])
    return context


def _cells(one: Condition) -> dict[str, str]:
    state = one.state if one.enabled else "disabled"
    recovering = f", at {one.share:.0%}" if one.share < 1 and not one.why else ""
    return {
        "channel": one.channel,
        "model": one.model or "",
        "state": state + recovering,
        "why": one.why,
        "next try": f"{one.wait_s:.0f} s" if one.wait_s else "",
        "errors": f"{one.error_share:.0%}" if one.error_share else "",
        "first token": "" if one.ttft_s is None else f"{one.ttft_s:.2f} s",
        "tokens/s": "" if one.tokens_per_s is None else f"{one.tokens_per_s:.0f}",
    }
