"""What was written is read again: people, channels, prices, usage."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from store_scene import COST, KEY, RATES, WALLET, broken, call, fund, hold, pay, settle

from deeptoken.catalog.model import Rates, Tier
from deeptoken.ids import digest, uuid7
from deeptoken.ledger.postings import HOUR_US, Done, Limit, Posting, Settle
from deeptoken.money import NanoUsd, PicoUsd
from deeptoken.store.ledger import open_writer
from deeptoken.store.queries import statements
from deeptoken.store.queries.money import UsageFilter
from deeptoken.store.queries.people import Key, StoredChannel, User
from deeptoken.store.reads import Reader
from deeptoken.wire.usage import Usage

OPS = User(id=WALLET, name="ops", tier="pro", operator=True, from_file=True, created_us=5)
CI = Key(
    id=KEY,
    name="ci",
    owner=WALLET,
    sha256=digest("secret"),
    prefix="dtk_1234",
    limits=(Limit("usd", 5 * HOUR_US, 5_000_000_000, "5h"), Limit("concurrent", 0, 3, "concurrency")),
    models=("gpt-4o", "acme/*"),
    ips=("10.0.0.0/8", "::1/128"),
    scope="read",
    timeout_ms=2_500,
    expires_us=99,
    from_file=True,
    created_us=6,
)
CHANNEL = StoredChannel(
    id="chn_1", name="main", settings={"provider": "openai", "priority": 10}, secret=b"\x00\xff", created_us=7
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deeptoken.db"


def posted(path: Path, *postings: Posting) -> list[object]:
    async def story() -> list[object]:
        async with open_writer(path) as ledger:
            return [await ledger.post(posting) for posting in postings]

    return asyncio.run(story())


def test_users_keys_and_channels_come_back_as_they_were_written(path: Path) -> None:
    posted(path, statements.add_user(OPS), statements.add_key(CI), statements.add_channel(CHANNEL))

    with Reader(path) as reader:
        assert reader.users() == [OPS]
        assert reader.keys() == [CI]
        assert reader.channels() == [CHANNEL]


def test_each_of_them_can_be_changed(path: Path) -> None:
    replace = msgspec.structs.replace
    user = replace(OPS, tier=None, operator=False)
    key = replace(CI, name="cd", limits=(), scope="manage", out_of_file_us=9)
    channel = replace(CHANNEL, settings={}, secret=None, enabled=False)
    posted(path, statements.add_user(OPS), statements.add_key(CI), statements.add_channel(CHANNEL))

    answers = posted(
        path,
        statements.set_user(user),
        statements.set_user(user),
        statements.suspend_user(OPS.id, 11),
        statements.set_key(key),
        statements.use_key(CI.id, 12),
        statements.set_channel(channel),
        statements.remove_channel("chn_none"),
    )

    assert answers == [Done(changed) for changed in (True, False, True, True, True, True, False)]
    with Reader(path) as reader:
        assert reader.users() == [replace(user, suspended_us=11, version=3)]
        assert reader.keys() == [replace(key, last_used_us=12, version=2)]
        assert reader.channels() == [replace(channel, version=2)]


def test_a_key_is_revoked_once_and_deleted_only_then_and_its_name_is_free_again(path: Path) -> None:
    again = msgspec.structs.replace(CI, id="key_2", sha256=digest("other"))

    answers = posted(
        path,
        statements.add_key(CI),
        statements.delete_key(CI.id, 1),
        statements.revoke_key(CI.id, 2),
        statements.revoke_key(CI.id, 3),
        statements.delete_key(CI.id, 4),
        statements.add_key(again),
    )

    assert answers == [Done(changed) for changed in (True, False, True, False, True, True)]
    with Reader(path) as reader:
        assert reader.keys() == [again]


def test_the_price_of_a_day_is_the_latest_that_holds_and_the_same_is_not_added_twice(path: Path) -> None:
    dearer = Rates(prompt=PicoUsd(2), completion=PicoUsd(3))
    tiers = (Tier(above=10, rates=RATES),)

    answers = posted(
        path,
        statements.add_price("m", RATES, (), from_us=100, source="book"),
        statements.add_price("m", RATES, (), from_us=150, source="book"),
        statements.add_price("m", dearer, tiers, from_us=200, source="file"),
    )

    assert answers == [Done(True), Done(False), Done(True)]
    with Reader(path) as reader:
        assert reader.prices(99) == []
        (old,), (new,) = reader.prices(199), reader.prices(200)
    assert (old.price.rates, old.source) == (RATES, "book")
    assert (new.price.rates, new.price.tiers, new.source) == (dearer, tiers, "file")
    assert new.price.id > old.price.id


def test_a_usage_row_is_found_by_its_id_and_by_its_label_for_its_owner_only(path: Path) -> None:
    made, later = call(label="label"), call(label="label")

    async def story() -> None:
        async with open_writer(path) as ledger:
            await fund(ledger)
            await ledger.post(statements.add_user(OPS))
            await ledger.post(statements.add_key(CI))
            await pay(ledger, made)
            await pay(ledger, later)

    asyncio.run(story())
    with Reader(path) as reader:
        row = reader.usage(made.id, WALLET)
        assert row is not None
        assert (row.id, row.request_id, row.key, row.wallet) == (made.id, "label", "ci", "user:ops")
        assert row.stream is True
        assert row.estimated is False
        newest = reader.usage("label", WALLET)
        assert newest is not None
        assert newest.id == max(made.id, later.id)
        assert reader.usage(made.id, "usr_2") is None
        assert reader.usage("label", "usr_2") is None
        assert reader.usage("unknown") is None


def test_usage_rows_are_listed_newest_first_by_any_of_their_traits(path: Path) -> None:
    async def story() -> None:
        async with open_writer(path) as ledger:
            await fund(ledger)
            await fund(ledger, wallet="usr_2")
            await ledger.post(statements.add_key(CI))
            for wallet in (WALLET, "usr_2", WALLET):
                await pay(ledger, call(wallet=wallet))
            failed = call()
            await ledger.post(hold(failed))
            await ledger.post(Settle(id=failed.id, cost=NanoUsd(0), outcome="failed", status=502))

    asyncio.run(story())
    with Reader(path) as reader:
        rows = reader.usages()
        count: Callable[[UsageFilter], int] = lambda which: len(reader.usages(which))  # noqa: E731
        assert [row.id for row in rows] == sorted((row.id for row in rows), reverse=True)
        assert len(reader.usages(limit=2)) == 2
        assert count(UsageFilter(wallet="usr_2")) == 1
        assert count(UsageFilter(outcome="failed")) == 1
        assert count(UsageFilter(channel="sim", wallet=WALLET)) == 2
        assert count(UsageFilter(key="ci")) == count(UsageFilter(key=KEY)) == 4
        assert count(UsageFilter(model="other")) == 0
        assert count(UsageFilter(since_us=rows[1].settled_us, until_us=rows[0].settled_us)) == 1
        assert reader.usages(UsageFilter(after=rows[1].id)) == rows[2:]


def test_the_last_answers_of_a_model_are_those_that_a_wallet_got_whole_newest_first(path: Path) -> None:
    async def main() -> None:
        async with open_writer(path) as ledger:
            for wallet in (WALLET, "usr_2"):
                await fund(ledger, wallet=wallet)
            for number in range(1, 4):
                one = call()
                await ledger.post(hold(one))
                await ledger.post(settle(one, usage=Usage(completion=number, reasoning=10)))
            other, theirs, cut = msgspec.structs.replace(call(), model="other"), call(wallet="usr_2"), call()
            for one in (other, theirs, cut):
                await ledger.post(hold(one))
            await ledger.post(settle(other))
            await ledger.post(settle(theirs))
            await ledger.post(Settle(cut.id, COST, "cut", Usage(completion=9)))

    asyncio.run(main())

    with Reader(path) as reader:
        assert reader.recent_answers(WALLET, "sim/text") == [13, 12, 11]
        assert reader.recent_answers(WALLET, "nothing") == []


def test_text_of_any_kind_comes_back_and_the_chain_still_holds(path: Path) -> None:
    strange = 'ü"\\\n\u2028😀\0</script>'

    async def story() -> str:
        async with open_writer(path) as ledger:
            await fund(ledger)
            made = call(label=strange, id=uuid7())
            await ledger.post(hold(made))
            await ledger.post(msgspec.structs.replace(settle(made), code=strange, upstream_id=strange))
            return made.id

    id = asyncio.run(story())
    with Reader(path) as reader:
        row = reader.usage(id)
    assert row is not None
    assert (row.request_id, row.code, row.upstream_id, row.charged) == (strange, strange, strange, COST)
    assert broken(path) == []
