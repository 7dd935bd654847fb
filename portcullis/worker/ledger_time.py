"""The time that events get: the wall clock's, but never going back and never leaping unseen."""

from __future__ import annotations

from portcullis.clock import Clock
from portcullis.domain.model import SECOND
from portcullis.domain.money import duration
from portcullis.errors import Fatal

STEP_MIN = 2 * SECOND
FOLLOW_MAX = 10 * SECOND
VENUE_AGREES = 60 * SECOND


class LedgerTime:
    """Wall time carried forward by the monotonic clock; a step of the wall clock is reported.

    A wall clock that is set back does not stop or reverse the records: they go on by monotonic
    time, and `step()` says by how much the machine's clock is off.
    """

    def __init__(self, clock: Clock, last_at: int) -> None:
        behind = last_at - clock.now()
        if behind > STEP_MIN:
            raise Fatal(
                f"the machine's clock is {duration(behind)} behind the newest event of the ledger",
                remedy="set the clock right (time service), then start again; nothing was changed",
            )
        self._clock = clock
        self._wall = max(clock.now(), last_at)
        self._monotonic = clock.monotonic()
        self._last = self._wall
        self._reported = 0

    def now(self) -> int:
        """Microseconds UTC, strictly not before any time given out earlier."""
        carried = self._wall + self._clock.monotonic() - self._monotonic
        self._last = max(self._last, carried)
        return self._last

    def step(self, venue_at: int = 0) -> int:
        """How far the wall clock moved since it was last asked, in microseconds; 0 for none.

        A step back is waited out. One forward is followed when it is small, or when the venue's
        newest time (`venue_at`) bears it out, as after a machine slept: whoever sets the clock
        forward by hand must not end locks by that.
        """
        off = self._clock.now() - self.now()
        if abs(off - self._reported) < STEP_MIN:
            return 0
        moved, self._reported = off - self._reported, off
        borne_out = abs(self._clock.now() - venue_at) < VENUE_AGREES
        if off > 0 and (off < FOLLOW_MAX or borne_out):
            self._wall, self._monotonic = self._clock.now(), self._clock.monotonic()
            self._reported = 0
        return moved

    def offset(self) -> int:
        """How far the wall clock is from the ledger's time now, in microseconds."""
        return self._clock.now() - self.now()
