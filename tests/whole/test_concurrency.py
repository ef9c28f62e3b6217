"""Many calls on one wallet: each is served and paid, or refused; the books agree to the nano-dollar."""

import asyncio
import json
from pathlib import Path

from provider_scene import (
    DONE,
    MODELS,
    Provider,
    Script,
    channel,
    chunk,
    completion,
    events,
    losses,
    nothing_is_held,
    problems,
    row_of,
    says,
    stream_head,
    streamed,
    used,
)

from deeptoken.money import usd
from deeptoken.store.queries.money import UsageRecord
from deeptoken.store.reads import Reader
from upstreams import Received
from whole_scene import Reply, Whole, chat, whole

PROMPT = 8
"""What ``hi`` counts."""
MOST = 100
DEAREST = PROMPT * 1_000 + MOST * 2_000
BILLED = PROMPT * 1_000 + 50 * 2_000


def all_rows(gateway: Whole) -> list[UsageRecord]:
    with Reader(gateway.folder / "deeptoken.db") as reader:
        return reader.usages(limit=10_000)


async def books_agree(gateway: Whole, grant: str) -> int:
    """What is left, in nano-dollars, after every call has ended."""
    money = await nothing_is_held(gateway)
    left: int = round(money["balance"] * 1_000)
    rows = await asyncio.to_thread(all_rows, gateway)
    assert sum(row.charged for row in rows) + left == usd(grant)
    assert left >= 0
    assert await asyncio.to_thread(problems, gateway) == []
    return left


def dollars(nano: int) -> str:
    return f"0.{nano:09d}"


def reason(reply: Reply) -> str:
    assert (reply.status, reply.error["code"], reply.error["type"]) == (402, "wallet_empty", "quota")
    told: str = reply.error["deeptoken"]["reason"]
    return told


