"""An edit is done whole or not at all, and its row in the audit log stands in the hash chain."""

import asyncio
from pathlib import Path

import apsw
import pytest
from store_scene import broken

from deeptoken.ledger.postings import Answer, Done, Edit, Posting, Rejected
from deeptoken.store.ledger import open_ledger, open_writer
from deeptoken.store.queries.account_statements import (
    add_audited,
    add_organization,
    delete_organization,
    set_organization,
)
from deeptoken.store.queries.accounts import Organization
from deeptoken.store.reads import Reader

ACME = Organization(id="org_1", slug="acme", name="Acme", created_us=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deeptoken.db"


def audit(action: str) -> Posting:
    return add_audited(
        at_us=5,
        actor="usr_1",
        actor_name="user:ops",
        address="192.0.2.1",
        action=action,
        tenant=ACME.id,
        subject="org:acme",
        before=None,
        after={"mode": "strict"},
    )


def edit(*steps: Posting) -> Edit:
    return Edit(steps)  # type: ignore[arg-type] # what the functions of `statements` make


def posted(path: Path, *postings: Posting) -> list[Answer]:
    async def post() -> list[Answer]:
        async with open_writer(path) as ledger:
            return await asyncio.gather(*(ledger.post(posting) for posting in postings))

    return asyncio.run(post())


def actions(path: Path) -> list[str]:
    with Reader(path) as reader:
        return [row.action for row in reader.audited(None, before=2**62, limit=100)]


def test_all_its_steps_are_done_and_the_log_says_so(path: Path) -> None:
    answers = posted(path, edit(add_organization(ACME), audit("org.create")))

    assert answers == [Done(changed=True)]
    with Reader(path) as reader:
        assert reader.organizations() == [ACME]
        [row] = reader.audited("org_1", before=2**62, limit=10)
    assert (row.actor_name, row.action, row.after) == ("user:ops", "org.create", '{"mode":"strict"}')
    assert broken(path) == []


def test_a_step_that_meets_no_row_undoes_those_before_it(path: Path) -> None:
    stale = Organization(id="org_1", slug="acme", name="New", version=7, created_us=1)

    answers = posted(
        path,
        edit(add_organization(ACME), audit("org.create")),
        edit(audit("org.change"), set_organization(stale)),
        edit(audit("org.create"), add_organization(ACME)),
    )

    assert answers[:2] == [Done(changed=True), Done(changed=False)]
    assert isinstance(answers[2], Rejected)
    assert "a slug is given once" in answers[2].why
    assert actions(path) == ["org.create"]
    assert broken(path) == []


def test_a_change_made_from_an_older_state_is_not_made(path: Path) -> None:
    answers = posted(
        path, edit(add_organization(ACME)), edit(set_organization(ACME)), edit(set_organization(ACME))
    )

    assert [answer.changed for answer in answers if isinstance(answer, Done)] == [True, True, False]


def test_another_process_posts_one_through_the_writers_socket(path: Path) -> None:
    async def story() -> list[Answer]:
        async with open_writer(path), open_ledger(path) as remote:
            return [
                await remote.post(edit(add_organization(ACME), audit("org.create"))),
                await remote.post(edit(delete_organization(ACME.id, 9), audit("org.delete"))),
            ]

    assert asyncio.run(story()) == [Done(changed=True), Done(changed=True)]
    assert actions(path) == ["org.delete", "org.create"]


@pytest.mark.parametrize(
    "tampering",
    [
        "update audit set actor_name = 'user:bob' where seq = 1",
        "delete from audit where seq = 1",
        "insert into audit select 9, at_us, actor, actor_name, address, action, tenant, subject, before, "
        "after, epoch, batch_no, 1 from audit where seq = 1",
    ],
    ids=["changed", "removed", "added"],
)
def test_what_somebody_did_to_the_log_is_found(path: Path, tampering: str) -> None:
    posted(path, edit(add_organization(ACME), audit("org.create")))
    connection = apsw.Connection(str(path))
    connection.execute("drop trigger audit_stays; drop trigger audit_remains")

    connection.execute(tampering)
    connection.close()

    assert [finding.name for finding in broken(path)] == ["I11"]


def test_the_log_cannot_be_changed_or_shortened(path: Path) -> None:
    posted(path, edit(add_organization(ACME), audit("org.create")))
    connection = apsw.Connection(str(path))

    for statement in ("update audit set subject = ''", "delete from audit"):
        with pytest.raises(apsw.ConstraintError, match="append-only"):
            connection.execute(statement)
