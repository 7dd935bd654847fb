"""What the worker sees, asked of it once for everybody: readers never add to the worker's work.

While no worker answers, the state at the end of the ledger is shown instead, and marked so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from portcullis import gate_client
from portcullis.clock import SystemClock
from portcullis.config.settings import Settings
from portcullis.domain.overview import overview
from portcullis.errors import PortcullisError
from portcullis.store.opening import has_ledger, is_own, open_reader
from portcullis.worker.recovery import recover

ASK_SECONDS = 3.0
LIVE_SECONDS = 1.0
"""So long an answer of the worker serves everybody who asks."""

RECORDED_SECONDS = 3.0
STALE_SECONDS = 2.0
"""So long after that it still serves, while a newer one is on its way."""


class Seen:
    """The newest overview, for everybody; at most one question is on its way.

    Who asks while it is a little old gets it and has it asked for anew: nobody waits for a worker
    that has better things to do, unless nothing newer than `STALE_SECONDS` is there.
    """

    def __init__(self, settings: Settings, monotonic: Callable[[], float]) -> None:
        self._settings, self._monotonic = settings, monotonic
        self._asking: asyncio.Task[None] | None = None
        self._found: dict[str, Any] = {}
        self._rendered: dict[str, Any] = {}
        self._fresh_until = self._stale_from = 0.0

    async def status(self) -> dict[str, Any]:
        """`live` says whether the worker answered; not to be changed by whoever gets it."""
        while True:
            now = self._monotonic()
            if now >= self._fresh_until and self._asking is None:
                self._asking = asyncio.create_task(self._ask_anew())
            if now < self._stale_from or self._asking is None:
                return self._found
            await asyncio.shield(self._asking)

    async def rendered(self, name: str, make: Callable[[dict[str, Any]], Any]) -> bytes:
        """What `make` says of the overview, as JSON; made once for everybody who asks."""
        found = await self.status()
        if self._rendered.get("") is not found:
            self._rendered = {"": found}
        if name not in self._rendered:
            self._rendered[name] = msgspec.json.encode(make(found))
        return bytes(self._rendered[name])

    def forget(self) -> None:
        """Something was changed: whoever asks from now on is told of it."""
        self._fresh_until = self._stale_from = 0.0
        self._asking = None

    async def _ask_anew(self) -> None:
        mine = asyncio.current_task()
        try:
            found = await asyncio.to_thread(self._look)
            if self._asking is mine:  # nothing was changed since it was asked
                lasts = LIVE_SECONDS if found["live"] else RECORDED_SECONDS
                self._found = found
                self._fresh_until = self._monotonic() + lasts
                self._stale_from = self._fresh_until + STALE_SECONDS
        finally:
            if self._asking is mine:
                self._asking = None

    def _look(self) -> dict[str, Any]:
        away = _Away()
        found = self._ask(away)
        if found is not None:
            return {"live": True, **found}
        return {**_recorded(self._settings), "live": False, "away": away.why, "gate_open": False}

    def _ask(self, away: _Away) -> dict[str, Any] | None:
        known = self._settings
        try:
            told = gate_client.ask(known, "/api/v1/status", ASK_SECONDS)
            body = told.json()
        except gate_client.NoAnswer as error:
            away.why = f"no worker answers at port {known.gate_port} ({error})"
            return None
        if told.status != 200:
            away.why = f"the worker answered {told.status}"
            return None
        if not is_own(known, told.ledger):
            away.why = f"the worker at port {known.gate_port} is that of another home"
            return None
        return dict(body)


class _Away:
    """Why the worker could not be asked."""

    why = ""


def _recorded(known: Settings) -> dict[str, Any]:
    """The overview of the ledger's end; nothing but why where it cannot be read."""
    nothing: dict[str, Any] = {
        "mode": "STARTING", "why": "there is no ledger yet", "lacking": [], "venues": {},
        "venue_reasons": {}, "evidence": [], "accounts": [], "pools": [], "strategies": [],
        "position": 0, "plan": "", "as_of": 0, "ledger": "", "loosening": None, "approvers": [],
    }  # fmt: skip
    try:
        if not has_ledger(known):
            return nothing
        with open_reader(known) as reader:
            found = overview(recover(reader).engine, SystemClock().now())
    except PortcullisError as error:
        return {**nothing, "why": str(error)}
    return {**nothing, **found, "venues": dict.fromkeys(found["venues"], False)}
