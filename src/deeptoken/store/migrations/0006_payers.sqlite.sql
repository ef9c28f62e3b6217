-- At which further limits a call counts, and the wallet that pays what the first one cannot.
-- What a second wallet holds is a row of its own, under the call's id and '/2'.

alter table hold add column subjects text not null default '[]' check (json_valid(subjects));
alter table hold add column fallback text;

-- What a call came to for a parent key, an organization, a member; for its own key the usage row says it.
create table spent (
    subject text not null,
    request_id text not null,
    created_us integer not null,
    settled_us integer not null,
    charged integer not null check (charged >= 0),
    tokens integer not null,
    primary key (subject, request_id)
) strict, without rowid;

create index spent_window on spent (subject, settled_us, charged, created_us, tokens);
