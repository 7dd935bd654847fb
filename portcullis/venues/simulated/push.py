"""The venue's push stream to one listener: bounded, faulty on demand, in virtual time too."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from typing import Any

from portcullis.domain.events import kind_of
from portcullis.domain.model import SECOND
from portcullis.errors import VenueUnreachable
from portcullis.ports import VenueEvent
from portcullis.venues.simulated.exchange import Exchange
from portcullis.venues.simulated.faults import VENUE_KINDS, Fault, FaultPlan, change_venue

STREAM_BOUND = 50_000
"""Events waiting for a slow listener; at the bound the venue ends the stream."""


class PushStream:
    """An async iterator over what the exchange pushes, from its making on; `tell` makes of an
    event what the listener gets, at the moment it happens, and None where that is nothing.

    Raises VenueUnreachable when the stream ends: on a disconnect, on `end`, at the bound. A
    frozen stream stays silent and open. Events wait `latency` microseconds on their way.
    """

    def __init__(
        self,
        exchange: Exchange,
        plan: FaultPlan,
        *,
        latency: int = 0,
        bound: int = STREAM_BOUND,
        tell: Callable[[VenueEvent], Any] = lambda event: event,
    ) -> None:
        self._exchange = exchange
        self._plan = plan
        self._latency = latency
        self._bound = bound
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[float, int, Any]] = []
        self._number = 0
        self._held: list[tuple[str, Any]] = []
        self._changed = asyncio.Event()
        self._ended: str | None = None
        self.frozen = False
        self._unsubscribe = exchange.subscribe(self._take)

    def __aiter__(self) -> PushStream:
        return self

    async def __anext__(self) -> Any:
        while self._ended is None:
            self._changed.clear()
            wait: float | None = None
            if self._waiting:
                wait = self._waiting[0][0] - self._loop.time()
                if wait <= 0:
                    return heapq.heappop(self._waiting)[2]
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue
        raise VenueUnreachable(
            f"the venue's stream ended: {self._ended}", remedy="connect again and reconcile"
        )

    @property
    def ended(self) -> bool:
        return self._ended is not None

    def end(self, why: str) -> None:
        """End the stream; what was on its way is lost. Safe to call twice."""
        self._ended = self._ended or why
        self._unsubscribe()
        self._changed.set()

    def _take(self, event: VenueEvent) -> None:
        if self.frozen:
            return
        told = self._tell(event)
        if told is None:
            return
        fault = self._plan.for_event(event)
        if fault is None:
            self._pass(kind_of(event), told)
        else:
            self._spoil(fault, event, told)

    def _spoil(self, fault: Fault, event: VenueEvent, told: Any) -> None:
        kind_told = kind_of(event)
        match fault.kind:
            case "duplicate":
                self._pass(kind_told, told)
                self._pass(kind_told, told)
            case "reorder":
                self._held.append((kind_told, told))
            case "delay":
                self._push(told, fault.micros)
            case "freeze":
                self.frozen = True
            case "disconnect":
                self.end("disconnected by a fault")
            case kind if kind in VENUE_KINDS:
                self._pass(kind_told, told)
                account = getattr(event, "account", "")
                instrument = getattr(event, "instrument", "")
                self._loop.call_soon(change_venue, fault, self._exchange, account, instrument)
            case _:
                pass

    def _pass(self, kind: str, told: Any) -> None:
        """Deliver in order, but let another kind overtake what is held."""
        if self._held and self._held[0][0] == kind:
            self._held.append((kind, told))
            return
        self._push(told, 0)
        held, self._held = self._held, []
        for _, late in held:
            self._push(late, 0)

    def _push(self, told: Any, delay: int) -> None:
        if len(self._waiting) >= self._bound:
            self.end(f"the listener is {self._bound} events behind")
            return
        self._number += 1
        due = self._loop.time() + (self._latency + delay) / SECOND
        heapq.heappush(self._waiting, (due, self._number, told))
        self._changed.set()
