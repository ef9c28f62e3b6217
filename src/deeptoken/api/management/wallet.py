"""Money: ``/api/wallet``, and the same of an organization. Amounts are credits."""

from decimal import Decimal

import msgspec

from deeptoken.accounts.keys import in_credits
from deeptoken.api.management.keys import owner_of
from deeptoken.api.management.organizations import ORG
from deeptoken.api.management.route import Asked, Needs, Page, Route, Slice, limit_of, sliced
from deeptoken.errors import BadRequest
from deeptoken.ledger.changes import LotRow
from deeptoken.money import AMOUNT_MAX


class WalletShown(msgspec.Struct, frozen=True, kw_only=True):
    """A wallet: what it has, and what open calls' holds leave of it."""

    wallet: str
    balance: Decimal
    held: Decimal
    available: Decimal


class LotShown(msgspec.Struct, frozen=True, kw_only=True):
    """Credits that came in together, and what is left of them."""

    id: str
    source: str
    granted: Decimal
    remaining: Decimal
    expires_us: int | None
    created_us: int


async def show_wallet(asked: Asked) -> WalletShown:
    owner = owner_of(asked)
    found = await asked.world.read(lambda reader: reader.wallet(owner.id))
    balance, held = (0, 0) if found is None else (found.balance, found.held)
    return WalletShown(
        wallet=owner.name,
        balance=in_credits(balance),
        held=in_credits(held),
        available=in_credits(balance - held),
    )


async def list_lots(asked: Asked) -> Slice:
    owner, limit, after = owner_of(asked), limit_of(asked.query), asked.query.after
    if after and not (after.isascii() and after.isdigit() and int(after) <= AMOUNT_MAX):
        raise BadRequest("after: what `next` said, or nothing.", param="after")
    rows = await asked.world.read(lambda reader: reader.lots_page(owner.id, int(after or -1), limit + 1))
    page = sliced(rows, limit, lambda row: str(row.rank))
    return Slice([_shown(row) for row in page.data], page.next)


def _shown(row: LotRow) -> LotShown:
    return LotShown(
        id=row.id,
        source=row.source,
        granted=in_credits(row.granted),
        remaining=in_credits(row.remaining),
        expires_us=row.expires_us,
        created_us=row.created_us,
    )


def _routes(prefix: str, needs: Needs, whose: str) -> list[Route]:
    return [
        Route(method="GET", path=prefix, needs=needs, handler=show_wallet, answer=WalletShown,
              summary=f"{whose} balance, and what open calls hold of it"),
        Route(method="GET", path=f"{prefix}/lots", needs=needs, handler=list_lots, query=Page,
              answer=list[LotShown], summary=f"What {whose.lower()} balance is made of, oldest first"),
    ]  # fmt: skip


ROUTES = [
    *_routes("/api/wallet", "account", "One's own"),
    *_routes(f"{ORG}/wallet", "billing.read", "The organization's"),
]
