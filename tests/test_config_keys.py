"""Rules of a declared key that contradict each other are refused where they stand."""

from pathlib import Path

import pytest

from deeptoken import config
from deeptoken.providers.registry import BASE_URLS
from deeptoken.settings import ConfigError


@pytest.mark.parametrize(
    ("rules", "where"),
    [
        pytest.param("ceilings = { 5h = 2, 1d = 1 }", "ceilings.5h", id="a shorter window above a longer"),
        pytest.param('scope = "manage"\nrpm = 5', "rpm", id="a limit of calls without calls"),
        pytest.param('scope = "read"\nceilings = { 5h = 1 }', "ceilings", id="a ceiling without calls"),
        pytest.param('scope = "read"\nchildren = true', "children", id="children without calls"),
        pytest.param('webhook = "https://example.com"', "webhook", id="a webhook without a ceiling"),
        pytest.param('webhook = "http://x.y"\nceilings = { "1d" = 1 }', "webhook", id="a plain webhook"),
        pytest.param('scope = "read"\ntimeout = 5', "timeout", id="a time limit without calls"),
        pytest.param('cheaper_model = "sim/echo"', "cheaper_model", id="a cheaper model without a ceiling"),
    ],
)
def test_a_rule_of_a_key_that_could_never_take_effect_is_refused(
    tmp_path: Path, rules: str, where: str
) -> None:
    text = f'''[[users]]
name = "ops"

[[keys]]
name = "ci"
owner = "ops"
sha256 = "{"0" * 64}"
{rules}
'''
    file = tmp_path / "deeptoken.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=f'key "ci", {where}: '):
        config.load(file, {}, providers=BASE_URLS)
