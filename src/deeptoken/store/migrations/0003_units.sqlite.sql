-- Tokens of images are a class of their own; what is no token is counted in its own unit.

drop index usage_window;
alter table usage drop column completion_tokens;
alter table usage add column completion_tokens integer generated always as (
    coalesce(classes ->> 'completion', 0) + reasoning_tokens + coalesce(classes ->> 'completion_audio', 0)
    + coalesce(classes ->> 'completion_image', 0)
) virtual;
alter table usage add column images integer generated always as (coalesce(classes ->> 'images', 0)) virtual;
alter table usage add column characters integer generated always as (
    coalesce(classes ->> 'characters', 0)
) virtual;
alter table usage add column seconds integer generated always as (coalesce(classes ->> 'seconds', 0)) virtual;
alter table usage add column searches integer generated always as (coalesce(classes ->> 'searches', 0)) virtual;
create index usage_window on usage (
    key_id, settled_us, charged, created_us, prompt_tokens, completion_tokens
);
