"""The ledger's signing key: made once, kept readable by its owner alone."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from portcullis.errors import StoreError
from portcullis.store.note import Signer, Verifier

PRIVATE_FILE = "ledger.key"
PUBLIC_FILE = "ledger.pub"

_PUT_BACK = "put this ledger's key file back from the backup of the home directory"


def make_signer(home: Path, origin: str) -> Signer:
    """The signer of a new ledger: with a new key, or with the one that already lies there."""
    path = home / PRIVATE_FILE
    signer = Signer(origin, load_key(path) if path.exists() else create_key(path))
    (home / PUBLIC_FILE).write_text(signer.verifier.line + "\n")
    return signer


def load_signer(home: Path, origin: str, public_key: str) -> Signer:
    """The signer of a ledger that has one; raises StoreError when the key is not the ledger's."""
    path = home / PRIVATE_FILE
    signer = Signer(origin, load_key(path))
    if signer.verifier.line != public_key:
        raise StoreError(f"{path}: the key of another ledger", remedy=_PUT_BACK)
    return signer


def load_verifier(path: Path) -> Verifier:
    """The public key in a file; raises StoreError when there is none."""
    try:
        return Verifier.parse(path.read_text())
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{path}: no public key of a ledger: {error}",
            remedy=f"name the file {PUBLIC_FILE} of the ledger's home, or a copy of it",
        ) from error


def create_key(path: Path) -> Ed25519PrivateKey:
    """Make a key and keep it in `path`, readable by its owner alone."""
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as error:
        raise StoreError(
            f"{path}: there is a file already, and a key is never written over another",
            remedy="name another path, or move that file away first",
        ) from error
    except OSError as error:
        raise StoreError(
            f"{path}: the key could not be written: {error.strerror}",
            remedy=f"make {path.parent} writable for this user",
        ) from error
    return private


def load_key(path: Path) -> Ed25519PrivateKey:
    """The key in `path`; raises StoreError when it is missing, unreadable or of another kind."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise StoreError(
            f"{path}: the ledger's signing key cannot be read: {error}",
            remedy=_PUT_BACK,
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise StoreError(
            f"{path}: not an Ed25519 key",
            remedy=_PUT_BACK,
        )
    return key
