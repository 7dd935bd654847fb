"""Carrying commands out at the venue until its own records show the effect, or saying so.

Each command is a loop: act, read, compare, until two reads agree that it is done or the deadline
is reached. A time-out is an unknown outcome: the venue is read before anything is sent again. A
command found unfinished after a restart begins with the read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from portcullis.domain.commands import (
    CancelOrder,
    CancelOrders,
    Close,
    Flatten,
    MoveStop,
    PlaceStop,
    Reduce,
    Submit,
)
from portcullis.domain.events import AnyDecision, CommandConcluded, CommandIssued, CommandSent
from portcullis.domain.model import MICRO
from portcullis.domain.state import AccountState
from portcullis.domain.watch import AccountWatch
from portcullis.errors import Retryable, VenueRefused
from portcullis.ports import Venue, VenueCalls
from portcullis.worker import procedures
from portcullis.worker.core import Core
from portcullis.worker.reconcile import order_differences, picture, position_differences

ATTEMPTS_MAX = 40
BACKOFF_FIRST = 20_000
BACKOFF_MAX = MICRO
GAVE_WAY_TO = {
    Flatten: "a flatten of the account took over",
    Close: "a close of the instrument took over",
    CancelOrders: "the orders that open risk are cancelled",
    Reduce: "the position is reduced",
}

LESSER = (CancelOrder, CancelOrders, MoveStop, PlaceStop, Reduce, Submit)


def gives_way(known: CommandIssued, issued: CommandIssued) -> bool:
    """Whether a command of the same account need not be ended once another is begun.

    A close that may find its position covered does nothing then: it takes over from others once it
    has seen that it must close, and gives way to one that closes in any case.
    """
    if isinstance(issued.command, Flatten):
        return not isinstance(known.command, Flatten)
    if isinstance(known.command, Submit) and isinstance(issued.command, CancelOrders | Reduce):
        # What is to open risk does not keep waiting what takes it back; an exit does no harm.
        return not known.command.is_exit and place_of(issued) in ("", place_of(known))
    if not isinstance(issued.command, Close):
        return False
    lesser = isinstance(known.command, LESSER) or asks_first(known)
    return lesser and place_of(known) == issued.command.instrument


def asks_first(issued: CommandIssued) -> bool:
    """Whether a command is a close that looks first whether its position is covered."""
    return isinstance(issued.command, Close) and issued.command.unless_covered


def place_of(issued: CommandIssued) -> str:
    """The instrument a command is about; empty for the account as a whole."""
    if isinstance(issued.command, Submit):
        return issued.command.order.instrument
    return getattr(issued.command, "instrument", None) or ""


Outcome = Literal["confirmed", "refused", "unconfirmed", "superseded"]


class Errand:
    """One command under way: its figures, and the venue calls it may make."""

    def __init__(
        self,
        core: Core,
        venue: VenueCalls,
        issued: CommandIssued,
        trace: str,
        take_over: Callable[[Errand], Awaitable[None]],
        *,
        recovered: bool,
    ) -> None:
        self.core = core
        self.venue = venue
        self.issued = issued
        self.trace = trace
        self._take_over = take_over
        self.recovered = recovered
        self.durable_at = core.time.now()
        self.sent_at = 0
        self.confirmed_at = 0
        self.attempts = 0
        self.round_trips = 0
        self.listed: dict[str, float] = {}
        """Where the venue's rows hold something and the books do not, and since when (seconds)."""
        self.refusal = ""
        self.gave_way = ""
        self.turn: asyncio.Lock | None = None

    @property
    def account(self) -> AccountState:
        return self.core.engine.world.accounts[self.issued.account]

    @property
    def key(self) -> str:
        return self.issued.key

    @property
    def watch(self) -> AccountWatch | None:
        """The account's rules; None where the plan no longer names it."""
        return self.core.engine.watches.get(self.issued.account)

    async def take_over(self) -> None:
        """Go on as the only one in this place: end what is lesser, and take the turn."""
        await self._take_over(self)

    async def ask(self, call: Awaitable[Any]) -> Any:
        """A read of the venue, counted."""
        self.round_trips += 1
        return await call

    async def send(self, calls: list[Callable[[], Awaitable[Any]]]) -> None:
        """Requests that change something, at once; the first is recorded as the command's start.

        A refusal is kept and the others go on; a request without an answer is left to the read.
        """
        if not calls:
            return
        self.attempts += 1
        if not self.sent_at:
            self.sent_at = self.core.time.now()
            self.core.enter(CommandSent(self.issued.account, self.key, self.attempts), self.trace)
        self.round_trips += 1
        results = await asyncio.gather(*(call() for call in calls), return_exceptions=True)
        for result in results:
            if isinstance(result, VenueRefused):
                self.refusal = str(result)
            elif isinstance(result, BaseException) and not isinstance(result, Retryable):
                raise result

    async def look(self) -> None:
        """Read positions and orders of the account and enter what differs from the books."""
        account = self.account
        before = picture(account, self.core.engine.world)
        self.round_trips += 1
        orders, positions = await asyncio.gather(
            self.venue.orders(account.id), self.venue.positions(account.id)
        )
        for fact in order_differences(account, before, orders):
            self.core.enter(fact, self.trace)
        for fact in position_differences(account, before, positions):
            self.core.enter(fact, self.trace)
        now = asyncio.get_running_loop().time()
        self.listed = {
            row.instrument: self.listed.get(row.instrument, now)
            for row in positions
            if row.size and row.instrument not in account.positions
        }

    def conclusion(self, outcome: Outcome, detail: str) -> CommandConcluded:
        self.confirmed_at = self.core.time.now()
        return CommandConcluded(
            self.issued.account,
            self.key,
            outcome,
            detail,
            self.attempts,
            self.round_trips,
            self.issued.detected_at,
            self.durable_at,
            self.sent_at,
            self.confirmed_at,
        )


