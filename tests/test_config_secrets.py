"""Secrets of the configuration: what can go into a header is taken, the rest is refused and never shown."""

import json
from pathlib import Path

import pytest

from deeptoken.config import load
from deeptoken.settings import ConfigError, Settings

HIDDEN = "sk-hidden"


def read(folder: Path, text: str, **environ: str) -> Settings:
    file = folder / "deeptoken.toml"
    file.write_text(text)
    return load(file, environ, providers={"openai": "https://api.openai.com/v1"})


def refused(folder: Path, text: str, **environ: str) -> ConfigError:
    with pytest.raises(ConfigError) as error:
        read(folder, text, **environ)
    return error.value


ODD_SECRETS = [
    "sk-hid den",
    "sk-hid\tden",
    "sk-hid\nden",
    "sk-hid\r\nX: den",
    "sk-hidé",
    "sk-hid\x7f",
    "sk-hid\u200b",
]


@pytest.mark.parametrize("odd", ODD_SECRETS)
def test_a_secret_that_no_header_can_carry_is_refused_and_not_shown(tmp_path: Path, odd: str) -> None:
    (tmp_path / "odd").write_text(odd, newline="")
    quoted = odd.encode("unicode_escape").decode().replace("\\x", "\\u00")
    table = "[server]\nmetrics_token = "

    errors = [
        refused(tmp_path, f'{table}{{ env = "ODD" }}', ODD=odd),
        refused(tmp_path, f'{table}{{ file = "odd" }}'),
        refused(tmp_path, f'{table}"{quoted}"'),
        refused(tmp_path, "", DEEPTOKEN_SERVER__METRICS_TOKEN=odd),
    ]

    for error in errors:
        assert "a secret is printable ASCII without spaces" in str(error)
        assert "sk-hid" not in str(error)
        assert "den" not in str(error)
    assert [error.line for error in errors[:3]] == [2, 2, 2]


def test_what_surrounds_a_secret_is_cut_off(tmp_path: Path) -> None:
    (tmp_path / "padded").write_text(" sk-hidden \r\n\n", newline="")
    table = "[server]\nmetrics_token = "

    tokens = [
        read(tmp_path, f'{table}{{ env = "PADDED" }}', PADDED="sk-hidden\n").server.metrics_token,
        read(tmp_path, f'{table}{{ file = "padded" }}').server.metrics_token,
    ]

    assert tokens == [HIDDEN] * 2


def test_the_key_file_of_a_service_account_becomes_one_line_that_means_the_same(tmp_path: Path) -> None:
    told = {"type": "service_account", "private_key": "-----BEGIN PRIVATE KEY-----\nü\n", "n": 1}
    (tmp_path / "key.json").write_text(json.dumps(told, indent=2, ensure_ascii=False), encoding="utf-8")
    file = tmp_path / "deeptoken.toml"
    file.write_text(
        '[[channels]]\nname = "v"\nprovider = "vertex"\nproject = "p"\nlocation = "eu"\n'
        'api_key = { file = "key.json" }\n'
    )

    channel = load(file, {}, providers={"vertex": ""}).channels[0]

    assert json.loads(channel.secret) == told
    assert all("!" <= character <= "~" for character in channel.secret)
    assert (channel.base_url, channel.options) == ("", {"project": "p", "location": "eu"})


def test_a_secret_that_begins_as_json_and_is_none_is_refused(tmp_path: Path) -> None:
    table = "[server]\nmetrics_token = "

    error = refused(tmp_path, f'{table}{{ env = "ODD" }}', ODD='{"private_key": "x')

    assert "begins as JSON" in str(error)
    assert "private_key" not in str(error)


def test_who_only_administers_needs_no_secret_that_is_kept_elsewhere(tmp_path: Path) -> None:
    file = tmp_path / "deeptoken.toml"
    file.write_text(
        '[[channels]]\nname = "up"\nprovider = "openai"\napi_key = { env = "NOT_THERE" }\n'
        '[[users]]\nname = "ops"\n'
        '[[keys]]\nname = "ci"\nowner = "ops"\nsecret = { file = "nowhere" }\n'
        '[[keys]]\nname = "cd"\nowner = "ops"\nsecret = { env = "NOT_THERE" }\n'
    )
    providers = {"openai": "https://api.openai.com/v1"}

    settings = load(file, {}, providers=providers, secrets=False)

    assert [channel.name for channel in settings.channels] == ["up"]
    assert [(key.name, key.digest) for key in settings.keys] == [("ci", b""), ("cd", b"")]
    with pytest.raises(ConfigError, match="NOT_THERE"):
        load(file, {}, providers=providers)
