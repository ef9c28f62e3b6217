"""The gateway with a planted defect: an answer leaves before its settlement is written.

    python tests/chaos/settle_late.py serve --config deeptoken.toml

Every settlement is answered at once, kept in memory, and written when the gateway stops. Stopped in order it
loses nothing; killed, it has delivered answers that nobody was billed for. The test that kills must see it.
"""

from deeptoken.cli.main import main
from deeptoken.ledger.postings import Answer, Posting, Settle, Settled
from deeptoken.store.link import Link
from deeptoken.store.writer import Writer


def plant() -> None:
    """Put the defect in this process, and in those that it starts."""
    post, stop, sent, closed = Writer.post, Writer.stop, Link.post, Link.__aexit__
    late: list[Settle] = []

    async def post_late(writer: Writer, posting: Posting) -> Answer:
        if isinstance(posting, Settle):
            late.append(posting)
            return Settled(charged=posting.cost)
        return await post(writer, posting)

    async def stop_late(writer: Writer) -> None:
        for settle in late:
            await post(writer, settle)
        await stop(writer)

    async def send_late(link: Link, posting: Posting) -> Answer:
        if isinstance(posting, Settle):
            late.append(posting)
            return Settled(charged=posting.cost)
        return await sent(link, posting)

    async def close_late(link: Link, *error: object) -> None:
        for settle in late:
            await sent(link, settle)
        await closed(link, *error)

    Link.post = send_late  # type: ignore[assignment, method-assign]  # the defect, in this process only
    Link.__aexit__ = close_late  # type: ignore[assignment, method-assign]  # the defect, in this process only
    Writer.post = post_late  # type: ignore[assignment, method-assign]  # the defect, in this process only
    Writer.stop = stop_late  # type: ignore[assignment, method-assign]  # the defect, in this process only


if __name__ == "__main__":
    plant()
    main()
