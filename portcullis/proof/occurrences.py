"""What happened in runs, counted, and what must have happened so that they prove something."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, get_args

from portcullis.domain.events import (
    AutomationPlanned,
    BreachFound,
    CommandConcluded,
    CommandIssued,
    DayRolled,
    Event,
    LockEnded,
    LooseningHeld,
    ModeChanged,
    ProposalAnswered,
    StrategyMoved,
    decode,
)
from portcullis.domain.model import StrategyState
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
CAPITAL = (
    "allocation_spent",
    "unknown_strategy",
    "strategy_not_trading",
    "strategy_elsewhere",
    "probation_size",
)
DEMANDED: tuple[str, ...] = (
    *(f"rule {rule.NAME}" for rule in RULES),
    *(f"command {name}" for name in COMMANDS),
    *(f"outcome {name}" for name in ("confirmed", "refused", "unconfirmed", "superseded")),
    *(f"lock ended {how}" for how in ("expired", "session", "released", "venue")),
    *(f"mode {name}" for name in ("ACTIVE", "OBSERVE_ONLY", "STARTING")),
    *(f"call {kind}" for kind in CALL_KINDS),
    *(f"event {kind}" for kind in EVENT_KINDS),
    "loosening held",
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
    *(f"strategy {state}" for state in get_args(StrategyState)),
    *(f"denied for {code}" for code in CAPITAL),
    "position under a lock",
)


def occurrences(outcome: Outcome) -> Counter[str]:
    """What happened in one run, counted."""
    seen = Counter({name: count for name, count in outcome.notes.seen.items() if count})
    for injected in outcome.faults:
        seen[f"{injected.where} {injected.kind}"] += 1
    for row in outcome.rows:
        for name in _names(decode(row.payload)):
            seen[name] += 1
    return seen


_NAMED: dict[type, Callable[[Any], str]] = {
    AutomationPlanned: lambda event: f"rule {event.rule}",
    BreachFound: lambda event: (
        "position under a lock" if event.rule == "lockout" else f"rule {event.rule}"
    ),
    CommandIssued: lambda event: f"command {type(event.command).__name__}",
    CommandConcluded: lambda event: f"outcome {event.outcome}",
    LockEnded: lambda event: f"lock ended {event.how}",
    ModeChanged: lambda event: f"mode {event.after}",
    StrategyMoved: lambda event: f"strategy {event.after}",
    DayRolled: lambda _: "day rolled",
    LooseningHeld: lambda _: "loosening held",
}


def _names(event: Event) -> Iterator[str]:
    """What an event is counted as."""
    name = _NAMED.get(type(event))
    if name is not None:
        yield name(event)
    elif isinstance(event, ProposalAnswered):
        yield from (f"denied for {each.code}" for each in event.reasons if each.code in CAPITAL)


def never(seen: Counter[str]) -> list[str]:
    """What should have happened somewhere and did not."""
    return [name for name in DEMANDED if not seen[name]]
