"""The core of the worker: facts in, durable, then effects out. The only user of the engine.

A fact is folded at once and handed to the writer together with the decisions it led to; what
those decisions ask for happens only after all of them are durable (invariant 1).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import NamedTuple

from portcullis.domain.engine import Engine
from portcullis.domain.events import AnyDecision, AnyFact, stream_of
from portcullis.errors import StoreError
from portcullis.ports import Entry
from portcullis.store.writer import Commit
from portcullis.worker.ledger_time import LedgerTime
from portcullis.worker.troubles import Troubles

Effect = Callable[[AnyDecision, str], None]


class Written(NamedTuple):
    """What became of one fact and its decisions; `last` is the position of the last of them,
    `entered` when the fact came in (monotonic seconds).
    """

    decisions: Sequence[AnyDecision]
    trace: str
    last: int
    error: StoreError | None
    entered: float


class Core:
    """Engine, writer and the hand-over between them, on one event loop."""

    def __init__(self, engine: Engine, writer: Commit, time: LedgerTime) -> None:
        self.engine = engine
        self.time = time
        self.failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        self.entered = 0
        self.durable_position = writer.next_position - 1
        self.durable_at = time.now()
        self.cycle_seconds = 0.0
        """From the oldest fact of the newest cycle coming in to its effects."""

        self.troubles = Troubles()
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._effects: list[Effect] = []
        self._cycles: list[Callable[[], None]] = []
        self._durable: deque[Written] = deque()
        self._woken = False
        self._unfinished = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.deadline_moved = asyncio.Event()

    @property
    def depth(self) -> int:
        """Facts that wait to become durable."""
        return self._unfinished

    def on_decision(self, effect: Effect) -> None:
        """Call `effect(decision, trace)` for every decision once it is durable."""
        self._effects.append(effect)

    def on_durable(self, cycle: Callable[[], None]) -> None:
        """Call `cycle()` each time that something became durable and its effects have begun."""
        self._cycles.append(cycle)

    def enter(self, fact: AnyFact, trace: str = "") -> Sequence[AnyDecision]:
        """Fold a fact and hand it to the writer; the decisions, which are not durable yet."""
        entered, at = perf_counter(), self.time.now()
        position = self._writer.next_position
        trace = trace or f"{self.engine.world.system.ledger}-{position}"
        before = self.engine.next_deadline()
        decisions = self.engine.apply(position, at, fact)
        entries = [Entry(stream_of(fact), at, trace, fact)]
        entries += [Entry(stream_of(each), at, trace, each) for each in decisions]
        self.troubles.note(fact, at)
        self._unfinished += 1
        self.entered += 1
        self._idle.clear()
        last = position + len(entries) - 1
        self._writer.submit(
            entries,
            lambda error: self._became_durable(Written(decisions, trace, last, error, entered)),
        )
        if self.engine.next_deadline() != before:
            self.deadline_moved.set()
        return decisions

    def fail(self, error: BaseException) -> None:
        """Going on would lie: let the worker end with this error, the first one counts."""
        if not self.failed.done():
            self.failed.set_result(error)

    async def settled(self) -> None:
        """Wait until everything entered so far is durable and its effects have begun."""
        await self._idle.wait()

    @property
    def last_position(self) -> int:
        """Position of the newest entry, durable or not."""
        return self._writer.next_position - 1

    def _became_durable(self, written: Written) -> None:
        """Called by the writer, on its thread: hand over to the loop, one wake-up for many."""
        self._durable.append(written)
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._release)

    def _release(self) -> None:
        self._woken = False
        before = self.durable_position
        oldest = self._durable[0].entered if self._durable else perf_counter()
        while self._durable:
            written = self._durable.popleft()
            self._unfinished -= 1
            if written.error is not None:
                self.fail(written.error)
                continue
            self.durable_position = written.last
            for decision in written.decisions:
                for effect in self._effects:
                    effect(decision, written.trace)
        self.durable_at = self.time.now()
        if not self._unfinished:
            self._idle.set()
        if self.durable_position != before:
            self.cycle_seconds = perf_counter() - oldest
            for cycle in self._cycles:
                cycle()
