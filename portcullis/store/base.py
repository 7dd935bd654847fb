"""The base: where a ledger begins whose older events are in the archive.

It holds what the events before it amounted to: the frontier of the tree, the end of every stream,
the commands still open and the folded state. It is signed whole, so that verifying and folding
begin with it as they would with the first event.
"""

from __future__ import annotations

from hashlib import sha256

import msgspec
import sqlalchemy as sa

from portcullis.errors import LedgerBroken
from portcullis.ports import Snapshot
from portcullis.store.merkle import Tree
from portcullis.store.note import Checkpoint, Verifier


class OpenCommand(msgspec.Struct, frozen=True, array_like=True):
    """A command without an outcome: its account, and where it was issued."""

    account: str
    position: int


class Base(msgspec.Struct, frozen=True):
    """Everything up to `position`, whose event is dated `at` (microseconds).

    `peaks` is the tree's frontier, `streams` the (seq, hash) each stream ends with. `state` is the
    folded state of version `state_version`.
    """

    position: int
    at: int
    peaks: bytes
    streams: dict[str, tuple[int, bytes]]
    commands: dict[str, OpenCommand]
    state_version: int
    state: bytes

    def to_bytes(self) -> bytes:
        return msgspec.msgpack.encode(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> Base:
        """Raises ValueError on anything else, and where the frontier is none."""
        found = msgspec.msgpack.decode(data, type=cls)
        Tree.from_bytes(found.position, found.peaks)
        return found

    def tree(self) -> Tree:
        return Tree.from_bytes(self.position, self.peaks)

    def checkpoint(self, origin: str) -> Checkpoint:
        """What is stated of the events before it."""
        return Checkpoint(origin, self.position, self.tree().root(), self.at)

    def snapshot(self) -> Snapshot:
        return Snapshot(self.position, self.at, self.state_version, self.state)


def base_text(origin: str, position: int, body: bytes) -> str:
    """What is signed of a base."""
    return f"{origin}\nbase {position}\n{sha256(body).hexdigest()}\n"


class BaseRow(msgspec.Struct, frozen=True, array_like=True):
    """The row as stored: signed are the checkpoint of its events, and its whole body."""

    position: int
    body: bytes
    note: str
    signature: bytes

    def opened(self, public: Verifier) -> Base:
        """The base, if it is what this key signed. Raises ValueError."""
        if not public.holds(base_text(public.name, self.position, self.body), self.signature):
            raise ValueError("the base was altered")
        found = Base.from_bytes(self.body)
        if found.position != self.position:
            raise ValueError("the base is of another position")
        if Checkpoint.parse(public.open(self.note)) != found.checkpoint(public.name):
            raise ValueError("the base's checkpoint is not that of its frontier")
        return found


def base_row(connection: sa.Connection) -> BaseRow | None:
    """None where the ledger begins with its first event, or is older than such rows."""
    run = connection.exec_driver_sql
    if run("SELECT version_num FROM alembic_version").scalar() == "ledger_1":
        return None
    row = run("SELECT position, body, note, signature FROM base").one_or_none()
    return None if row is None else BaseRow(*row)


def base_of(connection: sa.Connection, public: Verifier) -> Base | None:
    """The base a ledger begins with. Raises LedgerBroken where it is not what was signed."""
    row = base_row(connection)
    if row is None:
        return None
    try:
        return row.opened(public)
    except ValueError as error:
        raise LedgerBroken(
            f"{connection.engine.url.database or 'the ledger'}: {error}",
            position=row.position,
            remedy="keep the file, and restore the newest backup",
        ) from error
