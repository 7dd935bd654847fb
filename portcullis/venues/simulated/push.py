"""The venue's push stream to one listener: bounded, faulty on demand, in virtual time too."""

from __future__ import annotations

import asyncio
import heapq

from portcullis.domain.events import kind_of
from portcullis.domain.model import SECOND
from portcullis.errors import VenueUnreachable
from portcullis.ports import VenueEvent
from portcullis.venues.simulated.exchange import Exchange
from portcullis.venues.simulated.faults import VENUE_KINDS, Fault, FaultPlan, change_venue

STREAM_BOUND = 50_000
"""Events waiting for a slow listener; at the bound the venue ends the stream."""


class PushStream:
    """An async iterator over what the exchange pushes, from its making on.

    Raises VenueUnreachable when the stream ends: on a disconnect, on `end`, at the bound. A
    frozen stream stays silent and open. Events wait `latency` microseconds on their way.
    """

    def __init__(
        self, exchange: Exchange, plan: FaultPlan, *, latency: int = 0, bound: int = STREAM_BOUND
    ) -> None:
        self._exchange = exchange
        self._plan = plan
        self._latency = latency
        self._bound = bound
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[float, int, VenueEvent]] = []
        self._number = 0
        self._held: list[VenueEvent] = []
        self._changed = asyncio.Event()
        self._ended: str | None = None
        self.frozen = False
        self._unsubscribe = exchange.subscribe(self._take)

    def __aiter__(self) -> PushStream:
        return self

    async def __anext__(self) -> VenueEvent:
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
        fault = self._plan.for_event(event)
        if fault is None:
            self._pass(event)
        else:
            self._spoil(fault, event)

    def _spoil(self, fault: Fault, event: VenueEvent) -> None:
        match fault.kind:
            case "duplicate":
                self._pass(event)
                self._pass(event)
            case "reorder":
                self._held.append(event)
            case "delay":
                self._push(event, fault.micros)
            case "freeze":
                self.frozen = True
            case "disconnect":
                self.end("disconnected by a fault")
            case kind if kind in VENUE_KINDS:
                self._pass(event)
                account = getattr(event, "account", "")
                instrument = getattr(event, "instrument", "")
                self._loop.call_soon(change_venue, fault, self._exchange, account, instrument)
            case _:
                pass

    def _pass(self, event: VenueEvent) -> None:
        """Deliver in order, but let another kind overtake what is held."""
        if self._held and kind_of(self._held[0]) == kind_of(event):
            self._held.append(event)
            return
        self._push(event, 0)
        held, self._held = self._held, []
        for late in held:
            self._push(late, 0)

    def _push(self, event: VenueEvent, delay: int) -> None:
        if len(self._waiting) >= self._bound:
            self.end(f"the listener is {self._bound} events behind")
            return
        self._number += 1
        due = self._loop.time() + (self._latency + delay) / SECOND
        heapq.heappush(self._waiting, (due, self._number, event))
        self._changed.set()
