"""The limits of a key as options of the command line. They are checked as the configuration file's are."""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from deeptoken import clock
from deeptoken.cli.options import Mistake, future, sentence
from deeptoken.config_fields import Wrong, read_table
from deeptoken.config_sections import CEILINGS, SCOPES, Sources, key_fields
from deeptoken.identity.keys import declared_limits, milliseconds
from deeptoken.ledger.postings import Limit
from deeptoken.settings import DeclaredKey
from deeptoken.store.queries.people import Key

Command = TypeVar("Command", bound=Callable[..., Any])

COUNTS = {"rpm": "Requests a minute", "tpm": "Tokens a minute", "concurrency": "Requests at once"}
ORDER = (*CEILINGS, *COUNTS)


class Rules(msgspec.Struct, frozen=True):
    """What the options said; None: nothing. An empty list is told by the flags that empty it."""

    models: tuple[str, ...] | None
    ips: tuple[str, ...] | None
    ceilings: dict[str, Decimal]
    counts: dict[str, int]
    timeout_s: float | None
    """0: none but the server's."""
    scope: str | None
    expires_us: int | None
    never_expires: bool

    @property
    def empty(self) -> bool:
        lists = self.models is None and self.ips is None and not self.ceilings and not self.counts
        ends = self.expires_us is not None or self.never_expires
        return lists and self.timeout_s is None and self.scope is None and not ends


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
    ]
    for option in reversed(options):
        command = option(command)
    return command


def read_rules(told: dict[str, Any]) -> Rules:
    """Of the options of `with_rules`.

    Raises:
        Mistake: two of them contradict, or a time has passed.
    """
    for values, flag in (("models", "any_model"), ("ips", "any_ip"), ("expires", "never_expires")):
        if told[values] and told[flag]:
            option = values.removesuffix("s") if values != "expires" else values
            raise Mistake(f"--{option} and --{flag.replace('_', '-')} contradict each other: give one.")
    if told["expires"] is not None and told["expires"] <= clock.wall_us():
        raise Mistake(
            "--expires: that time has passed. Name a later one; `deeptoken keys revoke` ends a key."
        )
    return Rules(
        models=told["models"] or (() if told["any_model"] else None),
        ips=told["ips"] or (() if told["any_ip"] else None),
        ceilings=dict(told["ceilings"]),
        counts={name: told[name] for name in COUNTS if told[name] is not None},
        timeout_s=told["timeout"],
        scope=told["scope"],
        expires_us=told["expires"],
        never_expires=told["never_expires"],
    )


def ruled(key: Key, rules: Rules) -> Key:
    """The key with what the rules say of it; the rest stays.

    Raises:
        Mistake: a value cannot be.
    """
    raw: dict[str, Any] = {name: count for name, count in rules.counts.items() if count}
    for name, told in (("models", rules.models), ("ips", rules.ips)):
        if told is not None:
            raw[name] = list(told)
    if rules.timeout_s:
        raw["timeout"] = Decimal(str(rules.timeout_s))
    raw["ceilings"] = {window: most for window, most in rules.ceilings.items() if most}
    fields = {name: field for name, field in key_fields(Sources({}, Path(), []), ()).items() if name in raw}
    try:
        values = read_table(raw, (), fields)
    except Wrong as wrong:
        option = str(wrong.path[0]).removesuffix("s") if wrong.path else ""
        raise Mistake(sentence(f"--{option}: {wrong.message}")) from None
    networks, timeout_s = values.pop("ips", ()), values.pop("timeout", None)
    declared = DeclaredKey(name=key.name, owner=key.owner, digest=b"", networks=networks, **values)
    return msgspec.structs.replace(
        key,
        limits=_limits(key.limits, declared_limits(declared), {*rules.ceilings, *rules.counts}),
        models=key.models if rules.models is None else declared.models,
        ips=key.ips if rules.ips is None else tuple(str(network) for network in networks),
        timeout_ms=key.timeout_ms if rules.timeout_s is None else milliseconds(timeout_s),
        scope=rules.scope or key.scope,
        expires_us=None if rules.never_expires else rules.expires_us or key.expires_us,
    )


def _limits(now: tuple[Limit, ...], then: tuple[Limit, ...], told: set[str]) -> tuple[Limit, ...]:
    """Those that are not told stay; those that are told come anew, or go."""
    kept = [limit for limit in now if limit.name not in told]
    return tuple(sorted([*kept, *then], key=lambda limit: ORDER.index(limit.name)))
