"""The dead-man's ping: something outside this machine hears that the worker evaluates, or why not.

It is sent when a cycle is complete: something came in, was decided, became durable and took
effect. No timer sends it, so that a loop that stands still, or a store that takes nothing, sends
nothing; the worker enters a fact of its own every few seconds as long as it turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from portcullis.domain.events import BoundReached
from portcullis.domain.evidence import ALERTS
from portcullis.domain.model import MINUTE, SECOND
from portcullis.domain.money import duration
from portcullis.worker.core import Core
from portcullis.worker.ping_targets import Report, Target
from portcullis.worker.pings import Pings

BODY_MAX = 9_000
"""Bytes of a body before the checkpoint; healthchecks kept ten thousand of all."""

REASON_MAX = 2_000
FAILURES_TOLD = 5
START_GRACE = 2 * MINUTE
"""After a start the sender of alerts may need this long to say that it is well."""


class DeadManTerms(NamedTuple):
    """Whom to tell, and how often (microseconds); `checkpoint` reads the newest signed one."""

    targets: tuple[Target, ...]
    every: int
    checkpoint: Callable[[], str]


class Heard(NamedTuple):
    """What the pings to one target came to: failures in a row, and the last acceptance."""

    failures: int = 0
    at: int | None = None


class DeadMan:
    """Tells the outside of one core. Nothing of it can block or end the worker."""

    def __init__(self, core: Core, terms: DeadManTerms, version: str) -> None:
        """Its threads start here."""
        self._core, self._terms, self._version = core, terms, version
        self._loop = asyncio.get_running_loop()
        self._pings = Pings(terms.targets, self._heard_on_thread, terms.checkpoint)
        self._heard: dict[Target, Heard] = {each: Heard() for each in terms.targets}
        self._started = core.time.now()
        self._cycles = 0
        self._told_at: int | None = None
        self._told: str | None = None
        core.on_durable(self.on_cycle)

    def on_cycle(self) -> None:
        """A cycle is complete: tell it when it is time, and a change at once."""
        self._cycles += 1
        now = self._core.time.now()
        what, why = self._failing(now)
        due = self._told_at is None or abs(now - self._told_at) >= self._terms.every
        if due or what != self._told:
            self._told_at, self._told = now, what
            self._pings.send(self._report(why, now))

    def stop(self) -> None:
        """Tell nothing more."""
        self._pings.stop()

    def figures(self) -> list[dict[str, Any]]:
        """For `/health`: each target without its secret, and when it last took a ping."""
        now = self._core.time.now()
        return [
            {
                "target": target.shown,
                "failures": heard.failures,
                "taken_age_s": None if heard.at is None else max(0, now - heard.at) // SECOND,
            }
            for target, heard in self._heard.items()
        ]

    # --- what is told -----------------------------------------------------------------------

    def _failing(self, now: int) -> tuple[str, str]:
        """What is not well, by one word and in words; both empty where all is."""
        system = self._core.engine.world.system
        resting = system.resumes if system.mode == "STARTING" else system.mode
        if resting != "ACTIVE":
            return resting, f"{system.mode}: {system.why}"[:REASON_MAX]
        verdict = system.verdicts.get(ALERTS)
        if verdict is None or now < self._started + START_GRACE:
            return "", ""
        if not verdict.passed:
            return ALERTS, f"alerts reach nobody: {verdict.summary}"[:REASON_MAX]
        if verdict.expires_at <= now:
            return (
                ALERTS,
                f"the sender of alerts is silent for {duration(now - verdict.expires_at)}",
            )
        return "", ""

    def _report(self, why: str, now: int) -> Report:
        core = self._core
        world = core.engine.world
        quoted = max((quote.quoted_at for quote in world.quotes.values()), default=None)
        held = sum(1 for a in world.accounts.values() for p in a.positions.values() if p.size)
        well = "starting" if world.system.mode == "STARTING" else "well"
        first = f"portcullis {self._version}: {why or well}"
        lines = (
            first,
            f"cycle {self._cycles} since the start",
            f"mode {world.system.mode}: {world.system.why}"[:REASON_MAX],
            f"newest event {core.durable_position}, {duration(max(0, now - core.durable_at))} old",
            "market data "
            + ("none yet" if quoted is None else f"{duration(max(0, now - quoted))} old"),
            f"{len(core.engine.watches)} accounts, {held} open positions",
        )
        text = "\n".join(lines).encode()[:BODY_MAX].decode(errors="ignore")
        return Report(why, " ".join(first.split()), text)

    # --- what became of it ------------------------------------------------------------------

    def _heard_on_thread(self, target: Target, fault: str) -> None:
        self._loop.call_soon_threadsafe(self._hear, target, fault)

    def _hear(self, target: Target, fault: str) -> None:
        """Count; the outside that cannot see us any more is told inside, once each time."""
        if not fault:
            self._heard[target] = Heard(0, self._core.time.now())
            return
        before = self._heard[target]
        failures = before.failures + 1
        self._heard[target] = before._replace(failures=failures)
        if failures == FAILURES_TOLD and not self._core.failed.done():
            what = f"{target.shown} takes no dead-man's ping: {fault}"
            self._core.enter(BoundReached("dead_man", FAILURES_TOLD, what))
