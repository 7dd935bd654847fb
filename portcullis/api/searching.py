"""Finding events: newest first, a page at a time, with a bound on how much is looked through.

A page ends when it is full, when the search has taken its time, or at the end of what was asked
for; the cursor says where the next one begins.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import msgspec

from portcullis.api.answers import EPOCH
from portcullis.api.problems import Problem
from portcullis.api.severity import Severity, severity_of
from portcullis.domain.events import LooseningHeld, RulesLoaded, decode
from portcullis.ports import StoredEvent
from portcullis.store.reading import EventFilter, LedgerReader

SEARCH_SECONDS = 1.0
WINDOW_MAX = 64_000
WINDOW_GROWS = 4
"""A page of everything is found in one look; what is rare, in a few that grow."""


class Wanted(NamedTuple):
    """What is searched for; times in microseconds, `since` included and `until` not."""

    account: str | None = None
    kinds: tuple[str, ...] = ()
    trace: str | None = None
    since: int | None = None
    until: int | None = None
    severity: Severity | None = None

    @property
    def where(self) -> EventFilter:
        """Times are left out: they are found as positions first."""
        stream = None if self.account is None else f"account/{self.account}"
        return EventFilter(stream, self.kinds, self.trace)

    def fits(self, row: StoredEvent) -> bool:
        """Whether an event that `where` lets through is of the severity that is wanted."""
        return self.severity in (None, severity_of(row.kind, decode(row.payload)))

    def positions(self, reader: LedgerReader) -> tuple[int, int]:
        """Behind the one and up to the other lies what was asked for."""
        low = 0 if self.since is None else reader.first_since(self.since) - 1
        last = reader.head().position
        high = last if self.until is None else min(last, reader.first_since(self.until) - 1)
        return low, high


class Page(NamedTuple):
    """`next`: where the search goes on, None at its end; `looked_through`: down to where."""

    events: list[StoredEvent]
    next: int | None
    looked_through: int


def page(
    reader: LedgerReader,
    wanted: Wanted,
    limit: int,
    before: int | None,
    monotonic: Callable[[], float],
) -> Page:
    """The newest events before a position."""
    low, high = wanted.positions(reader)
    if before is not None:
        high = min(high, before - 1)
    found: list[StoredEvent] = []
    deadline, window = monotonic() + SEARCH_SECONDS, limit
    while high > low:
        after = max(low, high - window)
        for event in reader.events(wanted.where, after=after, through=high, newest_first=True):
            if not wanted.fits(event):
                continue
            found.append(event)
            if len(found) == limit:
                position = event.position
                return Page(found, position if position - 1 > low else None, position)
        high, window = after, min(WINDOW_GROWS * window, WINDOW_MAX)
        if monotonic() > deadline and high > low:
            return Page(found, high + 1, high + 1)
    return Page(found, None, low + 1)


def in_order(reader: LedgerReader, wanted: Wanted) -> Iterator[StoredEvent]:
    """Everything that was asked for, oldest first, up to where the ledger ends now."""
    low, high = wanted.positions(reader)
    return filter(wanted.fits, reader.events(wanted.where, after=low, through=high))


def cursor_of(position: int, wanted: Wanted) -> str:
    """Opaque to whoever carries it; it goes on with the same search and no other."""
    body = msgspec.msgpack.encode((position, wanted))
    return base64.urlsafe_b64encode(body).decode().rstrip("=")


def position_in(cursor: str, wanted: Wanted) -> int:
    """Raises Problem 422 for a cursor that is none, or of another search."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        position, of = msgspec.msgpack.decode(raw, type=tuple[int, Wanted])
    except (ValueError, binascii.Error, msgspec.MsgspecError) as error:
        raise Problem(422, "cursor: this is none", remedy="begin without one") from error
    if of != wanted or position < 1:
        raise Problem(
            422, "cursor: it is of another search", remedy="keep the filters, or begin without one"
        )
    return position


def shown(row: StoredEvent) -> dict[str, Any]:
    """An event as it is published; a plan of rules as its size."""
    event = decode(row.payload)
    payload = msgspec.to_builtins(event, enc_hook=str)
    if isinstance(event, RulesLoaded | LooseningHeld):
        payload["plan"] = f"{len(event.plan)} bytes"
    name = row.stream.partition("/")[2]
    at = (EPOCH + timedelta(microseconds=row.at)).isoformat(timespec="microseconds")
    return {
        "position": row.position,
        "timestamp": at.replace("+00:00", "Z"),
        "kind": row.kind,
        "severity": severity_of(row.kind, event),
        "account": name or None,
        "stream": row.stream,
        "seq": row.seq,
        "trace": row.trace,
        "payload": payload,
        "hash": row.hash.hex(),
    }
