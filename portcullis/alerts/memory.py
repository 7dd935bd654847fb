"""What is remembered from event to event while the ledger is folded into signals."""

from __future__ import annotations

from typing import Any

import msgspec

from portcullis.alerts.alert import Signal, SignalState

Found = list[Signal]


class Held(msgspec.Struct):
    """What is known of a piece of evidence: how its last verdict was, and until when it holds."""

    passed: bool
    expires_at: int
    summary: str
    link: str = ""
    lacking: bool = False


class Standing(msgspec.Struct):
    """A breach that is being answered: since when, and by which commands."""

    at: int
    rule: str
    keys: list[str] = []
    answered: bool = False


class Memory(msgspec.Struct):
    """What is remembered from event to event."""

    seen_at: int = 0
    stopped: bool = True
    silent: bool = False
    unclean: int = 0
    rules: str = ""
    required: dict[str, int] = {}
    accounts: tuple[str, ...] = ()
    evidence: dict[str, Held] = {}
    away: dict[str, int] = {}
    away_why: dict[str, str] = {}
    away_told: list[str] = []
    breaches: dict[str, dict[str, Standing]] = {}
    failing: list[str] = []
    commands: dict[str, tuple[str, tuple[str, ...]]] = {}


class Place(msgspec.Struct, frozen=True):
    """Where an event is in the ledger."""

    position: int
    at: int
    trace: str = ""


def signal(
    kind: str,
    place: Place,
    *,
    state: SignalState = "firing",
    **fields: Any,
) -> Signal:
    """A signal of the event at a place."""
    return Signal(
        kind=kind, at=place.at, state=state, trace=place.trace, position=place.position, **fields
    )
