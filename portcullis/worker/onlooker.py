"""In the enforcer's place, where a worker only observes: what had to be done is only said."""

from __future__ import annotations

import asyncio

from portcullis.domain.events import AnyDecision, CommandConcluded, CommandIssued
from portcullis.worker.core import Core

ONLY_OBSERVES = "this worker only observes: act by hand, or where the enforcing worker runs"


class Onlooker:
    """Ends every command as refused, so that a person is told. It has nothing to act with."""

    under_way = 0

    def __init__(self, core: Core) -> None:
        self._core = core
        core.on_decision(self._on_decision)

    def _on_decision(self, decision: AnyDecision, trace: str) -> None:
        if isinstance(decision, CommandIssued):
            self.start(decision, trace)

    def start(self, issued: CommandIssued, trace: str, *, recovered: bool = False) -> None:  # noqa: ARG002
        """End a command, once the decision it came from has been entered."""
        asyncio.get_running_loop().call_soon(self._end, issued, trace)

    def _end(self, issued: CommandIssued, trace: str) -> None:
        now = self._core.time.now()
        ended = CommandConcluded(
            issued.account,
            issued.key,
            "refused",
            ONLY_OBSERVES,
            attempts=0,
            round_trips=0,
            detected_at=issued.detected_at,
            durable_at=now,
            sent_at=0,
            confirmed_at=now,
        )
        self._core.enter(ended, trace)

    async def drain(self) -> None:
        """Nothing is under way."""

    async def stop(self) -> None:
        """Nothing is under way."""
