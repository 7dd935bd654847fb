"""Handing entries to the ledger: grouped into commits by a thread, or one by one without.

Both ways number the entries when they are submitted, so that the submitter knows every position
before anything is on disk, and say afterwards, in order, what became of each submission.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Sequence
from threading import Condition, Thread
from typing import NamedTuple, Protocol

from portcullis.errors import PortcullisError, StoreError
from portcullis.ports import Entry, Ledger

BATCH_ENTRIES = 2_000
QUEUE_ENTRIES = 50_000
ROOM_SECONDS = 30.0  # a disk that does not take a batch for this long is taken for dead
IDLE_SECONDS = 1.0
# How long another busy thread may keep the interpreter from the committing one each time the two
# meet; Python's own 5 ms would make every commit wait tens of milliseconds beside a busy engine.
SWITCH_SECONDS = 0.0002

OnDurable = Callable[[StoreError | None], None]


class Commit(Protocol):
    """The way into the ledger, with or without a thread."""

    @property
    def next_position(self) -> int:
        """The position the next submitted entry will have."""

    def submit(self, entries: Sequence[Entry], on_durable: OnDurable) -> int:
        """Take entries, in one transaction; the answer is the position of the first.

        `on_durable` is called once, with None when they are durable or with why they are not.
        Raises the error of the first failure from then on: nothing is taken after it.
        """

    def close(self) -> None:
        """Wait for everything submitted; take nothing more."""


class DirectCommit:
    """Commits within `submit`, and calls back before it returns: for virtual time."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._failure: StoreError | None = None

    @property
    def next_position(self) -> int:
        return self._ledger.head().position + 1

    def submit(self, entries: Sequence[Entry], on_durable: OnDurable) -> int:
        if self._failure is not None:
            raise self._failure
        first = self.next_position
        try:
            self._ledger.append(entries)
        except PortcullisError as error:
            self._failure = _as_store_error(error)
        on_durable(self._failure)
        return first

    def close(self) -> None:
        self._failure = self._failure or _closed()


class _Submission(NamedTuple):
    entries: Sequence[Entry]
    on_durable: OnDurable


class GroupCommit:
    """Commits in a thread of its own: what came in during one commit goes with the next.

    There is no linger: a lone entry is committed at once, and the batches grow with the load, to
    `BATCH_ENTRIES` at most (a longer submission is a batch of its own). Callbacks run on the
    thread, in order of submission; they must be short and must not raise.
    """

    def __init__(self, ledger: Ledger, *, on_idle: Callable[[], None] | None = None) -> None:
        """`on_idle` runs on the thread when nothing came for `IDLE_SECONDS` after a commit.

        Sets the interpreter's switch interval to `SWITCH_SECONDS` for the whole process.
        """
        sys.setswitchinterval(SWITCH_SECONDS)
        self._ledger = ledger
        self._on_idle = on_idle
        self._queue: deque[_Submission] = deque()
        self._queued = 0
        self._next = ledger.head().position + 1
        self._failure: StoreError | None = None
        self._closing = False
        self._uncut = False  # whether a commit happened since the last idle moment
        self._changed = Condition()
        # A daemon: a process that dies of an error must end, and not wait for a close() to come.
        self._thread = Thread(target=self._run, name="ledger-writer", daemon=True)
        self._thread.start()

    @property
    def next_position(self) -> int:
        return self._next

    @property
    def room(self) -> int:
        """How many entries `submit` takes now without waiting."""
        return max(0, QUEUE_ENTRIES - self._queued)

    def wait_for_room(self, entries: int, timeout: float | None = None) -> bool:
        """Wait until `entries` more fit, or nothing is queued; False after `timeout` seconds.

        Without a timeout, after `ROOM_SECONDS`.
        """
        limit = ROOM_SECONDS if timeout is None else timeout
        with self._changed:
            return self._changed.wait_for(lambda: self._fits(entries), limit)

    def submit(self, entries: Sequence[Entry], on_durable: OnDurable) -> int:
        """As `Commit.submit`; waits for room, `ROOM_SECONDS` at most, then fails for good."""
        with self._changed:
            if not self._fits(len(entries)) and not self.wait_for_room(len(entries)):
                self._fail(_no_room())
            if self._failure is not None:
                raise self._failure
            if self._closing:
                raise _closed()
            first = self._next
            self._next += len(entries)
            self._queued += len(entries)
            self._queue.append(_Submission(entries, on_durable))
            self._changed.notify_all()
        return first

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _fits(self, entries: int) -> bool:
        fits = self._queued == 0 or self._queued + entries <= QUEUE_ENTRIES
        return fits or self._failure is not None or self._closing

    def _run(self) -> None:
        batch: deque[_Submission] = deque()
        try:
            while batch := self._take():
                failure = self._failure or self._commit(batch)
                while batch:
                    batch.popleft().on_durable(failure)
        finally:  # drained, or a callback raised: nobody may wait for this thread any more
            self._fail(_closed())
            for submission in (*batch, *self._queue):
                submission.on_durable(self._failure)

    def _commit(self, batch: deque[_Submission]) -> StoreError | None:
        """Append a batch; the answer, kept for all that follows, is why that could not be."""
        self._uncut = True
        try:
            self._ledger.append([entry for submission in batch for entry in submission.entries])
        except PortcullisError as error:
            self._fail(_as_store_error(error))
        return self._failure

    def _take(self) -> deque[_Submission]:
        """The next batch, as soon as there is one; empty when closed and drained."""
        with self._changed:
            while not self._changed.wait_for(self._has_work, IDLE_SECONDS if self._uncut else None):
                self._idle()
            batch: deque[_Submission] = deque()
            size = 0
            while self._queue and (
                not batch or size + len(self._queue[0].entries) <= BATCH_ENTRIES
            ):
                batch.append(self._queue.popleft())
                size += len(batch[-1].entries)
            self._queued -= size
            self._changed.notify_all()
            return batch

    def _has_work(self) -> bool:
        return bool(self._queue) or self._closing

    def _idle(self) -> None:
        """Run `on_idle` once per pause, without keeping submitters out meanwhile."""
        self._uncut = False
        if self._on_idle is None or self._failure is not None:
            return
        self._changed.release()
        try:
            self._on_idle()
        except StoreError as error:
            self._fail(error)
        finally:
            self._changed.acquire()

    def _fail(self, failure: StoreError) -> None:
        with self._changed:
            self._failure = self._failure or failure
            self._changed.notify_all()


def _as_store_error(error: PortcullisError) -> StoreError:
    return error if isinstance(error, StoreError) else StoreError(str(error), remedy=error.remedy)


def _closed() -> StoreError:
    return StoreError("the ledger's writer is closed", remedy="start the worker again")


def _no_room() -> StoreError:
    return StoreError(
        f"{QUEUE_ENTRIES} events wait and none was stored for {ROOM_SECONDS:.0f} s",
        remedy="look at the disk of the store: it does not keep up, or not at all",
    )
