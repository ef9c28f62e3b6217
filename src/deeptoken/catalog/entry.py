"""What is known of a model: a row of the price book, or one of the configuration file's ``[[models]]``.

A fact that is None is not known here, and the next row that covers the id may tell it.
"""

from collections.abc import Iterable, Mapping

import msgspec

from deeptoken.catalog.model import Price, Rates, Tier
from deeptoken.catalog.patterns import EXACT, Ranked
from deeptoken.catalog.price import version


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One model of one provider. `provider` is empty where the file says it: then it holds for all."""

    id: str
    """An id or a pattern."""
    provider: str = ""
    aliases: tuple[str, ...] = ()
    """Other ids and patterns of the same model: dated versions, mostly."""
    name: str | None = None
    rates: Rates | None = None
    tiers: tuple[Tier, ...] = ()
    context: int | None = None
    max_output: int | None = None
    owned_by: str | None = None
    modalities: tuple[str, ...] | None = None
    capabilities: dict[str, bool] | None = None
    price_id: int | None = None
    """The id of this price in the database, where it is known; else it is made from the price itself."""

    @property
    def price(self) -> Price | None:
        if self.rates is None:
            return None
        number = self.price_id or version(self.id, self.rates, self.tiers)
        return Price(id=number, model=self.id, rates=self.rates, tiers=self.tiers)


class Shelf(msgspec.Struct, frozen=True):
    """Where a provider's models stand in the price book, and how the ids of those that it serves start."""

    books: tuple[str, ...]
    starts: tuple[str, ...] = ("",)


SHELVES: Mapping[str, Shelf] = {
    "azure": Shelf(("azure", "openai")),
    "bedrock": Shelf(("aws",)),
    # The book's google also has what Vertex sells of other makers.
    "gemini": Shelf(("google",), ("gemini", "gemma", "text-embedding", "embedding")),
    "vertex": Shelf(("google",)),
    "xai": Shelf(("x-ai",)),
    "grok": Shelf(("x-ai",)),
    "moonshot": Shelf(("moonshotai",)),
    "kimi": Shelf(("moonshotai",)),
    "zhipu": Shelf(("zhipuai",)),
    "voyage": Shelf(("voyageai",)),
}
"""Providers whose name in the price book is another one."""

MAKERS = ("openai", "anthropic", "google", "mistral", "deepseek", "x-ai", "cohere", "groq", "together")
"""Whose price counts for an id that the channel's own provider has no price for; then the others by name."""

SIM_MODELS: Mapping[str, str] = {"sim/text": "text", "sim/echo": "echo", "sim/slow": "slow"}
"""What a channel of the provider ``sim`` serves if it names no models."""


class PriceBook:
    """The rows of the price book, by provider."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        rows: dict[str, list[Entry]] = {}
        for entry in entries:
            rows.setdefault(entry.provider, []).append(entry)
        self._rows = rows
        self._ranked: dict[str, Ranked[Entry]] = {}
        first = [maker for maker in MAKERS if maker in rows]
        self._others = [*first, *sorted(rows.keys() - set(first))]
        self._anywhere: dict[str, Entry] = {}
        for book in self._others:
            for entry in rows[book]:
                self._anywhere.setdefault(entry.id, entry)
        for book in self._others:
            for entry in rows[book]:
                for alias in entry.aliases:
                    if not alias.endswith("*"):
                        self._anywhere.setdefault(alias, entry)

    def shelf(self, provider: str) -> tuple[dict[str, str], set[str]]:
        """What a channel of this provider serves if it names no models, and which of it is not listed.

        It is all that the book knows; aliases are served and not listed.
        """
        if provider == "sim":
            return dict(SIM_MODELS), set()
        shelf = _shelf(provider)
        rows = [entry for book in shelf.books for entry in self._rows.get(book, ())]
        ids = {entry.id for entry in rows if entry.id.startswith(shelf.starts)}
        aliases = {alias for entry in rows for alias in entry.aliases if alias.startswith(shelf.starts)}
        return {name: name for name in sorted(ids | aliases)}, aliases - ids

    def rows(self, providers: Iterable[str], id: str) -> list[tuple[int, Entry]]:
        """The rows that cover this id, best first: (rank, entry). A lower rank is better.

        `providers` are those who serve it, the first one first. Patterns count only there; an exact
        id is known whoever made it.
        """
        found: list[tuple[int, Entry]] = []
        for provider in providers:
            for book in _shelf(provider).books:
                found += [(rank, entry) for rank, _, entry in self._of(book).every(id)]
        anywhere = self._anywhere.get(id)
        if anywhere is not None:
            found.append((EXACT, anywhere))
        return sorted(found, key=lambda row: row[0])

    def _of(self, book: str) -> Ranked[Entry]:
        ranked = self._ranked.get(book)
        if ranked is None:
            rows = self._rows.get(book, [])
            exact = [(entry.id, entry) for entry in rows]
            aliases = [(alias, entry) for entry in rows for alias in entry.aliases]
            ranked = self._ranked[book] = Ranked([*exact, *aliases])
        return ranked


def _shelf(provider: str) -> Shelf:
    return SHELVES.get(provider) or Shelf((provider,))
