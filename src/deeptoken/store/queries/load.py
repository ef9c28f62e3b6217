"""What the writer reads before it starts."""

ORPHANED_EPOCHS = """
select epoch, batch_no, answers from replica
where state = 'live' or epoch in (select epoch from hold)
order by epoch
"""
LAST_EPOCH = "select coalesce(max(epoch), 0) from replica"
HEAD = "select hash, committed_us from batch order by epoch desc, batch_no desc limit 1"
LATEST_TIME = """
select max(
    coalesce((select max(started_us) from replica), 0), coalesce((select max(created_us) from hold), 0)
)
"""
LAST_USAGE = "select coalesce(max(request_id), '') from usage"
