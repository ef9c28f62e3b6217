"""`deeptoken wallets`: balances, what they are made of, grants and refunds."""

import contextlib
from pathlib import Path
from typing import Any

import click

from deeptoken import clock, ids
from deeptoken.accounts import administration
from deeptoken.accounts.change import COMMAND_LINE
from deeptoken.cli.books import reader, write
from deeptoken.cli.names import find_owner, find_wallet
from deeptoken.cli.options import Mistake, Trouble, dollars, future, load, say, with_config, with_json
from deeptoken.cli.output import print_facts, print_json, print_table, time
from deeptoken.ledger.changes import LotRow
from deeptoken.ledger.postings import Grant
from deeptoken.money import NanoUsd, credits_json, show
from deeptoken.store.past import DurablePast
from deeptoken.store.queries.money import Wallet


@click.group()
def command() -> None:
    """Wallets. WALLET is its owner: user:ops, or ops."""


@command.command("list")
@with_config
@with_json
def list_wallets(file: Path | None, as_json: bool) -> None:
    """All wallets, by their owner's name."""
    with reader(load(file)) as books:
        wallets = books.wallets()
    if as_json:
        for wallet in wallets:
            print_json(as_row(wallet))
        return
    print_table(
        [
            {
                "wallet": wallet.name,
                "balance": show(wallet.balance),
                "held": show(wallet.held),
                "available": show(available(wallet)),
            }
            for wallet in wallets
        ],
        right=("balance", "held", "available"),
        empty="There are no wallets. `deeptoken users create NAME` makes a user with one.",
    )


@command.command("show")
@click.argument("wallet")
@with_config
@with_json
def show_wallet(wallet: str, file: Path | None, as_json: bool) -> None:
    """One wallet with its lots: what was granted, and what is left of it."""
    with reader(load(file)) as books:
        found = find_wallet(books, wallet)
        lots = books.lots(found.id)
    if as_json:
        print_json({**as_row(found), "lots": [lot_row(lot) for lot in lots]})
        return
    print_facts(
        {
            "wallet": found.name,
            "balance": show(found.balance),
            "held": show(found.held),
            "available": show(available(found)),
        }
    )
    click.echo()
    print_table(
        [
            {
                "lot": lot.id,
                "from": lot.source,
                "granted": show(lot.granted),
                "left": show(lot.remaining),
                "expires": time(lot.expires_us),
                "created": time(lot.created_us),
                "reference": lot.ref,
            }
            for lot in lots
        ],
        right=("granted", "left"),
        empty=f"The wallet never had credits. `deeptoken wallets grant {found.name} 10` gives it some.",
    )


@command.command("grant")
@click.argument("wallet")
@click.argument("amount", type=dollars, metavar="AMOUNT_USD")
@click.option("--expires", type=future, metavar="TIME", help="A date, or a duration from now.")
@click.option("--ref", help="Your reference: a second grant with the same one changes nothing.")
@with_config
@with_json
def grant(
    wallet: str, amount: NanoUsd, expires: int | None, ref: str | None, file: Path | None, as_json: bool
) -> None:
    """Give a wallet credits: AMOUNT_USD dollars, as a lot of their own."""
    settings = load(file)
    if expires is not None and expires <= clock.wall_us():
        raise Mistake("--expires: that time has passed. Name a later one, such as 30d.")
    with reader(settings) as books:
        owner, name = find_owner(books, wallet)
        lot = ids.new_id("lot")
        posting = Grant(
            wallet=owner,
            lot=lot,
            amount=amount,
            source="grant",
            ref=f"cli:{ref or lot}",
            expires_us=expires,
        )
        if any(made.ref == posting.ref for made in books.lots(owner)) or books.granted(posting.ref):
            _ensure_same(books.lots(owner), posting)
            say(f"The reference {ref} was granted before: nothing was changed.")
        else:
            postings, _ = administration.grant(
                COMMAND_LINE, owner, name, amount, ref=posting.ref, expires_us=expires
            )
            write(settings, *postings)
            if not as_json:
                click.echo(f"Granted {show(amount)} to {name}.")
        _print_balance(find_wallet(books, name), as_json)


@command.command("refund")
@click.argument("usage")
@click.argument("amount", type=dollars, metavar="[AMOUNT_USD]", required=False)
@click.option("--ref", help="Your reference: a second refund with the same one changes nothing.")
@with_config
@with_json
def refund(usage: str, amount: NanoUsd | None, ref: str | None, file: Path | None, as_json: bool) -> None:
    """Give back what a call was charged, or AMOUNT_USD of it. USAGE is the id of its row."""
    settings = load(file)
    with reader(settings) as books:
        record = books.usage(usage)
        if record is None:
            raise Mistake(f"There is no usage row {usage}; `deeptoken usage` lists them with their ids.")
        lot = ids.new_id("lot")
        source = f"cli:{ref or lot}"
        with contextlib.closing(DurablePast(settings.database.path, 0)) as past:
            call, known = past.usage(record.id), past.granted(source)
        left = NanoUsd(call.charged - call.refunded if call else 0)
        if known:
            say(f"The reference {ref} was refunded before: nothing was changed.")
        elif not left or (amount or left) > left:
            raise Mistake(f"Of this call's charge {show(left)} can be given back, and no more.")
        else:
            owner = call.wallet if call else ""
            postings, _ = administration.refund(
                COMMAND_LINE, record, owner, NanoUsd(amount or left), ref=source
            )
            write(settings, *postings)
            if not as_json:
                click.echo(f"Refunded {show(amount or left)} to {record.wallet}.")
        _print_balance(find_wallet(books, record.wallet), as_json)


def _ensure_same(lots: list[LotRow], again: Grant) -> None:
    """A reference stands for one grant: this wallet's, of this amount."""
    made = next((lot for lot in lots if lot.ref == again.ref), None)
    if made is None or made.granted != again.amount:
        to = f"of {show(made.granted)}" if made else "to another wallet"
        raise Trouble(f"This reference is a grant {to} already: nothing was changed. Name another --ref.")


def available(wallet: Wallet) -> NanoUsd:
    """What open calls' holds leave of the balance."""
    return NanoUsd(wallet.balance - wallet.held)


def as_row(wallet: Wallet) -> dict[str, Any]:
    """A wallet as JSON, in credits."""
    return {
        "wallet": wallet.name,
        "id": wallet.id,
        "balance": credits_json(wallet.balance),
        "held": credits_json(wallet.held),
        "available": credits_json(available(wallet)),
    }


def lot_row(lot: LotRow) -> dict[str, Any]:
    """A lot as JSON, in credits."""
    return {
        "id": lot.id,
        "source": lot.source,
        "granted": credits_json(lot.granted),
        "remaining": credits_json(lot.remaining),
        "expires_us": lot.expires_us,
        "ref": lot.ref,
        "created_us": lot.created_us,
    }


def _print_balance(wallet: Wallet, as_json: bool) -> None:
    if as_json:
        print_json(as_row(wallet))
        return
    click.echo(f"{wallet.name} has {show(wallet.balance)}.")
