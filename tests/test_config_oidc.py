"""``[[oidc]]``: what is read, and what is refused with words that say what to do."""

from pathlib import Path

import pytest

from deeptoken import config
from deeptoken.providers.registry import BASE_URLS
from deeptoken.settings import ConfigError, Oidc, Secret, Settings

PUBLIC = '[server]\npublic_url = "https://gateway.example"\n'
GOOGLE = """
[[oidc]]
name = "google"
label = "Google"
issuer = "https://accounts.google.com"
client_id = "1234.apps.googleusercontent.com"
client_secret = { env = "GOOGLE_SECRET" }
scopes = ["openid", "email"]
match_email = true
create_users = true
domains = ["Example.com", "example.org"]
"""
TENANT = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490"


def load(folder: Path, text: str, **environ: str) -> Settings:
    file = folder / "deeptoken.toml"
    file.write_text(text)
    return config.load(file, environ, providers=BASE_URLS)


def block(issuer: str = "https://issuer.example", more: str = "", *, name: str = "one") -> str:
    return (
        f'[[oidc]]\nname = "{name}"\nissuer = "{issuer}"\nclient_id = "me"\n'
        f'client_secret = {{ env = "S" }}\n{more}\n'
    )


def test_an_issuer_is_read(tmp_path: Path) -> None:
    settings = load(tmp_path, PUBLIC + GOOGLE, GOOGLE_SECRET="hush")

    assert settings.oidc == (
        Oidc(
            name="google",
            issuer="https://accounts.google.com",
            client_id="1234.apps.googleusercontent.com",
            client_secret=Secret("hush"),
            label="Google",
            scopes=("openid", "email"),
            match_email=True,
            create_users=True,
            domains=("example.com", "example.org"),
        ),
    )
    assert "hush" not in repr(settings)


def test_what_is_left_out_lets_nobody_new_in(tmp_path: Path) -> None:
    (read,) = load(tmp_path, PUBLIC + block(), S="hush").oidc

    assert (read.label, read.scopes) == ("one", ("openid", "email", "profile"))
    assert (read.match_email, read.create_users, read.domains) == (False, False, ())
    assert load(tmp_path, PUBLIC).oidc == ()


@pytest.mark.parametrize(
    "issuer",
    [
        "https://example.eu.auth0.com/",
        "https://id.example/realms/people",
        f"https://login.microsoftonline.com/{TENANT}/v2.0",
        "http://127.0.0.1:9000",
        "http://localhost:9000/x",
    ],
)
def test_an_issuer_is_kept_to_the_letter(tmp_path: Path, issuer: str) -> None:
    assert load(tmp_path, PUBLIC + block(issuer), S="hush").oidc[0].issuer == issuer


def test_a_secret_in_the_file_itself_is_warned_of(tmp_path: Path) -> None:
    text = PUBLIC + block().replace('{ env = "S" }', '"hush"')

    (warning,) = config.warnings(load(tmp_path, text))

    assert 'oidc "one", client_secret' in warning
    assert "hush" not in warning


MICROSOFT = "https://login.microsoftonline.com"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (block(), "server.public_url is missing"),
        (f'[server]\npublic_url = "http://gateway.example"\n{block()}', "is not https"),
        (PUBLIC + block("http://issuer.example"), "reached over https"),
        (PUBLIC + block("issuer.example"), "expected the issuer's URL"),
        (PUBLIC + block("https://me:pw@issuer.example"), "expected the issuer's URL"),
        (PUBLIC + block("https://issuer.example?x=1"), 'no "?" and no "#"'),
        (PUBLIC + block("https://i.example/.well-known/openid-configuration"), "at its end out"),
        (PUBLIC + block(f"{MICROSOFT}/common/v2.0"), '"common" is no one issuer'),
        (PUBLIC + block(f"{MICROSOFT}/organizations/v2.0"), '"organizations" is no one issuer'),
        (PUBLIC + block(f"{MICROSOFT}/consumers/v2.0"), "9188040d-6c67-4c5b-b112-36a304b66dad"),
        (PUBLIC + block(f"{MICROSOFT}/contoso.onmicrosoft.com/v2.0"), "where TENANT is"),
        (PUBLIC + block(f"{MICROSOFT}/{TENANT}"), "where TENANT is"),
        (PUBLIC + block(name="One/two"), "is no slug"),
        (PUBLIC + block() + block("https://other.example"), 'there are two [[oidc]] of the name "one"'),
        (PUBLIC + block() + block(name="two"), "there are two [[oidc]] of the issuer"),
        (PUBLIC + block(more='scopes = ["email"]'), '"openid" is missing'),
        (PUBLIC + block(more='scopes = ["openid email"]'), "expected a scope, one word"),
        (PUBLIC + block(more="domains = []"), "leave it out"),
        (PUBLIC + block(more='domains = ["me@example.com"]'), "expected a domain"),
        (PUBLIC + block(more='create_users = "yes"'), "expected true or false"),
        (PUBLIC + block(more="match_mail = true"), 'did you mean "match_email"?'),
        (f"{PUBLIC}[oidc]\n", "expected [[oidc]], one for each"),
    ],
    ids=[
        "no-url", "url", "clear", "no-scheme", "password", "query", "document", "common", "organizations",
        "consumers", "by-domain", "v1", "name", "names", "issuers", "openid", "words", "no-domains",
        "address", "flag", "key", "table",
    ],
)  # fmt: skip
def test_what_is_wrong_with_one_is_said(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, text, S="hush")

    assert why in str(refused.value)
    assert "hush" not in str(refused.value)


def test_a_secret_that_is_not_there_is_named_and_commands_do_without(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, PUBLIC + block())
    read = config.load(tmp_path / "deeptoken.toml", {}, providers=BASE_URLS, secrets=False)

    assert 'oidc "one", client_secret: the environment variable S is not set' in str(refused.value)
    assert read.oidc[0].name == "one"
