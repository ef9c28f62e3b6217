"""What mails say. Each says who caused it, what to do, and what if it was not you. Pure."""

from deeptoken.mail import Letter

NOT_YOU = "If you did not ask for this, do nothing: nothing changes."


def reset(to: str, user: str, url: str, token: str) -> Letter:
    """What sets a password, for an hour."""
    opening = (
        f"Somebody, probably you, asked to set a new password for the account {user} at {url}.\n\n"
        "It is set once, within an hour, with this token:"
    )
    how = f'PUT {url}/api/password   {{"token": "...", "password": "..."}}'
    return _with_token(to, "Set a new password", opening, token, how, user, f"{url}/password")


def verify(to: str, user: str, url: str, token: str) -> Letter:
    """What shows that somebody reads the mails of an address."""
    opening = (
        f"The account {user} at {url} wants to have this address.\n\n"
        "It is confirmed once, within a day, with this token:"
    )
    how = f'PUT {url}/api/email   {{"token": "..."}}'
    return _with_token(to, "Confirm this address", opening, token, how, user, f"{url}/email")


def invitation(to: str, by: str, org: str, url: str, token: str) -> Letter:
    opening = (
        f"{by} invites you to the organization {org} at {url}.\n\n"
        "Sign in there and accept with this token, which is good once:"
    )
    how = f'POST {url}/api/invitations/accept   {{"token": "..."}}'
    return _with_token(to, f"An invitation to {org}", opening, token, how, to, f"{url}/invitation")


def changed(to: str, user: str, url: str, what: str) -> Letter:
    """A notice to who could have done it."""
    return Letter(
        to=to,
        subject=f"{what} was changed",
        text=f"{what} of the account {user} at {url} was changed.\n\n"
        "If that was not you, ask the operator for a link that sets a new password: every session ends.\n",
        user=user,
    )


def _with_token(to: str, subject: str, opening: str, token: str, how: str, user: str, page: str) -> Letter:
    return Letter(
        to=to,
        subject=subject,
        text=f"{opening}\n\n    {token}\n\n    {how}\n\n{NOT_YOU}\n",
        user=user,
        link=f"{page}#token={token}",
    )
