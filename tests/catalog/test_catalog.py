"""What can be called: channels, groups, patterns and prices together."""

import pytest

from deeptoken.catalog.catalog import CACHE_MAX, Catalog
from deeptoken.catalog.entry import Entry, PriceBook
from deeptoken.catalog.model import Channel, Group, Rates
from deeptoken.money import PicoUsd


def costs(prompt: int) -> Rates:
    return Rates(prompt=PicoUsd(prompt), completion=PicoUsd(2 * prompt))


def channel(
    name: str, models: dict[str, str], *groups: str, provider: str = "openai", priority: int = 0
) -> Channel:
    return Channel(
        name=name,
        provider=provider,
        label=name.title(),
        base_url="https://api.test",
        models=models,
        groups=groups or ("default",),
        priority=priority,
    )


BOOK = [
    Entry("gpt-4o", "openai", rates=costs(4), context=128_000, aliases=("gpt-4o-2024-08-06",)),
    Entry("gpt-4o-mini", "openai", rates=costs(1)),
    Entry("gpt-4o", "azure", rates=costs(5)),
    Entry("claude", "anthropic", rates=costs(9), aliases=("claude-20*",)),
    Entry("gemini-pro", "google", rates=costs(3)),
    Entry("claude-on-vertex", "google", rates=costs(3)),
]


def prompt_price(catalog: Catalog, id: str, group: str = "default") -> int | None:
    model = catalog.model(id, group)
    return model.price.rates.prompt if model else None


def test_a_known_model_needs_no_price_of_its_own() -> None:
    catalog = Catalog.build([channel("a", {"gpt-4o": "my-deployment"})], [], BOOK)

    found = catalog.find("gpt-4o", "default")

    assert found is not None
    assert (found.model.price.rates.prompt, found.model.context, found.model.owned_by) == (
        4,
        128_000,
        "openai",
    )
    assert [candidate.upstream_model for candidate in found.candidates] == ["my-deployment"]


def test_an_id_without_a_price_does_not_exist() -> None:
    catalog = Catalog.build([channel("a", {"mystery": "x", "*": "*"})], [], BOOK)

    assert catalog.model("mystery", "default") is None
    assert catalog.candidates("other-mystery", "default") == ()
    assert catalog.model("gpt-4o-mini", "default") is not None


def test_an_id_that_no_channel_serves_does_not_exist() -> None:
    catalog = Catalog.build([channel("a", {"gpt-4o": "gpt-4o"})], [], BOOK)

    assert catalog.model("gpt-4o-mini", "default") is None


def test_a_group_reaches_its_own_channels_and_those_of_default() -> None:
    models = {"gpt-4o": "gpt-4o"}
    channels = [channel("all", models), channel("pro", models, "pro"), channel("free", models, "free")]
    catalog = Catalog.build(channels, [], BOOK)

    names = [candidate.channel.name for candidate in catalog.candidates("gpt-4o", "pro")]

    assert names == ["all", "pro"]
    assert [c.channel.name for c in catalog.candidates("gpt-4o", "default")] == ["all"]


def test_a_channel_of_other_groups_alone_leaves_the_model_unknown() -> None:
    catalog = Catalog.build([channel("pro", {"gpt-4o": "gpt-4o"}, "pro")], [], BOOK)

    assert catalog.model("gpt-4o", "default") is None
    assert catalog.exact_ids("default") == []
    assert catalog.exact_ids("pro") == ["gpt-4o"]


def test_a_disabled_channel_serves_nothing() -> None:
    off = Channel("a", "openai", "A", "https://api.test", {"gpt-4o": "gpt-4o"}, enabled=False)

    assert Catalog.build([off], [], BOOK).model("gpt-4o", "default") is None


def test_within_a_channel_the_exact_name_wins_over_the_pattern() -> None:
    models = {"*": "*", "acme/*": "*", "acme/gpt-4o": "special"}
    prices = [Entry("*", rates=costs(7))]
    catalog = Catalog.build([channel("a", models)], prices, BOOK)

    names = [catalog.candidates(id, "default")[0].upstream_model for id in ("acme/gpt-4o", "acme/x", "y")]

    assert names == ["special", "x", "y"]


