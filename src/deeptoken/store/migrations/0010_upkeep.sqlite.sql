-- What keeps lists quick and the past as it was.

create index key_owner on key (owner, id) where deleted_us is null;
create index key_lapsed on key (expires_us) where parent_id is not null and deleted_us is null;

create trigger spent_stays before update on spent begin select raise(abort, 'spent is append-only'); end;
create trigger spent_remains before delete on spent begin select raise(abort, 'spent is append-only'); end;
