"""Walking over the rows of the ledger: is each what it says, and does it follow the one before.

Texts are taken as bytes here, so that a damaged one is a fault found and not an error raised.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from portcullis.domain.events import SCHEMA_VERSION, CommandConcluded, CommandIssued, decode
from portcullis.ports import StoredEvent
from portcullis.store.chain import NO_PREVIOUS, event_hash
from portcullis.store.merkle import Tree

_NEW_STREAM = (0, NO_PREVIOUS)
_COMMANDS = frozenset((b"command_issued", b"command_concluded"))
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError)  # the latter from damaged texts inside
ODD_VALUES = (TypeError, AttributeError, ValueError, struct.error)


class Row(NamedTuple):
    """A row of events as it lies in the file: texts as bytes, and anything where it was damaged."""

    position: int
    stream: Any
    seq: int
    at: int
    kind: Any
    version: int
    trace: Any
    payload: Any
    previous: Any
    hash: Any


def as_row(stored: StoredEvent) -> Row:
    """A row that was read as text, as the walk takes it."""
    return Row(
        stored.position,
        stored.stream.encode(),
        stored.seq,
        stored.at,
        stored.kind.encode(),
        stored.version,
        stored.trace.encode(),
        stored.payload,
        stored.previous,
        stored.hash,
    )


class Fault(NamedTuple):
    """The first thing that does not hold, and where."""

    what: str
    position: int | None = None
    stream: str | None = None
    seq: int | None = None


class CommandState(NamedTuple):
    """A command the events issued; `outcome` and `concluded` are None until they say otherwise."""

    account: str
    position: int
    outcome: str | None = None
    concluded: int | None = None


class Walk:
    """Where the walk stands: behind `position`, every row up to it having held.

    `commands` are those open at the start and all that rows touched since. `link_to` finds what a
    stream's event of some seq gives as its previous hash; it helps to name an altered column.
    """

    def __init__(self, link_to: Callable[[bytes, int], bytes | None]) -> None:
        self.position = 0
        self.at = 0
        self.streams: dict[bytes, tuple[int, bytes]] = {}
        self.tree = Tree()
        self.sealed: list[bytes] = []  # roots of the segments filled by the last rows
        self.commands: dict[str, CommandState] = {}
        self._link_to = link_to

    def over(self, rows: Sequence[Any]) -> Fault | None:
        """Take rows in order of position; the first fault, None when all held."""
        streams = self.streams
        expected = self.position
        hashes = []
        for row in rows:
            expected += 1
            position, stream, seq, at, kind, version, trace, payload, previous, digest = row
            try:
                found = event_hash(
                    position, stream, seq, at, kind, version, trace, payload, previous
                )
                linked = streams.get(stream, _NEW_STREAM) == (seq - 1, previous)
            except ODD_VALUES:
                return _fault(Row._make(row), "a column holds a value of a wrong type", expected)
            if found != digest or position != expected or not linked:
                return self._explain(Row._make(row), found, expected)
            streams[stream] = (seq, digest)
            hashes.append(digest)
            if kind in _COMMANDS:
                fault = self._command(Row._make(row))
                if fault:
                    return fault
            self.at = at
        self.position = expected
        self.sealed = self.tree.extend(hashes)
        return None

    def _command(self, row: Row) -> Fault | None:
        """Follow the outbox: what the events say it must hold."""
        try:
            event = decode(row.payload)
        except _UNREADABLE as error:
            return _fault(row, f"the payload cannot be read: {error}")
        if isinstance(event, CommandIssued):
            self.commands.setdefault(event.key, CommandState(event.account, row.position))
        elif isinstance(event, CommandConcluded):
            found = self.commands.get(event.key)
            if found is not None and found.outcome is None:
                self.commands[event.key] = found._replace(
                    outcome=event.outcome, concluded=row.position
                )
        return None

    def _explain(self, row: Row, found: bytes, expected: int) -> Fault:
        """What is wrong with a row that does not hold: itself, or what should be before it."""
        seq, _ = self.streams.get(row.stream, _NEW_STREAM)
        if found != row.hash:
            return _fault(row, f"{self._altered(row, found, expected)} was altered", expected)
        if row.position != expected:
            return Fault(missing(expected, row.position - 1), expected)
        if row.seq != seq + 1:
            return _fault(row, f"seq {row.seq} follows seq {seq}: events of the stream are missing")
        return _fault(row, "previous is not the hash of the stream's event before")

    def _altered(self, row: Row, found: bytes, expected: int) -> str:
        """The column that was altered, as far as the rows around it tell."""
        if self._link_to(row.stream, row.seq + 1) == found:
            return "hash"
        seq, previous = self.streams.get(row.stream, _NEW_STREAM)
        guesses: list[tuple[str, Row]] = [
            ("position", row._replace(position=expected)),
            ("seq", row._replace(seq=seq + 1)),
            ("previous", row._replace(previous=previous)),
            ("version", row._replace(version=SCHEMA_VERSION)),
            ("kind", row._replace(kind=_kind_in(row.payload))),
        ]
        for stream, tail in self.streams.items():
            if tail == (row.seq - 1, row.previous):
                guesses.append(("stream", row._replace(stream=stream)))
        for column, guess in guesses:
            if event_hash(*guess[:-1]) == row.hash:
                return column
        return "stream, at, version, trace or payload"


def missing(first: int, last: int) -> str:
    """`events 101..120 are missing`."""
    return f"event {first} is missing" if first == last else f"events {first}..{last} are missing"


def _fault(row: Row, what: str, position: int | None = None) -> Fault:
    stream = row.stream.decode(errors="replace") if isinstance(row.stream, bytes) else None
    return Fault(what, position or row.position, stream, row.seq)


def _kind_in(payload: bytes) -> bytes:
    """The kind the payload itself names."""
    try:
        return str(msgspec.msgpack.decode(payload)["kind"]).encode()
    except (*_UNREADABLE, LookupError, TypeError):
        return b""
