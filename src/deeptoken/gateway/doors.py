"""What a tab needs of others: the ledger, and whoever delivers its answer."""

from typing import Protocol

from deeptoken.gateway.trace import Bill
from deeptoken.ledger.postings import Answer as Posted
from deeptoken.ledger.postings import Posting, StoredReply


class Ledger(Protocol):
    """The ledger's door: what is asked is decided, durable when the answer says that money moved."""

    async def post(self, posting: Posting) -> Posted: ...


class Delivery(Protocol):
    """Where an answer goes. `compose` writes what is left to deliver; it leaves once it is settled."""

    def compose(self, bill: Bill) -> None: ...
    def kept(self) -> StoredReply | None: ...
