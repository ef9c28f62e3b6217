"""The configuration: what is read, and with which words what is wrong is refused."""

import datetime
import ipaddress
from pathlib import Path

import pytest

from deeptoken import config, ids
from deeptoken.catalog.model import Group, Timeouts
from deeptoken.config import environment, find, load, warnings
from deeptoken.settings import ConfigError, Secret, Server, Settings

PROVIDERS = {"openai": "https://api.openai.com/v1", "sim": "", "azure": None}
PROVIDERS["bedrock"] = "https://{region}.test"
BODY, OTHER_BODY = "0123456789" * 4, "A" * 40
KEY = f"dtk_{BODY}{ids.checksum(BODY)}"
OTHER_KEY = f"dtk_{OTHER_BODY}{ids.checksum(OTHER_BODY)}"
HIDDEN = "sk-hidden"

WHOLE = f"""
[server]
host = "0.0.0.0"
port = 9090
workers = 1
trusted_proxies = ["10.0.0.0/8", "2001:db8::1"]
tls = {{ certificate = "cert.pem", key = "key.pem" }}
metrics_token = {{ file = "token" }}
request_seconds = 120
queue_seconds = 2.5
drain_seconds = 0

[database]
url = "sqlite:///data/deeptoken.db"

[[channels]]
name = "openai-main"
provider = "openai"
label = "OpenAI"
api_key = {{ env = "OPENAI_API_KEY" }}
models = {{ "gpt-4o-mini" = "gpt-4o-mini", "acme/*" = "*" }}
priority = 10
weight = 2
groups = ["default", "pro"]
timeout = {{ connect = 2.5, idle = 30 }}
max_concurrency = 200
rpm = 500
tpm = 90000

[[channels]]
name = "sim"
provider = "sim"
models = ["text"]
sim = {{ delay = 0.5, pace = 20 }}
enabled = false

[[models]]
id = "gpt-4o-mini"
prompt = 0.15
cached_prompt = 0.075
completion = 0.60
request = 0.001
context = 128000
max_output = 16384
tiers = [{{ above = 64000, prompt = 0.3, completion = 1.2 }}]
capabilities = {{ tools = true }}

[[models]]
id = "acme/*"
max_output = 4096

[groups.pro]
ratio = 1.25
weight = 20

[[users]]
name = "ops"
tier = "pro"
operator = true
grant_usd = 100.5

[[keys]]
name = "ci"
secret = {{ env = "CI_KEY" }}
owner = "ops"
models = ["gpt-*"]
ips = ["192.0.2.0/24"]
ceilings = {{ "5h" = 5.0, "7d" = 100 }}
rpm = 600
tpm = 100000
concurrency = 5
timeout = 2.5
scope = "call"
expires = 2027-01-31T00:00:00Z

[[keys]]
name = "hashed"
sha256 = "{"ab" * 32}"
owner = "user:ops"
"""
ENVIRON = {"OPENAI_API_KEY": HIDDEN, "CI_KEY": KEY}


def write(folder: Path, text: str) -> Path:
    for name in ("cert.pem", "key.pem"):
        (folder / name).write_text("PEM")
    (folder / "token").write_text("scrape-me\n")
    file = folder / "deeptoken.toml"
    file.write_text(text)
    return file


def read(folder: Path, text: str, **environ: str) -> Settings:
    return load(write(folder, text), ENVIRON | environ, providers=PROVIDERS)


def refused(folder: Path, text: str, **environ: str) -> ConfigError:
    with pytest.raises(ConfigError) as error:
        read(folder, text, **environ)
    return error.value


def refusal(folder: Path, text: str) -> ConfigError | None:
    try:
        read(folder, text)
    except ConfigError as error:
        return error
    return None


def test_nothing_at_all_is_a_configuration() -> None:
    settings = load(None, {}, providers=PROVIDERS)

    assert settings.server == Server()
    assert settings.groups == (Group("default"),)
    assert settings.database.path == Path.cwd() / "deeptoken.db"