@pytest.mark.parametrize(
    ("id", "price", "rule"),
    [
        ("gpt-4o-mini", 11, "the file over the book at equal rank"),
        ("gpt-4o", 4, "an exact id of the book over a pattern of the file"),
        ("gpt-5", 12, "the longer pattern over the shorter"),
        ("claude-2025", 9, "the book's longer pattern over the file's shorter one"),
        ("other", 13, "the catch-all for the rest"),
    ],
)
def test_the_price_is_that_of_the_best_rank(id: str, price: int, rule: str) -> None:
    declared = [
        Entry("gpt-4o-mini", rates=costs(11)),
        Entry("gpt-*", rates=costs(12)),
        Entry("*", rates=costs(13)),
    ]
    channels = [channel("a", {"*": "*"}), channel("b", {"claude*": "claude*"}, provider="anthropic")]
    catalog = Catalog.build(channels, declared, BOOK)

    assert prompt_price(catalog, id) == price, rule


def test_at_equal_length_the_file_s_pattern_wins_over_the_book_s() -> None:
    declared = [Entry("claude-20*", rates=costs(1))]
    catalog = Catalog.build([channel("a", {"claude*": "claude*"}, provider="anthropic")], declared, BOOK)

    assert prompt_price(catalog, "claude-2025") == 1


def test_a_file_entry_without_a_price_adds_facts_to_the_book_s_price() -> None:
    declared = [Entry("gpt-4o", max_output=16_384, owned_by="Acme")]
    catalog = Catalog.build([channel("a", {"gpt-4o": "gpt-4o"})], declared, BOOK)

    model = catalog.model("gpt-4o", "default")

    assert model is not None
    assert (model.price.rates.prompt, model.context, model.max_output) == (4, 128_000, 16_384)
    assert model.owned_by == "Acme"


def test_the_price_is_that_of_the_channel_with_the_highest_priority() -> None:
    models = {"gpt-4o": "gpt-4o"}
    channels = [channel("o", models), channel("z", models, provider="azure", priority=5)]

    assert prompt_price(Catalog.build(channels, [], BOOK), "gpt-4o") == 5


def test_a_model_of_another_maker_has_its_maker_s_price() -> None:
    catalog = Catalog.build([channel("local", {"claude": "claude"}, provider="vllm")], [], BOOK)

    assert prompt_price(catalog, "claude") == 9


def test_a_channel_without_models_serves_what_the_book_knows_of_its_provider() -> None:
    catalog = Catalog.build([channel("a", {})], [], BOOK)

    assert catalog.exact_ids("default") == ["gpt-4o", "gpt-4o-mini"]
    assert catalog.model("claude", "default") is None


def test_other_names_of_a_model_are_served_and_not_listed() -> None:
    catalog = Catalog.build([channel("a", {}), channel("b", {}, provider="anthropic")], [], BOOK)

    assert prompt_price(catalog, "gpt-4o-2024-08-06") == 4
    assert catalog.candidates("claude-20250101", "default")[0].upstream_model == "claude-20250101"
    assert catalog.exact_ids("default") == ["claude", "gpt-4o", "gpt-4o-mini"]


def test_gemini_serves_of_the_google_book_only_what_is_google_s() -> None:
    catalog = Catalog.build([channel("g", {}, provider="gemini")], [], BOOK)

    assert catalog.exact_ids("default") == ["gemini-pro"]


def test_a_sim_channel_without_models_serves_the_three() -> None:
    book = [Entry("sim/text", "sim", rates=costs(1), aliases=("sim/*",))]
    catalog = Catalog.build([channel("s", {}, provider="sim")], [], book)

    assert catalog.exact_ids("default") == ["sim/echo", "sim/slow", "sim/text"]
    assert catalog.candidates("sim/echo", "default")[0].upstream_model == "echo"


def test_a_suffix_is_cut_off_only_if_the_id_with_it_is_unknown() -> None:
    declared = [Entry("odd:floor", rates=costs(2))]
    catalog = Catalog.build([channel("a", {"gpt-4o": "x", "odd:floor": "y"})], declared, BOOK)

    cut, kept = catalog.find("gpt-4o:floor", "default"), catalog.find("odd:floor", "default")

    assert cut is not None
    assert (cut.model.id, cut.sort) == ("gpt-4o", "price")
    assert kept is not None
    assert (kept.model.id, kept.sort) == ("odd:floor", None)
    assert catalog.find("gpt-4o:free", "default") is None


def test_a_list_of_a_key_shows_its_exact_ids_that_a_pattern_serves() -> None:
    declared = [Entry("acme/*", rates=costs(2))]
    catalog = Catalog.build(
        [channel("a", {"gpt-4o": "x", "gpt-4o-mini": "y", "acme/*": "*"})], declared, BOOK
    )

    assert catalog.exact_ids("default", ("acme/z", "gpt-4o", "nothing")) == ["acme/z", "gpt-4o"]
    assert catalog.exact_ids("default", ("gpt-*", "acme/*")) == ["gpt-4o", "gpt-4o-mini"]
    assert catalog.exact_ids("default") == ["gpt-4o", "gpt-4o-mini"]


