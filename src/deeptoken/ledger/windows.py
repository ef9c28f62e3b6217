"""A window over the ended calls of a subject: what they were charged, or used, in it.

A window is read from the past when it is first seen and kept up after that; each charge enters once and
leaves once. It keeps its oldest charges, `KEPT_MAX` at most, and reads on when those have left.
"""

from array import array
from bisect import bisect_left, bisect_right

from deeptoken.ledger.calendar import edge_us, leaves_at_us
from deeptoken.ledger.journal import Journal
from deeptoken.ledger.lots import NEVER_US
from deeptoken.ledger.past import Past, Spent

KEPT_MAX = 20_000
CHARGED, TOKENS = 2, 3


class History:
    """The ended calls of subjects: those in the past, and those that it has not taken yet."""

    def __init__(self, past: Past, journal: Journal) -> None:
        self._past = past
        self._journal = journal

    def page(self, key: str, after_us: int, limit: int) -> tuple[list[Spent], bool]:
        """The next about `limit` of them, never a part of those settled at the same time; and whether that
        is all."""
        while True:
            rows = self._rows(key, after_us, limit)
            if len(rows) < limit:
                return rows, True
            last_us = rows[-1][1]
            whole = [row for row in rows if row[1] < last_us]
            if whole:
                return whole, False
            limit *= 2

    def total(self, key: str, after_us: int, which: int) -> int:
        """All that was charged, or used, since."""
        charged, _, tokens = self._past.totals(key, after_us)
        rest = sum(row[which] for row in self._untaken(key, after_us))
        return rest + (charged if which == CHARGED else tokens)

    def _rows(self, key: str, after_us: int, limit: int) -> list[Spent]:
        rows = list(self._past.history(key, after_us, limit))
        if len(rows) < limit:
            rows += self._untaken(key, after_us)[: limit - len(rows)]
        return rows

    def _untaken(self, key: str, after_us: int) -> list[Spent]:
        """By the time at which they were settled."""
        own: list[Spent] = [
            (
                row.created_us,
                row.settled_us,
                row.charged,
                row.usage.prompt_tokens + row.usage.completion_tokens,
            )
            for row in self._journal.usage
            if row.call.key == key and row.settled_us > after_us
        ]
        others: list[Spent] = [
            (row.created_us, row.settled_us, row.charged, row.tokens)
            for row in self._journal.spent
            if row.subject == key and row.settled_us > after_us
        ]
        return sorted(own + others, key=_settled) if others else own


class Window:
    """What happened in the last `width_us` (or in the month, or ever): the sum, and its oldest parts."""

    __slots__ = (
        "_all",
        "_gone",
        "_head",
        "_history",
        "_key",
        "_last_us",
        "_sums",
        "_times",
        "_which",
        "due_us",
        "total",
        "width_us",
    )

    def __init__(self, key: str, width_us: int, history: History, which: int) -> None:
        self.width_us = width_us
        self.total = 0
        self._key = key
        self._history = history
        self._which = which
        self._times = array("q")
        self._sums = array("q")
        """Running sums of the amounts: with this one, since the first."""
        self._head = 0
        self._gone = 0
        self._all = True
        """Is all of the window kept? If not, what comes after `_last_us` is to be read."""
        self._last_us = 0
        self.due_us = NEVER_US
        """When the oldest part that is kept leaves. Before that there is nothing to `advance`."""

    def load(self, now_us: int) -> None:
        """Read it for the first time."""
        after_us = edge_us(self.width_us, now_us)
        self._read(after_us)
        self._look()
        if self._all:
            self.total = self._sums[-1] if self._sums else 0
        else:
            self.total = self._history.total(self._key, after_us, self._which)

    def add(self, at_us: int, amount: int) -> None:
        """It happened just now."""
        if not amount:
            return
        self.total += amount
        if not self._all:
            return
        times = self._times
        if self._which and len(times) - self._head >= KEPT_MAX and times[-1] != at_us:
            self._all = False
            self._last_us = times[-1]
            return
        self._sums.append((self._sums[-1] if times else self._gone) + amount)
        times.append(at_us)
        if len(times) - self._head == 1:
            self._look()

    def advance(self, now_us: int) -> None:
        """Let go what has rolled out."""
        if now_us >= self.due_us:
            self._leave(edge_us(self.width_us, now_us))
            self._look()

    def _look(self) -> None:
        leaves_us = None
        if self._head < len(self._times):
            leaves_us = leaves_at_us(self.width_us, self._times[self._head])
        self.due_us = NEVER_US if leaves_us is None else leaves_us

    def leaves_us(self, amount: int) -> int | None:
        """When so much of `total` will have left; of what is kept, the end, if more must. None: never."""
        found = bisect_left(self._sums, self._gone + amount, self._head)
        return leaves_at_us(self.width_us, self._times[min(found, len(self._times) - 1)])

    def whole_us(self, held: int, now_us: int) -> int | None:
        """How long until nothing is in it, if what is held ends now; None: never."""
        if not held and not self.total:
            return 0
        # What is held, or was not read yet, may be as new as can be.
        newest_us = now_us if held or not self._all else self._times[-1]
        leaves_us = leaves_at_us(self.width_us, newest_us)
        return None if leaves_us is None else leaves_us - now_us

    def _leave(self, edge_us: int) -> None:
        while True:
            self._head = bisect_right(self._times, edge_us, self._head)
            if self._head:
                gone = self._sums[self._head - 1]
                self.total -= gone - self._gone
                self._gone = gone
            if self._head < len(self._times) or self._all:
                break
            self._read(self._last_us)
        if self._head > 512 and self._head * 2 > len(self._times):
            del self._times[: self._head]
            del self._sums[: self._head]
            self._head = 0

    def _read(self, after_us: int) -> None:
        """Keep the next page after that time, of which at least one counts, or all."""
        self._times, self._sums, self._head = array("q"), array("q"), 0
        running = self._gone
        while True:
            rows, self._all = self._history.page(self._key, after_us, KEPT_MAX)
            for row in rows:
                if row[self._which]:
                    running += row[self._which]
                    self._times.append(row[1])
                    self._sums.append(running)
            if self._times or self._all:
                break
            after_us = rows[-1][1]
        self._last_us = rows[-1][1] if rows else after_us


def _settled(spent: Spent) -> int:
    return spent[1]
