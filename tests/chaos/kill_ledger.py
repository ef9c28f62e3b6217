"""What the ledger of a killed gateway says, against what its callers have in their hands."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from kill_scene import Callers, Gateway

from deeptoken.catalog.price import charge
from deeptoken.store.sqlite import open_reader_connection
from deeptoken.store.verify import verify

ROWS = "select request_id, request_label, outcome, charged from usage"
WALLETS = """
select id, balance, held,
    (select coalesce(sum(granted), 0) from lot where wallet_id = wallet.id and source = 'grant'),
    (select coalesce(sum(charged), 0) from usage where wallet_id = wallet.id)
from wallet
"""


@dataclass(frozen=True)
class Row:
    id: str
    label: str
    outcome: str
    charged: int


@dataclass(frozen=True)
class Wallet:
    id: str
    balance: int
    held: int
    granted: int
    charged: int


class Ledger:
    """What the database of a gateway that has ended says."""

    def __init__(self, gateway: Gateway) -> None:
        with closing(open_reader_connection(gateway.database)) as connection:
            self.rows = [Row(*row) for row in connection.execute(ROWS)]
            self.wallets = [Wallet(*row) for row in connection.execute(WALLETS)]
            self.holds = int(connection.execute("select count(*) from hold").get)
        self._kills = gateway.kills
        self._complaints = gateway.complaints()
        self._verified = list(verify(gateway.database, charge))

    @property
    def orphans(self) -> list[Row]:
        """The calls that a killed process had begun."""
        return [row for row in self.rows if row.outcome == "orphan"]

    def told(self, callers: Callers) -> str:
        """The figures, for people."""
        orphans = self.orphans
        settled = {row.id for row in self.rows if row.outcome == "complete"}
        return (
            f"{self._kills} kills, {len(callers.asked)} calls, {len(callers.delivered)} delivered, "
            f"{callers.replays} given again, {len(orphans)} orphans "
            f"({sum(1 for row in orphans if row.charged)} charged at a checkpoint), "
            f"{len(settled - set(callers.delivered))} settled and not delivered"
        )

    def breaches(self, callers: Callers) -> list[str]:
        """All that does not hold, in words."""
        return [
            *callers.breaches,
            *self._complaints,
            *self._undelivered(callers),
            *self._doubled(callers),
            *self._money(),
            *(
                f"{finding.name}: {finding.sentence} {finding.problems}"
                for finding in self._verified
                if finding.count
            ),
        ]

    def _undelivered(self, callers: Callers) -> Iterator[str]:
        """Each answer that was delivered whole has its row, with the cost that its caller was told."""
        rows = {row.id: row for row in self.rows}
        for id, heard in callers.delivered.items():
            row = rows.get(id)
            if row is None:
                yield f"{id} was delivered and has no row"
            elif row.outcome not in ("complete", "dry") or row.charged != heard.cost:
                yield f"{id} was delivered for {heard.cost}, its row says {row.outcome}, {row.charged}"

    def _doubled(self, callers: Callers) -> Iterator[str]:
        """No call has two rows, no idempotency key two that were charged for an answer."""
        rows, charged = Counter[str](), Counter[str]()
        for row in self.rows:
            rows[row.label] += 1
            charged[row.label] += row.outcome != "orphan" and row.charged > 0
            if row.label not in callers.asked:
                yield f"{row.id} was asked by nobody"
        for label, wish in callers.asked.items():
            if rows[label] > 1 and wish.idempotency is None:
                yield f"{label} was asked once and has {rows[label]} rows"
            if charged[label] > 1:
                yield f"{label} was charged {charged[label]} times"

    def _money(self) -> Iterator[str]:
        if self.holds:
            yield f"{self.holds} holds are open"
        for wallet in self.wallets:
            if wallet.balance != wallet.granted - wallet.charged or wallet.held or wallet.balance < 0:
                yield f"{wallet}: its balance is not what was granted less what was charged"
