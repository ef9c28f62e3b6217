-- Money. Amounts are nano-USD, times are microseconds of the ledger's clock.
-- `usage`, `entry`, `price` and `batch` are append-only; (epoch, batch_no, n) is a row's place in the chain.

create table replica (
    epoch integer primary key,
    state text not null check (state in ('live', 'closed', 'fenced')),
    batch_no integer not null default 0,
    answers blob,
    started_us integer not null,
    ended_us integer
) strict;

create table batch (
    epoch integer not null references replica (epoch),
    batch_no integer not null,
    n integer not null,
    prev_hash blob not null check (length(prev_hash) = 32),
    hash blob not null check (length(hash) = 32),
    committed_us integer not null,
    primary key (epoch, batch_no)
) strict, without rowid;

create table price (
    id integer primary key,
    model text not null,
    rates text not null check (json_valid(rates)),
    tiers text not null default '[]' check (json_valid(tiers)),
    from_us integer not null,
    source text not null,
    epoch integer not null,
    batch_no integer not null,
    n integer not null
) strict;

create index price_model on price (model, from_us);

create table wallet (
    id text primary key,
    balance integer not null,
    held integer not null check (held >= 0),
    check (held <= balance)
) strict, without rowid;

create table lot (
    id text primary key,
    wallet_id text not null references wallet (id),
    source text not null,
    rank integer not null,
    granted integer not null check (granted > 0),
    remaining integer not null check (remaining >= 0),
    expires_us integer,
    ref text not null unique,
    created_us integer not null,
    check (remaining <= granted)
) strict, without rowid;

create unique index lot_wallet on lot (wallet_id, rank);

create table hold (
    request_id text primary key,
    wallet_id text not null,
    key_id text not null,
    call text not null,
    amount integer not null check (amount >= 0),
    used integer not null check (used >= 0),
    tokens integer not null,
    epoch integer not null,
    created_us integer not null
) strict, without rowid;

create table usage (
    request_id text primary key,
    request_label text not null,
    endpoint text not null,
    key_id text not null,
    wallet_id text not null,
    model text not null,
    price_id integer not null,
    ratio_ppm integer not null,
    stream integer not null,
    classes text not null,
    estimated integer not null,
    cost integer not null check (cost >= 0),
    charged integer not null check (charged >= 0),
    lot_id text,
    split integer not null,
    outcome text not null,
    status integer not null,
    code text,
    channel text,
    attempts text,
    upstream_id text,
    ttft_ms integer,
    duration_ms integer not null,
    created_us integer not null,
    settled_us integer not null,
    epoch integer not null,
    batch_no integer not null,
    n integer not null,
    cached_tokens integer generated always as (coalesce(classes ->> 'cached', 0)) virtual,
    cache_write_tokens integer generated always as (
        coalesce(classes ->> 'cache_write', 0) + coalesce(classes ->> 'cache_write_1h', 0)
    ) virtual,
    prompt_tokens integer generated always as (
        coalesce(classes ->> 'prompt', 0) + cached_tokens + cache_write_tokens
        + coalesce(classes ->> 'prompt_audio', 0)
    ) virtual,
    reasoning_tokens integer generated always as (coalesce(classes ->> 'reasoning', 0)) virtual,
    completion_tokens integer generated always as (
        coalesce(classes ->> 'completion', 0) + reasoning_tokens + coalesce(classes ->> 'completion_audio', 0)
    ) virtual,
    check (charged <= cost)
) strict;

create index usage_window on usage (
    key_id, settled_us, charged, created_us, prompt_tokens, completion_tokens
);
create index usage_wallet on usage (wallet_id, request_id);
create index usage_label on usage (request_label) where request_label <> request_id;

create table entry (
    seq integer primary key,
    ref text not null,
    kind text not null,
    n integer not null,
    debit text not null,
    credit text not null,
    amount integer not null check (amount > 0),
    lot_id text,
    created_us integer not null,
    epoch integer not null,
    batch_no integer not null,
    place integer not null,
    unique (ref, kind, n)
) strict;

create table idempotency (
    key_id text not null,
    name text not null,
    fingerprint blob not null,
    request_id text not null,
    reply blob,
    expires_us integer not null,
    primary key (key_id, name)
) strict, without rowid;

create index idempotency_expiry on idempotency (expires_us);

-- Every movement of money as debit and credit: the entries, and the usage rows that are their own.
create view journal as
select ref, kind, debit, credit, amount, lot_id, created_us from entry
union all
select request_id, 'usage', wallet_id, 'revenue', charged, lot_id, settled_us from usage
where split = 0 and charged > 0;

create trigger usage_stays before update on usage begin select raise(abort, 'usage is append-only'); end;
create trigger usage_remains before delete on usage begin select raise(abort, 'usage is append-only'); end;
create trigger entry_stays before update on entry begin select raise(abort, 'entry is append-only'); end;
create trigger entry_remains before delete on entry begin select raise(abort, 'entry is append-only'); end;
create trigger price_stays before update on price begin select raise(abort, 'price is append-only'); end;
create trigger price_remains before delete on price begin select raise(abort, 'price is append-only'); end;
create trigger batch_stays before update on batch begin select raise(abort, 'batch is append-only'); end;
create trigger batch_remains before delete on batch begin select raise(abort, 'batch is append-only'); end;
