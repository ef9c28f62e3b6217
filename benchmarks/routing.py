"""What a routing decision costs: 200 channels, 2,000 models, from the model's id to the plan.

    python benchmarks/routing.py

One model in ten is served by all channels, the others by three. A decision is all that stands between a body
that was read and the first attempt: the look-up, needs and wishes, the plan.
"""

from collections.abc import Callable, Mapping
from itertools import cycle
from statistics import median
from time import perf_counter_ns
from typing import Any

import msgspec

from deeptoken import ids
from deeptoken.catalog.catalog import Catalog
from deeptoken.catalog.entry import Entry
from deeptoken.catalog.model import Channel, Rates
from deeptoken.gateway import wishes
from deeptoken.gateway.affinity import Affinity, conversation
from deeptoken.gateway.draw import Health, Unmeasured
from deeptoken.gateway.needs import needs
from deeptoken.gateway.plan import Plan, Sought, plan
from deeptoken.money import PicoUsd
from deeptoken.wire.chat import Chat, read

CHANNELS, MODELS = 200, 2_000
WIDE_EVERY = 10
"""One model of so many is served by every channel, the others by `NARROW`."""
NARROW = 3
ROUNDS = 5_000
NOW = 1_000.0
Decide = Callable[[], Plan]


class Standing(msgspec.Struct, frozen=True):
    open: bool
    why: str
    until: float
    share: float
    probing: bool = False


class Speed(msgspec.Struct, frozen=True):
    ttft_s: float
    tokens_per_s: float


class Troubled:
    """A tenth of the channels is out, a tenth recovers; all are measured."""

    troubled = True

    def __init__(self) -> None:
        well = Standing(False, "", 0.0, 1.0)
        out = Standing(True, "5 failures in a row", NOW + 3, 0.1)
        back = Standing(False, "", 0.0, 0.4)
        self._standings = {
            _name(number): (out, back, *([well] * 8))[number % 10] for number in range(CHANNELS)
        }
        self._speeds = {
            _name(number): Speed(0.2 + number / 100, 20 + number * 7 % 90) for number in range(CHANNELS)
        }

    def standing(self, channel: str, model: str, now: float) -> Standing:
        return self._standings[channel]

    def speed(self, channel: str, model: str) -> Speed | None:
        return self._speeds[channel]


def catalog() -> Catalog:
    served: list[dict[str, str]] = [{} for _ in range(CHANNELS)]
    for number in range(MODELS):
        wide = number % WIDE_EVERY == 0
        for place in range(CHANNELS) if wide else (number * 7 + n * 31 for n in range(NARROW)):
            served[place % CHANNELS][_model(number)] = _model(number)
    channels = [
        Channel(
            name=_name(number),
            provider="openai",
            label=f"Maker {number % 20}",
            base_url="https://api.test",
            models=models,
            priority=number % 2 if number % 5 else 0,
            weight=1 + number % 7,
        )
        for number, models in enumerate(served)
    ]
    rates = Rates(prompt=PicoUsd(150_000), completion=PicoUsd(600_000))
    return Catalog.build(channels, [Entry("*", rates=rates, context=128_000)], [])


def decision_us() -> float:
    """The median of a usual decision, in microseconds: any of the models, all channels well, no wishes."""
    found, every = catalog(), [_chat(_model(number)) for number in range(MODELS)]
    return _cost_us(found, every, Unmeasured())


def _cost_us(known: Catalog, chats: list[Chat], health: Health) -> float:
    affinity = Affinity()

    def decide(chat: Chat) -> Plan:
        model = chat.request.model
        wished = wishes.read(chat)
        found = known.find(model, "default")
        assert found is not None
        served = affinity.served(conversation("user:ops", model, chat), NOW)
        sought = Sought((found,), chat, needs(chat), wished, served=served)
        return plan(sought, health, NOW, ids.draw)

    for chat in chats:
        # What a model's first call prepares, those after it have.
        decide(chat)
    taken = []
    for _, chat in zip(range(ROUNDS), cycle(chats), strict=False):
        began = perf_counter_ns()
        decide(chat)
        taken.append(perf_counter_ns() - began)
    return median(taken) / 1_000


def _chat(model: str, **fields: Any) -> Chat:
    messages = [
        {"role": "system", "content": "You answer questions about the weather, shortly."},
        {"role": "user", "content": "Will it rain in Oslo tomorrow, and should I take an umbrella?"},
    ]
    return read(msgspec.json.encode({"model": model, "messages": messages, "max_tokens": 256, **fields}))


def _name(number: int) -> str:
    return f"channel-{number:03}"


def _model(number: int) -> str:
    return f"maker/model-{number}"


WISHES: Mapping[str, dict[str, Any]] = {
    "only and max_price": {"only": ["Maker 3", "Maker 7"], "max_price": {"prompt": 1, "completion": 2}},
    "order and ignore": {"order": ["Maker 3", "Maker 7"], "ignore": ["Maker 1"]},
    "sort by throughput": {"sort": "throughput"},
}


def main() -> None:
    known = catalog()
    wide, narrow = [_model(0)], [_model(number) for number in range(MODELS) if number % WIDE_EVERY]
    for served, models in ((NARROW, narrow), (CHANNELS, wide)):
        plain = [_chat(model) for model in models]
        print(f"a model that {served} of {CHANNELS} channels serve, of {MODELS:,} models")
        print(f"  {'healthy':<34}{_cost_us(known, plain, Unmeasured()):6.1f} us")
        print(f"  {'a tenth out, a tenth recovering':<34}{_cost_us(known, plain, Troubled()):6.1f} us")
        tools = [{"type": "function", "function": {"name": "rain", "parameters": {"type": "object"}}}]
        needy = [_chat(model, tools=tools) for model in models]
        print(f"  {'with tools':<34}{_cost_us(known, needy, Unmeasured()):6.1f} us")
        for name, provider in WISHES.items():
            wishing = [_chat(models[0], provider=provider)]
            if served == CHANNELS:
                print(f"  {'with ' + name:<34}{_cost_us(known, wishing, Troubled()):6.1f} us")
    print(f"decision_us: {decision_us():.1f}")


if __name__ == "__main__":
    main()
