"""A model as the API shows it."""

from deeptoken.catalog.listing import entry
from deeptoken.catalog.model import Group, Model, Price, Rates, Tier
from deeptoken.money import PicoUsd

RATES = Rates(prompt=PicoUsd(150_000), completion=PicoUsd(600_000), cached=PicoUsd(75_000))


def test_an_entry_has_openai_s_fields_and_ours() -> None:
    model = Model(
        "acme/x",
        Price(1, "acme/*", RATES),
        context=128_000,
        max_output=16_384,
        owned_by="acme",
        capabilities={"tools": True},
    )

    assert entry(model, Group("default")) == {
        "id": "acme/x",
        "object": "model",
        "created": 1_735_689_600,
        "owned_by": "acme",
        "context": 128_000,
        "max_output": 16_384,
        "modalities": ["text"],
        "capabilities": {"tools": True},
        "prices": {
            "prompt": "0.15",
            "completion": "0.6",
            "cached": "0.075",
            "ratios": {
                "group_ratio": "1",
                "base_model_ratio": "0.15",
                "completion_ratio": "4",
                "cached_ratio": "0.5",
            },
        },
    }


def test_prices_are_what_the_group_pays() -> None:
    group = Group("pro", ratio_ppm=1_500_000)

    shown = entry(Model("m", Price(1, "m", RATES)), group)["prices"]

    assert (shown["prompt"], shown["completion"]) == ("0.225", "0.9")
    assert (shown["ratios"]["group_ratio"], shown["ratios"]["base_model_ratio"]) == ("1.5", "0.15")


def test_units_are_shown_for_one_of_them_and_characters_per_million() -> None:
    rates = Rates(
        prompt=PicoUsd(0),
        completion=PicoUsd(0),
        image=PicoUsd(40_000_000_000),
        character=PicoUsd(15_000_000),
        second=PicoUsd(100_000_000),
        search=PicoUsd(0),
    )

    shown = entry(Model("m", Price(1, "m", rates)), Group("pro", ratio_ppm=2_000_000))["prices"]

    del shown["ratios"]
    assert shown == {
        "prompt": "0",
        "completion": "0",
        "image": "0.08",
        "character": "30",
        "second": "0.0002",
        "search": "0",
    }


def test_tiers_and_fees_are_shown() -> None:
    dear = Tier(200_000, Rates(prompt=PicoUsd(300_000), completion=PicoUsd(900_000)))
    rates = Rates(prompt=PicoUsd(150_000), completion=PicoUsd(600_000), request=PicoUsd(5_000_000_000))

    shown = entry(Model("m", Price(1, "m", rates, (dear,))), Group("default"))["prices"]

    assert shown["request"] == "0.005"
    assert shown["tiers"] == [{"above": 200_000, "prompt": "0.3", "completion": "0.9"}]
