"""A ledger and an inbox in memory, for simulations and drills.

They encode, chain and answer exactly as the ones on disk do, and forget everything at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from portcullis.errors import UsageError
from portcullis.ports import (
    Entry,
    Head,
    InboxAnswer,
    InboxRequest,
    PendingCommand,
    Snapshot,
    StoredEvent,
)
from portcullis.store.chain import Chain, Opened, Segment


class MemoryLedger:
    """`ports.Ledger` without a disk. `segments` are sealed as on disk, but not signed."""

    def __init__(self) -> None:
        self.segments: list[Segment] = []
        self._rows: list[StoredEvent] = []
        self._streams: dict[str, list[StoredEvent]] = {}
        self._commands: set[str] = set()
        self._pending: dict[str, PendingCommand] = {}
        self._snapshots: dict[int, Snapshot] = {}
        self._chain = Chain()
        self._head = self._chain.head()

    def head(self) -> Head:
        return self._head

    def last_at(self) -> int:
        return self._chain.at

    def append(self, entries: Sequence[Entry]) -> Head:
        batch = self._chain.link(entries)
        self._rows.extend(batch.rows)
        for row in batch.rows:
            self._streams.setdefault(row.stream, []).append(row)
        for change in batch.outbox:
            if not isinstance(change, Opened):
                self._pending.pop(change.key, None)
            elif change.key not in self._commands:
                self._commands.add(change.key)
                self._pending[change.key] = PendingCommand._make(change)
        self.segments.extend(batch.segments)
        self._head = self._chain.head()
        return self._head

    def read(
        self, *, after: int = 0, through: int | None = None, stream: str | None = None
    ) -> Iterator[StoredEvent]:
        last = self._head.position if through is None else min(through, self._head.position)
        if stream is None:
            return iter(self._rows[after:last])
        rows = self._streams.get(stream, [])
        return iter([row for row in rows if after < row.position <= last])

    def beginning(self) -> Snapshot | None:
        """It keeps everything."""
        return None

    def begin_at(self, body: bytes) -> int:  # noqa: ARG002 - as the port has it
        """Refused: it keeps everything."""
        raise UsageError("a ledger in memory keeps every event", remedy="use one on disk")

    def drop_retired(self, most: int) -> int:  # noqa: ARG002 - as the port has it
        """There is nothing to drop."""
        return 0

    def pending(self) -> list[PendingCommand]:
        return list(self._pending.values())

    def save_snapshot(self, snapshot: Snapshot) -> None:
        self._snapshots[snapshot.position] = snapshot

    def latest_snapshot(self) -> Snapshot | None:
        return self._snapshots[max(self._snapshots)] if self._snapshots else None

    def close(self) -> None:
        """Nothing is held."""


class MemoryInbox:
    """`ports.Inbox` without a disk."""

    def __init__(self) -> None:
        self._requests: dict[str, InboxRequest] = {}
        self._unanswered: dict[str, InboxRequest] = {}
        self._answers: dict[str, InboxAnswer] = {}

    def ask(
        self, request_id: str, verb: str, by: str, role: str, body: bytes, asked_at: int
    ) -> None:
        if request_id in self._requests:
            return
        number = len(self._requests) + 1
        request = InboxRequest(number, request_id, verb, by, role, body, asked_at)
        self._requests[request_id] = self._unanswered[request_id] = request

    def waiting(self, limit: int, verbs: Sequence[str] = ()) -> list[InboxRequest]:
        found = (r for r in self._unanswered.values() if not verbs or r.verb in verbs)
        return list(islice(found, limit))

    def answer(self, answers: Sequence[InboxAnswer]) -> None:
        for answer in answers:
            if answer.request_id in self._requests:
                self._answers.setdefault(answer.request_id, answer)
                self._unanswered.pop(answer.request_id, None)

    def answer_to(self, request_id: str) -> InboxAnswer | None:
        return self._answers.get(request_id)

    def close(self) -> None:
        """Nothing is held."""
