"""Bodies as they come: parts for who asks, and nothing that nobody asked for."""

import asyncio

import pytest
from body_scene import MOST, Wire, run

from deeptoken.api.body import CONTINUE, Body
from deeptoken.errors import RequestTooLarge, UnsupportedMedia


def body(wire: Wire, *, expected: bool = False, **headers: str) -> Body:
    told = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return Body(wire, told, MOST, expected=expected)


def test_a_part_is_what_came_since_the_last_one() -> None:
    async def main(wire: Wire) -> None:
        one = body(wire)
        assert [one.feed(b"ab"), one.feed(b"c")] == [2, 3]

        first = await one.part()
        assert one.feed(b"d") == 1
        second = await one.part()
        one.fed()

        assert (first, second, await one.part(), await one.part()) == (b"abc", b"d", b"", b"")

    run(main)


def test_more_is_asked_for_only_when_nothing_is_there() -> None:
    async def main(wire: Wire) -> None:
        one = body(wire)
        one.feed(b"ab")
        await one.part()
        assert wire.wanted == 0

        asking = asyncio.create_task(one.part())
        await asyncio.sleep(0)
        assert wire.wanted == 1
        one.feed(b"c")

        assert await asking == b"c"

    run(main)


def test_who_sent_all_is_watched_again() -> None:
    async def main(wire: Wire) -> None:
        for read in (Body.part, Body.whole):
            one = body(wire)
            one.feed(b"ab")
            one.fed()
            before = wire.wanted

            assert await read(one) == b"ab"

            assert wire.wanted == before + 1

    run(main)


@pytest.mark.parametrize("whole", [True, False])
def test_a_body_has_a_limit_that_shows_as_soon_as_it_is_passed(whole: bool) -> None:
    async def main(wire: Wire) -> None:
        one = body(wire)
        read = one.whole if whole else one.part
        one.feed(b"x" * MOST)
        if not whole:
            assert len(await one.part()) == MOST

        asking = asyncio.create_task(read())
        await asyncio.sleep(0)
        one.feed(b"x")

        with pytest.raises(RequestTooLarge, match="larger than 100"):
            await asking

    run(main)


@pytest.mark.parametrize(
    ("headers", "error"),
    [({"content_length": "101"}, RequestTooLarge), ({"content_encoding": "gzip"}, UnsupportedMedia)],
)
def test_what_the_head_tells_is_enough_to_refuse_it(headers: dict[str, str], error: type[Exception]) -> None:
    async def main(wire: Wire) -> None:
        for read in (Body.part, Body.whole):
            with pytest.raises(error):
                await read(body(wire, expected=True, **headers))
        assert wire.said == b""

    run(main)


def test_only_a_whole_body_must_be_json() -> None:
    async def main(wire: Wire) -> None:
        one = body(wire, content_type="multipart/form-data; boundary=x")
        one.feed(b"--x")

        assert await one.part() == b"--x"
        with pytest.raises(UnsupportedMedia):
            await one.whole()

    run(main)


def test_a_sender_that_waits_to_be_told_is_told_once() -> None:
    async def main(wire: Wire) -> None:
        one = body(wire, expected=True)
        for data in (b"a", b"b"):
            asking = asyncio.create_task(one.part())
            await asyncio.sleep(0)
            one.feed(data)
            assert await asking == data

        assert wire.said == CONTINUE

    run(main)


def test_a_sender_who_has_left_sends_no_more() -> None:
    async def main(wire: Wire) -> None:
        one = body(wire)
        wire.left = True

        with pytest.raises(asyncio.CancelledError):
            await one.part()

    run(main)
