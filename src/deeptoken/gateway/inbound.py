"""A call as it comes in, whatever brought it."""

from collections.abc import Awaitable, Callable

import msgspec

from deeptoken.errors import BadRequest
from deeptoken.gateway.trace import Trace
from deeptoken.ledger.postings import Claim
from deeptoken.money import NanoUsd
from deeptoken.wire.chat import Chat, read


class Inbound(msgspec.Struct):
    """One call before anything is known of it."""

    id: str
    """``X-DeepToken-Id``, made here."""
    request_id: str
    """The caller's own label, or `id`."""
    endpoint: str
    secret: str | None
    address: str | None
    began: float
    """On the monotonic clock."""
    organization: str | None = None
    idempotency_key: str | None = None
    timeout: str | None = None
    """The wish for a deadline, as it was sent."""
    claim: Claim | None = None
    trace: Trace = msgspec.field(default_factory=Trace)
    cost_max: NanoUsd | None = None
    """The caller's ``max_cost_usd``."""
    read: Callable[[bytes], Chat] = read
    """Reads its body: as OpenAI's chat, or another dialect made into one."""
    receive: Callable[[], Awaitable[tuple[Chat, bytes]]] | None = None
    """Of a body that is not read whole: the chat, and what of the body stands for it where it is compared."""

    def deadline(self, most_s: float) -> float:
        """When it has to be over, on the monotonic clock: as its caller wishes, and within `most_s`.

        Raises:
            BadRequest: the wish is none.
        """
        return self.began + (most_s if self.timeout is None else min(most_s, _seconds(self.timeout)))


def _seconds(timeout: str) -> float:
    try:
        seconds = float(timeout)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise BadRequest("X-DeepToken-Timeout: expected a number of seconds above 0.")
    return seconds
