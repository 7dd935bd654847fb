"""What a backup says of itself, in clear beside it: enough to choose one and to check it whole."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from portcullis.errors import StoreError

PACKED, MANIFEST, PROOF = ".backup", ".json", ".verified"


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One backup. Times are microseconds.

    `position` and `at` are those of its newest event and `checkpoint` its signed head. `sha256` and
    `size` are of the packed file; `files` holds the SHA-256 of each file in it. `recipients` are
    the public keys that it is encrypted to; without any it is not encrypted. Of a backup of a
    server, `server` is its version and `wal` the first file of its log that is needed.
    """

    name: str
    made_at: int
    ledger: str
    position: int
    at: int
    checkpoint: str
    sha256: str
    size: int
    files: dict[str, str]
    recipients: tuple[str, ...]
    schema: str
    version: str
    sqlite: str
    server: str = ""
    wal: str = ""

    def to_bytes(self) -> bytes:
        return msgspec.json.format(msgspec.json.encode(self), indent=2)


class Proof(msgspec.Struct, frozen=True):
    """That a backup was verified: when, how far, and how long it took (microseconds).

    `restored`: it was unpacked and folded; otherwise only what was uploaded was read back.
    """

    verified_at: int
    restored: bool
    took: int


def stamp(moment: int) -> str:
    """`20261121T190343Z`."""
    return f"{datetime.fromtimestamp(moment // 1_000_000, UTC):%Y%m%dT%H%M%SZ}"


def name_of(moment: int, position: int, ledger: str) -> str:
    """`20261121T190343Z-000001188-8b8809bd`: in the order of time, with the newest event it holds
    and whose it is.
    """
    return f"{stamp(moment)}-{position:09d}-{ledger[:8]}"


def read_manifest(data: bytes, name: str) -> Manifest:
    """Raises StoreError where the bytes are no manifest of that backup."""
    try:
        found = msgspec.json.decode(data, type=Manifest)
    except msgspec.MsgspecError as error:
        raise StoreError(
            f"backup {name}: its manifest cannot be read: {error}",
            remedy="choose another backup: `portcullis backup list`",
        ) from error
    if found.name != name:
        raise StoreError(
            f"backup {name}: its manifest is that of {found.name}",
            remedy="somebody renamed it: choose another backup",
        )
    return found
