"""`deeptoken demo`: a gateway to try, in a folder of its own: what `make run` starts.

The first start makes `.demo/` with a configuration, a key and a database; the next one finds them again.
Provider keys in the environment (OPENAI_API_KEY, ...) become channels.
"""

import sys
from pathlib import Path

import click
import msgspec

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
FIRST_CHOICES = (("openai", "gpt-4o-mini"), ("anthropic", "claude-haiku-4-5"), ("sim", "sim/text"))
"""What the printed command asks, by the first of these providers that is there."""


@click.command()
@click.option("--host", help="Listen here instead of on 127.0.0.1.")
@click.option("--port", type=click.IntRange(0, 65535), help="Instead of 8080; 0: any that is free.")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), default=FOLDER, show_default=True)
def command(host: str | None, port: int | None, folder: Path) -> None:
    """Run the gateway with a demo key that has credits and the built-in provider `sim`."""
    file, secret = prepare(folder)
    environ = config.environment()

    def read() -> Settings:
        settings = config.load(file, environ, providers=BASE_URLS)
        found = config.from_environment(environ, KEY_VARIABLES)
        return msgspec.structs.replace(settings, channels=(*settings.channels, *found))

    def listening(address: str) -> None:
        click.echo(greeting(address, secret, read().channels, file))

    serve(read, host=host, port=port, listening=listening)


def prepare(folder: Path) -> tuple[Path, str]:
    """The configuration and the key of the demo, made if they are not there."""
    folder.mkdir(parents=True, exist_ok=True)
    key = folder / "key"
    if not key.exists():
        key.touch(mode=0o600)
        key.write_text(ids.new_secret() + "\n")
    file = folder / "deeptoken.toml"
    if not file.exists():
        file.write_text(CONFIGURATION)
    return file, key.read_text().strip()


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
