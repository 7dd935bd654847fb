"""A shipment: a piece of the ledger as one file at the target, with a line in clear before it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec
import pyrage
import zstandard

from portcullis.backup.packing import LEVEL, recipient
from portcullis.errors import StoreError, UsageError
from portcullis.store.pieces import BYTES_MAX, Piece

SHIPMENT = ".shipment"
FOLDER = "shipments"
UNPACKED_MAX = 4 * BYTES_MAX
LABEL_MAX = 16_384
_NAME = re.compile(r"([0-9a-f]{8})-([0-9]{4,})-([0-9]{12,})-([0-9]{12,})")


class ShipmentName(NamedTuple):
    """What a file's name says. After a restore in place the ledger goes on otherwise: with the
    next `generation`. `first` and `last` are positions.
    """

    ledger: str
    generation: int
    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.ledger}-{self.generation:04d}-{self.first:012d}-{self.last:012d}"

    @classmethod
    def parse(cls, text: str) -> ShipmentName | None:
        """None where it is no name of a shipment."""
        found = _NAME.fullmatch(text)
        if found is None:
            return None
        name = cls(found[1], int(found[2]), int(found[3]), int(found[4]))
        return name if 0 < name.first <= name.last else None


class Label(msgspec.Struct, frozen=True):
    """The line in clear. `note` is the signed head where the shipment ends at one, `at` the time of
    its newest event and `made_at` that of the shipping (microseconds); `size` is unpacked.
    """

    name: str
    ledger: str
    at: int
    made_at: int
    note: str
    sha256: str
    size: int
    recipients: tuple[str, ...]


def pack(
    piece: Piece, name: ShipmentName, ledger: str, note: str, made_at: int, keys: Sequence[str]
) -> bytes:
    """The file's bytes; encrypted to public keys where there are any."""
    plain = msgspec.msgpack.encode(piece)
    packed = zstandard.ZstdCompressor(level=LEVEL).compress(plain)
    if keys:
        packed = pyrage.encrypt(packed, [recipient(key) for key in keys])
    label = Label(
        str(name),
        ledger,
        piece.rows[-1].at,
        made_at,
        note,
        sha256(packed).hexdigest(),
        len(plain),
        tuple(keys),
    )
    return msgspec.json.encode(label) + b"\n" + packed


def read_label(data: bytes, name: ShipmentName) -> Label:
    """The label of a shipment whose bytes are whole. Raises StoreError where they are not."""
    line, gap, packed = data.partition(b"\n")
    try:
        if not gap or len(line) > LABEL_MAX:
            raise ValueError("it has no label")  # noqa: TRY301 - told with the others
        label = msgspec.json.decode(line, type=Label)
        if label.name != str(name) or label.ledger[:8] != name.ledger:
            raise ValueError(f"its label is that of {label.name}")  # noqa: TRY301
        if sha256(packed).hexdigest() != label.sha256:
            raise ValueError("its bytes are not those that were shipped")  # noqa: TRY301
    except (ValueError, msgspec.MsgspecError) as error:
        raise _bad(name, str(error)) from error
    return label


def unpack(data: bytes, name: ShipmentName, identities: Sequence[Any]) -> tuple[Label, Piece]:
    """Label and piece. Raises StoreError where it is damaged, UsageError without its key."""
    label = read_label(data, name)
    packed = data.partition(b"\n")[2]
    if label.recipients and not identities:
        raise UsageError(
            f"shipment {name} is encrypted",
            remedy="give the file with the private key: --identity, or PORTCULLIS_BACKUP_IDENTITY",
        )
    try:
        if label.recipients:
            packed = pyrage.decrypt(packed, identities)
        if not 0 < label.size <= UNPACKED_MAX:
            raise ValueError("its label states a size no shipment has")  # noqa: TRY301
        reader = zstandard.ZstdDecompressor().stream_reader(packed)
        plain = reader.read(label.size + 1)
        if len(plain) != label.size:
            raise ValueError("it is not as large as its label says")  # noqa: TRY301
        piece = msgspec.msgpack.decode(plain, type=Piece)
        if (piece.after + 1, piece.last) != (name.first, name.last):
            raise ValueError("it holds other events than its name says")  # noqa: TRY301
    except (ValueError, pyrage.DecryptError, zstandard.ZstdError, msgspec.MsgspecError) as error:
        raise _bad(name, str(error)) from error
    return label, piece


def _bad(name: ShipmentName, why: str) -> StoreError:
    return StoreError(
        f"shipment {name}: {why}",
        remedy="restore without it: what was shipped before it, or the newest backup",
    )
