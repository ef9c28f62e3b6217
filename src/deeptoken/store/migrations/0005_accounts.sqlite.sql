-- Organizations with their members, roles and invitations; what was changed by whom. Times are microseconds
-- since 1970, amounts nano-USD. A `version` counts the changes of a row: who changes it says which one was read.

create table organization (
    id text primary key,
    slug text not null unique,
    name text not null,
    mode text not null default 'strict' check (mode in ('strict', 'fallback')),
    tier text,
    budget integer check (budget > 0),
    webhook text,
    from_file integer not null default 0 check (from_file in (0, 1)),
    suspended_us integer,
    deleted_us integer,
    version integer not null default 1,
    created_us integer not null
) strict;

create table role (
    org_id text not null references organization (id),
    name text not null,
    permissions text not null check (json_valid(permissions)),
    version integer not null default 1,
    created_us integer not null,
    primary key (org_id, name)
) strict, without rowid;

create table member (
    org_id text not null references organization (id),
    user_id text not null references "user" (id),
    role text not null,
    budget integer check (budget > 0),
    from_file integer not null default 0 check (from_file in (0, 1)),
    version integer not null default 1,
    created_us integer not null,
    primary key (org_id, user_id)
) strict, without rowid;

create index member_user on member (user_id);
create unique index member_owner on member (org_id) where role = 'owner';

create table invitation (
    id text primary key,
    org_id text not null references organization (id),
    email text not null,
    role text not null,
    budget integer check (budget > 0),
    sha256 blob not null unique check (length(sha256) = 32),
    invited_by text not null,
    expires_us integer not null,
    accepted_us integer,
    accepted_by text,
    revoked_us integer,
    created_us integer not null
) strict;

create index invitation_org on invitation (org_id, id);

alter table "user" add column version integer not null default 1;
alter table key add column version integer not null default 1;
alter table key add column parent_id text;
alter table key add column cheaper_model text;
alter table key add column webhook text;
alter table key add column created_by text;
alter table key add column children integer not null default 0 check (children in (0, 1));
alter table channel add column version integer not null default 1;

create index key_parent on key (parent_id) where parent_id is not null;

-- Whose a wallet or a key is, as people write it.
create view owner as
select id, 'user:' || name as name from "user"
union all
select id, 'org:' || slug from organization;

create table audit (
    seq integer primary key,
    at_us integer not null,
    actor text,
    actor_name text not null,
    address text,
    action text not null,
    tenant text,
    subject text not null,
    before text check (before is null or json_valid(before)),
    after text check (after is null or json_valid(after)),
    epoch integer not null,
    batch_no integer not null,
    n integer not null
) strict;

create index audit_tenant on audit (tenant, seq);

create trigger audit_stays before update on audit begin select raise(abort, 'audit is append-only'); end;
create trigger audit_remains before delete on audit begin select raise(abort, 'audit is append-only'); end;
