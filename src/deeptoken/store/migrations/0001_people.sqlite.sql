-- Who calls, with which keys, through which channels, at which prices. Times are microseconds since 1970.

create table "user" (
    id text primary key,
    name text not null unique,
    tier text,
    operator integer not null default 0 check (operator in (0, 1)),
    from_file integer not null default 0 check (from_file in (0, 1)),
    suspended_us integer,
    created_us integer not null
) strict;

create table key (
    id text primary key,
    name text not null,
    owner text not null,
    sha256 blob not null unique check (length(sha256) = 32),
    prefix text not null,
    limits text not null default '[]' check (json_valid(limits)),
    models text not null default '[]' check (json_valid(models)),
    ips text not null default '[]' check (json_valid(ips)),
    scope text not null default 'call' check (scope in ('call', 'read', 'manage')),
    expires_us integer,
    revoked_us integer,
    deleted_us integer,
    last_used_us integer,
    from_file integer not null default 0 check (from_file in (0, 1)),
    out_of_file_us integer,
    created_us integer not null
) strict;

create unique index key_name on key (owner, name) where deleted_us is null;

create table channel (
    id text primary key,
    name text not null unique,
    settings text not null check (json_valid(settings)),
    secret blob,
    enabled integer not null default 1 check (enabled in (0, 1)),
    created_us integer not null
) strict;

-- What is known of a model besides its price, by the key that its price is filed under.
create table model (
    key text primary key,
    facts text not null check (json_valid(facts))
) strict, without rowid;
