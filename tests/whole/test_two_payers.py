"""An organization in the mode `fallback` that cannot pay leaves it to the caller's own wallet."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from provider_scene import DONE, MODELS, Provider, channel, chunk, problems, stream_head, used

from deeptoken.money import usd
from upstreams import Received
from whole_scene import Whole, chat, whole

MACHINE = "dtk_012345678901234567890123456789012345678932mxo1"
ACME = """
[[organizations]]
slug = "acme"
owner = "ops"
mode = "{mode}"
grant_usd = {grant}
{more}
"""


def run(
    folder: Path,
    story: Callable[[Whole, Provider], Awaitable[None]],
    *,
    mode: str = "fallback",
    grant: str = "0",
    more: str = "",
) -> None:
    async def main() -> None:
        async with Provider() as provider:
            config = MODELS + channel(provider, "it") + ACME.format(mode=mode, grant=grant, more=more)
            async with whole(folder, config, grant="1") as gateway:
                await story(gateway, provider)
                assert await asyncio.to_thread(problems, gateway) == []

    asyncio.run(main())


def talks(words: int, tokens: int) -> Callable[..., Awaitable[None]]:
    """A stream of so many words that are so many tokens in all."""

    async def script(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        each = " ".join(["word"] * (tokens // words)) + " "
        pieces = [chunk(each) for _ in range(words)]
        writer.write(stream_head() + b"".join(pieces) + chunk(finish="stop", usage=used(8, tokens)) + DONE)
        await writer.drain()
        writer.close()

    return script


def test_one_that_is_empty_leaves_the_call_to_its_caller_and_the_row_says_so(tmp_path: Path) -> None:
    async def story(gateway: Whole, provider: Provider) -> None:
        provider.scripts["it"] = talks(2, 10)
        body = chat("hi", "m/it", max_tokens=50, stream=True)

        reply = await gateway.ask(body, x_deeptoken_org="acme")

        assert reply.status == 200
        [row] = await gateway.settled(1)
        assert (row.wallet, row.charged) == ("user:ops", 8 * 1_000 + 10 * 2_000)

    run(tmp_path, story)


def test_a_stream_goes_on_on_the_callers_wallet_when_the_organizations_runs_dry(tmp_path: Path) -> None:
    """Its wallet is emptied by another call while the first one still speaks."""

    async def story(gateway: Whole, provider: Provider) -> None:
        go_on = asyncio.Event()

        async def script(
            request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            writer.write(stream_head() + chunk("one "))
            await writer.drain()
            await go_on.wait()
            more = [chunk("word " * 100) for _ in range(30)]
            writer.write(b"".join(more) + chunk(finish="stop", usage=used(8, 3_000)) + DONE)
            await writer.drain()
            writer.close()

        provider.scripts["it"] = script
        first = await gateway.connect()
        body = chat("hi", "m/it", max_tokens=4_000, stream=True)
        first.write(gateway.request(body, x_deeptoken_org="acme"))
        await first.head()
        # Most of what it has left goes to a key of its own.
        provider.scripts["it"] = talks(1, 6_000)
        other = await gateway.ask(
            chat("hi", "m/it", max_tokens=6_500, stream=True), authorization=f"Bearer {MACHINE}"
        )
        assert other.status == 200
        go_on.set()
        while await first.chunk():
            pass
        rows = await gateway.settled(2)
        longest = next(row for row in rows if row.completion_tokens == 3_000)
        assert (longest.outcome, longest.wallet) == ("complete", "org:acme")
        assert longest.charged == 8 * 1_000 + 3_000 * 2_000
        spent = sum(row.charged for row in rows)
        acme = (await gateway.ask(path="/v1/credits", x_deeptoken_org="acme")).json
        mine = await gateway.credits()
        assert acme["held"] == mine["held"] == 0
        left = (acme["balance"] + mine["balance"]) * 1_000
        assert left == usd("0.015") + usd("1") - spent
        assert mine["balance"] < 1_000_000
        assert acme["balance"] == 0

    machine = f'[[keys]]\nname = "machine"\nowner = "org:acme"\nsecret = "{MACHINE}"'
    run(tmp_path, story, grant="0.015", more=machine)


def test_strict_never_touches_the_callers_own_wallet(tmp_path: Path) -> None:
    async def story(gateway: Whole, provider: Provider) -> None:
        provider.scripts["it"] = talks(1, 1)
        body = chat("hi", "m/it", max_tokens=50)
        refused = await gateway.ask(body, x_deeptoken_org="acme")
        assert (refused.status, refused.error["code"]) == (402, "wallet_empty")
        assert (await gateway.credits())["balance"] == 1_000_000

    run(tmp_path, story, mode="strict")


def test_a_members_budget_is_refused_with_the_second_at_which_it_passes(tmp_path: Path) -> None:
    async def story(gateway: Whole, provider: Provider) -> None:
        provider.scripts["it"] = talks(1, 10)
        body = chat("hi", "m/it", max_tokens=10, stream=True)
        first = await gateway.ask(body, x_deeptoken_org="acme", authorization=f"Bearer {gateway.key}")
        assert first.status == 200
        assert first.headers["x-deeptoken-warning"] == "organization's monthly budget: 100% used"
        refused = await gateway.ask(body, x_deeptoken_org="acme")
        assert (refused.status, refused.error["code"]) == (429, "budget_exceeded")
        assert int(refused.headers["retry-after"]) > 1
        assert "the organization's budget of this month" in refused.error["message"]

    run(tmp_path, story, mode="strict", grant="1", more="budget_usd = 0.000028")


def test_what_a_key_has_left_stands_in_the_head_of_answers_and_of_refusals(tmp_path: Path) -> None:
    more = 'members = []\n[[keys]]\nname = "slow"\nowner = "ops"\nrpm = 2\ntpm = 900\nsecret = "{secret}"'

    async def story(gateway: Whole, provider: Provider) -> None:
        provider.scripts["it"] = talks(1, 10)
        body = chat("hi", "m/it", max_tokens=10, stream=True)
        replies = [await gateway.ask(body, authorization=f"Bearer {MACHINE}") for _ in range(3)]
        assert [reply.status for reply in replies] == [200, 200, 429]
        left = [reply.headers["x-ratelimit-remaining-requests"] for reply in replies]
        assert left == ["1", "0", "0"]
        for reply in replies:
            assert reply.headers["x-ratelimit-limit-requests"] == "2"
            assert reply.headers["x-ratelimit-limit-tokens"] == "900"
            assert 800 < int(reply.headers["x-ratelimit-remaining-tokens"]) < 900
            assert reply.headers["x-ratelimit-reset-requests"].endswith("s")
        plain = await gateway.ask(body)
        assert not any(name.startswith("x-ratelimit") for name in plain.headers)

    run(tmp_path, story, more=more.format(secret=MACHINE))


def test_a_cap_that_the_organization_can_pay_is_paid_by_it(tmp_path: Path) -> None:
    """However much the call could cost without its cap."""

    async def story(gateway: Whole, provider: Provider) -> None:
        provider.scripts["it"] = talks(1, 10)
        reply = await gateway.ask(chat("hi", "m/it", stream=True, max_cost_usd=0.005), x_deeptoken_org="acme")
        assert reply.status == 200
        [row] = await gateway.settled(1)
        assert row.wallet == "org:acme"
        assert (await gateway.credits())["balance"] == 1_000_000

    run(tmp_path, story, grant="0.01")


def test_an_answer_that_neither_can_pay_whole_is_as_long_as_both_can(tmp_path: Path) -> None:
    async def story(gateway: Whole, provider: Provider) -> None:
        provider.scripts["it"] = talks(20, 3_000)
        body = chat("hi", "m/it", max_tokens=1_000_000, stream=True)

        told = await gateway.ask(body, path="/v1/quote", x_deeptoken_org="acme")
        reply = await gateway.ask(body, x_deeptoken_org="acme")

        most = int(reply.headers["x-deeptoken-max-tokens"])
        assert 500_000 < most < 500_500
        assert (told.json["payer"], told.json["max_completion_tokens"]) == ("org:acme", most)
        [row] = await gateway.settled(1)
        assert (row.outcome, row.charged) == ("complete", 8 * 1_000 + 3_000 * 2_000)
        assert row.wallets == ("org:acme", "user:ops")
        shown = await gateway.ask(path=f"/v1/generation?id={row.id}", x_deeptoken_org="acme")
        assert shown.json["wallets"] == ["org:acme", "user:ops"]
        assert (await gateway.credits())["balance"] == 1_000_000 - (6_008 - 1_000)

    run(tmp_path, story, grant="0.001")


def test_a_quote_names_the_payer_and_whose_a_limit_is(tmp_path: Path) -> None:
    async def story(gateway: Whole, provider: Provider) -> None:
        body = chat("hi", "m/it", max_tokens=50)
        told = (await gateway.ask(body, path="/v1/quote", x_deeptoken_org="acme")).json
        assert told["payer"] == "user:ops"
        assert [limit["effect"] for limit in told["limits"]] == ["none"]

    run(tmp_path, story, more="budget_usd = 0.5")
