"""What a key may: what is told of it changes, the rest stays, and what could never take effect is refused."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from deeptoken import ids
from deeptoken.accounts.keys import ruled
from deeptoken.config_keys import WEBHOOK_MAX
from deeptoken.errors import BadRequest
from deeptoken.ledger.postings import WINDOWS, Limit
from deeptoken.store.queries.people import Key

KEY = Key(
    id="key_1", name="ci", owner="usr_1", sha256=ids.digest("dtk_"), prefix="dtk_", created_us=0,
    limits=(
        Limit("usd", WINDOWS["5h"], 2_000_000_000, "5h"),
        Limit("usd", WINDOWS["1d"], 5_000_000_000, "1d"),
        Limit("requests", 60_000_000, 9, "rpm"),
    ),
    models=("sim/*",), cheaper_model="sim/echo", webhook="https://example.com/budgets", children=True,
)  # fmt: skip
BARE = msgspec.structs.replace(KEY, limits=(), cheaper_model=None, webhook=None, children=False)


def names(key: Key) -> list[str]:
    return [limit.name for limit in key.limits]


def test_what_is_not_told_stays() -> None:
    assert ruled(KEY, {}) == KEY
    assert ruled(KEY, {"tpm": 7}).limits[:3] == KEY.limits


@pytest.mark.parametrize(
    ("told", "name", "left"),
    [
        pytest.param({"cheaper_model": None}, "cheaper_model", None, id="a cheaper model"),
        pytest.param({"webhook": None}, "webhook", None, id="a webhook"),
        pytest.param({"children": None}, "children", False, id="children"),
        pytest.param({"models": []}, "models", (), id="models"),
    ],
)
def test_none_or_an_empty_list_takes_a_rule_away(told: dict[str, Any], name: str, left: Any) -> None:
    assert ruled(KEY, told) == msgspec.structs.replace(KEY, **{name: left})


def test_a_ceiling_of_0_takes_that_one_away_and_none_takes_them_all() -> None:
    assert names(ruled(KEY, {"ceilings": {"5h": Decimal(0)}})) == ["1d", "rpm"]
    assert names(ruled(KEY, {"ceilings": None, "cheaper_model": None, "webhook": None})) == ["rpm"]


@pytest.mark.parametrize(
    ("told", "param"),
    [
        pytest.param({"ceilings": {"5h": Decimal(6)}}, "ceilings.5h", id="above the longer window's, kept"),
        pytest.param({"ceilings": {"1d": Decimal(1)}}, "ceilings.5h", id="below the shorter window's, kept"),
        pytest.param({"scope": "manage"}, "ceilings", id="ceilings without calls"),
        pytest.param({"ceilings": None}, "cheaper_model", id="a cheaper model left without a ceiling"),
        pytest.param({"ceilings": None, "cheaper_model": None}, "webhook", id="a webhook left without one"),
    ],
)
def test_what_is_told_may_not_contradict_what_stays(told: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        ruled(KEY, told)

    assert refused.value.param == param


@pytest.mark.parametrize("scope", ["read", "manage"])
@pytest.mark.parametrize(
    ("told", "param"),
    [
        pytest.param({"rpm": 1}, "rpm", id="requests"),
        pytest.param({"tpm": 1}, "tpm", id="tokens"),
        pytest.param({"concurrency": 1}, "concurrency", id="requests at once"),
        pytest.param({"ceilings": {"7d": Decimal(1)}}, "ceilings", id="a ceiling"),
        pytest.param({"cheaper_model": "sim/echo"}, "cheaper_model", id="a cheaper model"),
        pytest.param({"webhook": "https://example.com"}, "webhook", id="a webhook"),
        pytest.param({"children": True}, "children", id="children"),
        pytest.param({"timeout": Decimal(5)}, "timeout", id="a time limit"),
    ],
)
def test_a_key_that_makes_no_calls_has_no_limits_of_calls(
    told: dict[str, Any], param: str, scope: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        ruled(BARE, {**told, "scope": scope})

    assert refused.value.param == param


@pytest.mark.parametrize(
    "webhook",
    [
        pytest.param("", id="nothing"),
        pytest.param("example.com", id="no scheme"),
        pytest.param("ftp://example.com", id="another scheme"),
        pytest.param("http://example.com/budgets", id="not encrypted"),
        pytest.param("https:///budgets", id="no host"),
        pytest.param("https://exa mple.com", id="a space"),
        pytest.param("https://" + "x" * WEBHOOK_MAX, id="too long"),
    ],
)
def test_a_webhook_is_an_address_of_the_web(webhook: str) -> None:
    with pytest.raises(BadRequest, match="webhook: expected") as refused:
        ruled(KEY, {"webhook": webhook})

    assert refused.value.param == "webhook"


def test_a_cheaper_model_has_a_name() -> None:
    with pytest.raises(BadRequest, match="cheaper_model: expected a text"):
        ruled(KEY, {"cheaper_model": ""})
