"""What happened in runs, counted, and what must have happened so that they prove something."""

from __future__ import annotations

from collections import Counter

from portcullis.domain.events import (
    AutomationPlanned,
    BreachFound,
    CommandConcluded,
    CommandIssued,
    DayRolled,
    LockEnded,
    ModeChanged,
    decode,
)
from portcullis.domain.rules import RULES
from portcullis.proof.faults_drawn import CALL_KINDS, EVENT_KINDS
from portcullis.proof.stage import Outcome

COMMANDS = (
    "Flatten",
    "Close",
    "Reduce",
    "CancelOrders",
    "CancelOrder",
    "PlaceStop",
    "MoveStop",
    "Submit",
)
DEMANDED: tuple[str, ...] = (
    *(f"rule {rule.NAME}" for rule in RULES),
    *(f"command {name}" for name in COMMANDS),
    *(f"outcome {name}" for name in ("confirmed", "refused", "unconfirmed", "superseded")),
    *(f"lock ended {how}" for how in ("expired", "session", "released", "venue")),
    *(f"mode {name}" for name in ("ACTIVE", "OBSERVE_ONLY", "STARTING")),
    *(f"call {kind}" for kind in CALL_KINDS),
    *(f"event {kind}" for kind in EVENT_KINDS),
    "ended by kill",
    "ended by power",
    "ended by stop",
    "ended during a commit",
    "ended with requests on the way",
    "ended with commands under way",
    "commits failed",
    "start refused: Fatal",
    "approved",
    "denied",
    "gate unreachable",
    "day rolled",
    "position under a lock",
)


def occurrences(outcome: Outcome) -> Counter[str]:
    """What happened in one run, counted."""
    seen = Counter({name: count for name, count in outcome.notes.seen.items() if count})
    for injected in outcome.faults:
        seen[f"{injected.where} {injected.kind}"] += 1
    for row in outcome.rows:
        event = decode(row.payload)
        match event:
            case BreachFound(rule="lockout"):
                seen["position under a lock"] += 1
            case BreachFound() | AutomationPlanned():
                seen[f"rule {event.rule}"] += 1
            case CommandIssued():
                seen[f"command {type(event.command).__name__}"] += 1
            case CommandConcluded():
                seen[f"outcome {event.outcome}"] += 1
            case LockEnded():
                seen[f"lock ended {event.how}"] += 1
            case ModeChanged():
                seen[f"mode {event.after}"] += 1
            case DayRolled():
                seen["day rolled"] += 1
            case _:
                pass
    return seen


def never(seen: Counter[str]) -> list[str]:
    """What should have happened somewhere and did not."""
    return [name for name in DEMANDED if not seen[name]]
