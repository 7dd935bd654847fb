"""Many files as one: packed, compressed, and encrypted to public keys where there are any.

Encrypted is with age (https://age-encryption.org): whoever makes backups needs only public keys, so
a machine cannot read what it keeps elsewhere. Any age tool opens them: `age -d | zstd -d | tar x`.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pyrage
import zstandard

from portcullis.errors import StoreError, UsageError

LEVEL, THREADS = 3, 2
PRIVATE = "AGE-SECRET-KEY"
CHUNK = 1 << 20


def recipients_of(text: str) -> tuple[str, ...]:
    """Public keys with commas between them. Raises UsageError for what is none."""
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    if text.strip() and not found:
        raise UsageError(
            "PORTCULLIS_BACKUP_RECIPIENTS is set and names no key",
            remedy="name a public key, or leave it out: backups are not encrypted then",
        )
    for key in found:
        recipient(key)
    return found


def identities_in(path: Path) -> list[Any]:
    """The private keys of a file as age-keygen writes it. Raises UsageError without any."""
    if PRIVATE in str(path):
        raise UsageError(
            "PORTCULLIS_BACKUP_IDENTITY is the path of a file, and this is a key itself",
            remedy="name the file that holds the key",
        )
    try:
        lines = path.expanduser().read_text(encoding="utf-8").splitlines()
        found = [
            pyrage.x25519.Identity.from_str(line.strip())
            for line in lines
            if line.strip() and not line.startswith("#")
        ]
    except (OSError, UnicodeDecodeError, pyrage.IdentityError) as error:
        raise UsageError(
            f"{path}: no key that opens backups: {error}",
            remedy="name the file that `portcullis backup key` or age-keygen wrote",
        ) from error
    if not found:
        raise UsageError(f"{path}: there is no key in it", remedy="name the file with the key")
    return found


def new_identity() -> tuple[str, str]:
    """A private key and its public one, as text."""
    made = pyrage.x25519.Identity.generate()
    return str(made), str(made.to_public())


def pack(folder: Path, out: Path, recipients: Sequence[str]) -> None:
    """Pack every file of a folder into `out`."""
    plain = out.with_suffix(".plain") if recipients else out
    compressor = zstandard.ZstdCompressor(level=LEVEL, threads=THREADS)
    with (
        plain.open("wb") as file,
        compressor.stream_writer(file) as stream,
        tarfile.open(fileobj=stream, mode="w|") as archive,
    ):
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.add(path, arcname=str(path.relative_to(folder)))
    if recipients:
        keys = [recipient(key) for key in recipients]
        with plain.open("rb") as source, out.open("wb") as sink:
            pyrage.encrypt_io(source, sink, keys)
        plain.unlink()


def unpack(packed: Path, folder: Path, identities: Sequence[Any], names: Collection[str]) -> None:
    """Unpack the plain files of those names into an empty folder.

    Raises StoreError where it cannot be opened, or holds anything else.
    """
    plain = packed
    try:
        if identities:
            plain = packed.with_suffix(".plain")
            with packed.open("rb") as source, plain.open("wb") as sink:
                pyrage.decrypt_io(source, sink, identities)
        decompressor = zstandard.ZstdDecompressor()
        with (
            plain.open("rb") as file,
            decompressor.stream_reader(file) as stream,
            tarfile.open(fileobj=stream, mode="r|") as archive,
        ):
            for member in archive:
                if not member.isreg() or member.name not in names:
                    raise StoreError(
                        f"{packed.name}: it holds {member.name!r}, which its manifest does not",
                        remedy="somebody changed it: choose another backup",
                    )
                archive.extract(member, folder, filter="data")
    except (pyrage.DecryptError, zstandard.ZstdError, tarfile.TarError, OSError) as error:
        raise StoreError(
            f"{packed.name}: cannot be opened: {error}",
            remedy="is it the right key? `portcullis backup verify` says whether the file is whole",
        ) from error
    finally:
        if plain is not packed:
            plain.unlink(missing_ok=True)


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    made = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(CHUNK):
            made.update(data)
    return made.hexdigest()


def recipient(key: str) -> Any:
    """A public key, in age's or SSH's form. Raises UsageError for what is none."""
    try:
        if key.startswith("ssh-"):
            return pyrage.ssh.Recipient.from_str(key)
        return pyrage.x25519.Recipient.from_str(key)
    except pyrage.RecipientError as error:
        shown = "a private key" if PRIVATE in key else f"{key[:24]}..."
        raise UsageError(
            f"{shown}: no public key for backups: {error}",
            remedy="give keys that begin with age1 or ssh-, as `portcullis backup key` prints them",
        ) from error
