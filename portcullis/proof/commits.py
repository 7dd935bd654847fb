"""The writer in virtual time: groups commits as the real one does, and may die at any moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from portcullis.errors import PortcullisError, StoreError
from portcullis.ports import Entry, Head, Ledger
from portcullis.store.writer import OnDurable

Submission = tuple[Sequence[Entry], OnDurable]


class VirtualCommit:
    """`store.writer.GroupCommit` without a thread: what came during one commit goes with the next.

    `takes` draws how long a commit lasts (microseconds); `durable` hears of every new head at the
    moment it is on the disk; `fails` says why the disk takes nothing now, or nothing.
    """

    def __init__(
        self,
        ledger: Ledger,
        takes: Callable[[], int],
        durable: Callable[[Head], None],
        fails: Callable[[], str],
    ) -> None:
        self._ledger, self._takes, self._durable, self._fails = ledger, takes, durable, fails
        self._loop = asyncio.get_running_loop()
        self._next = ledger.head().position + 1
        self._queue: list[Submission] = []
        self._batch: list[Submission] = []
        self._failure: StoreError | None = None
        self._dead = False

    @property
    def next_position(self) -> int:
        return self._next

    @property
    def is_busy(self) -> bool:
        """Whether a commit is on its way."""
        return bool(self._batch)

    def submit(self, entries: Sequence[Entry], on_durable: OnDurable) -> int:
        if self._failure is not None:
            raise self._failure
        first = self._next
        self._next += len(entries)
        self._queue.append((entries, on_durable))
        if not self._batch:
            self._begin()
        return first

    def close(self) -> None:
        """Nothing is held: a drained worker has waited for its commits."""

    def die(self, *, durable: bool) -> None:
        """End as the process does. The commit on its way is lost, or durable and never told."""
        self._dead = True
        if self._batch and durable and self._failure is None and not self._fails():
            self._durable(self._append())

    def _begin(self) -> None:
        self._batch, self._queue = self._queue, []
        self._loop.call_later(self._takes() / 1e6, self._end)

    def _end(self) -> None:
        if self._dead:
            return
        error = self._failure or self._commit()
        batch, self._batch = self._batch, []
        for _, on_durable in batch:
            on_durable(error)
        if self._queue:
            self._begin()

    def _commit(self) -> StoreError | None:
        try:
            if why := self._fails():
                raise StoreError(why, remedy="free the disk")
            self._durable(self._append())
        except PortcullisError as error:
            self._failure = StoreError(str(error), remedy=error.remedy)
        return self._failure

    def _append(self) -> Head:
        return self._ledger.append([entry for entries, _ in self._batch for entry in entries])
