"""Facts of this system: starts, evidence, clock and bounds, and the mode that follows from them."""

from __future__ import annotations

from collections.abc import Callable

from portcullis.domain import capital, mode
from portcullis.domain.events import (
    BoundReached,
    ClockStepped,
    LedgerCreated,
    LedgerRestored,
    LooseningDropped,
    LooseningHeld,
    RulesLoaded,
    VerdictRecorded,
    WorkerFailed,
    WorkerStarted,
)
from portcullis.domain.judge import Judge
from portcullis.domain.model import SECOND
from portcullis.domain.state import AccountState, Loosening


class SystemFacts:
    """The engine's part that holds and moves the mode. `arm` sets the deadline anew after that."""

    def __init__(self, judge: Judge, arm: Callable[[], None]) -> None:
        self._judge = judge
        self._world = judge.state
        self._arm = arm

    def start(self, fact: WorkerStarted, last_at: int) -> None:
        """STARTING, before anything else of the start."""
        world, plan = self._world, self._judge.plan
        self._judge.out.append(mode.start(world.system, world.now, plan, last_at, clean=fact.clean))

    def settle(self) -> None:
        """Let the mode be what the evidence makes of it, and tell a fall."""
        changed = mode.settle(self._world.system, self._judge.plan, self._world.now)
        if changed is not None:
            self._judge.out.append(changed)
            if changed.after != "ACTIVE":
                self._tell_shut("mend the cause")
        self._arm()

    def on_started(self, _fact: WorkerStarted) -> None:
        self.settle()

    def on_restored(self, fact: LedgerRestored) -> None:
        """What happened since the backup is known to the venue alone: a person must look. What
        waited may have been withdrawn since, and an approver dismissed: both begin anew.
        """
        system = self._world.system
        system.loosening = None
        for each in system.approvers.values():
            each.enrolled_at = self._world.now
        if not mode.is_shut_down(system):
            why = f"restored from {fact.backup} by {fact.by}: {fact.reason}"
            system.resumes = "OBSERVE_ONLY"
            self._judge.out.append(mode.change(system, "OBSERVE_ONLY", why))

    def on_failed(self, fact: WorkerFailed) -> None:
        """Nobody knows what an unforeseen error left undone: a person must look."""
        system = self._world.system
        system.resumes = "SHUTDOWN"
        why = f"the fail-safe: the worker ended by: {fact.what}"
        self._judge.out.append(mode.change(system, "SHUTDOWN", why))
        self._tell_shut("read `logs` of the home, mend the cause")

    def on_created(self, fact: LedgerCreated) -> None:
        self._world.system.ledger = fact.ledger

    def on_verdict(self, fact: VerdictRecorded) -> None:
        """An older verdict than the one that is known changes nothing."""
        system, verdict = self._world.system, fact.verdict
        known = system.verdicts.get(verdict.name)
        if known is not None and verdict.checked_at < known.checked_at:
            return
        system.verdicts[verdict.name] = verdict
        if verdict.passed:
            system.passed_at[verdict.name] = verdict.checked_at
        self.settle()

    def watch_capital(self, account: AccountState) -> None:
        """Books that contradict each other shut the gate: no figure can be relied on."""
        fault, system = capital.account_fault(self._world, account), self._world.system
        if fault is None or mode.is_shut_down(system):
            return
        if system.mode in ("ACTIVE", "STARTING"):
            system.resumes = "OBSERVE_ONLY"
            why = f"capital is inconsistent: {fault}"
            self._judge.out.append(mode.change(system, "OBSERVE_ONLY", why))
            remedy = "see `portcullis capital`; verify and replay the ledger, keep it"
            self._judge.alert("capital_inconsistent", "critical", None, why, remedy)
            self._arm()

    def on_rules(self, fact: RulesLoaded) -> None:
        """Nothing waits any more once the plan that was waited for is in force as a whole."""
        asked = self._world.system.loosening
        if asked is not None and asked.digest == fact.digest:
            self._world.system.loosening = None

    def on_loosening_held(self, fact: LooseningHeld) -> None:
        self._world.system.loosening = Loosening(
            fact.plan, fact.digest, fact.by, fact.reason, self._world.now
        )

    def on_loosening_dropped(self, _fact: LooseningDropped) -> None:
        self._world.system.loosening = None

    def on_clock(self, fact: ClockStepped) -> None:
        self._judge.alert(
            "clock_stepped",
            "critical",
            None,
            f"the machine's clock moved by {fact.by / SECOND:+.1f} s",
            "check the time service; records keep the later time meanwhile",
        )

    def on_bound(self, fact: BoundReached) -> None:
        self._judge.alert(
            "bound_reached",
            "warning",
            None,
            f"{fact.bound} reached {fact.limit}: {fact.detail}",
            "find what produces more than planned, then raise the bound if it is right",
        )

    def _tell_shut(self, mend: str) -> None:
        how = f"{mend}, then `mode release --reason ...`"
        self._judge.alert("gate_shut", "critical", None, self._world.system.why, how)
