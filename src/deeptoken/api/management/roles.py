"""Roles in an organization: ``/api/orgs/{slug}/roles``. Those that every organization has come first."""

import msgspec

from deeptoken.accounts import roles
from deeptoken.accounts.roles import RoleShown
from deeptoken.api.management.organizations import ORG, organization_of
from deeptoken.api.management.route import Asked, Nothing, Page, Route, Slice, limit_of, one, sliced
from deeptoken.errors import BadRequest, Conflict
from deeptoken.identity.roles import ROLES
from deeptoken.store.queries.accounts import Organization, Role
from deeptoken.store.reads import Reader


class NewRole(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A role to be made."""

    name: str
    permissions: list[str]


class RolePermissions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that a role then has."""

    permissions: list[str]


async def _found(asked: Asked) -> tuple[Organization, Role]:
    name = asked.path["role"]

    def ask(reader: Reader) -> tuple[Organization, Role | None]:
        org = organization_of(reader, asked)
        return org, next((role for role in reader.roles(org.id) if role.name == name), None)

    org, role = await asked.world.read(ask)
    return org, one(role, "role", name)


def _ensure_own(name: str) -> None:
    """Raises `Conflict`: every organization has it."""
    if name in ROLES:
        raise Conflict(f"Every organization has the role {name!r}: make one of your own beside it.")


async def list_roles(asked: Asked) -> Slice:
    """In one order: those that every organization has, then its own by name."""
    limit, after = limit_of(asked.query), asked.query.after
    own = await asked.world.read(lambda reader: reader.roles(asked.org.id))
    rows = [*(roles.builtin(name) for name in ROLES), *(roles.shown(role) for role in own)]
    names = [row.name for row in rows]
    if after and after not in names:
        raise BadRequest("after: there is no such role. Begin without it.", param="after")
    begin = names.index(after) + 1 if after else 0
    return sliced(rows[begin : begin + limit + 1], limit, lambda row: str(row.name))


async def show_role(asked: Asked) -> RoleShown:
    if asked.path["role"] in ROLES:
        return roles.builtin(asked.path["role"])
    return roles.shown((await _found(asked))[1])


async def create_role(asked: Asked) -> RoleShown:
    def ask(reader: Reader) -> tuple[Organization, list[Role]]:
        org = organization_of(reader, asked)
        return org, reader.roles(org.id)

    org, others = await asked.world.read(ask)
    name = roles.checked_name(asked.body.name, others)
    permissions = roles.checked_permissions(asked.may, asked.body.permissions)
    done, role = roles.create(asked.actor, org, name, permissions)
    await asked.change(done)
    return roles.shown(role)


async def change_role(asked: Asked) -> RoleShown:
    _ensure_own(asked.path["role"])
    org, role = await _found(asked)
    asked.matched(role.version)
    permissions = roles.checked_permissions(asked.may, asked.body.permissions)
    await asked.change(roles.edit(asked.actor, asked.may, org, role, permissions))
    return roles.shown(msgspec.structs.replace(role, permissions=permissions, version=role.version + 1))


async def delete_role(asked: Asked) -> Nothing:
    _ensure_own(asked.path["role"])
    org, role = await _found(asked)

    given = await asked.world.read(
        lambda reader: roles.is_given(role, reader.seated(org.id), reader.invitations(org.id))
    )
    await asked.change(roles.delete(asked.actor, asked.may, org, role, given=given))
    return Nothing()


ROUTES: list[Route] = [
    Route(method="GET", path=f"{ORG}/roles", needs="members.read", handler=list_roles, query=Page,
          answer=list[RoleShown], summary="The roles: those of every organization, then its own"),
    Route(method="POST", path=f"{ORG}/roles", needs="roles.manage", handler=create_role, body=NewRole,
          answer=RoleShown, status=201, errors=(409,), summary="A role of the organization's own"),
    Route(method="GET", path=f"{ORG}/roles/{{role}}", needs="members.read", handler=show_role,
          answer=RoleShown, errors=(404,), summary="One role"),
    Route(method="PATCH", path=f"{ORG}/roles/{{role}}", needs="roles.manage", handler=change_role,
          body=RolePermissions, answer=RoleShown, matched=True, errors=(404, 409),
          summary="Change what a role may, from the next call of its members on"),
    Route(method="DELETE", path=f"{ORG}/roles/{{role}}", needs="roles.manage", handler=delete_role,
          status=204, errors=(404, 409, 412), summary="Delete a role that nobody has"),
]  # fmt: skip
