"""The stage of a run: venue, market, store, worker and people, in one loop in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from portcullis.domain.model import MICRO, SECOND, Verdict
from portcullis.domain.state import State
from portcullis.errors import PortcullisError, StoreError
from portcullis.ports import StoredEvent
from portcullis.proof.market import Walk
from portcullis.proof.network import SpentHere, gateway_of, network_to
from portcullis.proof.notes import Notes
from portcullis.proof.process import ADMINISTRATOR, Process
from portcullis.proof.stores import store_of
from portcullis.proof.story import AnyAct, End, Story
from portcullis.store.memory import MemoryInbox
from portcullis.venues.simulated import Exchange, FaultPlan, instrument
from portcullis.venues.simulated.chance import chance
from portcullis.venues.simulated.faults import Injected
from portcullis.virtual_time import VirtualClock, VirtualLoop
from portcullis.worker.requests import Asked

BALANCE = 50_000 * MICRO
CHECK_EVERY = 30 * SECOND
CHECK_LASTS = 120 * SECOND
NEWS = 5 * SECOND
"""What the last price did at the venue is news for the worker a little later."""
ATTEND_EVERY = 60 * SECOND
LOOK_EVERY = SECOND
RESTART_MAX = 30 * SECOND
CHECKS = ("operations",)


CarryOut = Callable[["Stage", AnyAct], None]


class Outcome(NamedTuple):
    """What is left of a run: the ledger's rows, the venue, the notes, and the worker's state."""

    story: Story
    rows: list[StoredEvent]
    exchange: Exchange
    notes: Notes
    state: State | None
    ended_at: int
    faults: list[Injected]


class Stage:
    """Everything that outlives the worker's process, and whoever acts on it."""

    def __init__(self, story: Story, loop: VirtualLoop, carry_out: CarryOut) -> None:
        self.story = story
        self._carry_out = carry_out
        self.clock = VirtualClock(loop, story.start)
        self.machine = VirtualClock(loop, story.start)  # the worker's, which may be set wrong
        listed = [instrument(ticker) for ticker in story.tickers]
        self.exchange = Exchange(self.clock, terms=story.terms, instruments=listed)
        self.faults = FaultPlan(story.seed, latency=story.latency)
        self.gateway = gateway_of(story, self.exchange, self.faults, self.clock)
        self.spent = SpentHere()
        self.acting: list[asyncio.Future[object]] = []
        self.walks = {name: Walk(story.seed, name, story.wild) for name in story.tickers}
        self.inbox = MemoryInbox()
        self.store = store_of(story.store, chance(story.seed, "disk"))
        self.notes = Notes()
        self.process: Process | None = None
        self.files = story.plan
        self.is_ending = False
        self.silent: dict[str, int] = {}
        self.failing: dict[str, int] = {}
        self.disk_fails_until = 0
        self.asked = 0
        for account in story.plan.accounts:
            self.exchange.open_account(account.account, balance=BALANCE)

    # --- a run from its beginning to its end ----------------------------------------------------

    async def play(self) -> Outcome:
        """All acts, then the calm of a liveness run, then the end."""
        for walk in self.walks.values():
            self.exchange.on_quote(walk.quote(self.clock.now()))
        self.start_worker()
        actors = [
            asyncio.create_task(actor, name=f"actor-{number}")
            for number, actor in enumerate((self._market(), self._checks(), self._attend()))
        ]
        actors.append(asyncio.create_task(self._supervise(), name="supervisor"))
        await self._acts()
        if self.story.mode == "liveness":
            self._heal()
            await asyncio.sleep(self.story.calm / MICRO)
        for actor in actors:
            actor.cancel()
        await asyncio.gather(*actors, return_exceptions=True)
        if self.story.mode == "liveness":
            await asyncio.sleep(NEWS / MICRO)
        state = self.process.worker.core.engine.state if self._is_up() else None  # type: ignore[union-attr]
        await self.end_worker("stop" if self.story.mode == "liveness" else "kill", "lost")
        self._look_at_gateway()
        rows = self._what_is_left()
        return Outcome(
            self.story,
            rows,
            self.exchange,
            self.notes,
            state,
            self.clock.now(),
            list(self.faults.record),
        )

    def _look_at_gateway(self) -> None:
        """A gateway counts for itself whether its limits were kept."""
        if self.gateway is None:
            return
        self.notes.seen["requests of a minute, at most"] = self.gateway.limit.most
        self.notes.seen["logins"] = self.gateway.logins
        if self.gateway.limit.refused:
            self.notes.broken.append(
                f"{self.gateway.limit.refused} requests were over the gateway's limit"
            )

    def _what_is_left(self) -> list[StoredEvent]:
        """The ledger as the next process would find it."""
        try:
            rows = list(self.store.open().read())
        except StoreError as error:
            self.notes.broken.append(f"the store does not open: {error}")
            return []
        self.store.end("stop")
        return rows

    async def _acts(self) -> None:
        for act in sorted(self.story.acts, key=lambda act: act.at):
            await self.until(act.at)
            if isinstance(act, End):
                await self._end(act)
            else:
                self._carry_out(self, act)
            self.notes.seen[f"act {act.__struct_config__.tag}"] += 1
        await self.until(self.story.lasting)

    async def until(self, at: int) -> None:
        """Wait until so many microseconds after the start."""
        wait = at - self.clock.monotonic()
        if wait > 0:
            await asyncio.sleep(wait / MICRO)

    def later(self, after: int, act: object) -> None:
        """Call `act` after so many microseconds."""
        asyncio.get_running_loop().call_later(after / MICRO, act)  # type: ignore[arg-type]

    def _heal(self) -> None:
        """No fault from now on: what is left must recover."""
        self.faults.heal()
        self.silent = {}
        self.failing.clear()
        self.disk_fails_until = 0
        for walk in self.walks.values():
            walk.silent_until = 0
            self.exchange.resume(walk.id)
        for account in self.story.plan.accounts:
            self.exchange.refuse_close(account.account, False)
            self.exchange.set_can_trade(account.account, True)
        if self.process is not None and self.process.network is not None:
            self.process.network.cut("healed")

    # --- the worker's process -------------------------------------------------------------------

    def _is_up(self) -> bool:
        process = self.process
        return bool(process and process.worker and process.task and not process.task.done())

    def start_worker(self) -> None:
        """Start the worker on what the store holds; a start that fails is tried again."""
        try:
            ledger = self.store.open()
        except StoreError as error:
            self.notes.broken.append(f"the store does not open: {error}")
            self.silent["worker"] = self.clock.monotonic() + self.story.lasting
            return
        process = self.process = Process(self.story, lambda: self.files, ledger, self.machine)
        try:
            network = network_to(self.gateway, self.exchange, self.faults, self.machine, self.spent)
            process.start(network, self.inbox, self.notes, self.disk_fails)
        except PortcullisError as error:
            self.notes.seen[f"start refused: {type(error).__name__}"] += 1

    async def _end(self, act: End) -> None:
        await self.end_worker(act.how, act.commit)
        self.silent["worker"] = self.clock.monotonic() + act.down

    async def end_worker(self, how: str, commit: str) -> None:
        """End the process; the store keeps what that leaves."""
        process = self.process
        if process is None or self.is_ending:
            return
        self._note_what_is_cut(process, how)
        self.is_ending = True  # until it is gone nobody may start another: the store has a lock
        if how == "stop":
            await process.stop()
        else:
            await process.kill(durable=commit == "durable")
        self.store.end(how)
        self.notes.lives.append(process.life(how))
        self.process, self.is_ending = None, False

    def _note_what_is_cut(self, process: Process, how: str) -> None:
        seen = self.notes.seen
        seen[f"ended by {how}"] += 1
        seen["ended during a commit"] += bool(process.commit and process.commit.is_busy)
        seen["ended with requests on the way"] += bool(
            process.network and process.network.travelling
        )
        seen["ended with commands under way"] += bool(
            process.worker and process.worker.enforcer.under_way
        )

    async def _supervise(self) -> None:
        """Start the worker again when it is down, after a pause that grows while it fails."""
        pause = LOOK_EVERY
        while True:
            await asyncio.sleep(LOOK_EVERY / MICRO)
            process = self.process
            if self.is_ending:
                continue
            if process is not None and not self._is_up():
                self._look_why(process)
                await self.end_worker("kill", "lost")
                self.silent["worker"] = self.clock.monotonic() + pause
                pause = min(2 * pause, RESTART_MAX)
            elif process is not None and self.clock.monotonic() - process.began > RESTART_MAX:
                pause = LOOK_EVERY
            if self.process is None and not self.is_silent("worker"):
                self.start_worker()

    def _look_why(self, process: Process) -> None:
        """A worker may end by itself only with an error that says what to do."""
        error = process.failure()
        if error is None:
            return
        self.notes.seen[f"worker ended: {type(error).__name__}"] += 1
        if not isinstance(error, PortcullisError):
            self.notes.broken.append(f"the worker broke: {error!r}")

    def disk_fails(self) -> str:
        """Why the disk takes nothing now; empty when it does."""
        failing = self.clock.monotonic() < self.disk_fails_until
        self.notes.seen["commits failed"] += failing
        return "the disk is full" if failing else ""

    # --- the market, the checks and the person on call ------------------------------------------

    def is_silent(self, of: str) -> bool:
        return self.clock.monotonic() < self.silent.get(of, 0)

    async def _market(self) -> None:
        while True:
            await asyncio.sleep(self.story.pace / MICRO)
            now = self.clock.now()
            for walk in self.walks.values():
                quote = walk.step(now)
                if quote is not None:
                    self.exchange.on_quote(quote)

    async def _checks(self) -> None:
        """The verdicts of the operations side."""
        while True:
            for name in CHECKS:
                if not self.is_silent(name):
                    self._give(name, passed=self.failing.pop(name, None) is None)
            await asyncio.sleep(CHECK_EVERY / MICRO)

    def _give(self, name: str, *, passed: bool) -> None:
        now = self.clock.now()
        verdict = Verdict(name, passed, now, now + CHECK_LASTS, "checked", f"run-{now}")
        self.put("verdict", msgspec.msgpack.encode(verdict))

    async def _attend(self) -> None:
        """The person on call raises a fallen gate once in a while."""
        while True:
            await asyncio.sleep(ATTEND_EVERY / MICRO)
            process = self.process
            if process is None or process.worker is None:
                continue
            if process.worker.core.engine.state.system.mode == "OBSERVE_ONLY":
                self.ask("open", Asked("looked at it", signature=ADMINISTRATOR))

    def ask(self, verb: str, asked: Asked, times: int = 1) -> None:
        """Put a person's request into the inbox."""
        self.put(verb, msgspec.msgpack.encode(asked), times)

    def put(self, verb: str, body: bytes, times: int = 1) -> None:
        """Store a request, more than once where its sender did not hear the first time."""
        self.asked += 1
        name = f"r{self.asked}"
        for _ in range(times):
            self.inbox.ask(name, verb, "someone", "operator", body, self.clock.now())
        if verb != "verdict":
            self.notes.asked.append(name)
