"""E-mail addresses of people: asked for, confirmed by a link that is sent there."""

from deeptoken import clock, ids
from deeptoken.accounts.change import Actor, change
from deeptoken.accounts.sign_in import LINK_US
from deeptoken.ledger.postings import Edit, Statement
from deeptoken.store.queries.email import set_address, set_link, use_link


def ask(actor: Actor, user: str, address: str, *taken: Statement) -> tuple[Edit, str]:
    """A link that confirms the address, and its token. Until then the address in use stays."""
    token = ids.new_token()
    link = set_link(user, address, ids.digest(token), clock.wall_us() + LINK_US)
    edit = change(actor, "user.email", actor.name, *taken, link, tenant=user, after={"pending": address})
    return edit, token


def confirm(actor: Actor, user: str, address: str, sha256: bytes) -> Edit:
    """Somebody reads the mails of that address."""
    now_us = clock.wall_us()
    steps = (use_link(user, sha256, now_us), set_address(user, address, now_us))
    return change(actor, "user.email", actor.name, *steps, tenant=user, after={"email": address})
