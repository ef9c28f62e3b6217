"""The price book that a new database starts with."""

import importlib.util
import json
from datetime import date, time
from decimal import Decimal
from pathlib import Path

import pytest
from genai_prices.types import (
    ClauseContains,
    ClauseEquals,
    ClauseOr,
    ClauseRegex,
    ClauseStartsWith,
    ConditionalPrice,
    MatchLogic,
    ModelInfo,
    ModelPrice,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)
from genai_prices.types import Tier as TheirTier

from deeptoken.catalog import pricedata
from deeptoken.catalog.entry import Entry
from deeptoken.catalog.model import Rates
from deeptoken.catalog.patterns import is_valid
from deeptoken.catalog.seed import Difference, difference, load_seed, update
from deeptoken.money import PicoUsd

ROOT = Path(__file__).parents[2]
DAY = date(2026, 11, 23)


def theirs(prices: ModelPrice | list[ConditionalPrice], match: MatchLogic | None = None) -> ModelInfo:
    return ModelInfo(id="m", match=match or ClauseEquals("m"), prices=prices)


def row(prices: ModelPrice | list[ConditionalPrice], match: MatchLogic | None = None) -> pricedata.Row:
    found = pricedata._row("acme", theirs(prices, match), DAY)
    assert found is not None
    return found


def usd(number: str) -> ModelPrice:
    return ModelPrice(input_mtok=Decimal(number), output_mtok=Decimal(number))


def test_the_packaged_book_knows_the_well_known_models_as_whole_numbers() -> None:
    book = {(entry.provider, entry.id): entry for entry in load_seed()}

    assert len(book) > 1_000
    mini = book["openai", "gpt-4o-mini"]
    assert mini.rates is not None
    assert (mini.rates.prompt, mini.rates.completion, mini.rates.cached) == (150_000, 600_000, 75_000)
    assert mini.context == 128_000


def test_every_row_has_a_price_and_valid_names() -> None:
    for entry in load_seed():
        assert entry.price is not None
        assert all(rate >= 0 for rate in (entry.price.rates.prompt, entry.price.rates.completion))
        assert all(is_valid(name) for name in (entry.id, *entry.aliases)), entry


def test_sim_costs_one_dollar_and_two() -> None:
    sim = next(entry for entry in load_seed() if entry.provider == "sim")

    assert sim.rates == Rates(prompt=PicoUsd(1_000_000), completion=PicoUsd(2_000_000))


def test_tiers_are_whole_sets_of_rates() -> None:
    tiered = TieredPrices(Decimal(3), [TheirTier(200_000, Decimal(6))])

    found = row(ModelPrice(input_mtok=tiered, output_mtok=Decimal(15)))

    assert found["rates"] == {"prompt": 3_000_000, "completion": 15_000_000}
    assert found["tiers"] == [{"above": 200_000, "rates": {"prompt": 6_000_000, "completion": 15_000_000}}]


def test_a_price_finer_than_ours_is_rounded_up() -> None:
    assert row(usd("0.0000001"))["rates"]["prompt"] == 1


@pytest.mark.parametrize(
    ("start", "prompt"), [(date(2026, 11, 23), 2_000_000), (date(2026, 11, 24), 1_000_000)]
)
def test_of_prices_by_date_the_one_in_force_counts(start: date, prompt: int) -> None:
    prices = [
        ConditionalPrice(prices=usd("1")),
        ConditionalPrice(constraint=StartDateConstraint(start), prices=usd("2")),
    ]

    assert row(prices)["rates"]["prompt"] == prompt


def test_of_prices_by_time_of_day_the_dearest_counts() -> None:
    night = TimeOfDateConstraint(time(16, 30), time(0, 30))
    prices = [ConditionalPrice(prices=usd("2")), ConditionalPrice(constraint=night, prices=usd("1"))]

    assert row(prices)["rates"]["prompt"] == 2_000_000


