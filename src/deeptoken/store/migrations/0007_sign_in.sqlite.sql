-- How people sign in. Of sessions, links and passwords only digests are kept; the second factor's secret is
-- sealed. Times are microseconds since 1970.

create table password (
    user_id text primary key references "user" (id),
    hash text not null,
    changed_us integer not null
) strict, without rowid;

create table second_factor (
    user_id text primary key references "user" (id),
    secret blob not null,
    step integer not null default 0,
    codes text not null default '[]' check (json_valid(codes)),
    confirmed_us integer
) strict, without rowid;

create table session (
    id text primary key,
    user_id text not null references "user" (id),
    sha256 blob not null unique check (length(sha256) = 32),
    address text,
    agent text not null,
    created_us integer not null,
    seen_us integer not null,
    expires_us integer not null
) strict;

create index session_user on session (user_id, id);

-- One open link a user: a second takes the place of the first.
create table password_link (
    user_id text primary key references "user" (id),
    sha256 blob not null unique check (length(sha256) = 32),
    expires_us integer not null
) strict, without rowid;

-- Who sets a password ends what was begun with the old one.
create trigger password_begins after insert on password begin
    delete from session where user_id = new.user_id;
end;
create trigger password_changes after update on password begin
    delete from session where user_id = new.user_id;
end;
