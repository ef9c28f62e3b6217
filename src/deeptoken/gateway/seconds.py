"""Two counts for each of the last seconds, and the sums of both: a rolling window in little memory.

What happened in a second leaves with it, whole, `width` seconds later.
"""

from array import array


class Seconds:
    """`calls` and `amount` of the last `width` seconds, the one that runs included, as of the last change.

    Time does not go back here: what comes late counts in the second that runs.
    """

    __slots__ = ("_amounts", "_calls", "_second", "_width", "amount", "calls")

    def __init__(self, width: int) -> None:
        self.calls = 0
        self.amount = 0
        self._width = width
        self._second = 0
        self._calls = array("q", bytes(8 * width))
        self._amounts = array("q", bytes(8 * width))

    def advance(self, now: float) -> None:
        """Let go what has rolled out."""
        second = int(now)
        if second <= self._second:
            return
        width = self._width
        for begun in range(max(self._second + 1, second - width + 1), second + 1):
            slot = begun % width
            self.calls -= self._calls[slot]
            self.amount -= self._amounts[slot]
            self._calls[slot] = self._amounts[slot] = 0
        self._second = second

    def add(self, now: float, *, calls: int = 0, amount: int = 0) -> int:
        """Count it; the second in which it counts."""
        if now >= self._second + 1:
            self.advance(now)
        second = self._second
        slot = second % self._width
        self.calls += calls
        self._calls[slot] += calls
        if amount:
            self.amount += amount
            self._amounts[slot] += amount
        return second

    def correct(self, second: int, *, calls: int = 0, amount: int = 0) -> None:
        """Change what was counted in `second`, if that is still here."""
        if second > self._second - self._width:
            self._change(second, calls, amount)

    def gone(self, *, calls: int = 0, amount: int = 0) -> int:
        """The second at whose beginning so much will have left; at the latest, when all has."""
        for second in range(self._second - self._width + 1, self._second + 1):
            calls -= self._calls[second % self._width]
            amount -= self._amounts[second % self._width]
            if calls <= 0 and amount <= 0:
                return second + self._width
        return self._second + self._width

    def clear(self) -> None:
        if self.calls or self.amount:
            self.calls = self.amount = 0
            for slot in range(self._width):
                self._calls[slot] = self._amounts[slot] = 0

    def _change(self, second: int, calls: int, amount: int) -> None:
        slot = second % self._width
        self.calls += calls
        self.amount += amount
        self._calls[slot] += calls
        self._amounts[slot] += amount
