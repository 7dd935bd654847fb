"""The hash chain: what an event's hash binds, and the running state of the chain.

An event's hash is the RFC 6962 leaf hash of its canonical bytes: the same 32 bytes are the link to
the stream's next event and the leaf of the ledger's Merkle tree. The canonical bytes hold every
field of the row with its length, so two different rows never have the same bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

import msgspec

from portcullis.domain.events import (
    SCHEMA_VERSION,
    CommandConcluded,
    CommandIssued,
    encode,
    kind_of,
)
from portcullis.errors import UsageError
from portcullis.ports import Entry, Head, StoredEvent
from portcullis.store.merkle import SEGMENT_LEAVES, Tree

NO_PREVIOUS = bytes(32)
SEGMENT_EVENTS = SEGMENT_LEAVES

_NEW_STREAM = (0, NO_PREVIOUS)
_LEAF = b"\x00"
_LATEST_AT = 2**63 - 1
# leaf prefix, position, seq, at, version, and the lengths of stream, kind, trace and payload
_FIXED = struct.Struct(">cQQqIIIII")


def event_hash(
    position: int,
    stream: bytes,
    seq: int,
    at: int,
    kind: bytes,
    version: int,
    trace: bytes,
    payload: bytes,
    previous: bytes,
) -> bytes:
    """The 32-byte hash of a row; the arguments are the table's columns in order, texts in UTF-8.

    Raises struct.error on a number no row can have.
    """
    fixed = _FIXED.pack(
        _LEAF, position, seq, at, version, len(stream), len(kind), len(trace), len(payload)
    )
    return sha256(b"".join((fixed, stream, kind, trace, payload, previous))).digest()


class Segment(NamedTuple):
    """A sealed run of `SEGMENT_EVENTS` events; `number` counts from 1, `root` is over it alone."""

    number: int
    first: int
    last: int
    root: bytes


class Opened(NamedTuple):
    """A command that entered the outbox at `position`."""

    key: str
    account: str
    position: int


class Closed(NamedTuple):
    """A command whose outcome the event at `position` states."""

    key: str
    outcome: str
    position: int


class Batch(NamedTuple):
    """What one append adds: rows, the segments they filled, the outbox's changes in order."""

    rows: list[StoredEvent]
    segments: list[Segment]
    outbox: list[Opened | Closed]


class Chain:
    """The end of the chain, which the next event is linked to.

    `streams` holds (seq, hash) of each stream's newest event, `at` the time of the newest of all.
    """

    __slots__ = ("at", "streams", "tree")

    def __init__(
        self,
        at: int = 0,
        streams: dict[str, tuple[int, bytes]] | None = None,
        tree: Tree | None = None,
    ) -> None:
        self.at = at
        self.streams = {} if streams is None else streams
        self.tree = tree or Tree()

    def head(self) -> Head:
        return Head(self.tree.size, self.tree.root())

    def link(self, entries: Sequence[Entry]) -> Batch:
        """Number and hash the entries; UsageError, and no change, where one cannot be stored."""
        payloads = [_payload(entry) for entry in entries]
        rows: list[StoredEvent] = []
        outbox: list[Opened | Closed] = []
        streams, position = self.streams, self.tree.size
        for entry, payload in zip(entries, payloads, strict=True):
            stream, at, trace, event = entry
            position += 1
            seq, previous = streams.get(stream, _NEW_STREAM)
            seq += 1
            kind = kind_of(event)
            digest = event_hash(
                position,
                stream.encode(),
                seq,
                at,
                kind.encode(),
                SCHEMA_VERSION,
                trace.encode(),
                payload,
                previous,
            )
            streams[stream] = (seq, digest)
            rows.append(
                StoredEvent(
                    position,
                    stream,
                    seq,
                    at,
                    kind,
                    SCHEMA_VERSION,
                    trace,
                    payload,
                    previous,
                    digest,
                )
            )
            if isinstance(event, CommandIssued):
                outbox.append(Opened(event.key, event.account, position))
            elif isinstance(event, CommandConcluded):
                outbox.append(Closed(event.key, event.outcome, position))
            self.at = at
        return Batch(rows, self._grow([row.hash for row in rows]), outbox)

    def _grow(self, hashes: list[bytes]) -> list[Segment]:
        """Add hashes to the tree; the answer is the segments they filled."""
        number = self.tree.size // SEGMENT_EVENTS
        roots = self.tree.extend(hashes)
        return [segment_of(number + n, root) for n, root in enumerate(roots, start=1)]


def segment_of(number: int, root: bytes) -> Segment:
    """The segment of that number, with its first and last position."""
    return Segment(number, (number - 1) * SEGMENT_EVENTS + 1, number * SEGMENT_EVENTS, root)


def _payload(entry: Entry) -> bytes:
    """The entry's event as bytes, after asking whether the rest of it can be stored."""
    try:
        payload = encode(entry.event)
        entry.stream.encode()
        entry.trace.encode()
    except (msgspec.MsgspecError, OverflowError, TypeError, UnicodeEncodeError) as error:
        raise UsageError(
            f"an event of {entry.stream!r} cannot be stored: {error}",
            remedy="look at where the event was made; nothing was written",
        ) from error
    if not 0 <= entry.at <= _LATEST_AT:
        raise UsageError(
            f"an event of {entry.stream!r} is dated {entry.at} us, which is no time after 1970",
            remedy="set the machine's clock; nothing was written",
        )
    return payload
