"""What may be written that is not money, each by its name. Nothing else is accepted from other processes.

The functions make the postings: ``await ledger.post(statements.add_user(user))``. The answer is `Done`, its
`changed` false where the statement met no row, or `Rejected` with the sentence that stands beside it.
"""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from deeptoken.catalog.entry import Entry
from deeptoken.catalog.model import Rates, Tier
from deeptoken.ledger.postings import Limit, Statement
from deeptoken.store.queries import account_statements, email, identities, sign_in
from deeptoken.store.queries.people import Key, StoredChannel, User
from deeptoken.store.queries.write import Write

_json = msgspec.json.Encoder()

WRITES: Mapping[str, Write] = MappingProxyType(
    {
        "user_add": Write(
            """
            insert into "user" (id, name, tier, operator, from_file, created_us)
            values ($1, $2, $3, $4, $5, $6)
            """,
            taken="There is a user of that name already.",
        ),
        "user_set": Write(
            """
            update "user" set tier = $2, operator = $3, from_file = $4, version = version + 1
            where id = $1 and version = $5
            and (tier is distinct from $2 or operator <> $3 or from_file <> $4)
            """
        ),
        "user_suspend": Write(
            """
            update "user" set suspended_us = $2, version = version + 1
            where id = $1 and suspended_us is distinct from $2
            """
        ),
        "key_add": Write(
            """
            insert into key (id, name, owner, sha256, prefix, limits, models, ips, scope, expires_us,
                from_file, created_us, timeout_ms, parent_id, cheaper_model, webhook, created_by,
                children)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
            """,
            taken="This owner has a key of that name already, or the secret belongs to another key.",
        ),
        "key_set": Write(
            """
            update key set name = $2, sha256 = $3, prefix = $4, limits = $5, models = $6, ips = $7,
                scope = $8, expires_us = $9, from_file = $10, out_of_file_us = $11, timeout_ms = $12,
                cheaper_model = $13, webhook = $14, children = $15, version = version + 1
            where id = $1 and deleted_us is null and version = $16
            """,
            taken="This owner has a key of that name already, or the secret belongs to another key.",
        ),
        "key_revoke": Write(
            """
            update key set revoked_us = $2, version = version + 1
            where id = $1 and revoked_us is null and deleted_us is null
            """
        ),
        "key_delete": Write(
            "update key set deleted_us = $2 where id = $1 and revoked_us is not null and deleted_us is null"
        ),
        # A child that never called leaves nothing that names it.
        "children_forget": Write(
            """
            delete from key where id in (
                select id from key
                where parent_id is not null and deleted_us is null and expires_us <= $1
                    and not exists (select 1 from usage where usage.key_id = key.id)
                order by expires_us limit 1000
            )
            """,
            notify=False,
        ),
        "children_end": Write(
            """
            update key set deleted_us = $2, revoked_us = coalesce(revoked_us, $2), version = version + 1
            where id in (
                select id from key
                where parent_id is not null and deleted_us is null and expires_us <= $1
                    and exists (select 1 from usage where usage.key_id = key.id)
                order by expires_us limit 1000
            )
            """,
            notify=False,
        ),
        "key_used": Write("update key set last_used_us = $2 where id = $1", notify=False),
        "channel_add": Write(
            """
            insert into channel (id, name, settings, secret, enabled, created_us)
            values ($1, $2, $3, $4, $5, $6)
            """,
            taken="There is a channel of that name already.",
        ),
        "channel_set": Write(
            """
            update channel set settings = $2, secret = $3, enabled = $4, version = version + 1
            where id = $1 and version = $5
            """
        ),
        "channel_remove": Write("delete from channel where id = $1"),
        "model_set": Write(
            """
            insert into model (key, facts) values ($1, $2)
            on conflict (key) do update set facts = excluded.facts where facts <> excluded.facts
            """
        ),
        # A price that holds already is not added again, so the same book can be applied at every start.
        "price_add": Write(
            """
            insert into price (model, rates, tiers, from_us, source, epoch, batch_no, n)
            select $1, $2, $3, $4, $5, $6, $7, $8 where not exists (
                select 1 from price where rates = $2 and tiers = $3
                and id = (select id from price where model = $1 order by from_us desc, id desc limit 1)
            )
            returning id, model, rates, tiers, from_us, source
            """,
            chained="price",
        ),
        **account_statements.WRITES,
        **sign_in.WRITES,
        **email.WRITES,
        **identities.WRITES,
    }
)


