"""What a chat calls a field, and what the caller's own dialect calls it: for errors that name one."""

import re
from collections.abc import Callable

from deeptoken.errors import BadRequest, DeeptokenError


class Misnamed(BadRequest):
    """A field by the name that it has in a chat. The caller wrote that name, and is told it."""


def rename(error: DeeptokenError, here: Callable[[str], str]) -> None:
    """Gives an error that names a field of the chat the name that `here` tells for its path."""
    told = error.param or ""
    written = told if isinstance(error, Misnamed) else here(told)
    if written != told:
        error.param = written
        error.message = re.sub(rf"(?<!\w){re.escape(told)}(?!\w)", lambda _: written, error.message)
