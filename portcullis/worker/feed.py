"""The venue's stream: what it pushes is entered as it comes; a break is noted and mended.

The stream is opened before the records are read, so that nothing falls between the two.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from portcullis.domain.events import (
    AuthorizationLost,
    DataFault,
    Quote,
    TradeReported,
    VenueLinked,
)
from portcullis.domain.model import MICRO, SECOND
from portcullis.errors import Retryable, VenueRefused
from portcullis.ports import ObservedVenue, VenueEvent
from portcullis.worker.core import Core
from portcullis.worker.reconcile import Reconciler

BACKOFF_FIRST = SECOND // 10
BACKOFF_MAX = 5 * SECOND
HELD = 30.0
"""Seconds a connection must have held for the next break to be mended without a pause again."""

QUOTE_REPEAT = SECOND
UNWATCHED_MAX = 1000
UNAUTHORIZED = "Unauthorized"
TELL_EVERY = 10.0
"""Seconds between two reasons why a connection is down."""

DIGITS = str.maketrans("", "", "0123456789")


class Feed:
    """Keeps the connection to one venue and enters what it says."""

    def __init__(self, core: Core, venue: ObservedVenue, reconciler: Reconciler) -> None:
        self._core = core
        self._venue = venue
        self._reconciler = reconciler
        self._unwatched: dict[str, None] = {}
        self.connected = False
        self._was_connected = False
        self._told: tuple[str, float] = ("", -TELL_EVERY)
        self._read_at: float | None = None
        self.last_event_at = 0
        self.when_ready: list[Callable[[], None]] = []
        self.when_told: list[Callable[[bool, str], None]] = []
        """Told that the connection came or went, and why."""

    async def run(self) -> None:
        """Connect, compare, listen; for ever, with growing pauses between failures."""
        pause, loop = BACKOFF_FIRST, asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await self._listen()
            except (Retryable, VenueRefused) as error:
                if self.connected and loop.time() - began >= HELD:
                    pause = BACKOFF_FIRST
                if self._was_connected and getattr(error, "code", "") == UNAUTHORIZED:
                    self._was_connected = False
                    self._core.enter(AuthorizationLost(self._venue.name, str(error)))
                self._note(connected=False, reason=str(error))
                await self._venue.hang_up()
            await asyncio.sleep(pause / MICRO)
            pause = min(2 * pause, BACKOFF_MAX)

    async def _listen(self) -> None:
        await self._venue.connect()
        stream = self._venue.stream()
        await self._read()
        self._note(connected=True, reason="connected and compared")
        for ready in self.when_ready:
            ready()
        async for event in stream:
            self._take(event)

    async def _read(self) -> None:
        """Compare every account the first time. After a break as many as the venue's limit has room
        for since the last time, the busiest first; the others follow in their turns.
        """
        now = asyncio.get_running_loop().time()
        since = None if self._read_at is None else round((now - self._read_at) * MICRO)
        await self._reconciler.everything(within=since)
        self._read_at = now

    def _note(self, *, connected: bool, reason: str) -> None:
        known = self._core.engine.world.system.venues.get(self._venue.name)
        if known is not connected or (not connected and self._is_another(reason)):
            self._core.enter(VenueLinked(self._venue.name, connected, reason))
            for tell in self.when_told:
                tell(connected, reason)
        self.connected = connected
        self._was_connected = self._was_connected or connected

    def _is_another(self, reason: str) -> bool:
        """Whether a connection that is down is down for another reason, figures aside."""
        now, words = asyncio.get_running_loop().time(), reason.translate(DIGITS)
        known, at = self._told
        if words == known or now - at < TELL_EVERY:
            return False
        self._told = words, now
        return True

    def _take(self, event: VenueEvent) -> None:
        self.last_event_at = self._core.time.now()
        if isinstance(event, Quote):
            if self._is_news(event):
                self._core.enter(event)
            return
        if isinstance(event, TradeReported):
            self._reconciler.heard(event.trade_id)
        account = getattr(event, "account", None)
        if account is None or account in self._core.engine.watches:
            self._core.enter(event)
        elif account not in self._unwatched and len(self._unwatched) < UNWATCHED_MAX:
            self._unwatched[account] = None
            self._core.enter(
                DataFault(self._venue.name, None, f"account {account} has no plan: not watched")
            )

    def _is_news(self, quote: Quote) -> bool:
        """Whether a price changed, or the known one is about to count as old."""
        known = self._core.engine.world.quotes.get(quote.instrument)
        if known is None:
            return True
        if (quote.bid, quote.ask, quote.last) != (known.bid, known.ask, known.last):
            return quote.quoted_at >= known.quoted_at
        return quote.quoted_at - known.quoted_at >= QUOTE_REPEAT
