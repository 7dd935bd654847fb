"""Retiring old events: the ledger begins with a base, and what is before it is dropped bit by bit.

The operations side archives segments and asks; the worker decides by its own plan how old is old
enough, and is the only one who drops anything. Killed at any moment, the ledger is whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from portcullis.domain.events import LedgerRetired
from portcullis.domain.money import duration
from portcullis.errors import PortcullisError
from portcullis.ports import Ledger
from portcullis.worker.core import Core

DROPPED_AT_ONCE = 500  # a commit that waits for it waits some milliseconds
PAUSE_SECONDS = 0.05
IDLE_SECONDS = 60.0

Derive = Callable[[int], Awaitable[bytes]]
"""The base up to an event, as bytes; raises PortcullisError where there is none."""


class Retiring:
    """Takes what the operations side asks, one request at a time."""

    def __init__(
        self,
        core: Core,
        ledger: Ledger,
        derive: Derive | None,
        run_blocking: Callable[[Callable[[], None]], Awaitable[None]],
    ) -> None:
        self._core, self._ledger = core, ledger
        self._derive, self._run_blocking = derive, run_blocking
        self._wanted: int | None = None
        self._woken = asyncio.Event()

    def ask(self, through: object) -> str:
        """Take a request to retire events up to one; why it is refused, empty when it is not."""
        if self._derive is None:
            return "this store keeps every event"
        if not isinstance(through, int) or through < 1:
            return "`through` must be the position of an event"
        if self._wanted is not None:
            return f"events up to {self._wanted} are being retired already"
        newest = next(iter(self._ledger.read(after=through - 1, through=through)), None)
        if newest is None:
            return f"there is no event {through} here"
        keep, age = self._core.engine.plan.keep_online, self._core.time.now() - newest.at
        if age < keep:
            return f"event {through} is {duration(age)} old; kept are {duration(keep)}"
        self._wanted = through
        self._woken.set()
        return ""

    async def run(self) -> None:
        """Carry out what was asked, and drop what is before the base, also of an earlier run."""
        while True:
            if self._wanted is not None:
                await self._begin_later(self._wanted)
                self._wanted = None
                self._woken.clear()
            pause = PAUSE_SECONDS if await self._drop() else IDLE_SECONDS
            try:
                async with asyncio.timeout(pause):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def _begin_later(self, through: int) -> None:
        assert self._derive is not None
        found: list[int] = []
        try:
            body = await self._derive(through)
            await self._run_blocking(lambda: found.append(self._ledger.begin_at(body)))
        except PortcullisError as error:
            self._core.enter(LedgerRetired(0, ok=False, detail=str(error)))
            return
        self._core.enter(LedgerRetired(found[0], ok=True))

    async def _drop(self) -> int:
        found: list[int] = []
        await self._run_blocking(lambda: found.append(self._ledger.drop_retired(DROPPED_AT_ONCE)))
        return found[0]
