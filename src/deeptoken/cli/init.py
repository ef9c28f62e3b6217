"""`deeptoken init`: what an installation needs before its first start."""

import asyncio
from pathlib import Path

import click

from deeptoken.accounts import keys
from deeptoken.accounts.administration import create_user, new_user
from deeptoken.accounts.change import COMMAND_LINE
from deeptoken.accounts.keys import new_key
from deeptoken.accounts.sign_in import new_link
from deeptoken.cli.options import Mistake, load, say, sentence, with_config
from deeptoken.cli.users import HOW
from deeptoken.config_fields import Wrong
from deeptoken.config_people import user_fields
from deeptoken.installation import declare
from deeptoken.settings import Settings
from deeptoken.store.ledger import Ledger, open_ledger
from deeptoken.store.queries.people import User
from deeptoken.store.reads import Reader
from deeptoken.store.secrets import key_file, load_secrets

FIRST_KEY = "first"


@click.command()
@click.option("--operator", metavar="NAME", help="Make this user the operator, with a first key.")
@with_config
def command(operator: str | None, file: Path | None) -> None:
    """Make the database and the secrets key, write what the configuration declares, and make an operator.

    The operator's key is printed once. A second `init` changes nothing.
    """
    settings = load(file, secrets=True)
    path = settings.database.path
    if operator is not None:
        try:
            user_fields(())["name"].read(operator, ())
        except Wrong as wrong:
            raise Mistake(sentence(f"--operator: {wrong.message}")) from None
    new_database, new_secrets = not path.exists(), not key_file(path).exists()
    made = asyncio.run(_initialise(settings, operator, new=new_database))
    if new_database:
        say(f"Made the database {path}.")
    if new_secrets:
        say(f"Made the secrets key {key_file(path)}: keep a copy of it with each backup.")
    if made is not None:
        secret, token = made
        click.echo(secret)
        say(f"{operator} is the operator; the key {FIRST_KEY!r} is shown this once: keep it.")
        say(f"To sign in, its password is set once, within a day, by {HOW} The token: {token}")
    elif not new_database and not new_secrets:
        say(f"{path} is there already: nothing was changed.")


async def _initialise(settings: Settings, operator: str | None, *, new: bool) -> tuple[str, str] | None:
    """The secret of the operator's first key and the token that sets its password, if it was made."""
    path = settings.database.path
    async with open_ledger(path) as ledger:
        load_secrets(path)
        with Reader(path) as reader:
            if new:
                await declare(settings, ledger, reader)
            if operator is None:
                return None
            users = reader.users()
            _ensure_free(operator, users)
            if any(user.operator for user in users):
                names = ", ".join(user.name for user in users if user.operator)
                say(f"There is an operator: {names}. `deeptoken users create --operator` makes another.")
                return None
            return await _make_operator(operator, ledger)


def _ensure_free(operator: str, users: list[User]) -> None:
    if any(user.name == operator and not user.operator for user in users):
        raise Mistake(
            f"{operator} is a user already; `deeptoken users edit {operator} --operator` makes it one."
        )


async def _make_operator(name: str, ledger: Ledger) -> tuple[str, str]:
    user = new_user(name, operator=True)
    key, secret = new_key(FIRST_KEY, user.id)
    link, token, _ = new_link(COMMAND_LINE, user.id, name)
    postings = (*create_user(COMMAND_LINE, user), keys.create(COMMAND_LINE, key, f"user:{name}"), link)
    await asyncio.gather(*(ledger.post(posting) for posting in postings))
    return secret, token
