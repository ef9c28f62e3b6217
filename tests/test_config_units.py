"""Prices of what is no token, as the configuration file writes them."""

from pathlib import Path

from deeptoken import config
from deeptoken.catalog.model import Rates
from deeptoken.money import PicoUsd
from deeptoken.providers.registry import BASE_URLS

FILE = """
[[models]]
id = "acme/voice"
character = 15

[[models]]
id = "acme/ears"
second = 0.0001

[[models]]
id = "acme/ranks"
search = 0.002

[[models]]
id = "acme/draws"
prompt = 5
completion = 10
completion_image = 32
image = 0.04
tiers = [{ above = 1000, image = 0.08 }]
"""
FREE = {"prompt": PicoUsd(0), "completion": PicoUsd(0)}


def test_characters_are_priced_per_million_and_all_else_by_the_piece(tmp_path: Path) -> None:
    file = tmp_path / "deeptoken.toml"
    file.write_text(FILE)

    voice, ears, ranks, draws = config.load(file, {}, providers=BASE_URLS).models

    assert voice.rates == Rates(**FREE, character=PicoUsd(15_000_000))
    assert ears.rates == Rates(**FREE, second=PicoUsd(100_000_000))
    assert ranks.rates == Rates(**FREE, search=PicoUsd(2_000_000_000))
    assert draws.rates == Rates(
        prompt=PicoUsd(5_000_000),
        completion=PicoUsd(10_000_000),
        completion_image=PicoUsd(32_000_000),
        image=PicoUsd(40_000_000_000),
    )
    assert draws.tiers[0].rates == Rates(**FREE, image=PicoUsd(80_000_000_000))
