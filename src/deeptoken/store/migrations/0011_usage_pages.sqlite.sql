-- What keeps a page of usage quick at ten million rows when it is asked for a model, a key or a member that hardly
-- any row has: without these every row of the wallet is looked at.

create index usage_model on usage (wallet_id, model, request_id);
create index usage_key on usage (wallet_id, key_id, model, request_id);
create index usage_outcome on usage (wallet_id, outcome, request_id) where outcome <> 'complete';

-- Whose keys, and which have a name: deleted ones too, their calls stay.
create index key_of on key (owner, id);
create index key_named on key (name, id);
