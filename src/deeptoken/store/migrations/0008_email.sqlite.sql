-- Where people can be written to. Times are microseconds since 1970.

create table email (
    user_id text primary key references "user" (id),
    address text not null,
    verified_us integer not null
) strict, without rowid;

create unique index email_address on email (lower(address));

-- One open link a user: a second takes the place of the first. Of its token only the digest is kept.
create table email_link (
    user_id text primary key references "user" (id),
    address text not null,
    sha256 blob not null unique check (length(sha256) = 32),
    expires_us integer not null
) strict, without rowid;
