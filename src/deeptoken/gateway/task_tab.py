"""What a task owes. It cannot be cut short, so all that it may cost is held, or nothing.

open     hold the most, if that is cheap against the wallet: nothing is counted
         else count the prompt and hold the most; what the wallet cannot pay is refused
take     nothing grows; of a long answer there are checkpoints
close    as of every call
"""

import sys

from deeptoken import clock
from deeptoken.catalog.price import charge
from deeptoken.errors import BadRequest, DeeptokenError
from deeptoken.gateway.tab import CHECKPOINT_S, Tab
from deeptoken.gateway.tally import Tally
from deeptoken.ledger.postings import Checkpoint, NotCheap
from deeptoken.money import ONE_PPM, NanoUsd, show
from deeptoken.providers.base import Piece


class TaskTab(Tab):
    """One task's money. Use as ``async with``."""

    async def _hold_counted(self, told: NotCheap) -> None:
        self._meter.count_prompt()
        each = self._most
        most = self._price_of(each)
        cap = self._call.cost_max
        if cap is not None and most > cap:
            raise BadRequest(f"max_cost_usd: this call may cost {show(most)}.", param="max_cost_usd")
        answer = await self._ask(most, most, each, each, ONE_PPM, most)
        if isinstance(answer, NotCheap):
            raise DeeptokenError
        self._hold_is(answer.amount, each)

    def _hold_is(self, amount: NanoUsd, covered: int) -> None:
        self._held = amount
        self._covered = self._most
        self._ask_at = sys.maxsize

    def _affordable(self, amount: NanoUsd) -> int:
        """No part of it can be had."""
        return 0

    async def catch_up(self) -> list[Piece]:
        if self.behind:
            self.behind = False
            self._checkpoint_at = clock.monotonic() + CHECKPOINT_S
            assert isinstance(self._meter, Tally)
            so_far = charge(self._model.price, self._meter.delivered, self._ratio)
            await self._ledger.post(Checkpoint(self._call.id, min(so_far, self._held)))
        return []
