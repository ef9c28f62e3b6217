"""What a browser carries of a sign-in under way: nobody reads it, nobody makes it, and it ends by itself."""

import msgspec
import pytest

from deeptoken import clock
from deeptoken.accounts.person import Person
from deeptoken.accounts.under_way import LASTS_US, Begun, Proven, begin, opened, sealed
from deeptoken.errors import SignInFailed
from deeptoken.store.secrets import Secrets

SECRETS = Secrets(b"k" * 32)


def begun() -> Begun:
    back = "https://gateway.example/api/session/oidc/one/callback"
    return begin("one", "https://issuer.example", back, "/usage", None)


def proven() -> Proven:
    return Proven(
        id="token",
        provider="one",
        person=Person("https://issuer.example", "subject-1", None),
        user="usr_1",
        name="mia",
        identity=None,
        expires_us=clock.wall_us() + LASTS_US,
    )


def test_it_comes_back_as_it_went_and_tells_nothing_on_the_way() -> None:
    what = begun()

    cookie = sealed(SECRETS, what)

    assert opened(SECRETS, cookie, Begun) == what
    for secret in (what.sent.state, what.sent.verifier, what.sent.nonce, "issuer"):
        assert secret not in cookie
    drawn = {*msgspec.structs.astuple(what.sent), *msgspec.structs.astuple(begun().sent)}
    assert len(drawn) == 7


def test_it_is_good_for_ten_minutes() -> None:
    assert LASTS_US == 600_000_000
    what = msgspec.structs.replace(begun(), expires_us=clock.wall_us() - 1)

    with pytest.raises(SignInFailed):
        opened(SECRETS, sealed(SECRETS, what), Begun)


def test_one_kind_does_not_stand_for_the_other() -> None:
    """Else who has only begun could say that an issuer has said who they are."""
    with pytest.raises(SignInFailed):
        opened(SECRETS, sealed(SECRETS, begun()), Proven)
    with pytest.raises(SignInFailed):
        opened(SECRETS, sealed(SECRETS, proven()), Begun)
    assert opened(SECRETS, sealed(SECRETS, proven()), Proven).name == "mia"


def test_what_was_not_sealed_here_is_refused() -> None:
    cookie = sealed(SECRETS, begun())
    elsewhere = sealed(Secrets(b"x" * 32), begun())
    flipped = [
        cookie[:at] + ("A" if cookie[at] != "A" else "B") + cookie[at + 1 :]
        for at in range(0, len(cookie), 7)
    ]

    for wrong in (None, "", "x", "=", "\u00e9", cookie[:-4], cookie[:12], "A" * 5_000, elsewhere, *flipped):
        with pytest.raises(SignInFailed):
            opened(SECRETS, wrong, Begun)