def test_the_server_and_the_database_are_read(tmp_path: Path) -> None:
    settings = read(tmp_path, WHOLE)

    server = settings.server
    assert (server.host, server.port) == ("0.0.0.0", 9090)
    assert (server.request_seconds, server.queue_seconds, server.drain_seconds) == (120.0, 2.5, 0.0)
    assert server.trusted_proxies == (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("2001:db8::1"))
    assert server.tls is not None
    assert server.tls.certificate == tmp_path / "cert.pem"
    assert server.metrics_token == "scrape-me"
    assert settings.database.path == tmp_path / "data" / "deeptoken.db"


@pytest.mark.parametrize(
    ("told", "base_url", "options"),
    [
        ('region = "eu-west-1"', "https://eu-west-1.test", {"region": "eu-west-1"}),
        ('base_url = "https://proxy.test/x"', "https://proxy.test/x", {}),
        (
            'base_url = "https://proxy.test"\nregion = "eu-west-1"',
            "https://proxy.test",
            {"region": "eu-west-1"},
        ),
    ],
)
def test_a_provider_with_regions_is_where_its_region_is(
    tmp_path: Path, told: str, base_url: str, options: dict[str, str]
) -> None:
    (channel,) = read(tmp_path, f'[[channels]]\nname = "a"\nprovider = "bedrock"\n{told}').channels

    assert (channel.base_url, channel.options) == (base_url, options)


def test_a_channel_is_read(tmp_path: Path) -> None:
    openai, sim = read(tmp_path, WHOLE).channels

    assert (openai.name, openai.label, openai.priority, openai.weight) == ("openai-main", "OpenAI", 10, 2)
    assert openai.base_url == "https://api.openai.com/v1"
    assert openai.secret == HIDDEN
    assert openai.models == {"gpt-4o-mini": "gpt-4o-mini", "acme/*": "*"}
    assert openai.groups == ("default", "pro")
    assert openai.timeout == Timeouts(connect=2.5, idle=30.0)
    assert (openai.max_concurrency, openai.rpm, openai.tpm) == (200, 500, 90_000)
    assert (sim.label, sim.models, sim.enabled) == ("sim", {"text": "text"}, False)
    assert (sim.max_concurrency, sim.rpm, sim.tpm) == (None, None, None)
    assert sim.options == {"sim": {"delay": 0.5, "pace": 20.0}}


def test_prices_and_money_are_whole_numbers(tmp_path: Path) -> None:
    settings = read(tmp_path, WHOLE)

    mini, family = settings.models
    assert mini.rates is not None
    assert (mini.rates.prompt, mini.rates.cached, mini.rates.completion) == (150_000, 75_000, 600_000)
    assert mini.rates.request == 1_000_000_000
    assert (mini.tiers[0].above, mini.tiers[0].rates.completion) == (64_000, 1_200_000)
    assert (mini.context, mini.max_output, mini.capabilities) == (128_000, 16_384, {"tools": True})
    assert (family.id, family.rates, family.max_output) == ("acme/*", None, 4_096)
    assert settings.groups == (Group("default"), Group("pro", ratio_ppm=1_250_000, weight=20))
    assert settings.users[0].grant == 100_500_000_000
    assert settings.keys[0].ceilings == {"5h": 5_000_000_000, "7d": 100_000_000_000}


def test_a_key_is_read_by_its_digest(tmp_path: Path) -> None:
    key, hashed = read(tmp_path, WHOLE).keys

    assert (key.name, key.owner, key.digest, key.shown) == ("ci", "user:ops", ids.digest(KEY), KEY[:8])
    assert (key.models, key.rpm, key.tpm, key.concurrency, key.scope) == (("gpt-*",), 600, 100_000, 5, "call")
    assert (key.timeout_s, hashed.timeout_s) == (2.5, None)
    assert key.networks == (ipaddress.ip_network("192.0.2.0/24"),)
    expires = datetime.datetime(2027, 1, 31, tzinfo=datetime.UTC)
    assert key.expires_us == int(expires.timestamp()) * 1_000_000
    assert (hashed.digest, hashed.shown, hashed.owner) == (b"\xab" * 32, "", "user:ops")


