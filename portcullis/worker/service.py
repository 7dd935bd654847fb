"""The worker as a whole: recover, load the rules, connect, and keep going until told to stop.

Order of a start: the configuration was judged before this; the ledger is folded; the start is
recorded; what was unfinished is taken up again; then the loops run side by side. One of them
failing ends all, with the error that says why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from portcullis.clock import Clock
from portcullis.domain.events import (
    HostStated,
    LedgerCreated,
    WorkerFailed,
    WorkerStarted,
    WorkerStopped,
)
from portcullis.domain.plan import Plan
from portcullis.errors import PortcullisError
from portcullis.ports import Inbox, Ledger, ObservedVenue, Venue
from portcullis.store.writer import Commit
from portcullis.worker import routine, rule_loading
from portcullis.worker.core import Core
from portcullis.worker.dead_man import DeadMan, DeadManTerms
from portcullis.worker.feed import Feed
from portcullis.worker.gate_server import GateServer
from portcullis.worker.ledger_time import LedgerTime
from portcullis.worker.onlooker import Onlooker
from portcullis.worker.reconcile import Reconciler
from portcullis.worker.recovery import Recovered, recover, unfinished
from portcullis.worker.requests import InboxTaker
from portcullis.worker.retiring import Derive, Retiring

if TYPE_CHECKING:
    from portcullis.worker.enforce import Enforcer

DRAIN_SECONDS = 30.0


class Ports(NamedTuple):
    """What the worker is joined to."""

    clock: Clock
    ledger: Ledger
    writer: Commit
    inbox: Inbox
    venue: Venue | ObservedVenue
    is_administrator: Callable[[bytes, str], bool]
    read_plan: Callable[[], Plan]
    run_blocking: Callable[[Callable[[], None]], Awaitable[None]]
    derive: Derive | None = None


class Terms(NamedTuple):
    """How the worker does its work; times in microseconds."""

    version: str
    ledger_name: str
    reconcile_every: int
    enforce_within: int
    snapshot_every: int
    pid: int = 0
    gate: tuple[str, int, Path | None] | None = None
    inbox_every: int = 100_000
    host_stated: HostStated | None = None
    observes: bool = False
    last_words: str = ""
    """What the run before said when an error ended it."""

    dead_man: DeadManTerms | None = None
    """Who outside is told that it evaluates."""


class Worker:
    """One enforcement worker on one venue."""

    def __init__(self, ports: Ports, terms: Terms) -> None:
        """Fold the ledger; must be called with the event loop running."""
        self.ports, self.terms = ports, terms
        recovered = recover(ports.ledger)
        self.recovered: Recovered = recovered
        time = LedgerTime(ports.clock, ports.ledger.last_at())
        self.core = Core(recovered.engine, ports.writer, time)
        self.reconciler = Reconciler(self.core, ports.venue)
        self.feed = Feed(self.core, ports.venue, self.reconciler)
        self.enforcer = self._enforcer()
        self.retiring = Retiring(self.core, ports.ledger, ports.derive, ports.run_blocking)
        self.inbox = InboxTaker(
            self.core, ports.inbox, ports.is_administrator, self.reread, self.retiring.ask
        )
        self.snapshots = routine.Snapshots(
            self.core, ports.ledger, terms.snapshot_every, ports.run_blocking
        )
        self.vouching = routine.Vouching(self.core, self.feed, f"worker-{self._run_name()}")
        self.dead_man = (
            DeadMan(self.core, terms.dead_man, terms.version) if terms.dead_man else None
        )
        self.gate = (
            GateServer(
                self.core,
                *terms.gate,
                observes=terms.observes,
                snapshot_at=lambda: self.snapshots.taken_at,
                told_outside=self.dead_man.figures if self.dead_man else None,
            )
            if terms.gate
            else None
        )
        self.feed.when_ready.append(self.vouching.once)
        self.begun = asyncio.Event()
        """Set once the start is durable."""
        self.loaded = ""
        """What the start did with the plan, in words."""
        self._stopping = asyncio.Event()

    def _enforcer(self) -> Enforcer | Onlooker:
        """Who carries commands out. What can act is not even loaded where a worker observes."""
        if self.terms.observes:
            return Onlooker(self.core)
        from portcullis.worker.enforce import Enforcer

        return Enforcer(self.core, cast("Venue", self.ports.venue), self.terms.enforce_within)

    def _run_name(self) -> str:
        return f"{self.core.last_position + 1}"

    def stop(self) -> None:
        """Ask for a drained stop; safe from a signal handler."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until `stop`; raises the error that ended it otherwise."""
        plan = self.ports.read_plan()
        try:
            if self.gate is not None:
                await self.gate.start()
            self._begin(plan)
            await self.core.settled()
            self.begun.set()
            await self._loops()
        finally:
            if self.gate is not None:
                await self.gate.stop()
            if self.dead_man is not None:
                self.dead_man.stop()
            await self.ports.venue.close()

    def _begin(self, plan: Plan) -> None:
        # Taken before anything is entered: a command of this start is begun when it is durable.
        left = list(unfinished(self.core.engine.state))
        if not self.core.engine.state.system.ledger:
            self.core.enter(LedgerCreated(self.terms.ledger_name, self.terms.version))
        clean = self.recovered.clean or self.recovered.is_new
        self.core.enter(WorkerStarted(self.terms.version, self.terms.pid, clean))
        if self.terms.last_words:
            self.core.enter(WorkerFailed(self.terms.last_words))
        if self.terms.host_stated is not None:
            self.core.enter(self.terms.host_stated)
        self.loaded = self.load(plan)
        for issued, trace in left:
            self.enforcer.start(issued, trace, recovered=True)

    def load(self, plan: Plan, by: str = "", reason: str = "") -> str:
        """Put a plan in force between two events; says what changed.

        What is looser waits where an administrator asks for it (`by`), and is left out otherwise.
        """
        return rule_loading.load(self.core, plan, by, reason)

    def reread(self, by: str = "", reason: str = "") -> str:
        """Read the files again; raises PortcullisError for faulty ones, which change nothing."""
        return self.load(self.ports.read_plan(), by, reason)

    def reload(self) -> str:
        """The same for a signal, which hears no refusal: what changed, or why nothing did."""
        try:
            return self.reread()
        except PortcullisError as error:
            return f"not loaded: {error}"

    async def _loops(self) -> None:
        loops: list[Coroutine[Any, Any, None]] = [
            self.feed.run(),
            routine.meet_deadlines(self.core),
            routine.watch_clock(self.core),
            routine.compare(self.core, self.feed, self.reconciler, self.terms.reconcile_every),
            self.vouching.run(),
            self.inbox.run(self.terms.inbox_every),
            self.snapshots.run(),
            self.retiring.run(),
            rule_loading.loosen_when_due(self.core),
        ]
        tasks = [asyncio.create_task(loop, name=f"loop-{n}") for n, loop in enumerate(loops)]
        stopping = asyncio.create_task(self._stopping.wait(), name="stopping")
        ends: list[asyncio.Future[Any]] = [*tasks, stopping, self.core.failed]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if self.core.failed.done():
                raise self.core.failed.result()
            for task in tasks:
                if task.done():
                    task.result()
            await self._drain(tasks)
        finally:
            await self._cancel([*tasks, stopping])
            await self.enforcer.stop()

    async def _drain(self, tasks: list[asyncio.Task[None]]) -> None:
        """Finish what is under way within the time a stop may take; the rest is in the outbox."""
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self.enforcer.drain()
        except TimeoutError:
            await self.enforcer.stop()
        await self._cancel(tasks)
        await self.core.settled()
        self.inbox.once()
        self.core.enter(WorkerStopped("asked to stop"))
        await self.core.settled()
        await self.snapshots.take()

    async def _cancel(self, tasks: list[asyncio.Task[Any]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
