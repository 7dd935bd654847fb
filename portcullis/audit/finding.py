"""What a rule's text says at a moment: a breach, its figures, and what must follow."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any, Literal, NamedTuple

from portcullis.audit.rows import LockWanted

Number = int | Fraction
Act = Literal["flatten", "close", "reduce", "none"]
CENT = 10_000
NUMBER = re.compile(r"-?[\d,]+(?:\.\d+)?")
MICROS = re.compile(r"(\d+) minis? and (\d+) of (\d+) micros")


class Finding(NamedTuple):
    """A rule is exceeded. `must`: the text leaves no doubt; otherwise it only may be announced.

    `measured` are the figures the text allows, money in micro-units; `money` says which.
    `act` is the least that must be done at the venue, `lock` the row that must stand.
    """

    rule: str
    instrument: str | None
    must: bool
    measured: tuple[Number, ...]
    money: bool
    told: str
    act: Act
    lock: LockWanted | None = None

    @property
    def key(self) -> tuple[str, str | None]:
        """What makes it the same breach as another: the rule and its scope."""
        return self.rule, self.instrument

    def agrees(self, reason: dict[str, Any]) -> bool:
        """Whether the figure of an announced breach is this one, to the cent."""
        found = NUMBER.search(reason["measured"])
        if not self.measured or found is None:
            return True
        number = Fraction(found.group().replace(",", ""))
        if parts := MICROS.search(reason["measured"] + reason["message"]):
            minis, micros, ratio = map(int, parts.groups())
            number = minis + Fraction(micros, ratio)
        if self.money:
            return any(
                abs(abs(number * 1_000_000) - abs(Fraction(m))) <= CENT for m in self.measured
            )
        return any(abs(number - Fraction(m)) < Fraction(1, 100) for m in self.measured)


def money(amount: Number) -> str:
    """Micro-units for a reader."""
    return f"{float(amount) / 1_000_000:,.2f}"
