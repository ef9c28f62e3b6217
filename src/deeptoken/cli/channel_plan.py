"""`deeptoken channels plan`: whom a call would go to, and why; by the planner that calls have."""

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from deeptoken import ids
from deeptoken.accounts.callers import caller_named
from deeptoken.cli.books import reader
from deeptoken.cli.channel_health import reported
from deeptoken.cli.gateway import with_url
from deeptoken.cli.models import catalog_of, find_group
from deeptoken.cli.names import find_key
from deeptoken.cli.options import FILE, Mistake, load, say, with_config, with_json
from deeptoken.cli.output import print_json, print_table
from deeptoken.gateway.condition import Condition
from deeptoken.gateway.draw import Health, Unmeasured
from deeptoken.gateway.fit import DOES_NOT
from deeptoken.gateway.health import Standing
from deeptoken.gateway.needs import Need, needs
from deeptoken.gateway.plan import Plan, Sought, plan
from deeptoken.gateway.snapshot import Snapshot
from deeptoken.gateway.speed import Speed
from deeptoken.gateway.wishes import read as read_wishes
from deeptoken.identity.caller import Caller
from deeptoken.identity.keys import Keys
from deeptoken.settings import Settings
from deeptoken.wire.chat import Chat, read

NOW = 0.0
"""A report's times count from when it was made."""
OUT = ("open", "cooling")


class Reported:
    """The health that a gateway reported, as the planner asks for it."""

    def __init__(self, conditions: list[Condition]) -> None:
        self._at = {(one.channel, one.model): one for one in conditions}
        self.troubled = any(one.why or one.share < 1 for one in conditions)

    def standing(self, channel: str, model: str, now: float) -> Standing:
        both = [one for at in (None, model) if (one := self._at.get((channel, at))) is not None]
        if not both:
            return Standing()
        whys = [one.why for one in both if one.why]
        return Standing(
            open=any(one.state in OUT for one in both),
            why="cooling" if "cooling" in whys else whys[0] if whys else "",
            until=now + max(one.wait_s for one in both),
            share=min(one.share for one in both),
        )

    def speed(self, channel: str, model: str) -> Speed | None:
        one = self._at.get((channel, model))
        if one is None or one.ttft_s is None:
            return None
        return Speed(one.ttft_s, one.tokens_per_s or 0.0, one.error_share, one.ttft_p95_s)


@click.command("plan")
@click.argument("model", required=False)
@click.option("--key", help="As a call of this key: a name or an id.")
@click.option("--group", help="As a call of this group; `default` without.")
@click.option("--tools", is_flag=True, help="It calls tools.")
@click.option("--vision", is_flag=True, help="It shows images.")
@click.option("--audio", is_flag=True, help="It plays or wants audio.")
@click.option("--files", is_flag=True, help="It sends files.")
@click.option("--json-schema", is_flag=True, help="It wants an answer by a JSON schema.")
@click.option("--body", type=FILE, help="The body of the call, with its preferences; -: standard input.")
@with_url
@with_config
@with_json
def plan_channels(
    model: str | None,
    key: str | None,
    group: str | None,
    body: Path | None,
    url: str | None,
    file: Path | None,
    as_json: bool,
    **told: bool,
) -> None:
    """Whom a call of MODEL would go to, in which order and why; and who is left out. Nobody is called.

    Among channels of the same priority the order is drawn by weight: each call has its own.
    """
    settings = load(file)
    chat = _chat(model, body)
    health = _health(url, file)
    wishes = read_wishes(chat)
    caller = _caller(settings, key, group)
    snapshot = Snapshot(keys=Keys({}), catalog=catalog_of(settings))
    models = snapshot.chain(caller, chat.request.model, wishes.models)
    flags = tuple(Need(name, f"--{name.replace('_', '-')}") for name in DOES_NOT if told[name])
    sought = Sought(models, chat, needs(chat) + flags, wishes, caller.group.ratio_ppm)
    _print(plan(sought, health, NOW, ids.draw, explain=True), as_json)


def _chat(model: str | None, body: Path | None) -> Chat:
    """The body that was given, else the smallest one; with the model that was named."""
    said: Any = {"messages": [{"role": "user", "content": "Hello."}]}
    if body is not None:
        try:
            said = msgspec.json.decode(sys.stdin.read() if str(body) == "-" else body.read_bytes())
        except OSError as error:
            raise Mistake(f"Cannot read {body}: {type(error).__name__}.") from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Mistake(f"{body} is not JSON.") from None
    elif model is None:
        raise Mistake("Name a model, or the body of a call by --body.")
    if model is not None and isinstance(said, dict):
        said["model"] = model
    return read(msgspec.json.encode(said))


def _caller(settings: Settings, key: str | None, group: str | None) -> Caller:
    if key is None:
        return Caller("", "", "", "", find_group(settings, group or "default"))
    if group is not None:
        raise Mistake("--key and --group contradict each other: a key has the group of its owner.")
    with reader(settings) as books:
        return caller_named(books, find_key(books, key), {one.name: one for one in settings.groups})


def _health(url: str | None, file: Path | None) -> Health:
    """As the gateway that runs reports it."""
    try:
        return Reported(reported(url, file).health or [])
    except Mistake as why:
        say(f"All channels are taken as healthy. {why.message}")
        return Unmeasured()


def _print(made: Plan, as_json: bool) -> None:
    rows = [
        {
            "place": place,
            "channel": choice.candidate.channel.name,
            "provider": choice.candidate.channel.provider,
            "model": choice.candidate.model.id,
            "upstream_model": choice.candidate.upstream_model,
            "reason": choice.reason,
        }
        for place, choice in enumerate(made.choices, 1)
    ]
    if as_json:
        for row in rows:
            print_json(row)
        for left in made.left_out:
            print_json({"place": None, **msgspec.to_builtins(left)})
    else:
        texts = [{name.replace("_", " "): str(value) for name, value in row.items()} for row in rows]
        print_table(texts, right=("place",), empty="")
        if made.left_out:
            click.echo()
            print_table(
                [
                    {"left out": left.channel, "model": left.model, "reason": left.reason}
                    for left in made.left_out
                ],
                empty="",
            )
    if made.last_hope:
        say("All of these are out: a call at a time goes to the first, the others wait what becomes of it.")
