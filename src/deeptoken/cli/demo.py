"""`deeptoken demo`: a gateway to try, in a folder of its own: what `make run` starts.

The first start makes `.demo/` with a configuration, a key and a database; the next one finds them again.
Provider keys in the environment (OPENAI_API_KEY, ...) become channels at the end of that configuration, where
each start writes anew what it found, and where it listens: so the commands see what the gateway sees.
"""

import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from deeptoken import config, ids
from deeptoken.catalog.model import Channel
from deeptoken.cli.serve import serve
from deeptoken.providers.registry import BASE_URLS, KEY_VARIABLES
from deeptoken.settings import Settings

FOLDER = Path(".demo")
CONFIGURATION = """\
# Made by `deeptoken demo`. Change it as you like; delete the folder to begin anew.

[database]
url = "sqlite:///deeptoken.db"

[[channels]]
name = "sim"
provider = "sim"
priority = -10

[[users]]
name = "demo"
operator = true
grant_usd = 10.0

[[keys]]
name = "demo"
owner = "demo"
secret = { file = "key" }
"""
FOUND = "# What the last start found: each start writes all below this line anew.\n"
CHANNEL = """
[[channels]]
name = "{provider}"
provider = "{provider}"
api_key = {{ env = "{variable}" }}
"""
FIRST_CHOICES = (("openai", "gpt-4o-mini"), ("anthropic", "claude-haiku-4-5"), ("sim", "sim/text"))
"""What the printed command asks, by the first of these providers that is there."""


@click.command()
@click.option("--host", help="Listen here instead of on 127.0.0.1.")
@click.option("--port", type=click.IntRange(0, 65535), help="Instead of 8080; 0: any that is free.")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), default=FOLDER, show_default=True)
def command(host: str | None, port: int | None, folder: Path) -> None:
    """Run the gateway with a demo key that has credits and the built-in provider `sim`."""
    environ = config.environment()
    file, secret = prepare(folder, environ)

    def read() -> Settings:
        return config.load(file, environ, providers=BASE_URLS)

    def listening(address: str) -> None:
        write_found(file, environ, address)
        click.echo(greeting(address, secret, read().channels, file))

    serve(read, host=host, port=port, listening=listening)


def prepare(folder: Path, environ: Mapping[str, str]) -> tuple[Path, str]:
    """The configuration and the key of the demo, made if they are not there, with the channels of now."""
    folder.mkdir(parents=True, exist_ok=True)
    key = folder / "key"
    if not key.exists():
        key.touch(mode=0o600)
        key.write_text(ids.new_secret() + "\n")
    file = folder / "deeptoken.toml"
    if not file.exists():
        file.write_text(CONFIGURATION)
    write_found(file, environ)
    return file, key.read_text().strip()


def write_found(file: Path, environ: Mapping[str, str], address: str | None = None) -> None:
    """Put the environment's channels, and where the gateway listens, at the end of the file.

    What stands above is the person's and counts more: a name or a table that is there is not written again.
    """
    own, marked, _ = file.read_text(encoding="utf-8").partition(FOUND)
    try:
        said = tomllib.loads(own)
    except tomllib.TOMLDecodeError:
        return
    found = [
        CHANNEL.format(provider=provider, variable=variable)
        for provider, (variable, _) in KEY_VARIABLES.items()
        if environ.get(variable, "").strip() and provider not in _names(said)
    ]
    if address is not None and "server" not in said:
        place = urlsplit(address)
        found.insert(0, f'\n[server]\nhost = "{place.hostname}"\nport = {place.port}\n')
    if found or marked:
        wanted = ["\n", FOUND, *found] if found else []
        file.write_text(f"{own.rstrip()}\n{''.join(wanted)}", encoding="utf-8")


def _names(said: dict[str, Any]) -> set[str]:
    channels = said.get("channels")
    if not isinstance(channels, list):
        return set()
    return {one.get("name", "") for one in channels if isinstance(one, dict)}


def greeting(address: str, secret: str, channels: tuple[Channel, ...], file: Path) -> str:
    """What to do next: one line that gets an answer, and one that looks at the installation."""
    there = {channel.provider for channel in channels}
    model = next(model for provider, model in FIRST_CHOICES if provider in there)
    body = f'{{"model": "{model}", "messages": [{{"role": "user", "content": "Say hello."}}]}}'
    return (
        f"DeepToken serves {address}\n"
        f"Providers: {', '.join(sorted(there))}\n\n"
        "Paste this into another terminal:\n\n"
        f"curl {address}/v1/chat/completions -H 'Authorization: Bearer {secret}' "
        f"-H 'Content-Type: application/json' -d '{body}'\n\n"
        f"In your code: base URL {address}/v1, key {secret}\n"
        f"To look after it: {program()} keys list --config {file}\n"
    )


def program() -> str:
    """This command, as the shell that started it can call it: ``.venv/bin/deeptoken``."""
    called = Path(sys.argv[0])
    return str(called) if called.name == "deeptoken" else "deeptoken"
