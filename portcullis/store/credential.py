"""The administrator's credential: a key whose holder may loosen. Requests are signed, not shown.

The worker knows the public half only, so neither the inbox nor the ledger can give it away.
"""

from __future__ import annotations

import base64
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from portcullis.errors import StoreError
from portcullis.store.keys import create_key, load_key

PRIVATE_FILE = "administrator.key"
PUBLIC_FILE = "administrator.pub"


def establish(home: Path) -> bool:
    """Make the credential of a new home; False when it has one already.

    A home that has the public half is left as it is: the private one was moved away on purpose.
    """
    if (home / PUBLIC_FILE).exists():
        return False
    key = create_key(home / PRIVATE_FILE)
    (home / PUBLIC_FILE).write_text(_public(key) + "\n")
    return True


def sign(key_path: Path, text: bytes) -> str:
    """The signature of a request; raises StoreError when the key cannot be read."""
    return base64.b64encode(load_key(key_path).sign(text)).decode()


def verify(home: Path, text: bytes, signature: str) -> bool:
    """Whether the administrator of this home signed the text."""
    try:
        public = (home / PUBLIC_FILE).read_text().strip()
    except UnicodeDecodeError:
        return False
    except OSError as error:
        raise StoreError(
            f"{home / PUBLIC_FILE}: {error.strerror}",
            remedy="put the administrator's public key back from the backup of the home directory",
        ) from error
    return fits(public, text, signature)


def fits(public: str, text: bytes, signature: str) -> bool:
    """Whether the holder of a key, given by its public half in base64, signed the text."""
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public, validate=True))
        key.verify(base64.b64decode(signature, validate=True), text)
    except (InvalidSignature, ValueError):
        return False
    return True


def unreadable(public: object) -> str:
    """Why this is no public half of a key; empty where it is one."""
    try:
        raw = base64.b64decode(str(public), validate=True)
        Ed25519PublicKey.from_public_bytes(raw)
    except ValueError:
        raw = b""
    if not raw or base64.b64encode(raw).decode() != public:  # one key has one text
        return "the key is no public half of an Ed25519 key in base64; see `approver make`"
    return ""


def make(path: Path) -> str:
    """Make a second person's key at a path; its public half. Raises StoreError where one lies."""
    return _public(create_key(path))


def _public(key: Ed25519PrivateKey) -> str:
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return base64.b64encode(raw).decode()
