"""The second factor over the wire, and that nothing of signing in is kept in the clear."""

import asyncio
import json
from pathlib import Path

import pyotp

from browser_scene import PASSWORD, Browser, code, signed_in
from deeptoken import clock
from management_scene import managed


def test_a_second_factor_is_asked_for_and_each_code_is_taken_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with managed(tmp_path) as there:
            browser, place = await signed_in(there, "member"), "/api/me/second-factor"
            begun = (await browser.send("POST", place, {"password": PASSWORD})).json
            assert (await Browser(there).sign_in("member")).status == 201
            totp, step = pyotp.TOTP(begun["secret"]), clock.wall_s() // 30
            assert code(await browser.send("PUT", place, {"code": "000000x"})) == (401, "sign_in_failed")
            confirmed = await browser.send("PUT", place, {"code": totp.generate_otp(step)})
            assert confirmed.status == 200, confirmed.body
            recovery = confirmed.json["recovery_codes"]

            asked = await Browser(there).sign_in("member")
            assert code(asked) == (401, "second_factor_required")
            used = await Browser(there).sign_in("member", code=totp.generate_otp(step))
            assert code(used) == (401, "sign_in_failed")
            later = totp.generate_otp(step + 1)
            assert (await Browser(there).sign_in("member", code=later)).status == 201
            assert code(await Browser(there).sign_in("member", code=later)) == (401, "sign_in_failed")
            assert (await Browser(there).sign_in("member", code=recovery[0])).status == 201
            again = await Browser(there).sign_in("member", code=recovery[0])
            assert code(again) == (401, "sign_in_failed")
            left = (await browser.send("GET", place)).json
            assert left == {"confirmed": True, "recovery_codes_left": 9}

    asyncio.run(story())


def test_of_two_at_once_with_one_recovery_code_one_is_let_in(tmp_path: Path) -> None:
    async def story() -> None:
        async with managed(tmp_path) as there:
            browser, place = await signed_in(there, "member"), "/api/me/second-factor"
            begun = (await browser.send("POST", place, {"password": PASSWORD})).json
            now = pyotp.TOTP(begun["secret"]).generate_otp(clock.wall_s() // 30)
            recovery = (await browser.send("PUT", place, {"code": now})).json["recovery_codes"]

            replies = await asyncio.gather(
                *(Browser(there).sign_in("member", code=recovery[0]) for _ in range(3))
            )

            assert sorted(reply.status for reply in replies) == [201, 401, 401]

    asyncio.run(story())


def test_who_lost_the_second_factor_gets_a_link_without_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with managed(tmp_path) as there:
            browser, place = await signed_in(there, "member"), "/api/me/second-factor"
            path, without = "/api/admin/users/member/link", b'{"without_second_factor": true}'
            assert await there.refused("root", "POST", path, without) == (409, "conflict")
            begun = (await browser.send("POST", place, {"password": PASSWORD})).json
            now = pyotp.TOTP(begun["secret"]).generate_otp(clock.wall_s() // 30)
            await browser.send("PUT", place, {"code": now})

            made = await there.done("root", "POST", path, without)
            body = {"token": made["token"], "password": PASSWORD}
            assert (await Browser(there).send("PUT", "/api/password", body)).status == 204
            assert (await Browser(there).sign_in("member")).status == 201

    asyncio.run(story())


def test_the_second_factor_is_taken_away_with_a_code_and_its_codes_are_renewed(tmp_path: Path) -> None:
    async def story() -> None:
        async with managed(tmp_path) as there:
            browser, place = await signed_in(there, "member"), "/api/me/second-factor"
            begun = (await browser.send("POST", place, {"password": PASSWORD})).json
            now = pyotp.TOTP(begun["secret"]).generate_otp(clock.wall_s() // 30)
            first = (await browser.send("PUT", place, {"code": now})).json["recovery_codes"]
            proof = {"password": PASSWORD, "code": first[0]}
            second = (await browser.send("POST", f"{place}/recovery-codes", proof)).json["recovery_codes"]

            assert not set(first) & set(second)
            stale = await browser.send("DELETE", place, {"password": PASSWORD, "code": first[1]})
            assert code(stale) == (401, "sign_in_failed")
            unproven = await browser.send("DELETE", place, {"password": PASSWORD})
            assert code(unproven) == (401, "second_factor_required")
            gone = await browser.send("DELETE", place, {"password": PASSWORD, "code": second[0]})
            assert gone.status == 204, gone.body
            assert (await Browser(there).sign_in("member")).status == 201

    asyncio.run(story())


def test_nothing_of_it_is_kept_in_the_clear(tmp_path: Path) -> None:
    async def story() -> None:
        async with managed(tmp_path) as there:
            browser, place = await signed_in(there, "member"), "/api/me/second-factor"
            begun = (await browser.send("POST", place, {"password": PASSWORD})).json
            now = pyotp.TOTP(begun["secret"]).generate_otp(clock.wall_s() // 30)
            recovery = (await browser.send("PUT", place, {"code": now})).json["recovery_codes"]
            audit = await there.ask("root", "GET", "/api/admin/audit?format=jsonl&limit=200")
            names = ("deeptoken.db", "deeptoken.db-wal")
            files = await asyncio.to_thread(lambda: [(tmp_path / name).read_bytes() for name in names])

            secrets = [PASSWORD, browser.token, browser.csrf, begun["secret"]]
            secrets += [one.replace("-", "").upper() for one in recovery] + recovery
            for secret in secrets:
                assert not any(secret.encode() in file for file in files)
                assert secret.encode() not in audit.body
            actions = [json.loads(line)["action"] for line in audit.body.splitlines()]
            assert actions[:4] == ["user.second-factor", "user.sign-in", "user.password", "user.link"]

    asyncio.run(story())
