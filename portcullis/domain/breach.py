"""What a rule answers: a breach with its numbers and the response it asks for, or a distance."""

from __future__ import annotations

from typing import Literal

import msgspec

from portcullis.domain.model import Reason

UNLIMITED = 1 << 62

Band = tuple[int, int]
"""A lowest and a highest open profit in micro-units, both included."""

EVERY_PROFIT: Band = (-UNLIMITED, UNLIMITED)


class LockSpec(msgspec.Struct, frozen=True):
    """A lock a breach asks for; see `portcullis.domain.model.Lock`."""

    ends: Literal["at", "next_session", "person", "config", "venue"]
    until: int | None = None
    instrument: str | None = None


class StopChange(msgspec.Struct, frozen=True):
    """A protective stop to place (`order_id` None) or to move. Price in ticks."""

    instrument: str
    side: int
    size: int
    stop_price: int
    order_id: str | None


class Response(msgspec.Struct, frozen=True):
    """What must be made true because of a breach. Empty: only tell people.

    `cancel_order` is an instrument and the id of one order in it.
    """

    flatten: bool = False
    close: str | None = None
    unless_covered: bool = False
    reduce: tuple[tuple[str, int], ...] = ()
    cancel: bool = False
    cancel_in: str | None = None
    cancel_order: tuple[str, str] | None = None
    stop: StopChange | None = None
    locks: tuple[LockSpec, ...] = ()


class Breach(msgspec.Struct, frozen=True):
    """A rule exceeded. `measure` grows as it gets worse; `episode` tells one cause from the next.

    `warning` only tells people; `automation` is what a rule does for a trader, not a breach.
    A `level` breach ends when its condition ends; others (one per cause) at the day's end.
    """

    rule: str
    code: str
    instrument: str | None
    reason: Reason
    response: Response
    measure: int = 0
    episode: str = ""
    level: bool = True
    warning: bool = False
    automation: bool = False

    @property
    def id(self) -> str:
        """What makes it the same breach when it is found again."""
        return f"{self.rule}|{self.instrument or '*'}|{self.episode}"


class Distance(msgspec.Struct, frozen=True):
    """How far an account is from a rule. `used` is the share of the limit, in percent."""

    rule: str
    code: str
    instrument: str | None
    measured: str
    limit: str
    left: str
    used: int
    formula: str