def add_user(user: User) -> Statement:
    return Statement(
        name="user_add",
        parameters=(user.id, user.name, user.tier, int(user.operator), int(user.from_file), user.created_us),
    )


def set_user(user: User) -> Statement:
    """Its tier, whether it is an operator, whether the file declares it."""
    return Statement(
        name="user_set",
        parameters=(user.id, user.tier, int(user.operator), int(user.from_file), user.version),
    )


def suspend_user(id: str, at_us: int | None) -> Statement:
    """None lifts the suspension."""
    return Statement(name="user_suspend", parameters=(id, at_us))


def add_key(key: Key) -> Statement:
    return Statement(
        name="key_add",
        parameters=(
            key.id, key.name, key.owner, key.sha256, key.prefix, *_rules(key.limits, key.models, key.ips),
            key.scope, key.expires_us, int(key.from_file), key.created_us, key.timeout_ms, key.parent,
            key.cheaper_model, key.webhook, key.created_by, int(key.children),
        ),
    )  # fmt: skip


def set_key(key: Key) -> Statement:
    """All of a key but its id, its owner and its end; nothing if it has changed since it was read."""
    return Statement(
        name="key_set",
        parameters=(
            key.id, key.name, key.sha256, key.prefix, *_rules(key.limits, key.models, key.ips),
            key.scope, key.expires_us, int(key.from_file), key.out_of_file_us, key.timeout_ms,
            key.cheaper_model, key.webhook, int(key.children), key.version,
        ),
    )  # fmt: skip


def revoke_key(id: str, at_us: int) -> Statement:
    return Statement(name="key_revoke", parameters=(id, at_us))


def delete_key(id: str, at_us: int) -> Statement:
    """Only a revoked key can be deleted; its usage rows stay."""
    return Statement(name="key_delete", parameters=(id, at_us))


def use_key(id: str, at_us: int) -> Statement:
    return Statement(name="key_used", parameters=(id, at_us))


def tidy_children(before_us: int, now_us: int) -> tuple[Statement, Statement]:
    """Child keys that expired before then: those that never called go, the others count as deleted."""
    return (
        Statement(name="children_forget", parameters=(before_us,)),
        Statement(name="children_end", parameters=(before_us, now_us)),
    )


def add_channel(channel: StoredChannel) -> Statement:
    return Statement(
        name="channel_add",
        parameters=(
            channel.id, channel.name, _text(channel.settings), channel.secret, int(channel.enabled),
            channel.created_us,
        ),
    )  # fmt: skip


def set_channel(channel: StoredChannel) -> Statement:
    return Statement(
        name="channel_set",
        parameters=(
            channel.id,
            _text(channel.settings),
            channel.secret,
            int(channel.enabled),
            channel.version,
        ),
    )


def remove_channel(id: str) -> Statement:
    return Statement(name="channel_remove", parameters=(id,))


def add_price(model: str, rates: Rates, tiers: tuple[Tier, ...], *, from_us: int, source: str) -> Statement:
    """A new version of a model's price; unchanged if it is the same as the latest."""
    return Statement(name="price_add", parameters=(model, _text(rates), _text(tiers), from_us, source))


def set_model(key: str, entry: Entry) -> Statement:
    """What is known of a model but its price, under the key that its price is filed under."""
    facts = msgspec.structs.replace(entry, rates=None, tiers=(), price_id=None)
    return Statement(name="model_set", parameters=(key, _text(facts)))


def _rules(limits: tuple[Limit, ...], models: tuple[str, ...], ips: tuple[str, ...]) -> tuple[str, str, str]:
    return _text(limits), _text(models), _text(ips)


def _text(value: object) -> str:
    return _json.encode(value).decode()
