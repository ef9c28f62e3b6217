"""A model and its fallbacks, as a caller may call them."""

import pytest

from deeptoken.catalog.catalog import Catalog
from deeptoken.catalog.entry import Entry
from deeptoken.catalog.model import Channel, Group, Rates
from deeptoken.errors import ModelNotAllowed, ModelNotFound
from deeptoken.gateway.snapshot import Snapshot
from deeptoken.identity.caller import Caller
from deeptoken.identity.keys import Keys
from deeptoken.money import PicoUsd

RATES = Rates(prompt=PicoUsd(1), completion=PicoUsd(1))
SERVED = Channel("c", "openai", "C", "https://api.test", {"a": "a", "b": "b", "hidden": "h"})
SNAPSHOT = Snapshot(Keys({}), Catalog.build([SERVED], [Entry("*", rates=RATES)], []))
CALLER = Caller(
    key="key_1", key_name="k", owner="user:ops", wallet="w", group=Group("default"), models=("a", "b", "gone")
)


def test_a_model_and_its_fallbacks_are_found_in_order_with_their_suffixes() -> None:
    found = SNAPSHOT.chain(CALLER, "a:nitro", ("b:floor", "a"))

    assert [(one.model.id, one.sort) for one in found] == [("a", "throughput"), ("b", "price"), ("a", None)]


@pytest.mark.parametrize(
    ("asked", "fallbacks", "error", "param"),
    [
        ("gone", ("a",), ModelNotFound, "model"),
        ("a", ("b", "gone"), ModelNotFound, "models[1]"),
        ("a", ("hidden",), ModelNotAllowed, "models[0]"),
        ("hidden", ("a",), ModelNotAllowed, "model"),
    ],
)
def test_a_fallback_that_cannot_be_called_is_an_error_like_the_model_itself(
    asked: str, fallbacks: tuple[str, ...], error: type[ModelNotFound | ModelNotAllowed], param: str
) -> None:
    with pytest.raises(error) as refused:
        SNAPSHOT.chain(CALLER, asked, fallbacks)

    assert refused.value.param == param
