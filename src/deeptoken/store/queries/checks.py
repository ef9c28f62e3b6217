"""What must hold of money, as statements that find what does not: who, and what is wrong.

The numbers are those of the design; I13 and I14 have no rows of their own in this database.
"""

import msgspec


class Check(msgspec.Struct, frozen=True):
    """A statement that returns nothing while the sentence is true, else rows of (subject, detail)."""

    name: str
    sentence: str
    sql: str


BALANCES = Check(
    "I1",
    "A wallet's balance is the sum of what its lots have left.",
    """
    select id, 'balance ' || balance || ', lots ' || lots from (
        select wallet.id, balance, (
            select coalesce(sum(remaining), 0) from lot where wallet_id = wallet.id
        ) as lots
        from wallet
    ) where balance <> lots
    """,
)
HELD = Check(
    "I2",
    "Nothing is held twice: 0 <= held <= balance, and held is the sum of the wallet's open holds.",
    """
    select id, 'held ' || held || ', holds ' || holds || ', balance ' || balance from (
        select wallet.id, balance, held, coalesce(amounts, 0) as holds from wallet
        left join (select wallet_id, sum(amount) as amounts from hold group by wallet_id) as open
        on open.wallet_id = wallet.id
    ) where held <> holds or held < 0 or held > balance
    union all
    select request_id, 'a hold on wallet ' || wallet_id || ', which is not there' from hold
    where wallet_id not in (select id from wallet)
    """,
)
ACCOUNTS = Check(
    "I3",
    "A wallet's balance is what the journal credited to it less what it debited.",
    """
    select id, 'balance ' || balance || ', journal ' || moved from (
        select wallet.id, balance, coalesce(amounts, 0) as moved from wallet left join (
            select account, sum(amount) as amounts from (
                select credit as account, amount from journal
                union all
                select debit, -amount from journal
            ) group by account
        ) on account = wallet.id
    ) where balance <> moved
    union all
    select request_id, 'charged to wallet ' || wallet_id || ', which is not there' from usage
    where wallet_id not in (select id from wallet)
    """,
)
ONE_END = Check(
    "I4",
    "A call has an open hold or a usage row, never both.",
    """
    select hold.request_id, 'open and settled' from hold join usage on usage.request_id = hold.request_id
    union all
    select request_id, 'the rest of a call that is not open' from hold
    where request_id glob '*/2' and substr(request_id, 1, length(request_id) - 2) not in (
        select request_id from hold
    )
    """,
)
PAID = Check(
    "I5",
    "What a call was charged was drawn from lots, and what it cost beyond that is the operator's loss.",
    """
    select request_id, 'charged ' || charged || ', drawn ' || drawn || ', cost ' || cost || ', lost ' || lost
    from (
        select request_id, charged, cost, coalesce(losses, 0) as lost,
            case when split then coalesce(draws, 0) when lot_id is null then 0 else charged end as drawn
        from usage left join (
            select ref, sum(amount) filter (where kind = 'draw') as draws,
                sum(amount) filter (where kind = 'loss' and n = 0) as losses
            from entry where kind in ('draw', 'loss') group by ref
        ) on ref = request_id
    ) where charged <> drawn or cost <> charged + lost
    """,
)
LOTS = Check(
    "I6",
    "A lot has left what came into it less what was drawn from it, lapsed or was taken back.",
    """
    select id, 'remaining ' || remaining || ', journal ' || moved || ', granted ' || granted from (
        select lot.id, remaining, granted, coalesce(amounts, 0) as moved, coalesce(came, 0) as came from lot
        left join (
            select lot_id, wallet_id,
                sum(case when credit = wallet_id then amount else -amount end) as amounts,
                sum(amount) filter (where credit = wallet_id) as came
            from journal join lot on lot.id = lot_id group by lot_id
        ) as movements on movements.lot_id = lot.id
    ) where remaining <> moved or granted <> came
    """,
)
REFUNDS = Check(
    "I7",
    "A call is never given back more than it was charged.",
    """
    select ref, 'refunded ' || refunded || ', charged ' || coalesce(paid, 0) from (
        select entry.ref, sum(amount) filter (where kind = 'refund') as refunded,
            max(charged)
            + coalesce(sum(amount) filter (where kind = 'late' and credit = 'revenue'), 0) as paid
        from entry left join usage on request_id = entry.ref
        where kind in ('refund', 'late') group by entry.ref
    ) where refunded > coalesce(paid, 0)
    """,
)
EXPIRED = Check(
    "I9",
    "No lot pays a call that began after it expired.",
    """
    select request_id, 'began at ' || usage.created_us || ', lot ' || lot.id || ' expired at ' || expires_us
    from usage join lot on lot.id = lot_id where usage.created_us >= expires_us and charged > 0
    union all
    select request_id, 'began at ' || usage.created_us || ', lot ' || lot.id || ' expired at ' || expires_us
    from entry join usage on request_id = entry.ref join lot on lot.id = entry.lot_id
    where entry.kind = 'draw' and usage.created_us >= expires_us
    """,
)
OLDEST_FIRST = Check(
    "I10",
    "Lots drain oldest first: none was drawn from while an older one had credit that was valid.",
    """
    select younger.id, 'drawn at ' || drawn_us || ' while lot ' || older.id || ' has ' || older.remaining
    from (
        select lot_id, max(drawn_us) as drawn_us from (
            select lot_id, settled_us as drawn_us from usage where lot_id is not null and charged > 0
            union all
            select lot_id, created_us from entry where kind = 'draw'
        ) group by lot_id
    ) as draw
    join lot as younger on younger.id = draw.lot_id
    join lot as older on older.wallet_id = younger.wallet_id and older.rank < younger.rank
    where older.remaining > 0 and (older.expires_us is null or older.expires_us > drawn_us)
    """,
)
LIVING = Check(
    "I12",
    "No hold is open whose process has ended.",
    """
    select request_id, 'held by epoch ' || epoch || ', which is ' || coalesce(state, 'unknown')
    from hold left join replica using (epoch) where state is not 'live'
    """,
)

COUNTED = Check(
    "I8",
    "What counts at a parent key is a call's whole charge, at an organization what its own wallet paid.",
    """
    select request_id, 'counted ' || charged || ' for ' || subject || ', paid ' || coalesce(paid, 'nothing')
    from (
        select spent.request_id, subject, spent.charged,
            spent.settled_us is usage.settled_us and spent.created_us is usage.created_us as timely,
            case when split and subject glob 'org_*' then (
                select coalesce(sum(amount), 0) from entry
                where ref = spent.request_id and kind = 'draw' and debit = wallet_id
            ) else usage.charged end as paid
        from spent left join usage using (request_id)
    ) where charged is not paid or not timely
    """,
)

CHECKS = (BALANCES, HELD, ACCOUNTS, ONE_END, PAID, LOTS, REFUNDS, COUNTED, EXPIRED, OLDEST_FIRST, LIVING)

WAITING = "select count(*) from hold join replica using (epoch) where state = 'live'"
COUNT_BATCHES = "select count(*) from batch"
BATCHES = "select epoch, batch_no, n, prev_hash, hash from batch order by epoch, batch_no"
CHAINED_PRICES = """
select id, model, rates, tiers, from_us, source, epoch, batch_no, n from price order by id
"""
COUNT_USAGE = "select count(*) from usage"
CHECKPOINT_BILLS = "select count(*) from usage where outcome = 'orphan' and cost > 0"
BILLS = "select request_id, price_id, ratio_ppm, classes, cost, outcome from usage order by rowid"