def test_other_names_become_ids_and_patterns_and_what_cannot_is_left_out() -> None:
    match = ClauseOr(
        or_=[
            ClauseEquals("m"),
            ClauseEquals("m-2026-01-01"),
            ClauseStartsWith("m-preview"),
            ClauseRegex(r"^m-\d{8}$"),
            ClauseRegex(r"^m-(a|b)-\d{8}$"),
            ClauseContains("m-any"),
        ]
    )

    assert row(usd("1"), match)["aliases"] == ["m-20*", "m-2026-01-01", "m-preview*"]


def test_a_model_that_is_called_by_another_name_has_that_one() -> None:
    assert row(usd("1"), ClauseEquals("accounts/m"))["id"] == "accounts/m"


@pytest.mark.parametrize(
    ("prices", "rates"),
    [
        (ModelPrice(input_mchars=Decimal(15)), {"character": 15_000_000}),
        (ModelPrice(audio_hours=Decimal("0.36"), input_audio_hours=Decimal("0.36")), {"second": 100_000_000}),
        (ModelPrice(input_audio_hours=Decimal("0.111")), {"second": 30_833_334}),
        (
            ModelPrice(input_mtok=Decimal(5), output_mtok=Decimal(10), output_image_mtok=Decimal(32)),
            {"prompt": 5_000_000, "completion": 10_000_000, "completion_image": 32_000_000},
        ),
    ],
)
def test_what_is_read_heard_and_drawn_has_its_own_unit(prices: ModelPrice, rates: dict[str, int]) -> None:
    assert row(prices)["rates"] == {"prompt": 0, "completion": 0, **rates}


@pytest.mark.parametrize("unit", ["audio_hours", "input_document_kpages"])
def test_what_has_a_unit_that_no_call_has_is_no_row(unit: str) -> None:
    assert pricedata._row("acme", theirs(ModelPrice(**{unit: Decimal(1)})), DAY) is None


def test_the_packaged_book_prices_speech_by_the_character_and_moderation_at_nothing() -> None:
    book = {(entry.provider, entry.id): entry for entry in load_seed()}

    spoken, moderated = book["openai", "tts-1"].rates, book["openai", "omni-moderation-latest"].rates
    assert spoken is not None
    assert moderated is not None
    assert (spoken.character, spoken.by_tokens) == (15_000_000, False)
    assert (moderated.prompt, moderated.completion, moderated.by_tokens) == (0, 0, True)


def test_the_same_day_gives_the_same_bytes() -> None:
    assert pricedata.as_json(DAY) == pricedata.as_json(DAY)


def test_the_build_hook_writes_what_the_package_says_and_leaves_the_same_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1795392000")
    catalog = tmp_path / "src" / "deeptoken" / "catalog"
    catalog.mkdir(parents=True)
    (catalog / "pricedata.py").write_bytes((ROOT / "src/deeptoken/catalog/pricedata.py").read_bytes())
    spec = importlib.util.spec_from_file_location("hatch_prices", ROOT / "hatch_prices.py")
    assert spec is not None
    assert spec.loader is not None
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)

    hook.write(tmp_path)
    first = (catalog / "prices.json").stat()
    hook.write(tmp_path)

    rows = json.loads((catalog / "prices.json").read_text())
    assert rows == json.loads(pricedata.as_json(date(2026, 11, 23)))
    assert (catalog / "prices.json").stat().st_mtime_ns == first.st_mtime_ns


def test_an_update_shows_what_is_new_changed_and_gone() -> None:
    kept, dearer = Entry("a", "x", rates=Rates(PicoUsd(1), PicoUsd(1))), Entry("b", "x", context=2)
    now = [kept, Entry("b", "x", context=1), Entry("c", "x")]

    found = difference(now, [kept, dearer, Entry("d", "x")])

    assert found == Difference(
        added=(Entry("d", "x"),), changed=((Entry("b", "x", context=1), dearer),), gone=(Entry("c", "x"),)
    )


def test_the_id_of_a_price_in_the_database_is_no_difference() -> None:
    assert difference([Entry("a", "x", price_id=7)], [Entry("a", "x")]) == Difference()


def test_an_update_of_nothing_adds_the_whole_book_and_its_own_book_changes_nothing() -> None:
    everything = update([], DAY).added

    assert len(everything) > 1_000
    assert update(everything, DAY) == Difference()
