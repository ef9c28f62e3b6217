"""The table of the management API's routes."""

from deeptoken.api.management import (
    audit,
    invitations,
    keys,
    me,
    members,
    organizations,
    roles,
    usage,
    wallet,
)
from deeptoken.api.management.route import Route

ROUTES: tuple[Route, ...] = (
    *me.ROUTES,
    *keys.ROUTES,
    *usage.ROUTES,
    *wallet.ROUTES,
    *audit.ROUTES,
    *organizations.ROUTES,
    *members.ROUTES,
    *invitations.ROUTES,
    *roles.ROUTES,
)
