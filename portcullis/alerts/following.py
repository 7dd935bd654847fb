"""Reading the ledger as it grows, from where it was read before, whatever it met meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from portcullis.alerts import signals
from portcullis.alerts.outbox import Progress
from portcullis.domain.events import (
    SYSTEM,
    Event,
    LedgerRestored,
    RequestAnswered,
    RequestReceived,
    decode,
)
from portcullis.domain.model import HOUR, SECOND
from portcullis.ports import Head, StoredEvent
from portcullis.store.reading import EventFilter, LedgerReader

READ_AT_ONCE = 5_000
LOOK_BACK = HOUR
"""A sender that begins beside an older ledger tells of this much of its past."""

REOPEN_EVERY = 5 * SECOND
"""A restore in place puts another file there."""

REQUESTS = ("request_received", "request_answered")
SUBSCRIBING = ("subscribe", "unsubscribe")
_READ = EventFilter(kinds=(*signals.KINDS_READ, *REQUESTS))


class Batch(NamedTuple):
    """What is new: the events with where they are, how far that is, the time of the newest event
    of the ledger, and its signed head. `before`: what must be known of the time before.
    """

    events: list[tuple[StoredEvent, Event]]
    before: list[tuple[StoredEvent, Event]]
    progress: Progress
    seen_at: int
    head: Head


class Following:
    """A reader that goes on from a progress. For one thread."""

    def __init__(self, open_ledger: Callable[[], LedgerReader]) -> None:
        self._open_ledger = open_ledger
        self._reader: LedgerReader | None = None
        self._opened_at = 0

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def read(self, progress: Progress | None, now: int) -> Batch:
        """What is new since then, `READ_AT_ONCE` positions at most. Raises StoreError."""
        reader = self._ledger(now)
        head = reader.head()
        before: list[tuple[StoredEvent, Event]] = []
        if progress is None or progress.ledger != reader.ledger_id:
            start = max(0, reader.first_since(now - LOOK_BACK) - 1)
            before = _known_before(reader, start)
        else:
            start = self._start(reader, progress)
        through = min(head.position, start + READ_AT_ONCE)
        events = [
            (row, decode(row.payload)) for row in reader.events(_READ, after=start, through=through)
        ]
        at = progress if through == start and progress else _progress(reader, through)
        seen_at = reader.last_at() if through == head.position else _time_of(reader, through)
        return Batch(events, before, at, seen_at, head)

    def _ledger(self, now: int) -> LedgerReader:
        if self._reader is None or now - self._opened_at > REOPEN_EVERY or now < self._opened_at:
            self.close()
            self._reader, self._opened_at = self._open_ledger(), now
        return self._reader

    def _start(self, reader: LedgerReader, progress: Progress) -> int:
        """Where to go on; after a restore, behind what the restored ledger has of the old one."""
        if not progress.position or _hash(reader, progress.position) == progress.hash:
            return progress.position
        base = reader.base()
        begins = base.position if base else 0
        if progress.position <= begins:
            return begins
        restored = EventFilter(kinds=("ledger_restored",))
        for row in reader.events(restored, newest_first=True):
            event = decode(row.payload)
            if isinstance(event, LedgerRestored):
                return event.position
        return min(progress.position, reader.head().position)


def _known_before(reader: LedgerReader, start: int) -> list[tuple[StoredEvent, Event]]:
    """The rules and the mode in force at a position."""
    found = []
    for kind in ("rules_loaded", "mode_changed"):
        for row in reader.events(EventFilter(kinds=(kind,)), through=start, newest_first=True):
            found.append((row, decode(row.payload)))
            break
    return [*found, *_subscribed_before(reader, start)]


def _subscribed_before(reader: LedgerReader, start: int) -> list[tuple[StoredEvent, Event]]:
    """What was subscribed by request: a sender that lost its file must not be silent for it."""
    found: list[tuple[StoredEvent, Event]] = []
    ids = set()
    for row in reader.events(EventFilter(SYSTEM, REQUESTS), through=start):
        event = decode(row.payload)
        if isinstance(event, RequestReceived) and event.verb in SUBSCRIBING:
            ids.add(event.request_id)
        if isinstance(event, RequestReceived | RequestAnswered) and event.request_id in ids:
            found.append((row, event))
    return found


def _progress(reader: LedgerReader, position: int) -> Progress:
    return Progress(reader.ledger_id, position, _hash(reader, position))


def _hash(reader: LedgerReader, position: int) -> bytes:
    return next((row.hash for row in _row(reader, position)), b"")


def _time_of(reader: LedgerReader, position: int) -> int:
    return next((row.at for row in _row(reader, position)), 0)


def _row(reader: LedgerReader, position: int) -> Iterator[StoredEvent]:
    return reader.read(after=position - 1, through=position)
