"""The limits of a key as options of the command line. They are checked as the configuration file's are."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

import click

from deeptoken import clock
from deeptoken.accounts import keys
from deeptoken.accounts.change import EPOCH
from deeptoken.cli.options import Mistake, future
from deeptoken.config_keys import CEILINGS, SCOPES
from deeptoken.errors import BadRequest
from deeptoken.store.queries.people import Key

Command = TypeVar("Command", bound=Callable[..., Any])

COUNTS = {"rpm": "Requests a minute", "tpm": "Tokens a minute", "concurrency": "Requests at once"}
LISTS = ("models", "ips")
AWAY = {
    "models": "any_model",
    "ips": "any_ip",
    "expires": "never_expires",
    "cheaper_model": "no_cheaper_model",
    "webhook": "no_webhook",
}
"""An option, and the flag that takes away what it gave."""
ABSENT = (None, ())
"""What an option says that was not given. An empty text was given."""


def ceiling(text: str) -> tuple[str, Decimal]:
    """``5h=2.50``: at most 2.50 USD in any five hours; 0 is no ceiling."""
    window, _, amount = text.partition("=")
    try:
        most = Decimal(amount.removeprefix("$"))
    except InvalidOperation:
        most = Decimal(-1)
    if window not in CEILINGS or not most.is_finite() or most < 0:
        raise click.BadParameter(f"{text!r} is no ceiling, such as 5h=2.50 (windows: {', '.join(CEILINGS)}).")
    return window, most


def with_rules(command: Command) -> Command:
    """The options that limit a key. The command takes what they said as its argument `rules`."""
    options = [
        click.option("--model", "models", multiple=True, help="May call just this id or pattern; repeat."),
        click.option("--any-model", is_flag=True, help="May call all models."),
        click.option("--ip", "ips", multiple=True, help="May call just from this address or CIDR; repeat."),
        click.option("--any-ip", is_flag=True, help="May call from anywhere."),
        click.option(
            "--ceiling",
            "ceilings",
            type=ceiling,
            multiple=True,
            metavar="WINDOW=USD",
            help="At most this much in any 5h, 1d or 7d; repeat. 0: no ceiling.",
        ),
        *(
            click.option(f"--{name}", type=click.IntRange(min=0), help=f"{what}. 0: no limit.")
            for name, what in COUNTS.items()
        ),
        click.option(
            "--timeout",
            type=click.FloatRange(min=0),
            metavar="SECONDS",
            help="The most that a call may take. 0: what the server allows.",
        ),
        click.option("--scope", type=click.Choice(SCOPES), help="What it may do; `call` without."),
        click.option("--expires", type=future, metavar="TIME", help="A date, or a duration from now."),
        click.option("--never-expires", is_flag=True, help="Take an expiry away."),
        click.option(
            "--cheaper-model", metavar="MODEL", help="What answers once 95 % of a ceiling are used."
        ),
        click.option("--no-cheaper-model", is_flag=True, help="Take it away."),
        click.option("--webhook", metavar="URL", help="Who is told once 80 % of a ceiling are used."),
        click.option("--no-webhook", is_flag=True, help="Take it away."),
        click.option("--children/--no-children", default=None, help="Whether it may make child keys."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def read_rules(told: dict[str, Any]) -> dict[str, Any]:
    """What the options of `with_rules` say, as ``[[keys]]`` names it; what no option names is not there.

    Raises:
        Mistake: two of them contradict, or a time has passed.
    """
    for values, flag in AWAY.items():
        if told[values] not in ABSENT and told[flag]:
            option = values.removesuffix("s") if values != "expires" else values
            both = f"--{option} and --{flag}".replace("_", "-")
            raise Mistake(f"{both} contradict each other: give one.")
    if told["expires"] is not None and told["expires"] <= clock.wall_us():
        raise Mistake(
            "--expires: that time has passed. Name a later one; `deeptoken keys revoke` ends a key."
        )
    rules: dict[str, Any] = {name: told[name] or None for name in COUNTS if told[name] is not None}
    if told["ceilings"]:
        rules["ceilings"] = dict(told["ceilings"])
    if told["timeout"] is not None:
        rules["timeout"] = Decimal(str(told["timeout"])) if told["timeout"] else None
    for name, flag in AWAY.items():
        if told[name] not in ABSENT or told[flag]:
            rules[name] = list(told[name]) if name in LISTS else told[name]
    for name in ("scope", "children"):
        if told[name] is not None:
            rules[name] = told[name]
    return rules


def ruled(key: Key, rules: dict[str, Any]) -> Key:
    """The key with what the rules say of it; the rest stays.

    Raises:
        Mistake: a value cannot be, or could not take effect.
    """
    told = dict(rules)
    if told.get("expires") is not None:
        told["expires"] = EPOCH + timedelta(microseconds=told["expires"])
    try:
        return keys.ruled(key, told)
    except BadRequest as refused:
        where, _, said = refused.message.partition(": ")
        option = where.partition(".")[0].removesuffix("s").replace("_", "-") if said else ""
        option = "expires" if option == "expire" else option
        raise Mistake(f"--{option}: {said}" if said else refused.message) from None
