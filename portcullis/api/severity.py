"""How much an event asks of a person: as much as the alert that it raises.

So a thing has one severity wherever it is seen. What raises no alert and yet is looked for when
something went wrong is a warning; everything else is information.
"""

from __future__ import annotations

from typing import Literal

from portcullis.alerts.alert import rank
from portcullis.alerts.kinds import BY_NAME
from portcullis.alerts.memory import Memory, Place
from portcullis.alerts.signals import observe
from portcullis.domain.events import KINDS, Event

Severity = Literal["CRITICAL", "WARNING", "INFO"]
NAMES: tuple[Severity, ...] = ("INFO", "WARNING", "CRITICAL")

ALWAYS = {
    "authorization_lost": "authorization_lost",
    "bound_reached": "bound_reached",
    "breach_found": "breach",
    "data_fault": "data_fault",
    "ledger_restored": "ledger_restored",
    "worker_failed": "worker_crashed",
}
"""Events that raise an alert of one kind, whatever they hold."""

VARIES = frozenset(("alert_raised", "mode_changed", "reconciled", "verdict_recorded"))
"""Events whose alert depends on what they hold: a verdict that passes raises none."""

WARNING = frozenset(
    (
        "clock_stepped",
        "command_issued",
        "ledger_retired",
        "lock_ended",
        "lock_set",
        "loosening_held",
        "mode_changed",
        "rules_loaded",
        "strategy_moved",
        "venue_linked",
        "worker_started",
        "worker_stopped",
    )
)
NOWHERE = Place(0, 0)


def severity_of(kind: str, event: Event) -> Severity:
    """The severity of an event of a kind."""
    least = 1 if kind in WARNING else 0
    if kind in ALWAYS:
        least = rank(BY_NAME[ALWAYS[kind]].severity)
    elif kind in VARIES:
        raised = (
            rank(each.severity or BY_NAME[each.kind].severity)
            for each in observe(Memory(), NOWHERE, event)
            if each.state == "firing"
        )
        least = max(least, *raised, 0)
    return NAMES[least]


def kinds_of(severity: Severity) -> tuple[str, ...]:
    """Every kind of which an event may have a severity."""
    return tuple(sorted(kind for kind in KINDS if severity in _possible(kind)))


def _possible(kind: str) -> tuple[Severity, ...]:
    if kind in VARIES:
        return NAMES[1 if kind in WARNING else 0 :]
    if kind in ALWAYS:
        return (NAMES[rank(BY_NAME[ALWAYS[kind]].severity)],)
    return ("WARNING",) if kind in WARNING else ("INFO",)
