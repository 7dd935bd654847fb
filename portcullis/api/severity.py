"""How much an event asks of a person, by its kind: for finding what matters in the log."""

from __future__ import annotations

from typing import Literal

from portcullis.domain.events import KINDS

Severity = Literal["CRITICAL", "WARNING", "INFO"]

CRITICAL = frozenset(
    (
        "authorization_lost",
        "breach_found",
        "ledger_restored",
        "worker_failed",
    )
)
WARNING = frozenset(
    (
        "bound_reached",
        "clock_stepped",
        "command_issued",
        "data_fault",
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


def severity_of(kind: str) -> Severity:
    if kind in CRITICAL:
        return "CRITICAL"
    return "WARNING" if kind in WARNING else "INFO"


def kinds_of(severity: Severity) -> tuple[str, ...]:
    """Every kind of a severity."""
    return tuple(sorted(kind for kind in KINDS if severity_of(kind) == severity))
