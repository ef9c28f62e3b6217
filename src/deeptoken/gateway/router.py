"""Which route a call takes: planned, with room, let in. Before the hold: a call that waits holds nothing.

plan         who may be asked, in which order (`plan.py`)
room         where all are full, the call stands in line (`queue.py`), and has a place when it goes on; all
             rounds together last as long as one may
last hope    all are out: one call at a time goes to the channel closest to its probe; the others wait for
             what becomes of it, `SOON_S` at most. All cool down: the call waits if that is not longer
"""

import asyncio
from collections.abc import Callable

import msgspec

from deeptoken.catalog.model import Channel
from deeptoken.gateway.affinity import conversation
from deeptoken.gateway.draw import Choice
from deeptoken.gateway.inbound import Inbound
from deeptoken.gateway.plan import Plan, Sought, plan
from deeptoken.gateway.queue import Place
from deeptoken.gateway.route import SOON_S, Means, Route
from deeptoken.identity.caller import Caller
from deeptoken.wire.chat import Chat

PLANS_MAX = 8
"""What was planned may be no more when it is begun; then it is planned anew."""
BYTES_A_TOKEN, ANSWER_TOKENS = 4, 512
"""What a call may come to, for a channel's tokens a minute."""


class Router:
    """Finds routes. Of this process."""

    def __init__(self, means: Means) -> None:
        self.means = means

    def kept(self, channels: tuple[Channel, ...]) -> None:
        """At the start and after a reload: what is known of channels that are gone is forgotten."""
        self.means.health.kept(channels)
        self.means.queue.pace.kept({channel.name for channel in channels})

    async def route(self, call: Inbound, sought: Sought, caller: Caller, deadline: float) -> Route:
        """The route of a call.

        Raises:
            BadRequest, ModelNotFound: nobody can meet what is asked.
            NoChannel, UpstreamRateLimited: everybody is out, and nobody comes back soon.
            Overloaded: everybody is full for too long.
        """
        means = self.means
        now = means.now()
        model = sought.models[0].model.id
        means.retries.asked(model, now)
        key = None
        if sought.several and sought.chat.task is None:
            # Among channels of which there is but one, a conversation has no choice; a task is none.
            key = conversation(caller.wallet, model, sought.chat)
            served = means.affinity.served(key, now)
            if served is not None:
                sought = msgspec.structs.replace(sought, served=served)
        tokens = _tokens(sought.chat) if sought.paced else 0
        full = self._full(tokens) if tokens else None
        soon_s, queue_s = SOON_S, means.queue.seconds
        for _ in range(PLANS_MAX):
            made = plan(sought, means.health, means.now(), means.draw, full=full)
            place, began = None, means.now()
            if made.full:
                place = await self._lined_up(made, caller, tokens, min(deadline, began + queue_s))
                queue_s -= means.now() - began
            route = Route(
                means,
                call,
                made.choices,
                conversation=key,
                tokens=tokens,
                deadline=deadline,
                asked=model,
                soon_s=soon_s,
                last_hope=made.last_hope,
            )
            if route.begin(place):
                return route
            if made.last_hope:
                began = means.now()
                await self._hope(made.choices, min(deadline, began + soon_s))
                soon_s -= means.now() - began
        raise means.nobody(made.choices)

    def _full(self, tokens: int) -> Callable[[Channel], bool]:
        queue, now = self.means.queue, self.means.now
        return lambda channel: queue.full(channel, tokens, now())

    async def _lined_up(self, made: Plan, caller: Caller, tokens: int, by: float) -> Place:
        """A place on one of the channels, when it is this call's turn."""
        channels = tuple({at.candidate.channel.name: at.candidate.channel for at in made.choices}.values())
        group = caller.group
        return await self.means.queue.wait(channels, tokens, group=group.name, weight=group.weight, by=by)

    async def _hope(self, choices: tuple[Choice, ...], by: float) -> None:
        """Wait until there is hope again.

        Raises:
            NoChannel, UpstreamRateLimited: there is none in time.
        """
        means, told = self.means, True
        while means.probing(choices):
            # Another model's probe may have woken it: then it waits on.
            told = await self._outcome(choices, by)
        now = means.now()
        standings = [means.standing(choice.candidate, now) for choice in choices]
        if not told or not all(standing.open for standing in standings):
            return
        soonest = min(standing.until for standing in standings)
        if soonest > by:
            raise means.nobody(choices)
        await asyncio.sleep(max(0.0, soonest - now))

    async def _outcome(self, choices: tuple[Choice, ...], by: float) -> bool:
        """Wait until a probe has ended; whether that said anything.

        Raises:
            NoChannel, UpstreamRateLimited: it was not in time.
        """
        outcome: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.means.hoping[outcome] = None
        try:
            async with asyncio.timeout(by - self.means.now()):
                return await outcome
        except TimeoutError:
            raise self.means.nobody(choices) from None
        finally:
            del self.means.hoping[outcome]


def _tokens(chat: Chat) -> int:
    """About what the call may come to."""
    if chat.task is not None:
        units = chat.task.units
        # Of a body that is not read whole, its size tells nothing of its tokens.
        heard = 0 if chat.task.upload is None else units.prompt_audio + units.completion
        return chat.size // BYTES_A_TOKEN + heard
    return chat.size // BYTES_A_TOKEN + (chat.request.limit or ANSWER_TOKENS) * (chat.request.n or 1)
