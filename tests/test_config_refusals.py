"""What is wrong in a configuration is refused with file, line and the right words; no secret is told."""

from pathlib import Path

import pytest

from deeptoken import ids
from deeptoken.config import load
from deeptoken.config_lines import Lines
from deeptoken.settings import ConfigError

PROVIDERS = {
    "openai": "https://api.openai.com/v1",
    "sim": "",
    "azure": None,
    "bedrock": "https://{region}.test",
}
BODY = "0123456789" * 4
KEY = f"dtk_{BODY}{ids.checksum(BODY)}"


def refused(folder: Path, text: str) -> ConfigError:
    (folder / "cert.pem").write_text("PEM")
    file = folder / "deeptoken.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as error:
        load(file, {}, providers=PROVIDERS)
    return error.value


CHANNEL = '[[channels]]\nname = "a"\nprovider = "openai"\n'
USER = '[[users]]\nname = "ops"\n'
KEYED = f'{USER}[[keys]]\nname = "ci"\nowner = "ops"\n'
SECRET_LINE = f'secret = "{KEY}"\n'

WRONG = [
    # What stands in the file, the line, the words.
    ("[server]\nport = 1\nprot = 2", 3, 'server.prot: unknown key "prot"; did you mean "port"?'),
    ("[server]\nport = 70000", 2, "server.port: expected a whole number from 0 to 65535, found 70000"),
    ("[server]\nport = true", 2, "server.port: expected a whole number from 0 to 65535, found true"),
    ("[server]\nport = 80.5", 2, "found 80.5"),
    ('server = "x"', 1, "server: expected a table, found a text"),
    ("[server]\n\n# more than enough\nworkers = 65", 4, "expected at most 64 workers"),
    ("[server]\nqueue_seconds = -1", 2, "expected a number of seconds, at least 0, found -1"),
    ("[server]\nheader_seconds = 0", 2, "expected a number of seconds above 0, found 0"),
    ("[server]\ndrain_seconds = -1", 2, "expected a number of seconds, at least 0, found -1"),
    ("[server]\nheader_seconds = inf", 2, "expected a number of seconds above 0"),
    ('[server]\ntrusted_proxies = ["10.0.0.0/8",\n  "nowhere"]', 2, "expected an address or a range"),
    ('[server]\ntrusted_proxies = ["10.0.0.1/8"]', 2, "expected an address or a range"),
    ('[server]\ntls = { certificate = "cert.pem" }', 2, 'server.tls: "key" is missing'),
    ('[server]\ntls = { certificate = "cert.pem", key = "gone.pem" }', 2, "server.tls.key: there is no file"),
    ('[server]\nmetrics_token = { env = "NOT_SET" }', 2, "the environment variable NOT_SET is not set"),
    ('[server]\nmetrics_token = { file = "gone" }', 2, "cannot read the file"),
    ("[server]\nmetrics_token = 5", 2, 'expected { env = "NAME" }, { file = "path" } or a text, found 5'),
    ('[database]\nurl = "postgresql://u:hidden@h/d"', 2, "this version serves SQLite only"),
    ('[database]\nurl = "deeptoken.db"', 2, "expected sqlite:///deeptoken.db"),
    ('[database]\nurl = "sqlite:///"', 2, "expected sqlite:///deeptoken.db"),
    ("[server]\nport = 1\n[sevrer.tls]\nkey = 1", 3, 'unknown key "sevrer"; did you mean "server"?'),
    ("[server]\nport = 1\n[[chanels]]\nname = 1", 3, 'unknown key "chanels"; did you mean "channels"?'),
    ("[databse]\nurl = 1", 1, 'unknown key "databse"; did you mean "database"?'),
    ('[[organizations]]\nslug = "acme"', 1, 'organization "acme": "owner" is missing'),
    ('[[users]]\nname = "ops"\n[[organizations]]\nslug = "Acme!"\nowner = "ops"', 4, "is no slug"),
    (
        '[[users]]\nname = "ops"\n[[organizations]]\nslug = "acme"\nowner = "ops"\nmode = "loose"',
        6,
        'there is no mode "loose"',
    ),
    (
        '[[users]]\nname = "ops"\n[[organizations]]\nslug = "a"\nowner = "ops"\nmembers = [{user = "ops"}]',
        6,
        "is a member already, or the owner",
    ),
    (
        '[[users]]\nname = "ops"\n[[users]]\nname = "bob"\n[[organizations]]\nslug = "acme"\nowner = "ops"\n'
        'members = [{user = "bob", role = "owner"}]',
        8,
        'there is no role "owner"',
    ),
    ('[channels]\nname = "a"', 1, "expected [[channels]], one for each, found a table"),
    ("channels = [1]", 1, "the channel number 1: expected a table, found 1"),
    (f'{CHANNEL}api_ky = "hidden"', 4, 'channel "a", api_ky: unknown key "api_ky"; did you mean "api_key"?'),
    ('[[channels]]\nprovider = "openai"', 1, 'the channel number 1: "name" is missing'),
    ('[[channels]]\nname = "a"', 1, 'channel "a": "provider" is missing'),
    ('[[channels]]\nname = "a"\nprovider = "opnai"', 3, 'no provider "opnai"; did you mean "openai"?'),
    (
        '[[channels]]\nname = "a"\nprovider = "azure"',
        1,
        '"base_url" is missing: the provider "azure" has none',
    ),
    (
        '[[channels]]\nname = "a"\nprovider = "bedrock"',
        1,
        'channel "a": "region" is missing: the provider "bedrock" has an address for each',
    ),
    ('[[channels]]\nname = "a"\nprovider = "bedrock"\nregion = "x.test/"', 4, "expected a region such as"),
    (f'{CHANNEL}region = "us-east-1"', 4, 'channel "a", region: unknown key "region"'),
    (f'{CHANNEL}base_url = "api.test"', 4, "expected a URL that starts with https:// or http://"),
    (f"{CHANNEL}\n{CHANNEL}", 6, 'channel "a", name: there are two channels "a"'),
    (f'{CHANNEL}base_url = "https://"', 4, "expected a URL such as https://api.example.com/v1"),
    (f'{CHANNEL}base_url = "http://h:70000/v1"', 4, "its port from 1 to 65535"),
    (f'{CHANNEL}base_url = "https://h/v1?hidden=1"', 4, 'a base URL has no "?" and no "#"'),
    (f'{CHANNEL}base_url = "https://h/v1/chat/completions/"', 4, 'leave "/chat/completions" at its end out'),
    (f'{CHANNEL}base_url = "https://h/v1/messages"', 4, 'leave "/v1/messages" at its end out'),
    (
        '[[channels]]\nname = "a"\nprovider = "azure"\nbase_url = "https://h"\napi_version = "latest"',
        5,
        'channel "a", api_version: expected "v1", "preview" or a date such as 2024-10-21',
    ),
    (f'{CHANNEL}groups = ["default", "por"]', 4, 'channel "a", groups.1: there is no group "por"'),
    (
        f'{CHANNEL}api_key = {{ env = "NOT_SET" }}',
        4,
        'channel "a", api_key: the environment variable NOT_SET',
    ),
    (f'{CHANNEL}api_key = {{ evn = "X" }}', 4, "expected { env ="),
    (f'{CHANNEL}models = {{ "a*b" = "x" }}', 4, 'a pattern has one "*", at its end; "a*b" has not'),
    (f'{CHANNEL}models = {{ "a" = "*" }}', 4, '"a" is one model: the upstream\'s name for it has no "*"'),
    (f"{CHANNEL}models = [\n  'x',\n  '*y',\n]", 4, '"*y" has not'),
    (
        f"{CHANNEL}models = 5",
        4,
        "expected a list of ids, or a table of ids and the upstream's names, found 5",
    ),
    (f"{CHANNEL}weight = 0", 4, "expected a whole number, at least 1, found 0"),
    (f"{CHANNEL}rpm = 0", 4, 'channel "a", rpm: expected a whole number, at least 1, found 0'),
    (f"{CHANNEL}tpm = 0.5", 4, 'channel "a", tpm: expected a whole number, at least 1, found 0.5'),
    (f"{CHANNEL}timeout = {{ connect = 1, total = 0 }}", 4, 'channel "a", timeout.total: expected a number'),
    (f"{CHANNEL}[channels.timeout]\nconnect = 1\nfirst = 2", 6, 'unknown key "first"'),
    (f"{CHANNEL}timeout.idle = -1", 4, 'channel "a", timeout.idle'),
    (f"{CHANNEL}sim = {{ pace = 1 }}", 4, 'unknown key "sim"'),
    ('[[channels]]\nname = "s"\nprovider = "sim"\nsim = { pace = 0 }', 4, 'channel "s", sim.pace'),
    ('[[models]]\nid = "m"\nprompt = -1', 3, "expected a price in USD per 1M tokens, at least 0, found -1"),
    ('[[models]]\nid = "m"\nprompt = 0.0000001', 3, "at most six decimals"),
    (
        '[[models]]\nid = "m"\nprompt = "1"',
        3,
        "expected a price in USD per 1M tokens, at least 0, found a text",
    ),
    ('[[models]]\nid = "m"\ncompletion = 1', 1, 'model "m": "prompt" is missing: a price needs it'),
    (
        '[[models]]\nid = "m"\nrequest = 1',
        1,
        '"prompt" is missing: a price needs it, or the price of another',
    ),
    ('[[models]]\nid = "m"\nimage = -1', 3, "expected an amount in USD, at least 0, found -1"),
    ('[[models]]\nid = "m"\nimages = 1', 3, 'unknown key "images"; did you mean "image"?'),
    ('[[models]]\nid = "*m"', 2, 'a pattern has one "*", at its end; "*m" has not'),
    ('[[models]]\nid = "m"\n[[models]]\nid = "m"', 4, 'there are two models "m"'),
    ('[[models]]\nid = "m"\nprompt = 1\ntiers = [{ above = 1 }]', 4, '"prompt" is missing'),
    (
        '[[models]]\nid = "m"\nprompt = 1\ntiers = [{ above = 5, prompt = 1 },\n{ above = 5, prompt = 2 }]',
        5,
        'model "m", tiers.1.above: there are two tiers above 5',
    ),
    (
        '[[models]]\nid = "m"\nmodalities = ["text", "smell"]',
        3,
        'there is no modality "smell"; known: audio, file, image, text, video',
    ),
    ('[[models]]\nid = "m"\ncapabilities = { tools = 1 }', 3, "expected true or false, found 1"),
    ("[groups.pro]\nratoi = 1", 2, 'groups.pro.ratoi: unknown key "ratoi"; did you mean "ratio"?'),
    ("[groups.pro]\nratio = -0.5", 2, "expected a ratio, at least 0, found -0.5"),
    (
        "[groups]\npro = { ratio = 1, weight = 0 }",
        2,
        "groups.pro.weight: expected a whole number, at least 1",
    ),
    (f'{USER}tier = "gold"', 3, 'user "ops", tier: there is no tier "gold"; known: default'),
    (f"{USER}grant_usd = -1", 3, "expected an amount in USD, at least 0, found -1"),
    (f"{USER}grant_usd = 1e30", 3, "at most 4611686018.427387904"),
    (f"{USER}grant_usd = nan", 3, "expected an amount in USD, at least 0, found NaN"),
    ('[[users]]\nname = "user:ops"', 2, "a user's name has no spaces and no colon"),
    (f"{USER}{USER}", 4, 'there are two users "ops"'),
    (f'[[keys]]\nname = "ci"\nowner = "bob"\n{SECRET_LINE}', 3, 'key "ci", owner: there is no user "bob"'),
    (f'[[keys]]\nname = "ci"\nowner = "org:acme"\n{SECRET_LINE}', 3, 'there is no organization "acme"'),
    (
        f'[[keys]]\nname = "ops/ci"\nowner = "ops"\n{SECRET_LINE}{USER}',
        2,
        'key "ops/ci", name: a key\'s name has no slash',
    ),
    (KEYED, 3, 'key "ci": a key needs its "secret", or the "sha256" of it, and not both'),
    (f'{KEYED}{SECRET_LINE}sha256 = "{"ab" * 32}"', 3, "and not both"),
    (f'{KEYED}secret = "dtk_hidden"', 6, "this is no key, or it has a typo"),
    (f'{KEYED}sha256 = "abc"', 6, "expected a SHA-256: 64 hexadecimal digits"),
    (f'{KEYED}{SECRET_LINE}ips = ["10.0.0.300"]', 7, "expected an address or a range"),
    (f'{KEYED}{SECRET_LINE}models = ["a*b"]', 7, 'a pattern has one "*"'),
    (f'{KEYED}{SECRET_LINE}ceilings = {{ "2d" = 1 }}', 7, 'key "ci", ceilings.2d: unknown window "2d"'),
    (f'{KEYED}{SECRET_LINE}ceilings = {{ "1d" = 0 }}', 7, "expected an amount in USD above 0"),
    (f"{KEYED}{SECRET_LINE}rpm = 0", 7, "expected a whole number, at least 1, found 0"),
    (f"{KEYED}{SECRET_LINE}tpm = -5", 7, "expected a whole number, at least 1, found -5"),
    (f"{KEYED}{SECRET_LINE}concurrency = 1.5", 7, "expected a whole number, at least 1, found 1.5"),
    (f"{KEYED}{SECRET_LINE}timeout = 0", 7, "expected a number of seconds above 0"),
    (f'{KEYED}{SECRET_LINE}scope = "admin"', 7, 'there is no scope "admin"'),
    (f'{KEYED}{SECRET_LINE}expires = "2027-01-01"', 7, "expected a date and time such as"),
    (f"{KEYED}{SECRET_LINE}expires = 2027-01-01", 7, "expected a date and time such as"),
    (
        f"{KEYED}{SECRET_LINE}{KEYED.removeprefix(USER)}{SECRET_LINE}",
        8,
        'there are two keys "ci of user:ops"',
    ),
    (
        f'{KEYED}{SECRET_LINE}[[keys]]\nname = "other"\nowner = "ops"\n{SECRET_LINE}',
        7,
        'key "other": has the same secret as the key "ci"',
    ),
    ("[server]\nport = ", 2, "this is not TOML: Invalid value"),
    ("[server]\nport = 1\nport = 2", 3, "this is not TOML: Cannot overwrite a value"),
]


