"""How far a word of the gateway goes: which fills a position row or a balance contains.

Neither carries a time of its own. But each fill changes a position by its size and a balance by its
result, so the value itself tells which fills it contains: the last after which it was just that.
With this a row that was overtaken on its way never undoes the fills that came after it, and a fill
that comes after its row is not counted twice.
"""

from __future__ import annotations

from bisect import insort

from portcullis.domain.bounds import forget_oldest

FILLS_MAX = 500
"""Fills kept of a figure: those of the minutes in which a row may be late."""


MOMENTS_MAX = 20_000
"""Fills of an account whose time is kept: those of a day that may be read again."""


class Figure:
    """One figure that fills change: a signed position size, or a balance in micro-units."""

    def __init__(self) -> None:
        self._fills: list[tuple[int, str, int]] = []
        self._known: tuple[int, int] | None = None

    def note(self, key: str, executed_at: int, change: int) -> None:
        """Take a fill once; at one time the fills stand in the order of their keys."""
        if any(fill[1] == key for fill in self._fills):
            return
        insort(self._fills, (executed_at, key, change))
        if len(self._fills) > FILLS_MAX:
            del self._fills[0]

    def forget(self) -> None:
        """A fill was busted: what the figure was after each of them is no longer known."""
        self._fills.clear()
        self._known = None

    def moment(self, value: int, opened_at: int | None = None) -> int | None:
        """The time of the newest fill that `value` contains; None where no fill makes it so.

        `opened_at` is when a position of this size began: what came after it ended since belongs to
        another one.
        """
        if self._known is None:
            return None
        at, after = self._known
        after += sum(change for when, _, change in self._fills if when > at)
        found, later = None, None
        for when, _, change in reversed(self._fills):
            if after == value and when != later and found is None:
                found = when
            if opened_at is not None and when > opened_at and _ends(after - change, after):
                found = None
            after -= change
            later = when
        if found is None and later is not None and after == value:
            found = later - 1
        if found is None:
            return None
        if found > at:
            return self.settle(value, found)
        is_the_known_word = all(when <= found or when > at for when, _, _ in self._fills)
        return at if is_the_known_word else found

    def unchanged(self, value: int) -> int | None:
        """Until when `value` is the known word, where no fill came since."""
        if self._known is None or self._known[1] != value or self.newest() > self._known[0]:
            return None
        return self._known[0]

    def settle(self, value: int, as_of: int) -> int:
        """Say that `value` contains what was executed up to `as_of`, at least up to what is known
        already, and answer until when.
        """
        if self._known is not None:
            as_of = max(as_of, self._known[0])
        self._known = (as_of, value)
        return as_of

    def newest(self) -> int:
        """When the newest known fill was executed, 0 without any."""
        return self._fills[-1][0] if self._fills else 0


class Moments:
    """The times of an account's fills, each of its own: parts of an order may be told with the same
    one, and then nobody could say which of them a row contains.
    """

    def __init__(self) -> None:
        self._of: dict[str, int] = {}
        self._taken: dict[int, None] = {}

    def of(self, trade: str, told_at: int) -> int:
        """The told time of a fill, or the next that no other has."""
        at = self._of.get(trade)
        if at is None:
            at = told_at
            while at in self._taken:
                at += 1
            self._of[trade] = at
            self._taken[at] = None
            forget_oldest(self._of, MOMENTS_MAX)
            forget_oldest(self._taken, MOMENTS_MAX)
        return at


def _ends(before: int, after: int) -> bool:
    """Whether a fill ends a position, by closing it or by turning it round."""
    return before != 0 and (before > 0) != (after > 0)
