"""Reading what is committed: plain functions, on a connection of their own that cannot write.

A `Reader` is opened for a request, a command or a page and closed by ``with``. From the event loop use
`read`, which runs it in a thread.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from deeptoken.catalog.entry import Entry
from deeptoken.ledger.changes import LotRow
from deeptoken.store.queries import accounts, email, identities, load, money, people, sign_in
from deeptoken.store.queries.accounts import Audited, Invitation, Member, Organization, Role, Seated
from deeptoken.store.queries.email import Reached
from deeptoken.store.queries.identities import Identity, Known
from deeptoken.store.queries.money import UsageFilter, UsageRecord, Wallet
from deeptoken.store.queries.people import Key, PriceVersion, StoredChannel, User
from deeptoken.store.queries.sign_in import Login, Session, Visitor
from deeptoken.store.sqlite import open_reader_connection

Found = TypeVar("Found")


class Reader:
    """What is known of people and money. For one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._connection = open_reader_connection(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def usage(self, id: str, owner: str | None = None) -> UsageRecord | None:
        """By ``X-DeepToken-Id`` or ``X-Request-Id``; of the keys of `owner` only, if given."""
        return money.usage_record(self._connection, id, owner)

    def usages(self, which: UsageFilter | None = None, *, limit: int = 100) -> list[UsageRecord]:
        """The newest that match, newest first."""
        return money.usage_records(self._connection, which or UsageFilter(), limit)

    def paid(self, id: str, wallet: str, *, user: str | None = None) -> UsageRecord | None:
        """The same among what a wallet paid; of a user's keys only, if given."""
        return money.paid_record(self._connection, id, wallet, user)

    def made_by(self, id: str) -> str | None:
        """Whose key made a call: ``user:ops``, ``org:acme``."""
        return money.made_by(self._connection, id)

    def recent_answers(self, wallet: str, model: str) -> list[int]:
        """How many tokens the wallet's latest whole answers of a model had, newest first."""
        return money.recent_answers(self._connection, wallet, model)

    def wallet(self, id: str) -> Wallet | None:
        found = money.wallets(self._connection, id)
        return found[0] if found else None

    def wallets(self) -> list[Wallet]:
        return money.wallets(self._connection)

    def lots(self, wallet: str) -> list[LotRow]:
        """All lots of a wallet, oldest first."""
        return money.wallet_lots(self._connection, wallet)

    def lots_page(self, wallet: str, after: int, limit: int) -> list[LotRow]:
        """From behind that rank on."""
        return money.wallet_lots(self._connection, wallet, after, limit)

    def users(self) -> list[User]:
        return people.users(self._connection)

    def tier(self, user: str) -> str | None:
        """The group that a user is in, by id; None: `default`."""
        return people.tier(self._connection, user)

    def user_named(self, name: str) -> str | None:
        """A user's id."""
        return people.user_named(self._connection, name)

    def login(self, name: str) -> Login | None:
        """What lets the user of that name in."""
        return sign_in.login(self._connection, name)

    def linked(self, sha256: bytes, now_us: int) -> str | None:
        """Whose open link that is, by its digest: a user's name."""
        return sign_in.linked(self._connection, sha256, now_us)

    def reached(self, said: str) -> Reached | None:
        """The user of that name or verified address, and where mails reach them."""
        return email.reached(self._connection, said)

    def pending_email(self, user: str, now_us: int) -> str | None:
        """The address of a user that waits to be confirmed."""
        return email.pending(self._connection, user, now_us)

    def email_linked(self, sha256: bytes, now_us: int) -> tuple[str, str, str] | None:
        """Whose open link to an address that is: id, name, address."""
        return email.linked(self._connection, sha256, now_us)

    def identities_of(self, user: str, *, after: str = "", limit: int = 1_000) -> list[Identity]:
        """Whom issuers know a user as, by id, from behind that one on."""
        return identities.identities_of(self._connection, user, after, limit)

    def identity(self, id: str, user: str) -> Identity | None:
        """One of them."""
        return identities.identity(self._connection, id, user)

    def known(self, issuer: str, subject: str) -> Known | None:
        """The user whom an issuer knows by that subject."""
        return identities.known(self._connection, issuer, subject)

    def confirmed(self, address: str) -> Known | None:
        """The user who has confirmed that address."""
        return identities.confirmed(self._connection, address)

    def named(self, name: str) -> bool:
        """Is there a user whose name differs from that at most in capitals?"""
        return identities.named(self._connection, name)

    def invited(self, address: str, now_us: int) -> list[Invitation]:
        """The open invitations of an address."""
        return identities.invited(self._connection, address, now_us)

    def visitor(self, sha256: bytes, now_us: int, seen_after_us: int) -> Visitor | None:
        """Who has a session that has not ended, by the digest of its token."""
        return sign_in.visitor(self._connection, sha256, now_us, seen_after_us)

    def sessions_of(self, user: str, after: str, limit: int) -> list[Session]:
        return sign_in.sessions_of(self._connection, user, after, limit)

    def has_sealed(self) -> bool:
        """Is there anything that the secrets key sealed?"""
        return sign_in.sealed(self._connection) or any(row.secret is not None for row in self.channels())

    def keys(self) -> list[Key]:
        """Every key that is not deleted."""
        return people.keys(self._connection)

    def keys_after(self, after: str, limit: int) -> list[Key]:
        """The same by id, from behind that one on."""
        return people.keys_after(self._connection, after, limit)

    def keys_of(self, owner: str, after: str, limit: int) -> list[Key]:
        """An owner's keys that are not deleted, by id, from behind that one on."""
        return people.keys_of(self._connection, owner, after, limit)

    def key(self, id: str) -> Key | None:
        return people.key(self._connection, id)

    def organizations(self) -> list[Organization]:
        return accounts.organizations(self._connection)

    def organization(self, slug: str) -> Organization | None:
        """The one that has, or had, that slug."""
        return accounts.organization(self._connection, slug)

    def members(self) -> list[Member]:
        """Of all organizations."""
        return accounts.members(self._connection)

    def seated(self, org: str, *, after: str = "", limit: int = 1_000_000) -> list[Seated]:
        """An organization's members by their ids, from behind that one on."""
        return accounts.seated(self._connection, org, after, limit)

    def seated_named(self, org: str, user: str) -> Seated | None:
        """One of them, by the user's name."""
        return accounts.seated_named(self._connection, org, user)

    def seat(self, org: str, user: str) -> Seated | None:
        """One of them, by the user's id."""
        return accounts.seat(self._connection, org, user)

    def seated_owner(self, org: str) -> Seated | None:
        return accounts.seated_owner(self._connection, org)

    def roles(self, org: str | None = None) -> list[Role]:
        """Those of organizations' own: of one, or all."""
        return accounts.roles(self._connection, org)

    def invitations(self, org: str, *, after: str = "", limit: int = 1_000) -> list[Invitation]:
        return accounts.invitations(self._connection, org, after, limit)

    def invitation_of(self, id: str, org: str) -> Invitation | None:
        return accounts.invitation_of(self._connection, id, org)

    def invitation(self, sha256: bytes) -> Invitation | None:
        """By the digest of its secret."""
        return accounts.invitation(self._connection, sha256)

    def granted(self, ref: str) -> bool:
        """Is there a lot with this reference, of whatever wallet?"""
        return money.granted(self._connection, ref)

    def audited(self, tenant: str | None, *, before: int, limit: int) -> list[Audited]:
        """The audit log below `before`, newest first; a tenant's, or all of it."""
        return accounts.audited(self._connection, tenant, before, limit)

    def owners(self) -> Mapping[str, str]:
        """Whose a wallet or a key is, by id: ``user:ops``, ``org:acme``."""
        return accounts.owners(self._connection)

    def owner(self, id: str) -> str | None:
        """The same of one."""
        return accounts.owner(self._connection, id)

    def channels(self) -> list[StoredChannel]:
        return people.channels(self._connection)

    def models(self) -> list[Entry]:
        """The price book's models; their prices are versions of their own."""
        return people.models(self._connection)

    def prices(self, now_us: int) -> list[PriceVersion]:
        """For each model the version that holds at `now_us`."""
        return people.current_prices(self._connection, now_us)

    def price_history(self) -> list[PriceVersion]:
        """Every version of every price, as they were added."""
        return people.all_prices(self._connection)

    def latest_us(self) -> int:
        """The ledger's time of the last thing that was written; 0 in a new database."""
        head = self._connection.execute(load.HEAD).fetchone()
        committed_us: int = head[1] if head else 0
        latest_us: int = self._connection.execute(load.LATEST_TIME).get
        return max(committed_us, latest_us)


async def read(path: Path, ask: Callable[[Reader], Found]) -> Found:
    """Ask off the event loop: ``await read(path, lambda reader: reader.usage(id))``."""

    def in_thread() -> Found:
        with Reader(path) as reader:
            return ask(reader)

    return await asyncio.to_thread(in_thread)
