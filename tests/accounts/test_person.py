"""Which addresses are believed: those that the issuer has the last word on."""

from typing import Any

import pytest

from deeptoken.accounts.person import GOOGLE, verified_address

MICROSOFT = "https://login.microsoftonline.com/8eaef023-2b34-4da1-9baa-8bc8c9d6a490/v2.0"
ANY = "https://issuer.example"


@pytest.mark.parametrize(
    ("issuer", "email", "claims", "believed"),
    [
        (ANY, "a@example.com", {"email_verified": True}, True),
        (ANY, "a@example.com", {"email_verified": "true"}, True),
        (ANY, "a@example.com", {"xms_edov": True}, False),
        (GOOGLE, "a@gmail.com", {"email_verified": True}, True),
        (GOOGLE, "a@GMAIL.com", {"email_verified": True}, True),
        (GOOGLE, "a@gmail.com", {"email_verified": False, "hd": "gmail.com"}, False),
        (GOOGLE, "a@example.com", {"email_verified": True}, False),
        (GOOGLE, "a@example.com", {"email_verified": True, "hd": "example.com"}, True),
        (MICROSOFT, "a@example.com", {"email_verified": True}, False),
        (MICROSOFT, "a@example.com", {"xms_edov": True}, True),
        (MICROSOFT, "a@example.com", {"xms_edov": "1"}, True),
        (MICROSOFT, "a@example.com", {"xms_edov": False}, False),
        (MICROSOFT, "a@example.com", {"xms_edov": {"true": 1}}, False),
        (ANY, "a@example.com\nb", {"email_verified": True}, False),
        (ANY, "a" * 300, {"email_verified": True}, False),
        (ANY, None, {"email_verified": True}, False),
    ],
    ids=[
        "verified", "verified-text", "unsaid", "gmail", "gmail-capitals", "gmail-unverified",
        "elsewhere-once", "workspace", "microsoft-unowned", "microsoft-owned", "microsoft-owned-text",
        "microsoft-not-owned",
        "microsoft-odd", "two-lines", "long", "none",
    ],
)  # fmt: skip
def test_an_address_is_believed_of_who_has_the_last_word_on_it(
    issuer: str, email: str | None, claims: dict[str, Any], believed: bool
) -> None:
    found = verified_address(issuer, {"email": email, **claims})

    assert found == (email if believed else None)
