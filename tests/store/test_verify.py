"""What somebody changed in the database is found, and named."""

import asyncio
from pathlib import Path

import apsw
import pytest
from store_scene import COST, WALLET, broken, call, fund, hold, pay, settle

from deeptoken.catalog.price import charge
from deeptoken.ledger.postings import Checkpoint, Grant, Refund
from deeptoken.money import NanoUsd, usd
from deeptoken.store.ledger import open_writer
from deeptoken.store.sqlite import backup
from deeptoken.store.verify import verify


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger of two epochs: draws from one lot and from two, a loss, a refund."""

    async def story(path: Path) -> None:
        async with open_writer(path) as ledger:
            await fund(ledger, "0.003")
            for _ in range(2):
                await pay(ledger)
            await ledger.post(
                Grant(wallet=WALLET, lot="lot_2", amount=usd("0.01"), source="pack", ref="pack_1")
            )
            split = call()
            await pay(ledger, split)
            await ledger.post(Refund(usage=split.id, lot="lot_3", amount=NanoUsd(7), ref="refund_1"))
        async with open_writer(path) as ledger:
            dear = call()
            await ledger.post(hold(dear))
            await ledger.post(settle(dear, cost=usd("1")))
            await ledger.post(Grant(wallet=WALLET, lot="lot_4", amount=usd("5"), source="grant", ref="last"))
            await pay(ledger)

    made = tmp_path / "deeptoken.db"
    asyncio.run(story(made))
    return made


def tamper(path: Path, *statements: str) -> None:
    connection = apsw.Connection(str(path))
    for statement in statements:
        connection.execute(statement)
    connection.close()


def names(path: Path) -> dict[str, list[str]]:
    return {
        finding.name: [f"{problem.subject}: {problem.detail}" for problem in finding.problems]
        for finding in broken(path)
    }


def sentence(path: Path, name: str) -> str:
    """What is said of an invariant that holds."""
    (finding,) = (finding for finding in verify(path, charge) if finding.name == name)
    assert finding.count == 0
    return finding.sentence


def test_an_untouched_ledger_has_no_problem_but_the_bill_that_was_made_up(path: Path) -> None:
    found = names(path)

    assert list(found) == ["bills"]  # The call that cost a dollar used tokens for less.
    assert len(found["bills"]) == 1


def test_every_invariant_is_told_with_its_sentence_and_the_progress(path: Path) -> None:
    told: list[tuple[str, int, int]] = []

    findings = list(verify(path, charge, progress=lambda name, done, total: told.append((name, done, total))))

    assert [finding.name for finding in findings] == [
        "I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "I10", "I12", "I11", "bills",
    ]  # fmt: skip
    assert all(finding.sentence.endswith(".") for finding in findings)
    assert {name for name, done, total in told if done == total} == {finding.name for finding in findings}


def test_the_ledger_cannot_be_edited_by_mistake(path: Path) -> None:
    for table in ("usage", "entry", "price", "batch"):
        with pytest.raises(apsw.ConstraintError, match="append-only"):
            tamper(path, f"delete from {table}")
    with pytest.raises(apsw.ConstraintError, match="append-only"):
        tamper(path, "update usage set charged = 0")


@pytest.mark.parametrize(
    ("statement", "also"),
    [
        ("update usage set channel = 'other' where rowid = 1", set()),
        ("update usage set cost = cost + 1 where rowid = 1", {"I5"}),
        ("update usage set classes = '{\"prompt\":1}' where rowid = 1", {"bills"}),
        ("update usage set settled_us = settled_us + 1 where rowid = 1", set()),
    ],
)
def test_an_edited_usage_row_is_found_with_its_batch(path: Path, statement: str, also: set[str]) -> None:
    before = names(path)
    tamper(path, "drop trigger usage_stays", statement)

    found = names(path)

    assert found["I11"] == ["batch 4 of epoch 1: its 1 rows are not those that were written"]
    assert set(found) == {"I11", *before, *also}


def test_a_deleted_usage_row_is_found_with_its_batch(path: Path) -> None:
    tamper(path, "drop trigger usage_remains", "delete from usage where rowid = 2")

    found = names(path)

    assert found["I11"] == ["batch 5 of epoch 1: its 1 rows are not those that were written"]
    assert {"I3", "I6"} <= set(found)


def test_a_usage_row_that_was_put_in_is_found(path: Path) -> None:
    tamper(
        path,
        "create temp table more as select * from usage where rowid = 1",
        """
        insert into usage (request_id, request_label, endpoint, key_id, wallet_id, model, price_id, ratio_ppm,
            stream, classes, estimated, cost, charged, split, outcome, status, duration_ms, created_us,
            settled_us, epoch, batch_no, n)
        select 'new', '', 'chat', key_id, wallet_id, model, price_id, ratio_ppm, 0, '{}', 0, 0, 0, 0,
            'failed', 502, 1, created_us, settled_us, epoch, batch_no, 1 from usage where rowid = 1
        """,
    )

    assert "new: a row of usage that no batch wrote there" in names(path)["I11"]


def test_an_edited_price_is_found_by_the_chain_and_by_every_bill(path: Path) -> None:
    tamper(
        path,
        "drop trigger price_stays",
        """update price set rates = '{"prompt":1,"completion":1}'""",
    )

    found = names(path)

    assert found["I11"] == ["batch 1 of epoch 1: its 1 rows are not those that were written"]
    assert len(found["bills"]) == 5


def test_an_edited_balance_a_hold_and_a_lot_are_found(path: Path) -> None:
    tamper(path, "update wallet set balance = balance + 1")
    assert {"I1", "I3"} <= set(names(path))

    tamper(path, "update lot set remaining = remaining + 1 where id = 'lot_4'")
    assert "I6" in names(path)

    tamper(path, "update wallet set held = 5")
    assert "I2" in names(path)


def test_a_deleted_entry_and_a_deleted_batch_are_found(path: Path) -> None:
    tamper(path, "drop trigger entry_remains", "delete from entry where kind = 'loss'")
    assert {"I5", "I11"} <= set(names(path))

    tamper(path, "drop trigger batch_remains", "delete from batch where epoch = 1 and batch_no = 3")
    assert (
        "batch 4 of epoch 1: the batch before it is missing; the last is batch 2 of epoch 1"
        in (names(path)["I11"])
    )


def test_a_hold_whose_process_has_ended_is_found_and_one_that_was_settled_too(path: Path) -> None:
    tamper(
        path,
        """
        insert into hold (request_id, wallet_id, key_id, call, amount, used, tokens, epoch, created_us)
        select request_id, wallet_id, key_id, '[]', 0, 0, 0, 1, 1 from usage where rowid = 1
        """,
    )

    assert {"I4", "I12"} <= set(names(path))


def test_holds_of_a_killed_process_wait_for_the_next_start_and_those_of_a_running_one_do_not(
    tmp_path: Path,
) -> None:
    async def story() -> tuple[str, str]:
        async with open_writer(tmp_path / "deeptoken.db") as ledger:
            await fund(ledger)
            for _ in range(3):
                await ledger.post(hold(call()))
            await pay(ledger)
            # What a kill leaves: the file as it is now, and nobody who has its lock.
            backup(tmp_path / "deeptoken.db", tmp_path / "killed.db")
            return sentence(tmp_path / "deeptoken.db", "I12"), sentence(tmp_path / "killed.db", "I12")

    running, killed = asyncio.run(story())

    assert running == "No hold is open whose process has ended."
    assert killed == "3 holds wait for the next start to settle."


def test_a_ledger_says_how_many_bills_of_orphans_cannot_be_computed_again(tmp_path: Path) -> None:
    path = tmp_path / "deeptoken.db"

    async def story() -> str:
        async with open_writer(path) as ledger:
            await fund(ledger)
            charged, free = call(), call()
            for made in (charged, free):
                await ledger.post(hold(made))
            await ledger.post(Checkpoint(id=charged.id, used=COST))
            await pay(ledger)
            backup(path, tmp_path / "killed.db")
            async with open_writer(tmp_path / "killed.db"):
                return sentence(path, "bills")

    running = asyncio.run(story())

    assert running.startswith("Every bill can be computed again")
    assert sentence(tmp_path / "killed.db", "bills").startswith(
        "Every bill but those of orphans, charged at a checkpoint (1), can be computed again"
    )


def test_a_draw_from_the_younger_lot_and_one_after_the_expiry_are_found(path: Path) -> None:
    tamper(path, "update lot set remaining = 5 where id = 'lot_2'")
    assert "I10" in names(path)

    tamper(path, "update lot set expires_us = 1 where id = 'lot_4'")
    assert "I9" in names(path)


def test_a_refund_above_the_charge_is_found(path: Path) -> None:
    tamper(path, "drop trigger entry_stays", f"update entry set amount = {COST + 1} where kind = 'refund'")

    assert "I7" in names(path)


def test_what_a_second_wallet_holds_of_a_call_that_is_not_open_is_found(path: Path) -> None:
    tamper(
        path,
        """
        insert into hold (request_id, wallet_id, key_id, call, amount, used, tokens, epoch, created_us)
        select request_id || '/2', wallet_id, key_id, '[]', 0, 0, 0, 1, 1 from usage where rowid = 1
        """,
    )

    assert names(path)["I4"][0].endswith("/2: the rest of a call that is not open")


@pytest.mark.parametrize(
    ("subject", "charged", "found"),
    [
        ("key_parent", COST, False),
        ("key_parent", COST - 1, True),
        (WALLET, COST + 1, True),
    ],
    ids=["whole", "part", "more"],
)
def test_what_counts_at_a_subject_and_was_not_paid_is_found(
    path: Path, subject: str, charged: int, found: bool
) -> None:
    tamper(
        path,
        f"""
        insert into spent (subject, request_id, created_us, settled_us, charged, tokens)
        select '{subject}', request_id, created_us, settled_us, {charged}, 0 from usage where rowid = 1
        """,
    )

    assert ("I8" in names(path)) is found
