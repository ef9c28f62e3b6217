"""A usage row as people and programs read it: `usage --json`, ``GET /v1/generation``. Amounts are credits."""

from typing import Any

import msgspec

from deeptoken.money import credits_json
from deeptoken.store.queries.money import UsageRecord

AMOUNTS = ("cost", "charged", "refunded")


def shown(record: UsageRecord, *, attempts: bool = False) -> dict[str, Any]:
    """The row as JSON says it; with `attempts`, each channel that was asked, in order."""
    row: dict[str, Any] = {
        name: getattr(record, name)
        for name in UsageRecord.__struct_fields__
        if name not in ("attempts", "wallets", *AMOUNTS)
    }
    if record.wallets:
        row["wallets"] = record.wallets
    row |= {name: credits_json(getattr(record, name)) for name in AMOUNTS}
    if attempts:
        row["attempts"] = _attempts(record)
    return row


def _attempts(record: UsageRecord) -> list[Any]:
    """As they were written down; of a single one that went well, what the row says of it."""
    if record.attempts:
        told: list[Any] = msgspec.json.decode(record.attempts)
        return told
    if record.outcome == "failed" or record.channel is None:
        return []
    return [
        {
            "channel": record.channel,
            "model": record.model,
            "began_ms": 0,
            "duration_ms": record.duration_ms,
            "ttft_ms": record.ttft_ms,
            "status": record.status,
            "accepted": True,
        }
    ]
