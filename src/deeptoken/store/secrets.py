"""Provider credentials at rest: AES-256-GCM, bound to the row they belong to.

sealed   = nonce (12 bytes) + ciphertext + tag, the row's id as associated data
the key  = 32 random bytes in `deeptoken.db.key`, mode 0600, made at the first start
"""

import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from deeptoken.ids import random_bytes
from deeptoken.store.reads import Reader
from deeptoken.store.sqlite import StoreError

KEY_BYTES = 32
NONCE_BYTES = 12


class Secrets:
    """Seals and opens what the database must not show."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, secret: str, row_id: str) -> bytes:
        nonce = random_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret.encode(), row_id.encode())

    def open(self, sealed: bytes, row_id: str) -> str:
        """The secret of this row.

        Raises:
            StoreError: another key sealed it, or it was sealed for another row.
        """
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], row_id.encode()).decode()
        except InvalidTag:
            raise StoreError(
                f"The secret of {row_id} cannot be opened: the secrets key is not the one that sealed it. "
                "Restore the key file that belongs to this database."
            ) from None


def key_file(database: Path) -> Path:
    return database.with_name(database.name + ".key")


def load_secrets(database: Path) -> Secrets:
    """Read the secrets key beside the database, and make it if there is none yet.

    Raises:
        StoreError: the file is not a key, or others can read it; or it is missing, and was there.
    """
    path = key_file(database)
    if not path.exists() and _has_sealed(database):
        raise StoreError(
            f"The secrets key {path} is missing, and the database has secrets that it sealed. "
            "Restore the key file, or delete those channels and create them again."
        )
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(descriptor, "wb") as file:
            file.write(random_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
    if path.stat().st_mode & 0o077:
        raise StoreError(f"Others can read the secrets key {path}. Run: chmod 600 {path}")
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise StoreError(f"{path} is not a secrets key: it has {len(key)} bytes, not {KEY_BYTES}.")
    return Secrets(key)


def _has_sealed(database: Path) -> bool:
    if not database.exists():
        return False
    with Reader(database) as reader:
        return reader.has_sealed()
