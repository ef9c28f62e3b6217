"""Who may call what, as of the last change. Replaced whole: a call sees one state throughout."""

import msgspec

from deeptoken.catalog.catalog import Catalog, Found
from deeptoken.catalog.price import bills
from deeptoken.errors import AccountSuspended, ModelNotAllowed, ModelNotFound, PermissionDenied
from deeptoken.gateway.inbound import Inbound
from deeptoken.identity.caller import Caller
from deeptoken.identity.keys import Keys, authorise
from deeptoken.identity.organizations import Organizations
from deeptoken.wire.usage import Usage

TOKENS = Usage(prompt=1, completion=1)
"""What every chat uses."""


class Snapshot(msgspec.Struct, frozen=True):
    """Keys and catalog that belong together."""

    keys: Keys
    catalog: Catalog
    organizations: Organizations = Organizations({})
    operators: frozenset[str] = frozenset()
    """The ids of the users who administer the installation."""

    def charged(self, call: Inbound, caller: Caller) -> Caller:
        """The caller on the account that its call names: its organization's, if it names one.

        Raises:
            OrganizationNotFound, NotAMember, OrganizationMismatch, PermissionDenied: see `Organizations`.
        """
        if call.organization is not None:
            caller = call.trace.caller = self.organizations.charged(caller, call.organization)
        return caller

    def serving(self, caller: Caller, asked: str, used: Usage = TOKENS) -> Found:
        """What `asked` stands for, to this caller, for a call that uses what `used` has.

        Raises:
            AccountSuspended: its owner may do nothing.
            PermissionDenied: the key makes no calls.
            ModelNotAllowed: the key's list does not have it.
            ModelNotFound: nothing serves it in the caller's group, or it has no price for such a call.
        """
        if caller.suspended:
            raise AccountSuspended("This account is suspended. Ask the operator why.")
        if caller.scope != "call":
            raise PermissionDenied(f"This API key has the scope {caller.scope!r}: it makes no calls.")
        found = self.catalog.find(asked, caller.group.name)
        authorise(caller, found.model.id if found else asked)
        if found is None:
            raise ModelNotFound(asked)
        if not bills(found.model.price.rates, used):
            raise ModelNotFound(
                asked, f"The model {asked!r} has no price for what this endpoint uses. Name another."
            )
        return found

    def cheaper(self, caller: Caller, asked: str, used: Usage) -> str:
        """The key's cheaper model, where it may be called and can do this; else what was asked for."""
        wanted = caller.cheaper_model
        if wanted is None:
            return asked
        try:
            self.serving(caller, wanted, used)
        except (ModelNotAllowed, ModelNotFound):
            return asked
        return wanted

    def chain(
        self, caller: Caller, asked: str, fallbacks: tuple[str, ...], used: Usage = TOKENS
    ) -> tuple[Found, ...]:
        """The same of a model and those to fall back on, in order.

        Raises:
            ModelNotAllowed, ModelNotFound: one of them, as if it alone were asked for; `param` names it.
        """
        found = [self.serving(caller, asked, used)]
        for place, id in enumerate(fallbacks):
            try:
                found.append(self.serving(caller, id, used))
            except (ModelNotAllowed, ModelNotFound) as error:
                # Passing over it would hide a typo until the day when the fallback is needed.
                error.param = f"models[{place}]"
                raise
        return tuple(found)