@pytest.mark.parametrize(("text", "line", "words"), WRONG, ids=[words for _, _, words in WRONG])
def test_what_is_wrong_is_refused_with_file_line_and_words(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    error = refused(tmp_path, text)

    assert words in str(error)
    assert error.line == line
    assert str(error).startswith(f"{tmp_path / 'deeptoken.toml'}:{line}: ")
    assert "hidden" not in str(error)
    assert KEY not in str(error)


PLACES = '''# a comment with [brackets] = and "quotes
[server]   # more
port = 1
note = """
port = 2
[groups.fake]
"""
[[channels]]
name = "a # not a comment"
models = [
  "x",
  "y",
]
"quoted key" = 1
timeout.connect = 1

[[channels]]
timeout = { connect = 1, total = 2 }
[channels.limits]
deep = 1

[groups."a.b"]
ratio = 1
[[models]]
tiers = [
  { above = 1, prompt = 2 },
  { above = 3, prompt = 4 },
]
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("server",), 2),
        (("server", "port"), 3),
        (("server", "note"), 4),
        (("channels", 0), 8),
        (("channels", 0, "name"), 9),
        (("channels", 0, "models"), 10),
        (("channels", 0, "models", 1), 10),
        (("channels", 0, "quoted key"), 14),
        (("channels", 0, "timeout", "connect"), 15),
        (("channels", 1), 17),
        (("channels", 1, "timeout", "total"), 18),
        (("channels", 1, "limits", "deep"), 20),
        (("groups", "a.b", "ratio"), 23),
        (("models", 0, "tiers", 0, "prompt"), 26),
        (("models", 0, "tiers", 1, "prompt"), 27),
        (("groups", "fake"), 22),
        (("nothing",), 1),
    ],
)
def test_the_line_of_a_key_is_found(path: tuple[str | int, ...], line: int) -> None:
    assert Lines(PLACES).of(path) == line
