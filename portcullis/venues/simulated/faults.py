"""Faults of the simulated venue: scripted or drawn from a seed, and recorded.

Calls: `drop` (never arrives: unreachable), `timeout_before` and `timeout_after` (no answer; not
carried out, or carried out), `disconnect` (the connection breaks, not carried out, the caller
cannot know), `reject` (refused with a code), `delay`.
Stream events: `drop`, `duplicate`, `reorder` (held until an event of another kind has passed),
`delay`, `freeze` (half-open: silence from now on, never closed), `disconnect`.
Both: `halt`, `refuse_close`, `forbid`, which change the venue before the call or after the event.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, TypeVar

import msgspec

from portcullis.domain.events import kind_of
from portcullis.domain.model import SECOND
from portcullis.errors import UsageError, VenueRefused, VenueTimeout, VenueUnreachable
from portcullis.ports import VenueEvent
from portcullis.venues.simulated.chance import chance
from portcullis.venues.simulated.exchange import Exchange

Answer = TypeVar("Answer")

FaultKind = Literal[
    "drop",
    "timeout_before",
    "timeout_after",
    "disconnect",
    "reject",
    "delay",
    "duplicate",
    "reorder",
    "freeze",
    "halt",
    "refuse_close",
    "forbid",
]
VENUE_KINDS = ("halt", "refuse_close", "forbid")
CALL_KINDS = ("drop", "timeout_before", "timeout_after", "disconnect", "reject", "delay")
EVENT_KINDS = ("drop", "duplicate", "reorder", "delay", "freeze", "disconnect")

RECORD_BOUND = 100_000
"""Injected faults kept on record; the oldest go first."""


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One scripted fault: after `skip` matching calls (or events), hit the next `count`.

    `on` is a call's name (place_order) or an event's kind (trade_reported), or * for any;
    `account` and `instrument` narrow it to calls and events that name them; for a change of the
    venue they are what is changed. `code` is the word of a rejection, `micros` the length of a
    delay.
    """

    where: Literal["call", "event"]
    kind: FaultKind
    on: str = "*"
    count: int = 1
    skip: int = 0
    account: str | None = None
    instrument: str | None = None
    code: str = "UnknownError"
    micros: int = 2 * SECOND


class ConnectionBroken(VenueTimeout):
    """The connection broke before an answer came."""


class Injected(msgspec.Struct, frozen=True):
    """A fault that was put in, numbered in order from 1."""

    number: int
    where: Literal["call", "event"]
    on: str
    kind: FaultKind
    account: str


