-- The most that a call with a key may take; null: what the server allows.

alter table key add column timeout_ms integer check (timeout_ms > 0);
