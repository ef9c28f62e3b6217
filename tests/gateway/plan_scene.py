"""Channels, their health and requests for the planner, and draws that can be done again."""

from collections.abc import Mapping
from typing import Any

import msgspec

from deeptoken.catalog.catalog import Found
from deeptoken.catalog.model import Candidate, Channel, Model, Price, Rates, Tier
from deeptoken.catalog.patterns import Sort
from deeptoken.gateway import wishes
from deeptoken.gateway.draw import Draw, Health, Unmeasured
from deeptoken.gateway.needs import needs
from deeptoken.gateway.plan import Plan, Sought, plan
from deeptoken.money import PicoUsd
from deeptoken.wire.chat import Chat, read

NOW = 1_000.0
RATES = Rates(prompt=PicoUsd(150_000), completion=PicoUsd(600_000))
CHEAP = Rates(prompt=PicoUsd(1), completion=PicoUsd(1))


class Standing(msgspec.Struct, frozen=True):
    open: bool = False
    why: str = ""
    until: float = 0.0
    share: float = 1.0
    probing: bool = False


class Speed(msgspec.Struct, frozen=True):
    ttft_s: float = 1.0
    tokens_per_s: float = 50.0
    error_share: float = 0.0
    ttft_p95_s: float | None = None


class Ward:
    """Health as it is told: by channel, or by ``channel/model``."""

    def __init__(
        self, standings: Mapping[str, Standing] | None = None, speeds: Mapping[str, Speed] | None = None
    ) -> None:
        self._standings = standings or {}
        self._speeds = speeds or {}
        self.troubled = bool(standings)
        self.asked: list[str] = []

    def standing(self, channel: str, model: str, now: float) -> Standing:
        assert now == NOW
        self.asked.append(channel)
        return self._standings.get(f"{channel}/{model}") or self._standings.get(channel) or Standing()

    def speed(self, channel: str, model: str) -> Speed | None:
        return self._speeds.get(channel)


def out(due_s: float = 3.0) -> Standing:
    return Standing(open=True, why="5 failures in a row", until=NOW + due_s, share=0.1)


class Dice:
    """Numbers in [0, 1) as if by chance, the same for the same seed."""

    def __init__(self, seed: int = 1) -> None:
        self._state = seed
        self.drawn = 0

    def __call__(self) -> float:
        self.drawn += 1
        self._state = (self._state * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) % 2**64
        return (self._state >> 11) / 2**53


def channel(name: str, **settings: Any) -> Channel:
    return Channel(
        **{
            "name": name,
            "provider": "openai",
            "label": name.title(),
            "base_url": "https://api.test",
            "models": {},
            **settings,
        }
    )


def model(id: str = "m", *, rates: Rates = RATES, tiers: tuple[Tier, ...] = (), **facts: Any) -> Model:
    return Model(id=id, price=Price(id=1, model=id, rates=rates, tiers=tiers), **facts)


def found(*channels: Channel, at: Model | None = None, sort: Sort | None = None) -> Found:
    """A model that these channels serve."""
    served = at or model()
    return Found(served, tuple(Candidate(one, served, served.id) for one in channels), sort)


def chat(text: str = "Hello!", /, **fields: Any) -> Chat:
    body = {"model": "m", "messages": [{"role": "user", "content": text}], **fields}
    return read(msgspec.json.encode(body))


def planned(
    *models: Found,
    health: Health | None = None,
    draw: Draw | None = None,
    said: Chat | None = None,
    **more: Any,
) -> Plan:
    """The plan for what a chat says; `more` is what `Sought` and `plan` take besides."""
    asked = said or chat()
    options = {name: more.pop(name) for name in ("full", "explain") if name in more}
    sought = Sought(models, asked, needs(asked), wishes.read(asked), **more)
    return plan(sought, health or Unmeasured(), NOW, draw or Dice(), **options)


def names(plan: Plan) -> list[str]:
    return [choice.candidate.channel.name for choice in plan.choices]
