"""Idempotency keys: a caller's name for a request, so that its repeat is neither run nor billed again.

    running    while its hold is open
    done       for 24 h after a call that was charged; one that was charged nothing frees its key

A running one lives in memory with its hold. The hold's row does not carry it: after a crash the key is
free, as the call that had it is an orphan whose answer nobody got whole.
"""

from deeptoken.ledger.changes import ClaimRow
from deeptoken.ledger.journal import Journal
from deeptoken.ledger.past import Past
from deeptoken.ledger.postings import DAY_US, Call, Claim, Repeat, StoredReply


class Claims:
    """Those that run, and through the past those that are done."""

    def __init__(self, past: Past, journal: Journal) -> None:
        self._past = past
        self._journal = journal
        self._running: dict[tuple[str, str], tuple[bytes, str]] = {}

    def repeat(self, key: str, claim: Claim, now_us: int) -> Repeat | None:
        """What is known of this claim; None: it is free."""
        running = self._running.get((key, claim.name))
        if running is not None:
            fingerprint, id = running
            return Repeat("running" if fingerprint == claim.fingerprint else "mismatch", id)
        done = self._done(key, claim.name)
        if done is None or done.expires_us <= now_us:
            return None
        if done.fingerprint != claim.fingerprint:
            return Repeat("mismatch", done.request)
        return Repeat("done", done.request, done.reply)

    def begin(self, call: Call, claim: Claim) -> None:
        self._running[call.key, claim.name] = (claim.fingerprint, call.id)

    def end(self, call: Call, claim: Claim, reply: StoredReply | None, *, charged: int, now_us: int) -> None:
        """The call ended; what it was charged decides whether the key is kept."""
        del self._running[call.key, claim.name]
        if charged:
            row = ClaimRow(call.key, claim.name, claim.fingerprint, call.id, reply, now_us + DAY_US)
            self._journal.claims.append(row)

    def _done(self, key: str, name: str) -> ClaimRow | None:
        for row in reversed(self._journal.claims):
            if row.key == key and row.name == name:
                return row
        return self._past.claim(key, name)