def test_no_secret_shows_itself(tmp_path: Path) -> None:
    settings = read(tmp_path, WHOLE.replace('{ env = "OPENAI_API_KEY" }', '"sk-plain"'))

    shown = repr(settings)
    assert not any(secret in shown for secret in ("sk-plain", "scrape-me", KEY[8:]))
    assert repr(Secret("x")) == "Secret(...)"
    assert f"Bearer {settings.channels[0].secret}" == "Bearer sk-plain"


def test_a_secret_in_the_file_itself_is_warned_of(tmp_path: Path) -> None:
    settings = read(tmp_path, WHOLE.replace('{ env = "OPENAI_API_KEY" }', '"sk-plain"'))

    assert [warning.partition(" stands")[0] for warning in warnings(settings)] == [
        'channel "openai-main", api_key'
    ]
    assert warnings(read(tmp_path, WHOLE)) == []


@pytest.mark.parametrize(
    ("url", "path"),
    [("sqlite:///a.db", "a.db"), ("sqlite:///b/a.db", "b/a.db"), ("sqlite:////var/a.db", "/var/a.db")],
)
def test_three_slashes_start_beside_the_file_and_four_at_the_root(
    tmp_path: Path, url: str, path: str
) -> None:
    settings = read(tmp_path, f'[database]\nurl = "{url}"')

    assert settings.database.path == tmp_path / path


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("DEEPTOKEN_SERVER__PORT", "9000", lambda s: s.server.port == 9000),
        ("DEEPTOKEN_SERVER__HOST", "8080", lambda s: s.server.host == "8080"),
        ("DEEPTOKEN_SERVER__REQUEST_SECONDS", "1.5", lambda s: s.server.request_seconds == 1.5),
        ("DEEPTOKEN_SERVER__QUEUE_SECONDS", "0", lambda s: s.server.queue_seconds == 0),
        ("DEEPTOKEN_SERVER__METRICS_TOKEN", "123", lambda s: s.server.metrics_token == "123"),
        ("DEEPTOKEN_SERVER__TRUSTED_PROXIES", "10.0.0.1", lambda s: len(s.server.trusted_proxies) == 1),
        ("DEEPTOKEN_SERVER__TRUSTED_PROXIES", "10.0.0.1, ::1", lambda s: len(s.server.trusted_proxies) == 2),
        ("DEEPTOKEN_SERVER__TRUSTED_PROXIES", '["10.0.0.1"]', lambda s: len(s.server.trusted_proxies) == 1),
        ("DEEPTOKEN_SERVER__TLS__KEY", "cert.pem", lambda s: s.server.tls.key.name == "cert.pem"),
        ("DEEPTOKEN_DATABASE__URL", "sqlite:///x.db", lambda s: s.database.path.name == "x.db"),
        ("DEEPTOKEN_GROUPS__PRO__RATIO", "2", lambda s: s.groups[1] == Group("pro", 2_000_000, 20)),
        ("DEEPTOKEN_GROUPS__DEFAULT__WEIGHT", "7", lambda s: s.groups[0].weight == 7),
        ("DEEPTOKEN_GROUPS__FREE__RATIO", "0", lambda s: s.groups[2] == Group("free", 0)),
        ("DEEPTOKEN_CONFIG", "elsewhere.toml", lambda s: s.server.port == 9090),
    ],
)
def test_the_environment_stands_over_the_file(tmp_path: Path, name: str, value: str, found: object) -> None:
    settings = read(tmp_path, WHOLE, **{name: value})

    assert callable(found)
    assert found(settings)
    assert settings.plain_secrets == ()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DEEPTOKEN_SERVER__PROT", "1", 'names no setting; did you mean "DEEPTOKEN_SERVER__PORT"?'),
        ("DEEPTOKEN_SERVER__PORT", "http", "expected a whole number from 0 to 65535, found a text"),
        ("DEEPTOKEN_SERVER__TLS", "x", "names no setting"),
        ("DEEPTOKEN_SERVER__PORT__X", "1", "names no setting"),
        (
            "DEEPTOKEN_CHANNELS__0__NAME",
            "x",
            "names no setting; channels is a list, which only the file can set",
        ),
        ("DEEPTOKEN_NOTHING__AT_ALL", "x", "names no setting"),
        ("DEEPTOKEN_GROUPS__PRO__RATIOS", "x", "names no setting"),
        ("DEEPTOKEN_GROUPS__PRO__RATIO", "-1", "expected a ratio, at least 0, found -1"),
    ],
)
def test_a_wrong_variable_is_named(tmp_path: Path, name: str, value: str, words: str) -> None:
    error = refused(tmp_path, WHOLE, **{name: value})

    assert str(error).startswith(f"the environment variable {name}")
    assert words in str(error)


