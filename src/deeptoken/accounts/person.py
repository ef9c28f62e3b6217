"""Whom an issuer means, and which address of theirs is to be believed. Pure."""

from collections.abc import Mapping
from typing import Any

import msgspec

ADDRESS_MAX = 255
GOOGLE = "https://accounts.google.com"
MICROSOFT = "https://login.microsoftonline."
ADDRESS = ("email", "email_verified", "hd")
"""The claims that say what somebody's address is, and whether it is theirs."""


class Person(msgspec.Struct, frozen=True):
    """Whom an issuer means. `email` is one that it has verified to be theirs, else None."""

    issuer: str
    subject: str
    email: str | None


def verified_address(issuer: str, claims: Mapping[str, Any]) -> str | None:
    """An address that an issuer says is theirs, and has the last word on.

    Google verifies other people's domains once, when an account is made, but for those that it serves
    itself; Microsoft lets a directory's administrator write any address, unless ``xms_edov`` says that the
    domain is the directory's (developers.google.com/identity/gsi/web/guides/verify-google-id-token,
    learn.microsoft.com/entra/identity-platform/optional-claims-reference).
    """
    email = claims.get("email")
    if not isinstance(email, str) or not 0 < len(email) < ADDRESS_MAX or not email.isprintable():
        return None
    if issuer.startswith(MICROSOFT):
        return email if claims.get("xms_edov") in (True, "1", "true") else None
    if claims.get("email_verified") not in (True, "true"):
        return None
    if issuer == GOOGLE and not email.lower().endswith("@gmail.com") and not claims.get("hd"):
        return None
    return email


def may_tell_address(issuer: str, claims: Mapping[str, Any]) -> bool:
    """Whether it may help to ask for an address. Microsoft tells none beside the token that would count."""
    return not claims.get("email") and not issuer.startswith(MICROSOFT)
