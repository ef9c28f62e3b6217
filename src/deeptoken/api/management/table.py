"""The table of the management API's routes."""

from deeptoken.api.management import keys
from deeptoken.api.management.route import Route

ROUTES: tuple[Route, ...] = (*keys.ROUTES,)
