"""The system's mode: held up by evidence, falling by itself, raised only by a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from portcullis.domain.events import ModeChanged
from portcullis.domain.model import Verdict
from portcullis.domain.money import duration
from portcullis.domain.plan import Plan, Requirement
from portcullis.domain.state import Mode, SystemState

LEDGER = "ledger"
"""The evidence that events become durable."""

STARTED = "the worker started"
"""Why the mode is STARTING, where nothing else shut the gate."""


def lacking(system: SystemState, required: Sequence[Requirement], now: int) -> tuple[str, ...]:
    """What the required evidence lacks, each as `name: why`; empty when all of it holds."""
    found = []
    for need in required:
        why = _fault(system.verdicts.get(need.name), need, system, now)
        if why:
            found.append(f"{need.name}: {why}")
    return tuple(found)


def _fault(verdict: Verdict | None, need: Requirement, system: SystemState, now: int) -> str:
    if verdict is None:
        return "no verdict yet"
    run = f" (run {verdict.run_id})" if verdict.run_id else ""
    if not verdict.passed:
        return f"failed: {verdict.summary}{run}"
    ended = holds_until(verdict, need)
    if ended <= now:
        return f"expired {duration(now - ended)} ago{run}: {verdict.summary}"
    if need.at_start and verdict.checked_at < system.started_at:
        return "not checked since the worker started"
    return ""


def holds_until(verdict: Verdict, need: Requirement) -> int:
    """When a passing verdict no longer holds the gate."""
    if need.lasts:
        return min(verdict.expires_at, verdict.checked_at + need.lasts)
    return verdict.expires_at


def fatal(system: SystemState, plan: Plan, now: int) -> tuple[str, ...]:
    """What trips the fail-safe now, each as `name: why`."""
    found = []
    for need in plan.required:
        verdict = system.verdicts.get(need.name)
        if need.shutdown_when_failed and verdict is not None and not verdict.passed:
            found.append(f"{need.name}: failed: {verdict.summary}")
        elif need.shutdown_after and _fault(verdict, need, system, now):
            since, trips_at = _last_good(system, need, plan)
            if now >= trips_at:
                found.append(f"{need.name}: not good for {duration(now - since)}")
    return tuple(found)


def _last_good(system: SystemState, need: Requirement, plan: Plan) -> tuple[int, int]:
    """Since when evidence may be lacking, and when that is too long. A start has its allowance
    first: while nobody was there, nobody could look.
    """
    good = system.passed_at.get(need.name, 0)
    if good >= system.started_at:
        return good, good + need.shutdown_after
    since = system.started_at
    return since, since + plan.start_allowance + need.shutdown_after


def failed(system: SystemState, required: Sequence[Requirement]) -> tuple[str, ...]:
    """Required evidence that was checked since the start and did not pass."""
    names = []
    for need in required:
        verdict = system.verdicts.get(need.name)
        if verdict and not verdict.passed and verdict.checked_at >= system.started_at:
            names.append(f"{need.name}: failed: {verdict.summary}")
    return tuple(names)


def settle(system: SystemState, plan: Plan, now: int) -> ModeChanged | None:
    """What the evidence makes of the mode now: falling, or the end of STARTING."""
    if system.mode in ("ACTIVE", "OBSERVE_ONLY"):
        tripped = fatal(system, plan, now)
        if tripped:
            return change(system, "SHUTDOWN", "the fail-safe", tripped)
    if system.mode == "ACTIVE":
        gone = lacking(system, plan.required, now)
        return change(system, "OBSERVE_ONLY", "evidence is missing", gone) if gone else None
    if system.mode != "STARTING" or not plan.accounts:
        return None
    bad = failed(system, plan.required)
    is_fatal = system.resumes == "SHUTDOWN" or any(
        need.shutdown_when_failed for need in plan.required if failed(system, (need,))
    )
    # What is overdue already has no deadline left that would trip it later.
    is_fatal = is_fatal or bool(fatal(system, plan, now))
    fallen: Mode = "SHUTDOWN" if is_fatal else "OBSERVE_ONLY"
    if bad:
        return change(system, fallen, "a start-up check failed", bad)
    gone = lacking(system, plan.required, now)
    if not gone:
        return change(system, system.resumes, "all start-up evidence is in")
    if now >= system.started_at + plan.start_allowance:
        return change(system, fallen, "start-up evidence did not come in time", gone)
    return None


def start(system: SystemState, now: int, plan: Plan, last_at: int, *, clean: bool) -> ModeChanged:
    """The mode at a start of the worker: STARTING, leading back to where the system was.

    A run that ended unclean and long ago counts as a dead worker: the gate had no one behind it,
    so a person must raise it.
    """
    before = system.resumes if system.mode == "STARTING" else system.mode
    silent = now - last_at
    why = STARTED
    if before == "ACTIVE" and last_at and not clean and silent > plan.silence_allowance:
        before, why = "OBSERVE_ONLY", f"the worker was silent for {duration(silent)}"
    if (
        last_at
        and not clean
        and any(need.name == LEDGER and 0 < need.shutdown_after < silent for need in plan.required)
    ):
        before, why = "SHUTDOWN", f"the fail-safe: no event was stored for {duration(silent)}"
    system.resumes, system.started_at = before, now
    return change(system, "STARTING", why)


def is_shut_down(system: SystemState) -> bool:
    """Whether it is in SHUTDOWN, or in a start that leads back there."""
    return "SHUTDOWN" in (system.mode, system.resumes if system.mode == "STARTING" else "")


def change(
    system: SystemState, after: Mode, why: str, evidence: tuple[str, ...] = (), by: str = ""
) -> ModeChanged:
    """Set the mode; the decision names the evidence behind it."""
    decision = ModeChanged(system.mode, after, why, evidence, by)
    system.mode = after
    system.why = why if not evidence else f"{why}: {'; '.join(evidence)}"
    return decision


def next_expiry(system: SystemState, plan: Plan, now: int) -> int | None:
    """When the mode may next change by itself."""
    if system.mode == "STARTING":
        allowed = system.started_at + plan.start_allowance
        return allowed if allowed > now else None
    if system.mode == "SHUTDOWN":
        return None
    ends = [when for need in plan.required for when in _turns(system, need, plan)]
    return min((at for at in ends if at > now), default=None)


def _turns(system: SystemState, need: Requirement, plan: Plan) -> Iterator[int]:
    """When evidence may begin to lack, and when its lack may trip the fail-safe."""
    verdict = system.verdicts.get(need.name)
    ended = holds_until(verdict, need) if verdict is not None and verdict.passed else 0
    if system.mode == "ACTIVE":
        yield ended
    if need.shutdown_after:
        yield max(ended, _last_good(system, need, plan)[1])