class Enforcer:
    """Runs the errands: one after the other in an instrument, so that one that cannot be closed
    holds back no other; a flatten before everything, and a close before the lesser of its own. A
    close that asks first waits for no turn, since asking changes nothing, and takes it when it must
    close.
    """

    def __init__(self, core: Core, venue: Venue, enforce_within: int) -> None:
        self._core = core
        self._venue = venue
        self._protective = venue.for_protection()
        self._within = enforce_within
        self._running: dict[str, tuple[Errand, asyncio.Task[None]]] = {}
        self._turns: dict[tuple[str, str], asyncio.Lock] = {}
        core.on_decision(self._on_decision)

    @property
    def under_way(self) -> int:
        return len(self._running)

    def _on_decision(self, decision: AnyDecision, trace: str) -> None:
        if isinstance(decision, CommandIssued):
            self.start(decision, trace)

    def start(self, issued: CommandIssued, trace: str, *, recovered: bool = False) -> None:
        """Begin a command; lesser ones give way to a flatten, and to a close in its instrument."""
        if issued.key in self._running:
            return
        # An order that a program asked for waits for its turn among all other requests.
        venue = self._venue if isinstance(issued.command, Submit) else self._protective
        errand = Errand(self._core, venue, issued, trace, self._take_over, recovered=recovered)
        if not asks_first(issued):
            self._displace(errand)
        task = asyncio.get_running_loop().create_task(self._run(errand), name=issued.key)
        task.add_done_callback(self._ended)
        self._running[issued.key] = (errand, task)

    async def _take_over(self, errand: Errand) -> None:
        self._displace(errand)
        await self._take_turn(errand)

    def _displace(self, errand: Errand) -> None:
        issued = errand.issued
        for other, task in list(self._running.values()):
            if other is errand or other.issued.account != issued.account:
                continue
            if gives_way(other.issued, issued):
                other.gave_way = GAVE_WAY_TO[type(issued.command)]
                task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """An errand that broke must not be missed: enforcement can no longer be trusted.

        One that gave way before its first step is concluded here, for its body never ran.
        """
        if task.cancelled():
            left = self._running.pop(task.get_name(), None)
            if left is not None:
                self._core.enter(left[0].conclusion("superseded", left[0].gave_way), left[0].trace)
            return
        error = task.exception()
        if error is not None:
            self._core.fail(error)

    async def drain(self) -> None:
        """Wait for what is under way; each has its own deadline."""
        while self._running:
            await asyncio.wait([task for _, task in self._running.values()])

    async def stop(self) -> None:
        """Leave errands as they are: they are in the outbox and go on at the next start."""
        tasks = [task for _, task in self._running.values()]
        self._running.clear()
        for task in tasks:
            task.cancel("stop")
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, errand: Errand) -> None:
        try:
            if not asks_first(errand.issued):
                await self._take_turn(errand)
            if not isinstance(errand.issued.command, Flatten):
                await self._after_flattens(errand.issued.account)
            outcome, detail = await self._carry_out(errand)
        except asyncio.CancelledError:
            if errand.key not in self._running:
                raise
            outcome, detail = "superseded", errand.gave_way
        finally:
            if errand.turn is not None:
                errand.turn.release()
        self._running.pop(errand.key, None)
        self._core.enter(errand.conclusion(outcome, detail), errand.trace)

    async def _take_turn(self, errand: Errand) -> None:
        """Wait until nothing else runs in the errand's place; it keeps the turn to its end."""
        if errand.turn is None:
            place = (errand.issued.account, place_of(errand.issued))
            turn = self._turns.setdefault(place, asyncio.Lock())
            await turn.acquire()
            errand.turn = turn

    async def _after_flattens(self, account: str) -> None:
        """Let what flattens the account end first; a later one takes over."""
        while flattens := [
            task
            for other, task in self._running.values()
            if other.issued.account == account and isinstance(other.issued.command, Flatten)
        ]:
            await asyncio.wait(flattens)

    async def _carry_out(self, errand: Errand) -> tuple[Outcome, str]:
        procedure = procedures.for_command(errand.issued.command)
        try:
            async with asyncio.timeout(self._left(errand) / MICRO):
                return await self._until_done(errand, procedure)
        except TimeoutError:
            return "unconfirmed", errand.refusal or "not confirmed by the deadline"

    def _left(self, errand: Errand) -> int:
        """Time until the deadline, microseconds: it counts from the decision, so that a person is
        told of what waited for its turn as soon as of what the venue does not confirm.
        """
        return max(0, self._within - (self._core.time.now() - errand.durable_at))

    async def _until_done(
        self, errand: Errand, procedure: procedures.Procedure
    ) -> tuple[Outcome, str]:
        pause = BACKOFF_FIRST
        problem = ""
        for _ in range(ATTEMPTS_MAX):
            try:
                done = await procedure(errand)
            except VenueRefused as error:
                return "refused", str(error)
            except Retryable as error:
                done, problem = None, str(error)
                # Only what was sent leaves a doubt; a read that failed does not.
                errand.recovered = errand.recovered or errand.attempts > 0
            if done is not None:
                return done
            if errand.refusal and errand.attempts >= procedures.REFUSALS_MAX:
                return "refused", errand.refusal
            await asyncio.sleep(pause / MICRO)
            pause = min(2 * pause, BACKOFF_MAX)
        return "unconfirmed", errand.refusal or problem or "not confirmed after many attempts"
