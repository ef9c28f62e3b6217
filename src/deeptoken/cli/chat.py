"""`deeptoken chat`: talk to a model through the gateway, as any client would."""

import asyncio
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import msgspec

from deeptoken.cli.gateway import api_key, origin, with_gateway
from deeptoken.cli.options import Trouble, say, with_config
from deeptoken.net import Client, NetError, Response
from deeptoken.wire.http import HttpRequest
from deeptoken.wire.sse import Event, Reader

CONNECT_SECONDS = 10.0
WAIT_SECONDS = 300.0
"""For the head of an answer, and between two pieces of it."""

Message = dict[str, str]


class Gateway(msgspec.Struct, frozen=True):
    """Whom to ask, and how."""

    origin: str
    key: str
    model: str
    max_tokens: int | None = None

    def request(self, path: str, body: dict[str, Any] | None = None) -> HttpRequest:
        return HttpRequest(
            url=f"{self.origin}/v1/{path}",
            headers=(("authorization", f"Bearer {self.key}"), ("content-type", "application/json")),
            body=b"" if body is None else msgspec.json.encode(body),
            method="GET" if body is None else "POST",
        )


@click.command()
@click.argument("message", required=False)
@click.option("--model", help="Without it the cheapest that this key may call.")
@click.option("--system", help="What the model is told before the conversation.")
@click.option("--max-tokens", type=click.IntRange(min=1), help="The longest answer.")
@with_gateway
@with_config
def command(
    message: str | None,
    model: str | None,
    system: str | None,
    max_tokens: int | None,
    url: str | None,
    key_env: str,
    file: Path | None,
) -> None:
    """Ask MESSAGE and print the answer as it comes. Without MESSAGE: a conversation, a line a message."""
    gateway = Gateway(origin(url, file), api_key(key_env), model or "", max_tokens)
    if model is None:
        gateway = msgspec.structs.replace(gateway, model=asyncio.run(_cheapest_model(gateway)))
        say(f"Talking to {gateway.model}; --model names another.")
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    for said in [message] if message is not None else _lines():
        messages.append({"role": "user", "content": said})
        answer = asyncio.run(_turn(gateway, messages))
        messages.append({"role": "assistant", "content": answer})


def _lines() -> Iterator[str]:
    """What is typed, or piped in, until its end."""
    at_terminal = sys.stdin.isatty()
    while True:
        if at_terminal:
            click.echo("> ", nl=False, err=True)
        line = sys.stdin.readline()
        if not line:
            return
        if line.strip():
            yield line.rstrip("\n")


async def _cheapest_model(gateway: Gateway) -> str:
    """By what a token in and a token out cost together."""
    body = await _asked(gateway, gateway.request("models"))
    models = msgspec.json.decode(body)["data"]
    if not models:
        raise Trouble("This key may call no model. `deeptoken models list` shows what is served.")
    return str(min(models, key=_price)["id"])


def _price(model: dict[str, Any]) -> Decimal:
    return Decimal(model["prices"]["prompt"]) + Decimal(model["prices"]["completion"])


async def _asked(gateway: Gateway, request: HttpRequest) -> bytes:
    client = Client()
    try:
        response = await _send(client, gateway, request)
        return await response.whole(WAIT_SECONDS)
    except NetError as error:
        raise _unreachable(gateway, error) from None
    finally:
        await client.close()


async def _turn(gateway: Gateway, messages: list[Message]) -> str:
    """Print the answer as it comes; give it whole."""
    body: dict[str, Any] = {
        "model": gateway.model,
        "messages": messages,
        "stream": True,
        "stream_options": {"include_usage": True},
        "usage": {"include": True},
    }
    if gateway.max_tokens is not None:
        body["max_tokens"] = gateway.max_tokens
    client = Client()
    try:
        response = await _send(client, gateway, gateway.request("chat/completions", body))
        return await _print_stream(response)
    except NetError as error:
        raise _unreachable(gateway, error) from None
    finally:
        await client.close()


async def _send(client: Client, gateway: Gateway, request: HttpRequest) -> Response:
    """The answer, if it is a good one."""
    response = await client.send(request, connect_s=CONNECT_SECONDS, head_s=WAIT_SECONDS)
    if response.status == 200:
        return response
    body = await response.whole(WAIT_SECONDS)
    raise Trouble(_message(body) or f"{gateway.origin} answers with status {response.status}.")


async def _print_stream(response: Response) -> str:
    events, said = Reader(), []
    while piece := await response.read(WAIT_SECONDS):
        for event in events.feed(piece):
            text = _text(event)
            said.append(text)
            click.echo(text, nl=False)
    click.echo()
    return "".join(said)


def _text(event: Event) -> str:
    """The words of one event; what it says besides is told to the person."""
    if event.data == b"[DONE]":
        return ""
    chunk = msgspec.json.decode(event.data)
    if "error" in chunk:
        click.echo()
        raise Trouble(_message(event.data) or "The answer broke off.")
    reason = chunk.get("deeptoken", {}).get("reason")
    if reason:
        say(f"The answer ends early: {reason}.")
    usage = chunk.get("usage")
    if usage:
        _tell_usage(usage)
    choices = chunk.get("choices") or [{}]
    return choices[0].get("delta", {}).get("content") or ""


def _tell_usage(usage: dict[str, Any]) -> None:
    if not sys.stderr.isatty():
        return
    cost = usage.get("cost")
    told = f", {cost} credits" if cost is not None else ""
    click.echo(f"\n({usage['prompt_tokens']} + {usage['completion_tokens']} tokens{told})", err=True)


def _message(body: bytes) -> str | None:
    """What an error says, if it says it as ours do."""
    try:
        told = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    match told:
        case {"error": {"message": str(message)}}:
            return message
    return None


def _unreachable(gateway: Gateway, error: NetError) -> Trouble:
    return Trouble(f"{gateway.origin} does not answer: {error} Is the gateway running? `deeptoken serve`.")
