"""How many retries a model may cost, so that an outage is never multiplied. Time is given.

    retries  <=  a fifth of the requests  +  10 a second  (+ 10 at the start)

A request earns a fifth of a retry; what is not used is forgotten within seconds, so that a quiet hour saves
nothing up for a storm. Besides there are 10 a second, of which a second's worth is kept. A request that never
left (it could not connect) is not a retry: the one who asks knows.

After Finagle's retry budget (finagle.github.io/blog/2016/02/08/retry-budgets, read 2026-11-25), which has the
same two parts.
"""

import math
from collections import OrderedDict

EARNED = 0.2
DECAY_S = 10.0
FREE_PER_S = 10.0
FREE_MAX = 10.0
MODELS_MAX = 4_096
"""Callers can make up ids that a pattern serves. The one that was idle for longest is forgotten: after a
minute it was as good as new."""


class _Budget:
    __slots__ = ("at", "earned", "free")

    def __init__(self, now: float) -> None:
        self.at = now
        self.earned = 0.0
        self.free = FREE_MAX

    def advance(self, now: float) -> None:
        passed = now - self.at
        if passed > 0:
            self.earned *= math.exp(-passed / DECAY_S)
            self.free = min(FREE_MAX, self.free + FREE_PER_S * passed)
            self.at = now


class RetryBudget:
    """Of each model."""

    def __init__(self) -> None:
        self._budgets: OrderedDict[str, _Budget] = OrderedDict()

    def asked(self, model: str, now: float) -> None:
        """A request came, whatever becomes of it."""
        self._budget(model, now).earned += EARNED

    def may_retry(self, model: str, now: float) -> bool:
        """Take a retry, if there is one."""
        budget = self._budget(model, now)
        if budget.earned + budget.free < 1:
            return False
        earned = min(1.0, budget.earned)
        budget.earned -= earned
        budget.free -= 1 - earned
        return True

    def _budget(self, model: str, now: float) -> _Budget:
        budget = self._budgets.get(model)
        if budget is None:
            if len(self._budgets) >= MODELS_MAX:
                self._budgets.popitem(last=False)
            budget = self._budgets[model] = _Budget(now)
        else:
            self._budgets.move_to_end(model)
            budget.advance(now)
        return budget