class Latency(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Time a call takes there and back: `fixed` plus 0 to `jitter`, in microseconds."""

    fixed: int = 0
    jitter: int = 0


class _Armed:
    """A scripted fault and how much of it is left."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.skip = fault.skip
        self.left = fault.count

    def hits(self, where: str, on: str, account: str, instrument: str) -> bool:
        fault = self.fault
        if self.left == 0 or fault.where != where or fault.on not in ("*", on):
            return False
        if fault.kind not in VENUE_KINDS and (
            fault.account not in (None, account) or fault.instrument not in (None, instrument)
        ):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.left -= 1
        return True


class FaultPlan:
    """Decides what goes wrong. The same seed, script and calls give the same faults.

    `call_rates` and `event_rates` are probabilities per call and per event by kind of fault.
    `record` says what was done.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        script: Iterable[Fault] = (),
        call_rates: Mapping[FaultKind, float] | None = None,
        event_rates: Mapping[FaultKind, float] | None = None,
        latency: Latency | None = None,
    ) -> None:
        self.latency = latency or Latency()
        self.record: deque[Injected] = deque(maxlen=RECORD_BOUND)
        self._rates = {"call": dict(call_rates or {}), "event": dict(event_rates or {})}
        self._chance = {where: chance(seed, f"faults/{where}") for where in ("call", "event")}
        self._jitter = chance(seed, "latency")
        self._armed: list[_Armed] = []
        self._number = 0
        for where, allowed in (("call", CALL_KINDS), ("event", EVENT_KINDS)):
            for kind in self._rates[where]:
                _check_kind(where, kind, allowed)
        for fault in script:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        """Arm a scripted fault; those armed first hit first."""
        _check_kind(fault.where, fault.kind, CALL_KINDS if fault.where == "call" else EVENT_KINDS)
        self._armed.append(_Armed(fault))

    def set_rates(
        self,
        call_rates: Mapping[FaultKind, float] | None = None,
        event_rates: Mapping[FaultKind, float] | None = None,
    ) -> None:
        """Change the probabilities from now on; None leaves them."""
        if call_rates is not None:
            self._rates["call"] = dict(call_rates)
        if event_rates is not None:
            self._rates["event"] = dict(event_rates)

    def heal(self) -> None:
        """No faults from now on: what is left must recover."""
        self._armed.clear()
        self._rates = {"call": {}, "event": {}}

    def for_call(self, call: str, account: str = "", instrument: str = "") -> Fault | None:
        """The fault of this call, if any."""
        return self._next("call", call, account, instrument)

    def for_event(self, event: VenueEvent) -> Fault | None:
        """The fault of this stream event, if any."""
        account = getattr(event, "account", "")
        instrument = getattr(event, "instrument", "")
        where = instrument if isinstance(instrument, str) else ""
        return self._next("event", kind_of(event), account, where)

    def travel(self) -> int:
        """Microseconds the next call spends on its way, both ways together."""
        return self.latency.fixed + self._jitter.randint(0, self.latency.jitter)

    def _next(
        self, where: Literal["call", "event"], on: str, account: str, instrument: str
    ) -> Fault | None:
        fault = self._scripted(where, on, account, instrument) or self._drawn(where)
        if fault is not None:
            self._number += 1
            self.record.append(Injected(self._number, where, on, fault.kind, account))
        return fault

    def _scripted(self, where: str, on: str, account: str, instrument: str) -> Fault | None:
        for armed in self._armed:
            if armed.hits(where, on, account, instrument):
                if armed.left == 0:
                    self._armed.remove(armed)
                return armed.fault
        return None

    def _drawn(self, where: Literal["call", "event"]) -> Fault | None:
        rates = self._rates[where]
        if not rates:
            return None
        drawn = self._chance[where].random()
        for kind, rate in rates.items():
            if drawn < rate:
                return Fault(where, kind)
            drawn -= rate
        return None


def _check_kind(where: str, kind: str, allowed: tuple[str, ...]) -> None:
    if kind not in (*allowed, *VENUE_KINDS):
        raise UsageError(
            f"no fault {kind!r} for a {where}",
            remedy="use one of " + ", ".join((*allowed, *VENUE_KINDS)),
        )


def change_venue(fault: Fault, exchange: Exchange, account: str, instrument: str) -> None:
    """Do to the venue what a `halt`, `refuse_close` or `forbid` says."""
    target = fault.account or account
    if fault.kind == "halt" and (fault.instrument or instrument):
        exchange.halt(fault.instrument or instrument)
    elif fault.kind == "refuse_close" and target:
        exchange.refuse_close(target)
    elif fault.kind == "forbid" and target:
        exchange.set_can_trade(target, False)


async def carry_out(
    plan: FaultPlan,
    exchange: Exchange,
    call: str,
    act: Callable[[], Answer],
    *,
    account: str = "",
    instrument: str = "",
    patience: int = 0,
) -> Answer:
    """Carry out a call on the exchange as the plan lets it: late, not at all, or unanswered.

    `patience` (microseconds) is how long a caller without an answer waits for it. Raises
    VenueUnreachable, VenueTimeout, VenueRefused.
    """
    fault = plan.for_call(call, account, instrument)
    kind = fault.kind if fault else None
    travel = plan.travel()
    await _pause(travel // 2)
    if fault is not None:
        await _hinder(fault, call, patience)
        if kind in VENUE_KINDS:
            change_venue(fault, exchange, account, instrument)
    if kind == "timeout_after":
        with contextlib.suppress(VenueRefused):
            act()
        await _pause(patience)
        raise _no_answer(call)
    try:
        return act()
    finally:
        await _pause(travel - travel // 2)


async def _hinder(fault: Fault, call: str, patience: int) -> None:
    """What a fault does before the call is carried out."""
    match fault.kind:
        case "drop":
            raise VenueUnreachable(
                f"{call} did not reach the simulated venue", remedy="try again after a pause"
            )
        case "timeout_before":
            await _pause(patience)
            raise _no_answer(call)
        case "disconnect":
            raise ConnectionBroken(
                f"the connection broke during {call}",
                remedy="look at the venue before anything is sent again",
            )
        case "reject":
            raise VenueRefused(
                fault.code, f"{call} refused by a fault", remedy="see the fault plan's record"
            )
        case "delay":
            await _pause(fault.micros)


def _no_answer(call: str) -> VenueTimeout:
    return VenueTimeout(
        f"no answer to {call} from the simulated venue",
        remedy="look at the venue before anything is sent again",
    )


async def _pause(micros: int) -> None:
    if micros > 0:
        await asyncio.sleep(micros / SECOND)