ODD = (
    '""', '"x"', '"a*b"', '"\\u0000"', '"*"', "0", "-1", "1", "10000000000000000000000", "0.00000000001",
    "1e400", "1e999999999", "nan", "inf", "true", "[]", "[[]]", '["x", 1]', "{}", '{ env = "CI_KEY" }',
    '{ file = "\\u0000" }', "{ x = { y = [{}] } }", "2027-01-01", "12:00:00",
)  # fmt: skip
LINES = [number for number, line in enumerate(WHOLE.splitlines()) if " = " in line]


@pytest.mark.parametrize("number", LINES, ids=[WHOLE.splitlines()[number] for number in LINES])
def test_any_odd_value_is_read_or_refused_at_its_line(tmp_path: Path, number: int) -> None:
    lines = WHOLE.splitlines()
    key = lines[number].partition(" = ")[0]

    texts = ["\n".join([*lines[:number], f"{key} = {odd}", *lines[number + 1 :]]) for odd in ODD]
    errors = [error for text in texts if (error := refusal(tmp_path, text))]

    assert errors or key == "capabilities"
    # A user of another name is missed where a key names it.
    assert {error.line for error in errors} <= {number + 1} or key == "name", errors


def test_an_empty_secret_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")

    assert "is empty" in str(refused(tmp_path, '[server]\nmetrics_token = { file = "empty" }'))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "deeptoken.toml"
    file.write_bytes(b"\xff\xfe")

    with pytest.raises(ConfigError, match="not UTF-8"):
        load(file, {}, providers=PROVIDERS)


def test_the_file_is_the_named_one_else_the_variable_s_else_the_one_that_lies_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    named, by_variable = tmp_path / "named.toml", tmp_path / "variable.toml"
    named.touch()
    by_variable.touch()
    environ = {"DEEPTOKEN_CONFIG": str(by_variable)}

    assert find(None, {}) is None
    assert find(named, environ) == named
    assert find(None, environ) == by_variable
    (tmp_path / "deeptoken.toml").touch()
    assert find(None, {}) == Path("deeptoken.toml")


def test_a_named_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such file; --config names it"):
        find(tmp_path / "gone.toml", {})
    with pytest.raises(ConfigError, match=r"no such file; DEEPTOKEN_CONFIG names it"):
        find(None, {"DEEPTOKEN_CONFIG": str(tmp_path / "gone.toml")})


def test_the_environment_is_that_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPTOKEN_TEST_ONLY", "1")

    assert environment()["DEEPTOKEN_TEST_ONLY"] == "1"


def test_azure_has_settings_of_its_own(tmp_path: Path) -> None:
    text = """
[[channels]]
name = "azure"
provider = "azure"
base_url = "https://r.openai.azure.com"
api_version = "2024-10-21"
auth = "bearer"
responses = false
"""

    (channel,) = read(tmp_path, text).channels

    assert channel.options == {"api_version": "2024-10-21", "auth": "bearer", "responses": False}


def test_every_setting_stands_in_the_documentation() -> None:
    page = (Path(__file__).parents[1] / "docs" / "configuration.md").read_text()

    chapters = {chapter.partition("\n")[0]: chapter for chapter in page.split("\n## ")}
    missing = [
        (table, name)
        for table, names in config.known_settings().items()
        for name in names
        if f"`{name}`" not in chapters[f"`{table}`"]
    ]

    assert missing == []
