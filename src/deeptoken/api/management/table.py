"""The table of the management API's routes."""

from typing import Any

from deeptoken.api.management import (
    admin,
    admin_channels,
    admin_models,
    admin_orgs,
    audit,
    email,
    factor,
    identities,
    invitations,
    keys,
    me,
    members,
    oidc,
    organizations,
    roles,
    session,
    usage,
    wallet,
)
from deeptoken.api.management.openapi import document
from deeptoken.api.management.route import Asked, Route

TABLE: tuple[Route, ...] = (
    *session.ROUTES,
    *factor.ROUTES,
    *email.ROUTES,
    *oidc.ROUTES,
    *identities.ROUTES,
    *me.ROUTES,
    *keys.ROUTES,
    *usage.ROUTES,
    *wallet.ROUTES,
    *audit.ROUTES,
    *organizations.ROUTES,
    *members.ROUTES,
    *invitations.ROUTES,
    *roles.ROUTES,
    *admin.ROUTES,
    *admin_channels.ROUTES,
    *admin_models.ROUTES,
    *admin_orgs.ROUTES,
)


async def described(asked: Asked) -> dict[str, Any]:
    """The OpenAPI document of all of them, itself too."""
    return document(ROUTES)


ROUTES: tuple[Route, ...] = (
    *TABLE,
    Route(
        method="GET",
        path="/api/openapi.json",
        needs="nobody",
        handler=described,
        answer=dict,
        summary="This document",
    ),
)
