"""``[email]``: what is read, and what is refused with words that say what to do."""

from pathlib import Path

import pytest

from deeptoken import config
from deeptoken.providers.registry import BASE_URLS
from deeptoken.settings import ConfigError, Email, Secret

PUBLIC = '[server]\npublic_url = "https://gateway.example"\n'
WHOLE = """
[email]
host = "smtp.example.com"
port = 465
tls = "implicit"
username = "gateway"
password = { env = "SMTP_PASSWORD" }
from = "DeepToken <noreply@gateway.example>"
"""
FROM = 'from = "noreply@gateway.example"\n'


def load(folder: Path, text: str, **environ: str) -> Email | None:
    file = folder / "deeptoken.toml"
    file.write_text(text)
    return config.load(file, environ, providers=BASE_URLS).email


def test_a_server_that_takes_mails_is_read(tmp_path: Path) -> None:
    email = load(tmp_path, PUBLIC + WHOLE, SMTP_PASSWORD="hush")

    assert email == Email(
        host="smtp.example.com",
        sender="DeepToken <noreply@gateway.example>",
        port=465,
        tls="implicit",
        username="gateway",
        password=Secret("hush"),
    )
    assert load(tmp_path, PUBLIC) is None
    plain = load(tmp_path, f'{PUBLIC}[email]\nhost = "127.0.0.1"\n{FROM}')
    assert plain is not None
    assert (plain.port, plain.tls, plain.username) == (587, "starttls", "")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f'[email]\nhost = "smtp.example.com"\n{FROM}', "server.public_url is missing"),
        (f'{PUBLIC}[email]\nhost = "smtp.example.com"\n', '"from" is missing'),
        (f"{PUBLIC}[email]\n{FROM}", '"host" is missing'),
        (f'{PUBLIC}[email]\nhost = "h"\nfrom = "noreply"\n', "expected an e-mail address"),
        (f'{PUBLIC}[email]\nhost = "h"\nfrom = "a@b\\r\\nBcc: c@d"\n', "expected an e-mail address"),
        (f'{PUBLIC}[email]\nhost = "h"\ntls = "ssl"\n{FROM}', 'there is no way of TLS "ssl"'),
        (f'{PUBLIC}[email]\nhost = "h"\nusername = "me"\n{FROM}', "username and password belong together"),
        (
            f'{PUBLIC}[email]\nhost = "h"\ntls = "none"\nusername = "me"\npassword = "hush"\n{FROM}',
            "would send the password in the clear",
        ),
    ],
    ids=["no-url", "no-from", "no-host", "from", "from-header", "tls", "half", "clear"],
)
def test_what_is_wrong_with_it_is_said(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, text)

    assert why in str(refused.value)
