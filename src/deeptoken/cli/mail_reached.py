"""Does the mail server take mails from here? Asked as the gateway asks; no mail is sent."""

import asyncio
from collections.abc import Iterator

from deeptoken import mail
from deeptoken.cli.checks import Check
from deeptoken.settings import Email


def reach_mail(server: Email | None) -> Iterator[Check]:
    """Nothing, where no mails are sent."""
    if server is None:
        return
    where = f"{server.host}:{server.port}"
    if wrong := asyncio.run(mail.trouble(server)):
        yield Check("mail", "failed", f"{where} {wrong}")
    else:
        yield Check("mail", "ok", f"{where} answers{', and lets us in' if server.username else ''}")
