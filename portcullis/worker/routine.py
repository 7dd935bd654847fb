"""What the worker does by the clock: meet deadlines, compare, vouch for itself, take snapshots."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from portcullis.domain.events import ClockStepped, TimePassed, VerdictRecorded
from portcullis.domain.model import HOUR, MICRO, SECOND, Verdict
from portcullis.domain.money import duration
from portcullis.domain.plan import Plan
from portcullis.domain.rules import auth_loss_guard
from portcullis.domain.state import STATE_VERSION, freeze
from portcullis.errors import Retryable, VenueRefused
from portcullis.ports import Ledger, Snapshot
from portcullis.worker.core import Core
from portcullis.worker.feed import Feed
from portcullis.worker.reconcile import Reconciler

ASK_LEAST = SECOND
VOUCH_EVERY = 5 * SECOND
VOUCH_LASTS = 15 * SECOND
WATCH_EVERY = SECOND
OFFSET_MAX = 2 * SECOND
SNAPSHOT_LEAST = 12 * HOUR  # a quiet ledger too is to be folded from yesterday at the most
IDLE_WAIT = 3600.0


async def meet_deadlines(core: Core) -> None:
    """Enter the passing of time when something is due and no fact has come to say so."""
    while True:
        core.deadline_moved.clear()
        due = core.engine.next_deadline()
        if due is not None and due <= core.time.now():
            core.enter(TimePassed())
            await asyncio.sleep(0)
            continue
        wait = IDLE_WAIT if due is None else (due - core.time.now()) / MICRO
        try:
            async with asyncio.timeout(max(wait, 0.001)):
                await core.deadline_moved.wait()
        except TimeoutError:
            continue


async def watch_clock(core: Core) -> None:
    """Report steps of the machine's clock."""
    while True:
        quotes = core.engine.world.quotes.values()
        moved = core.time.step(max((quote.quoted_at for quote in quotes), default=0))
        if moved:
            core.enter(ClockStepped(moved))
        await asyncio.sleep(WATCH_EVERY / MICRO)


def asked_every(plan: Plan, every: int) -> int:
    """How often the venue is read, in microseconds: as set, or as the strictest guard asks."""
    guards = (r for each in plan.accounts for r in each.rules)
    wanted = [r.check_every for r in guards if isinstance(r, auth_loss_guard.Params)]
    return max(min([every, *wanted]), min(every, ASK_LEAST))


async def compare(core: Core, feed: Feed, reconciler: Reconciler, set_to: int) -> None:
    """Read the venue's records on a timer; a failed read is what the stream's loop deals with."""
    while True:
        every = asked_every(core.engine.plan, set_to)
        await asyncio.sleep(every / MICRO)
        if not feed.connected and not reconciler.can_ask_unlinked:
            continue
        with suppress(Retryable, VenueRefused):  # what is known of them serves on
            await reconciler.instruments()
            await reconciler.quotes()
        try:
            await reconciler.accounts(within=every)
        except (Retryable, VenueRefused) as error:
            reconciler.fail_all(error)


class Vouching:
    """The verdicts the worker gives about itself: venue, clock, and that its loop turns."""

    def __init__(self, core: Core, feed: Feed, run_id: str) -> None:
        self._core = core
        self._feed = feed
        self._run_id = run_id

    async def run(self) -> None:
        while True:
            self.once()
            await asyncio.sleep(VOUCH_EVERY / MICRO)

    def once(self) -> None:
        """Enter a verdict where it changed, or where the old one will not last much longer."""
        for found in (self._venue(), self._clock(), self._ledger()):
            if found is not None:
                self._enter(*found)

    def _enter(self, name: str, passed: bool, summary: str) -> None:
        now = self._core.time.now()
        known = self._core.engine.world.system.verdicts.get(name)
        if (
            known is not None
            and known.passed == passed
            and known.run_id == self._run_id
            and known.expires_at - now > VOUCH_LASTS - VOUCH_EVERY
        ):
            return
        verdict = Verdict(name, passed, now, now + VOUCH_LASTS, summary, self._run_id)
        self._core.enter(VerdictRecorded(verdict))

    def _venue(self) -> tuple[str, bool, str] | None:
        """Nothing to vouch for while disconnected: the last word expires, and the gate falls."""
        state = self._core.engine.world
        waiting = [
            name for name in self._core.engine.watches if not state.accounts[name].reconciled_at
        ]
        if not self._feed.connected:
            return None
        if waiting:
            return "venue", False, f"not compared with the venue: {', '.join(waiting)}"
        return "venue", True, f"connected; {len(self._core.engine.watches)} accounts compared"

    def _clock(self) -> tuple[str, bool, str]:
        offset = self._core.time.offset()
        if abs(offset) > OFFSET_MAX:
            side = "behind" if offset < 0 else "ahead of"
            return "clock", False, f"the machine's clock is {duration(abs(offset))} {side} ours"
        return "clock", True, "the machine's clock runs with the monotonic one"

    def _ledger(self) -> tuple[str, bool, str]:
        behind = self._core.last_position - self._core.durable_position
        age = self._core.time.now() - self._core.durable_at
        if behind and age > 10 * SECOND:
            return "ledger", False, f"{behind} events wait, none stored for {duration(age)}"
        return "ledger", True, "events become durable"


class Snapshots:
    """Saves the folded state now and then, so that a start folds little."""

    def __init__(
        self,
        core: Core,
        ledger: Ledger,
        every: int,
        run_blocking: Callable[[Callable[[], None]], Awaitable[None]],
    ) -> None:
        self._core = core
        self._ledger = ledger
        self._every = every
        self._run_blocking = run_blocking
        self._last = core.last_position
        newest = ledger.latest_snapshot()
        self.taken_at = newest.taken_at if newest is not None else None
        """When the newest one was taken (microseconds); None: there is none yet."""
        self._due = (self.taken_at or core.time.now()) + SNAPSHOT_LEAST

    async def run(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            if self._core.last_position - self._last >= self._every or (
                self._core.time.now() >= self._due
            ):
                await self.take()

    async def take(self) -> None:
        """Freeze the state now; save it once everything in it is durable."""
        position, at = self._core.last_position, self._core.time.now()
        state = freeze(self._core.engine.state)
        while self._core.durable_position < position:
            if self._core.failed.done():
                return
            await self._core.settled()
            await asyncio.sleep(0)
        snapshot = Snapshot(position, at, STATE_VERSION, state)
        await self._run_blocking(lambda: self._ledger.save_snapshot(snapshot))
        self._last, self.taken_at, self._due = position, at, at + SNAPSHOT_LEAST
