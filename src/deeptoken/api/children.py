"""``POST /v1/keys`` and ``DELETE /v1/keys/{id}``: a key makes child keys, and ends them."""

import msgspec

from deeptoken.accounts import keys
from deeptoken.accounts.change import Actor
from deeptoken.accounts.children import NewChild, child
from deeptoken.api.management.keys import Made
from deeptoken.api.management.route import World
from deeptoken.api.management.serve import unreadable
from deeptoken.errors import AccountSuspended, Conflict, NotFound, PermissionDenied
from deeptoken.identity.caller import Caller
from deeptoken.ledger.postings import Rejected
from deeptoken.store.queries.people import Key
from deeptoken.store.reads import Reader

_read = msgspec.json.Decoder(NewChild).decode


class Children:
    """The child keys of the keys that call."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def create(self, caller: Caller, address: str | None, body: bytes) -> Made:
        """Raises what `child` does, and `BadRequest` where the body is none."""
        if caller.suspended:
            raise AccountSuspended("This account is suspended. Ask the operator why.")
        if not caller.children:
            raise PermissionDenied("This API key makes no child keys. Its owner can allow it: children.")
        try:
            asked = _read(body)
        except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise unreadable(error) from None

        def known(reader: Reader) -> tuple[Key | None, list[Key]]:
            return reader.key(caller.key), reader.keys_of(caller.account, "", 1_000_000)

        parent, others = await self._world.read(known)
        if parent is None:
            raise NotFound("This API key is no more.")
        key, secret = child(parent, asked, others)
        edit = keys.create(_actor(caller, address), key, caller.owner)
        for answer in await self._world.post(edit):
            if isinstance(answer, Rejected):
                raise Conflict(answer.why)
        return Made(**msgspec.structs.asdict(keys.shown(key, caller.owner)), secret=secret)

    async def end(self, caller: Caller, address: str | None, id: str) -> None:
        """Revoke one's own child; a second time it changes nothing.

        Raises:
            NotFound: there is none of that id, or it is somebody else's.
        """
        found = await self._world.read(lambda reader: reader.key(id))
        if found is None or found.parent != caller.key:
            raise NotFound(f"This API key has no child {id!r}.")
        if found.revoked_us is None:
            await self._world.post(keys.revoke(_actor(caller, address), found, caller.owner))


def _actor(caller: Caller, address: str | None) -> Actor:
    return Actor(name=caller.owner, account=caller.account, by=caller.key, address=address)
