-- Whom issuers of OpenID Connect know people as. Times are microseconds since 1970.

create table identity (
    id text primary key,
    user_id text not null references "user" (id),
    issuer text not null,
    subject text not null,
    email text,
    created_us integer not null,
    used_us integer,
    unique (issuer, subject)
) strict;

create index identity_user on identity (user_id, id);

-- Sign-ins that came to their end, by the digest of what they began with: none ends twice. They are forgotten
-- when they could not end any more.
create table sign_in_taken (
    sha256 blob primary key check (length(sha256) = 32),
    expires_us integer not null
) strict, without rowid;

create index invitation_email on invitation (lower(email));
create index user_name on "user" (lower(name));
