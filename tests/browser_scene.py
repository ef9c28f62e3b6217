"""A person at a browser: it keeps the session's cookie, and the token that changes need."""

import json
from http.cookies import SimpleCookie
from typing import Any

from management_scene import Managed
from whole_scene import Reply

PASSWORD = "correct horse battery"


class Browser:
    """Who keeps the cookie."""

    def __init__(self, there: Managed, **headers: str) -> None:
        self.there = there
        self.headers = {"sec_fetch_site": "same-origin", **headers}
        self.token = ""
        self.csrf = ""

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        sent = {**self.headers, "x_csrf_token": self.csrf, **headers}
        if self.token:
            sent["cookie"] = f"__Host-deeptoken={self.token}"
        raw = None if body is None else json.dumps(body).encode()
        reply = await self.there.ask(None, method, path, raw, **sent)
        set_cookie = SimpleCookie(reply.headers.get("set-cookie", ""))
        for morsel in set_cookie.values():
            assert (morsel["httponly"], morsel["secure"], morsel["samesite"]) == (True, True, "Lax")
            self.token = morsel.value
        if reply.status in (200, 201) and "csrf" in reply.json:
            self.csrf = reply.json["csrf"]
        return reply

    async def sign_in(self, user: str, password: str = PASSWORD, **more: str) -> Reply:
        return await self.send("POST", "/api/session", {"user": user, "password": password, **more})


async def with_password(there: Managed, user: str, password: str = PASSWORD) -> None:
    """By a link that the operator made."""
    made = await there.done("root", "POST", f"/api/admin/users/{user}/link", b"{}")
    reply = await Browser(there).send("PUT", "/api/password", {"token": made["token"], "password": password})
    assert reply.status == 204, reply.body


async def signed_in(there: Managed, user: str) -> Browser:
    await with_password(there, user)
    browser = Browser(there)
    reply = await browser.sign_in(user)
    assert reply.status == 201, reply.body
    return browser


def code(reply: Reply) -> tuple[int, str]:
    return reply.status, reply.error["code"]
