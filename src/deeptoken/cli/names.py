"""From what people call a thing to the thing: ``user:ops``, a key's name or id, a channel's name."""

from collections.abc import Collection, Sequence

from deeptoken.cli.options import Mistake
from deeptoken.config_fields import Wrong, nearest, one_of, quote
from deeptoken.settings import Settings
from deeptoken.store.queries.accounts import Organization
from deeptoken.store.queries.money import Wallet
from deeptoken.store.queries.people import Key, StoredChannel, User
from deeptoken.store.reads import Reader

USER = "user:"
ORG = "org:"


def find_user(reader: Reader, name: str) -> User:
    """By name, with ``user:`` before it or not, or by id."""
    if name.startswith(ORG):
        raise Mistake(f"{name} is an organization: name a user, such as user:ops.")
    bare = name.removeprefix(USER)
    users = {user.name: user for user in reader.users()}
    found = users.get(bare) or next((user for user in users.values() if user.id == bare), None)
    if found is None:
        raise unknown("user", bare, users, "`deeptoken users create` makes one")
    return found


def find_organization(reader: Reader, name: str) -> Organization:
    """By slug, with ``org:`` before it or not, or by id."""
    bare = name.removeprefix(ORG)
    orgs = {org.slug: org for org in reader.organizations()}
    found = orgs.get(bare) or next((org for org in orgs.values() if org.id == bare), None)
    if found is None:
        raise unknown("organization", bare, orgs, "`deeptoken orgs create` makes one")
    return found


def find_owner(reader: Reader, name: str) -> tuple[str, str]:
    """The id of a user or, as ``org:acme``, of an organization; and what people call it."""
    if name.startswith((ORG, "org_")):
        org = find_organization(reader, name)
        return org.id, ORG + org.slug
    user = find_user(reader, name)
    return user.id, USER + user.name


def find_wallet(reader: Reader, name: str) -> Wallet:
    """The wallet of a user or organization."""
    id, owner = find_owner(reader, name)
    wallet = reader.wallet(id)
    if wallet is None:
        raise Mistake(f"{owner} has no wallet; `deeptoken wallets grant {owner}` opens it.")
    return wallet


def find_key(reader: Reader, name: str) -> Key:
    """By id, by name, or by ``owner/name`` where several owners have a key of that name."""
    keys = reader.keys()
    owners = owner_names(reader)
    named = [key for key in keys if name in (key.id, key.name)]
    if not named:
        owner, _, rest = name.partition("/")
        full = owner if owner.startswith(ORG) else USER + owner.removeprefix(USER)
        named = [key for key in keys if key.name == rest and owners.get(key.owner) == full]
    if not named:
        raise unknown("key", name, {key.name for key in keys}, "`deeptoken keys create` makes one")
    if len(named) > 1:
        choices = ", ".join(f"{owners.get(key.owner, key.owner).removeprefix(USER)}/{name}" for key in named)
        raise Mistake(f"Several owners have a key {quote(name)}: say which, {choices}.")
    return named[0]


def find_tier(settings: Settings, name: str | None) -> str | None:
    """The name of a group; `default` is what everybody is in."""
    if name is None or name == "default":
        return None
    try:
        return one_of([group.name for group in settings.groups], "tier")(name, ())
    except Wrong as wrong:
        raise Mistake(f"--tier: {wrong.message}") from None


def owner_names(reader: Reader) -> dict[str, str]:
    """Every owner's id, and what people call it."""
    return dict(reader.owners())


def find_channel(channels: Sequence[StoredChannel], name: str, others: Collection[str]) -> StoredChannel:
    """A channel of the database; `others` are the names in the configuration file."""
    for channel in channels:
        if name in (channel.name, channel.id):
            return channel
    known = [*(channel.name for channel in channels), *others]
    raise unknown("channel", name, known, "`deeptoken channels create` makes one")


def unknown(what: str, name: str, known: Collection[str], cure: str) -> Mistake:
    """There is none of that name; which was meant, or how to make one."""
    hint = nearest(name, known) if known else ""
    return Mistake(f"There is no {what} {quote(name)}{hint if 'mean' in hint else f'; {cure}.'}")
