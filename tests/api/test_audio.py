"""One form on its way: read until it is known, then as it is taken."""

import asyncio

from body_scene import Wire, run

from deeptoken.api.audio import Recording
from deeptoken.api.body import Body
from deeptoken.wire.transcriptions import TRANSCRIPTIONS

FIELDS = b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n'
FILE = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
SOUND = b"ID3" + bytes(5_000)
END = b"\r\n--x--\r\n"
MOST = 100_000


def test_a_form_is_read_until_it_is_known_and_then_as_it_is_taken() -> None:
    async def main(wire: Wire) -> None:
        body = Body(wire, {}, MOST, expected=False)
        one = Recording(body, b"x", MOST)
        asking = asyncio.create_task(one.chat(TRANSCRIPTIONS))
        for data in (FIELDS, FILE, SOUND):
            await asyncio.sleep(0)
            assert not asking.done()
            body.feed(data)
        chat, _ = await asking
        assert chat.task is not None
        assert chat.task.upload is one
        assert (one.taken, one.awaited, one.given_at) == (False, False, None)

        upload = one.named("hidden")
        first = await upload.read()
        assert first == FIELDS.replace(b"\r\nm\r\n", b"\r\nhidden\r\n") + FILE + SOUND
        assert (one.taken, one.given_at) == (True, None)
        more = asyncio.create_task(upload.read())
        await asyncio.sleep(0)
        assert one.awaited
        body.feed(END)
        body.fed()

        assert (await more, one.awaited, one.given_at) == (END, False, None)
        assert await upload.read() == b""
        assert one.given_at is not None
        assert one.likely_s == 1

    run(main)


def test_its_size_is_told_where_it_was_told() -> None:
    async def main(wire: Wire) -> None:
        whole = FIELDS + FILE + SOUND + END
        sizes = []
        for headers in ({b"content-length": b"%d" % len(whole)}, {}):
            body = Body(wire, headers, MOST, expected=False)
            body.feed(whole)
            body.fed()
            one = Recording(body, b"x", MOST)
            await one.chat(TRANSCRIPTIONS)
            sizes.append(one.named("hidden").size)

        assert sizes == [len(whole) + len("hidden") - 1, None]

    run(main)
