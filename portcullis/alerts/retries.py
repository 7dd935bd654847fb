"""What follows from an attempt: done, again later, or given up. Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple

from portcullis.alerts.message import Outcome
from portcullis.domain.judge import Severity
from portcullis.domain.model import HOUR, MINUTE, SECOND

FIRST_PAUSE = 2 * SECOND
PAUSE_MAX = 5 * MINUTE
GIVEN_UP_AFTER: dict[Severity, int] = {"critical": 24 * HOUR, "warning": 6 * HOUR, "info": HOUR}
UNKNOWN_MAX = 2
"""So many attempts of unknown outcome where each may be a repeat that a person reads."""


class Next(NamedTuple):
    """`due_at`: when it is tried again (microseconds), where it waits."""

    state: Literal["waiting", "delivered", "dead"]
    due_at: int = 0


def after(
    outcome: Outcome,
    *,
    attempts: int,
    created_at: int,
    now: int,
    severity: Severity,
    number: int = 0,
    best_effort: bool = False,
) -> Next:
    """What becomes of a delivery after its attempt `attempts` (from 1).

    Unknown is not delivered: it is tried again, of a `best_effort` service once. `number` spreads
    what failed together, so that it does not come back together.
    """
    if outcome.kind == "delivered":
        return Next("delivered")
    if outcome.kind == "refused":
        return Next("dead")
    if outcome.kind == "unknown" and best_effort and attempts >= UNKNOWN_MAX:
        return Next("dead")
    pause = min(FIRST_PAUSE << min(attempts - 1, 20), PAUSE_MAX)
    pause += pause * (number * 37 % 100) // 500
    due = now + max(pause, outcome.wait)
    return Next("dead") if due > created_at + GIVEN_UP_AFTER[severity] else Next("waiting", due)
