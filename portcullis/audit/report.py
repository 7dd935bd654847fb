"""What an audit found."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["missing", "unjustified", "differs"]


class Difference(msgspec.Struct, frozen=True):
    """One point on which the ledger and the text part. `position` is where it shows."""

    position: int
    at: int
    account: str
    kind: Kind
    rule: str
    instrument: str | None
    expected: str
    found: str


class Report(msgspec.Struct):
    """The outcome: what was read, what was judged, and every difference."""

    events: int = 0
    facts: int = 0
    accounts: int = 0
    rules: int = 0
    judgements: int = 0
    breaches: int = 0
    locks: int = 0
    days: int = 0
    answers: int = 0
    commands: int = 0
    agreed: int = 0
    differences: list[Difference] = msgspec.field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether the ledger says exactly what the text demands."""
        return not self.differences
