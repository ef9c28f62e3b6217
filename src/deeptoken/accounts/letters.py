"""What mails say. Each says who caused it, what to do, and what if it was not you. Pure."""

from deeptoken.mail import Letter

NOT_YOU = "If you did not ask for this, do nothing: nothing changes."


def reset(to: str, user: str, url: str, token: str) -> Letter:
    """A link that sets a password, for an hour."""
    return Letter(
        to=to,
        subject="Set a new password",
        text=f"Somebody, probably you, asked to set a new password for the account {user} at {url}.\n\n"
        f"It is set once, within an hour, with this token:\n\n    {token}\n\n"
        f'    PUT {url}/api/password   {{"token": "...", "password": "..."}}\n\n{NOT_YOU}\n',
        user=user,
        link=f"{url}/password#token={token}",
    )


def verify(to: str, user: str, url: str, token: str) -> Letter:
    """A link that shows that somebody reads the mails of an address."""
    return Letter(
        to=to,
        subject="Confirm this address",
        text=f"The account {user} at {url} wants to have this address.\n\n"
        f"It is confirmed once, within a day, with this token:\n\n    {token}\n\n"
        f'    PUT {url}/api/email   {{"token": "..."}}\n\n{NOT_YOU}\n',
        user=user,
        link=f"{url}/email#token={token}",
    )


def changed(to: str, user: str, url: str, what: str) -> Letter:
    """A notice to who could have done it."""
    return Letter(
        to=to,
        subject=f"{what} was changed",
        text=f"{what} of the account {user} at {url} was changed.\n\n"
        "If that was not you, ask the operator for a link that sets a new password: every session ends.\n",
        user=user,
    )


def invitation(to: str, by: str, org: str, url: str, token: str) -> Letter:
    return Letter(
        to=to,
        subject=f"An invitation to {org}",
        text=f"{by} invites you to the organization {org} at {url}.\n\n"
        f"Sign in there and accept with this token, which is good once:\n\n    {token}\n\n"
        f'    POST {url}/api/invitations/accept   {{"token": "..."}}\n\n{NOT_YOU}\n',
        user=to,
        link=f"{url}/invitation#token={token}",
    )