def test_a_label_is_the_pattern_for_ids_that_callers_make_up() -> None:
    declared = [Entry("acme/*", rates=costs(2))]
    catalog = Catalog.build([channel("a", {"gpt-4o": "x", "acme/*": "*"})], declared, BOOK)
    models = [catalog.model(id, "default") for id in ("gpt-4o", "acme/one", "acme/two")]

    assert [catalog.label(model) for model in models if model] == ["gpt-4o", "acme/*", "acme/*"]


def test_what_was_looked_up_is_kept_within_its_limit() -> None:
    catalog = Catalog.build([channel("a", {"*": "*"})], [Entry("*", rates=costs(1))], [])

    for number in range(CACHE_MAX + 10):
        catalog.find(f"made-up-{number}", "default")

    assert len(catalog._found) <= CACHE_MAX
    assert prompt_price(catalog, "made-up-1") == 1


def test_default_is_there_without_being_named_and_stands_for_unknown_groups() -> None:
    catalog = Catalog.build([], [], [], [Group("pro", ratio_ppm=2)])

    assert catalog.group("pro").ratio_ppm == 2
    assert catalog.group("nothing").name == "default"


def test_an_exact_id_of_the_book_is_known_whoever_serves_it_and_a_pattern_only_there() -> None:
    book = PriceBook(BOOK)

    assert [entry.id for _, entry in book.rows(["vllm"], "claude")] == ["claude"]
    assert book.rows(["vllm"], "claude-20250101") == []


def test_an_id_with_a_suffix_on_a_key_s_list_is_not_listed_as_the_model_without_it() -> None:
    catalog = Catalog.build([channel("a", {"gpt-4o": "x", "gpt-4o-mini": "y"})], [], BOOK)

    assert catalog.exact_ids("default", ("gpt-4o:floor",)) == []


def test_levels_are_by_priority_and_by_name_within_one() -> None:
    models = {"gpt-4o": "x"}
    channels = [channel(name, models, priority=it) for name, it in (("z", 1), ("b", 0), ("a", 0), ("c", 9))]
    found = Catalog.build(channels, [], BOOK).find("gpt-4o", "default")

    assert found is not None
    assert [[at.channel.name for at in level.candidates] for level in found.levels] == [
        ["c"],
        ["z"],
        ["a", "b"],
    ]
    assert found.levels[2].sums == [1, 2]
    assert found.channels == {"a", "b", "c", "z"}


def test_a_channel_is_called_by_its_label_its_provider_or_its_name() -> None:
    models = {"gpt-4o": "x"}
    channels = [channel("Main", models), channel("b", models, provider="azure")]
    found = Catalog.build(channels, [], BOOK).find("gpt-4o", "default")

    assert found is not None
    assert found.called == {"main": {"Main"}, "openai": {"Main"}, "b": {"b"}, "azure": {"b"}}
    assert found.costing == {12: {"Main", "b"}}


NINE = {f"c{number:02}" for number in range(0, 36, 4)}


@pytest.mark.parametrize("names", [set(), {"else", "c03"}, NINE, NINE | {f"c{n:02}" for n in range(39)}])
def test_a_level_among_some_channels_keeps_its_order(names: set[str]) -> None:
    channels = [channel(f"c{number:02}", {"gpt-4o": "x"}) for number in range(40)]
    found = Catalog.build(channels, [], BOOK).find("gpt-4o", "default")

    assert found is not None
    some = found.levels[0].among(names)
    assert [at.channel.name for at in some.candidates] == sorted(names - {"else"})
    assert found.levels[0].among(found.channels) is found.levels[0]


def test_groups_that_no_channel_names_share_what_was_looked_up() -> None:
    models = {"gpt-4o": "x"}
    catalog = Catalog.build([channel("all", models), channel("pro", models, "pro")], [], BOOK)

    assert catalog.find("gpt-4o", "free") is catalog.find("gpt-4o", "default")
    assert catalog.find("gpt-4o", "pro") is not catalog.find("gpt-4o", "default")


def test_every_listed_id_of_every_group_is_kept() -> None:
    models = {f"gpt-4o-{number}": "x" for number in range(CACHE_MAX)}
    catalog = Catalog.build([channel("a", models, "default", "pro")], [Entry("*", rates=costs(1))], [])
    wanted = [(id, group) for id in models for group in ("default", "pro")]

    first = {at: catalog.find(*at) for at in wanted}

    assert all(catalog.find(*at) is first[at] for at in wanted)
