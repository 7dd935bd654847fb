"""A whole worker in virtual time on the simulated venue: real code, no waiting, no threads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from portcullis.domain.events import Event, Quote, decode
from portcullis.domain.model import MICRO, OrderRequest
from portcullis.domain.overview import account_overview
from portcullis.domain.plan import AccountPlan, Plan, Requirement
from portcullis.domain.rules import RuleParams
from portcullis.ports import Ledger
from portcullis.store.memory import MemoryInbox, MemoryLedger
from portcullis.store.writer import DirectCommit
from portcullis.venues.simulated import Exchange, FaultPlan, LocalVenue, Terms, instrument
from portcullis.virtual_time import VirtualClock, VirtualLoop, run
from portcullis.worker.service import Ports, Worker
from portcullis.worker.service import Terms as WorkerTerms

# Tuesday 2026-03-03 15:00 UTC, 09:00 in Chicago: the middle of a session.
START = 1_772_550_000 * MICRO
ES, MES, NQ, MNQ, CL = (instrument(t) for t in ("ES", "MES", "NQ", "MNQ", "CL"))


async def at_once(work: Callable[[], None]) -> None:
    """The blocking-work port in virtual time: there is no thread to hand it to."""
    work()


class World:
    """Venue, store and clock that outlive the workers that run on them."""

    def __init__(
        self,
        *rules: RuleParams,
        terms: Terms | None = None,
        faults: FaultPlan | None = None,
        required: tuple[Requirement, ...] = (),
        start: int = START,
        accounts: tuple[str, ...] = ("A",),
        plan: Plan | None = None,
    ) -> None:
        self.loop = VirtualLoop()
        self.clock = VirtualClock(self.loop, start)
        self.exchange = Exchange(
            self.clock, terms=terms or Terms(seed=1), instruments=[ES, MES, NQ, MNQ, CL]
        )
        self.plan = plan or Plan(
            tuple(AccountPlan(name, rules) for name in accounts), required=required
        )
        for name in accounts:
            self.exchange.open_account(name, balance=50_000 * MICRO)
        self.faults = faults
        self.venue = LocalVenue(self.exchange, plan=faults)
        self.ledger: Ledger = MemoryLedger()
        self.inbox = MemoryInbox()
        self.worker: Worker | None = None
        self.observes = False
        self.last_words = ""
        self._task: asyncio.Task[None] | None = None

    # --- running ---------------------------------------------------------------------------

    def play(self, story: Callable[[World], Awaitable[None]]) -> None:
        """Run a story to its end in virtual time."""

        async def main() -> None:
            async with asyncio.timeout(400_000):
                await story(self)
            await self.kill()

        run(main(), self.loop)

    async def start(self, *, settle: float = 0.2) -> Worker:
        """Start a worker; returns when it had time to connect and compare."""
        self.venue = LocalVenue(self.exchange, plan=self.faults)
        terms = WorkerTerms(
            "test",
            "L",
            5 * MICRO,
            20 * MICRO,
            10**9,
            observes=self.observes,
            last_words=self.last_words,
        )
        self.worker = Worker(self._ports(), terms)
        self._task = asyncio.create_task(self.worker.run(), name="worker")
        if settle:
            await self.pass_time(settle)
        return self.worker

    def is_administrator(self, _text: bytes, signature: str) -> bool:
        return signature == "administrator"

    def _ports(self) -> Ports:
        return Ports(
            self.clock,
            self.ledger,
            DirectCommit(self.ledger),
            self.inbox,
            self.venue,
            self.is_administrator,
            lambda: self.plan,
            at_once,
        )

    async def kill(self) -> None:
        """End the worker as SIGKILL would: nothing more is written, nothing drained."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            if self.worker is not None:
                await self.worker.enforcer.stop()
            self._task = None
            self.venue.cut("killed")

    async def stop(self) -> None:
        """A drained stop."""
        assert self.worker is not None
        assert self._task is not None
        self.worker.stop()
        await self._task
        self._task = None

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, with the worker's failure raised where it happens."""
        await asyncio.sleep(seconds)
        if self._task is not None and self._task.done():
            self._task.result()

    # --- the market and the trader ---------------------------------------------------------

    def quote(self, listed: Any, bid: int, ask: int | None = None) -> None:
        ask = bid + 1 if ask is None else ask
        self.exchange.on_quote(Quote(listed.id, bid, ask, bid, self.clock.now()))

    def order(
        self,
        listed: Any,
        side: int,
        size: int,
        kind: str = "market",
        account: str = "A",
        **more: Any,
    ) -> str:
        return self.exchange.place_order(
            OrderRequest(account, listed.id, side, size, kind, **more)  # type: ignore[arg-type]
        )

    def size(self, listed: Any, account: str = "A") -> int:
        return sum(p.size for p in self.exchange.positions(account) if p.instrument == listed.id)

    def shown(self, account: str = "A") -> dict[str, Any]:
        """The account as `status` has it."""
        assert self.worker is not None
        engine = self.worker.core.engine
        return account_overview(engine, engine.state.accounts[account], self.clock.now())

    # --- what the ledger says --------------------------------------------------------------

    def events(self, *kinds: type) -> list[Any]:
        found: list[Event] = [decode(row.payload) for row in self.ledger.read()]
        return [event for event in found if not kinds or isinstance(event, kinds)]
