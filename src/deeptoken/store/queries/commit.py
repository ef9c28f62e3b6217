"""What one batch writes, as one statement: an insert into a view whose trigger does the rest.

The thread that writes then gives up Python's lock once for a batch, not once for a statement, and
SQLite commits within that one step. Rows come as JSON, an array for a table, in the shapes of
`ledger/changes.py`; a row's place in its array is its `n`.
"""

from deeptoken.ledger.changes import EntryRow, HoldRow, LotRow, SpentRow, UsageRow, WalletRow
from deeptoken.ledger.postings import Call


def _at(*path: int) -> str:
    return "value ->> '$" + "".join(f"[{index}]" for index in path) + "'"


def _all_of(struct: type[WalletRow | LotRow | SpentRow], *, start: int = 0) -> str:
    return ", ".join(_at(index) for index in range(start, len(struct.__struct_fields__)))


_CALL = ", ".join(_at(0, index) for index in range(len(Call.__struct_fields__)))
_USAGE = ", ".join(_at(index) for index in range(2, len(UsageRow.__struct_fields__)))
_HOLD = ", ".join(_at(index) for index in range(1, len(HoldRow.__struct_fields__)))
_ENTRY = ", ".join(_at(index) for index in range(len(EntryRow.__struct_fields__)))

WALLETS = f"""
insert into wallet (id, balance, held)
select {_all_of(WalletRow)} from jsonb_each(new.wallets) where true
on conflict (id) do update set balance = excluded.balance, held = excluded.held;
"""
LOTS = f"""
insert into lot (id, wallet_id, source, rank, granted, remaining, expires_us, ref, created_us)
select {_all_of(LotRow)} from jsonb_each(new.lots) where true
on conflict (id) do update set remaining = excluded.remaining;
"""
HOLDS = f"""
insert into hold (
    call, request_id, wallet_id, key_id, amount, used, tokens, epoch, created_us, subjects, fallback
)
select value -> '$[0]', {_at(0, 0)}, {_at(0, 4)}, {_at(0, 3)}, {_HOLD} from jsonb_each(new.holds) where true
on conflict (request_id) do update
set amount = excluded.amount, used = excluded.used, tokens = excluded.tokens;
"""
ENDED = "delete from hold where request_id in (select value from jsonb_each(new.ended));\n"
USAGE = f"""
insert into usage (
    request_id, request_label, endpoint, key_id, wallet_id, model, price_id, ratio_ppm, stream,
    classes, estimated, cost, charged, lot_id, split, outcome, status, code, channel, attempts,
    upstream_id, ttft_ms, duration_ms, created_us, settled_us, epoch, batch_no, n
)
select {_CALL}, value -> '$[1]', {_USAGE}, new.epoch, new.batch_no, key from jsonb_each(new.usage);
"""
ENTRIES = f"""
insert into entry (ref, kind, n, debit, credit, amount, lot_id, created_us, epoch, batch_no, place)
select {_ENTRY}, new.epoch, new.batch_no, key from jsonb_each(new.entries);
"""
SPENT = f"""
insert into spent (subject, request_id, created_us, settled_us, charged, tokens)
select {_all_of(SpentRow)} from jsonb_each(new.spent);
"""
BATCH = """
insert into batch (epoch, batch_no, n, prev_hash, hash, committed_us)
values (new.epoch, new.batch_no, new.n, new.prev_hash, new.hash, new.committed_us);
"""

COLUMNS = (
    "epoch", "batch_no", "n", "prev_hash", "hash", "committed_us",
    "wallets", "lots", "holds", "ended", "usage", "entries", "spent",
)  # fmt: skip

VIEW = f"create temp view change as select {', '.join(f'null as {column}' for column in COLUMNS)}"
TRIGGER = (
    f"create temp trigger apply_change instead of insert on change begin\n"
    f"{WALLETS}{LOTS}{HOLDS}{ENDED}{USAGE}{ENTRIES}{SPENT}{BATCH}end"
)
APPLY = (
    f"insert into change ({', '.join(COLUMNS)}) "
    f"values ({', '.join(f'${number}' for number in range(1, len(COLUMNS) + 1))})"
)

CLAIM = """
insert into idempotency (key_id, name, fingerprint, request_id, reply, expires_us)
values ($1, $2, $3, $4, $5, $6)
on conflict (key_id, name) do update
set fingerprint = excluded.fingerprint, request_id = excluded.request_id,
    reply = excluded.reply, expires_us = excluded.expires_us
"""
EXPIRE_CLAIMS = "delete from idempotency where expires_us <= $1"
COMMITTED = "select count(*) from batch where epoch = $1 and batch_no = $2"

NEW_REPLICA = "insert into replica (epoch, state, started_us) values ($1, 'live', $2)"
END_REPLICA = "update replica set state = $2, ended_us = $3 where epoch = $1 and state = 'live'"
KEEP_ANSWERS = "update replica set batch_no = $2, answers = $3 where epoch = $1"
