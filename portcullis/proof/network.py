"""The way to the venue, as a process has it: what left it arrives, even if the process is dead."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from portcullis.venues.simulated import LocalVenue

Answer = TypeVar("Answer")


class Network(LocalVenue):
    """The in-process venue; a request that left is carried out though nobody waits any more."""

    def __init__(self, *given: object, **named: object) -> None:
        super().__init__(*given, **named)  # type: ignore[arg-type]
        self._travelling: dict[asyncio.Task[object], None] = {}

    @property
    def travelling(self) -> int:
        """Requests on their way."""
        return len(self._travelling)

    async def _call(
        self, call: str, act: Callable[[], Answer], account: str = "", instrument: str = ""
    ) -> Answer:
        request = asyncio.ensure_future(super()._call(call, act, account, instrument))
        self._travelling[request] = None
        request.add_done_callback(self._arrived)
        return await asyncio.shield(request)

    def _arrived(self, request: asyncio.Task[object]) -> None:
        self._travelling.pop(request, None)
        if not request.cancelled():
            request.exception()  # looked at, so that nobody complains when nobody waits