def test_of_three_hundred_calls_the_thirty_that_can_be_paid_are_served(tmp_path: Path) -> None:
    arrived, all_there, release = 0, asyncio.Event(), asyncio.Event()

    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal arrived
        arrived += 1
        if arrived == 30:
            all_there.set()
        await release.wait()
        limit = json.loads(request.body)["max_tokens"]
        writer.write(completion(usage=used(PROMPT, min(50, limit))))

    grant = dollars(30 * DEAREST)

    async def main() -> None:
        async with Provider() as provider:
            provider.scripts["up"] = script
            async with whole(tmp_path, MODELS + channel(provider, "up"), grant=grant) as gateway:
                body = chat("hi", model="m/up", max_tokens=MOST)
                asking = [asyncio.create_task(gateway.ask(body)) for _ in range(300)]
                refused = [await one for one in await first_done(asking, 270)]
                assert {reason(reply) for reply in refused} == {"held_by_inflight"}
                assert all(reply.headers["retry-after"] == "1" for reply in refused)
                await all_there.wait()
                money = await gateway.credits()
                assert (money["available"], money["held"] * 1_000) == (0, 30 * DEAREST)

                release.set()
                served = [reply for reply in await asyncio.gather(*asking) if reply.status == 200]
                assert len(served) == arrived == 30
                assert {reply.headers["x-deeptoken-cost"] for reply in served} == {str(BILLED // 1_000)}
                assert await books_agree(gateway, grant) == 30 * (DEAREST - BILLED)
                assert (await gateway.ask(body)).status == 200

                while (last := await gateway.ask(body)).status == 200:
                    pass
                assert reason(last) == "insufficient_credit"
                assert "retry-after" not in last.headers
                left = await books_agree(gateway, grant)
                assert left < PROMPT * 1_000 + 16 * 2_000
                assert last.error["deeptoken"]["balance"] * 1_000 == left

    asyncio.run(main())


async def first_done(tasks: list["asyncio.Task[Reply]"], count: int) -> list["asyncio.Task[Reply]"]:
    """The first `count` of `tasks` that end, once they have."""
    left = set(tasks)
    ended: list[asyncio.Task[Reply]] = []
    while len(ended) < count:
        done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
        ended += done
    return ended


def by_limit(number: int, body: dict[str, int]) -> bytes:
    """Every kind of end: whole, streamed, broken, refused; never more than the limit."""
    limit = min(body.get("max_tokens", MOST), 10 + number % MOST)
    words = ["word"] * limit
    if number % 7 == 3:
        return b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"
    if not body.get("stream"):
        return completion(usage=used(PROMPT, limit))
    if number % 7 == 4:
        return stream_head() + events(*words, finish=None)
    return streamed(events(*words, usage=used(PROMPT, limit)))


def test_whatever_becomes_of_three_hundred_calls_the_books_agree(tmp_path: Path) -> None:
    number = 0

    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal number
        number += 1
        raw = by_limit(number, json.loads(request.body))
        writer.write(raw)
        await writer.drain()
        if raw.startswith(stream_head()):
            writer.close()

    grant = "0.010000007"

    async def main() -> None:
        async with Provider() as provider:
            provider.scripts["up"] = script
            async with whole(tmp_path, MODELS + channel(provider, "up"), grant=grant) as gateway:
                asking = [
                    asyncio.create_task(
                        gateway.ask(chat("hi", model="m/up", max_tokens=MOST, stream=call % 2 == 0))
                    )
                    for call in range(300)
                ]
                while not all(one.done() for one in asking):
                    money = await gateway.credits()
                    assert 0 <= money["held"] <= money["balance"]
                replies = [one.result() for one in asking]
                assert {reply.status for reply in replies} == {200, 402, 502}
                for reply in replies:
                    if reply.status == 200:
                        row = await row_of(gateway, reply.headers["x-deeptoken-id"])
                        assert row.outcome in ("complete", "cut", "dry")
                        assert row.cost == row.charged > 0
                assert await books_agree(gateway, grant) % 1_000 == 7

    asyncio.run(main())


def heedless(left: asyncio.Event) -> Script:
    """Streams words for ever, whatever the limit."""

    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(stream_head() + chunk("", role=True))
        try:
            while not writer.is_closing():
                writer.write(chunk(" word"))
                await writer.drain()
                await asyncio.sleep(0)
        finally:
            left.set()

    return script


def test_a_wallet_that_empties_ends_the_stream_cleanly_and_the_loss_is_booked(tmp_path: Path) -> None:
    grant, affordable = "0.0005", 246

    async def main() -> None:
        left = asyncio.Event()
        async with Provider() as provider:
            provider.scripts["up"] = heedless(left)
            async with whole(tmp_path, MODELS + channel(provider, "up"), grant=grant) as gateway:
                body = chat("hi", model="m/up", stream=True, stream_options={"include_usage": True})
                reply = await gateway.ask(body)
                await left.wait()

                assert reply.status == 200
                assert reply.headers["x-deeptoken-max-tokens"] == str(affordable)
                assert provider.body("up")["max_completion_tokens"] == affordable
                ended, counted = reply.chunks[-2:]
                assert ended["choices"][0]["finish_reason"] == "length"
                assert ended["deeptoken"] == {"reason": "wallet_empty"}
                assert (ended["model"], ended["usage"]) == ("m/up", None)
                assert reply.events[-1] == "[DONE]"
                row = await row_of(gateway, reply.headers["x-deeptoken-id"])
                assert counted["usage"] == used(row.prompt_tokens, row.completion_tokens)
                assert (row.outcome, row.charged) == ("dry", usd(grant))
                assert row.cost - row.charged == losses(gateway, row.id) > 0
                # What was held in full is counted again at twice what the hold and its margin pay.
                assert row.completion_tokens <= 2 * (affordable + affordable // 4 + 32) + 16
                assert await books_agree(gateway, grant) == 0
                assert reason(await gateway.ask(chat("hi", model="m/up"))) == "insufficient_credit"

    asyncio.run(main())


def test_a_whole_answer_above_its_limit_takes_what_the_wallet_has_and_the_loss_is_booked(
    tmp_path: Path,
) -> None:
    grant = "0.0005"

    async def main() -> None:
        async with Provider() as provider:
            provider.scripts["up"] = says(completion(usage=used(PROMPT, 1_000)))
            async with whole(tmp_path, MODELS + channel(provider, "up"), grant=grant) as gateway:
                reply = await gateway.ask(chat("hi", model="m/up", max_tokens=20))

                assert (reply.status, reply.headers["x-deeptoken-cost"]) == (200, "500")
                assert reply.json["usage"] == used(PROMPT, 1_000)
                row = await row_of(gateway, reply.headers["x-deeptoken-id"])
                assert (row.cost, row.charged) == (8_000 + 1_000 * 2_000, usd(grant))
                assert losses(gateway, row.id) == row.cost - row.charged
                assert await books_agree(gateway, grant) == 0

    asyncio.run(main())


def test_two_streams_that_empty_a_wallet_end_cleanly_and_lose_nothing(tmp_path: Path) -> None:
    grant = "0.002"

    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(stream_head() + chunk("", role=True))
        for _ in range(json.loads(request.body)["max_completion_tokens"]):
            writer.write(chunk(" word"))
            await writer.drain()
            await asyncio.sleep(0)
            if writer.is_closing():
                return
        writer.write(chunk(finish="length") + DONE)
        writer.close()

    async def main() -> None:
        async with Provider() as provider:
            provider.scripts["up"] = script
            async with whole(tmp_path, MODELS + channel(provider, "up"), grant=grant) as gateway:
                body = chat("hi", model="m/up", stream=True)
                replies = await asyncio.gather(gateway.ask(body), gateway.ask(body))

                reasons = []
                for reply in replies:
                    assert reply.status == 200
                    assert reply.events[-1] == "[DONE]"
                    assert reply.chunks[-1]["choices"][0]["finish_reason"] == "length"
                    reasons.append(reply.chunks[-1].get("deeptoken"))
                    row = await row_of(gateway, reply.headers["x-deeptoken-id"])
                    assert row.cost == row.charged > 0
                    assert losses(gateway, row.id) == 0
                assert {"reason": "wallet_empty"} in reasons
                left = await books_agree(gateway, grant)
                assert left < usd(grant) // 4

    asyncio.run(main())
