"""The sums behind figures, written out with their numbers, for reasons and explanations."""

from __future__ import annotations

from portcullis.domain.model import MICRO
from portcullis.domain.money import money
from portcullis.domain.state import Position, State


def mark_formula(world: State, position: Position) -> str:
    """`(mark 22710 - average 22700.5 ticks) x 2 x 12.50 USD`, in the numbers of a position."""
    listed = world.instruments.get(position.instrument)
    if listed is None or position.mark is None:
        return "no price"
    average = f"{position.average / MICRO:.6f}".rstrip("0").rstrip(".")
    value = money(listed.tick_value, listed.currency)
    return f"({position.mark} - {average} ticks) x {position.size} {listed.ticker} x {value} a tick"
