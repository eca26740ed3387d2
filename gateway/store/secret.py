"""The secret key file: what tokens are made with and what private keys lie encrypted under."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from gateway.core.errors import InvalidInput
from gateway.core.tokens import Tokens

_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class Secret:
    """One or more 32-byte keys, a base64 line each: the first makes, all of them read (rotation)."""

    keys: tuple[bytes, ...]

    def tokens(self) -> Tokens:
        return Tokens([_derive(k, b"tokens") for k in self.keys])

    def encrypt(self, plain: bytes, purpose: str) -> bytes:
        """AES-256-GCM, bound to `purpose`."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + AESGCM(_derive(self.keys[0], b"at-rest")).encrypt(nonce, plain, purpose.encode())

    def decrypt(self, sealed: bytes, purpose: str) -> bytes:
        """Raises InvalidInput when none of the keys opens it."""
        for key in self.keys:
            try:
                box = AESGCM(_derive(key, b"at-rest"))
                return box.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], purpose.encode())
            except InvalidTag:
                continue
        raise InvalidInput("the secret key file is not the one this database was made with; restore it from the backup")

    def fingerprints(self) -> tuple[str, ...]:
        """Names of the keys, which tell nothing of them."""
        return tuple(_derive(k, b"fingerprint")[:8].hex() for k in self.keys)


def _derive(key: bytes, purpose: bytes) -> bytes:
    return HKDFExpand(algorithm=hashes.SHA256(), length=32, info=b"mail-gateway " + purpose).derive(key)


def make(path: Path) -> bool:
    """Create the file, mode 0600, unless it is there; True when it was made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w") as file:
        file.write(base64.b64encode(os.urandom(32)).decode() + "\n")
        file.flush()
        os.fsync(file.fileno())
    return True


def read(path: Path) -> Secret:
    """Raises InvalidInput naming the file and the cure."""
    try:
        lines = [x.strip() for x in path.read_text("ascii").splitlines() if x.strip()]
        keys = tuple(base64.b64decode(x, validate=True) for x in lines)
    except FileNotFoundError:
        raise InvalidInput(
            f"{path}: the secret key file is missing; restore it from the backup. For a new installation with SQLite "
            f"`gateway db upgrade` makes it; with PostgreSQL make one (head -c 32 /dev/urandom | base64 > {path.name}; "
            f"chmod 600 {path.name}) and give it to every node"
        ) from None
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path}: cannot be read as a secret key file: {error}") from None
    if not keys or any(len(k) < 32 for k in keys):
        raise InvalidInput(f"{path}: holds no key of 32 bytes in base64; restore it from the backup")
    return Secret(keys)
