"""Usage rows and entries as they were written, column by column: for the past, and to check the chain."""

import msgspec

from deeptoken.ledger.changes import EntryRow, UsageRow
from deeptoken.ledger.postings import Call
from deeptoken.store.sqlite import Row

USAGE_COLUMNS = """
request_id, request_label, endpoint, key_id, wallet_id, model, price_id, ratio_ppm, stream,
classes, estimated, cost, charged, lot_id, split, outcome, status, code, channel, attempts,
upstream_id, ttft_ms, duration_ms, created_us, settled_us
"""
ENTRY_COLUMNS = "ref, kind, n, debit, credit, amount, lot_id, created_us"

USAGE_ROW = f"select {USAGE_COLUMNS} from usage where request_id = $1"
ENTRIES_OF = f"select {ENTRY_COLUMNS} from entry where ref = $1 order by kind, n"

CALL_COLUMNS = len(Call.__struct_fields__)

_classes = msgspec.json.Decoder(dict[str, int]).decode


def usage_row(row: Row) -> UsageRow:
    """From the columns of `USAGE_COLUMNS`."""
    classes = row[CALL_COLUMNS]
    assert isinstance(classes, str)
    # Not strict: a boolean is a number in the database.
    return msgspec.convert(
        (row[:CALL_COLUMNS], _classes(classes), *row[CALL_COLUMNS + 1 :]), UsageRow, strict=False
    )


def entry_row(row: Row) -> EntryRow:
    """From the columns of `ENTRY_COLUMNS`."""
    return msgspec.convert(row, EntryRow)
