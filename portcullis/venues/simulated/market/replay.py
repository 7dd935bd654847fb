"""Playing recorded markets as if they happened now, in real time or faster, for ever.

A source yields frames: a time and the quotes of that moment. Times are rebased to now; every
round begins where the last one ended, so that a loop is no jump.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from portcullis.domain.events import Quote
from portcullis.domain.model import HOUR, SECOND
from portcullis.errors import UsageError
from portcullis.venues.simulated.chance import chance
from portcullis.venues.simulated.market.bridge import FEWEST_STEPS, day_path
from portcullis.venues.simulated.market.daily import SERIES, Series, shipped

SESSION = 13 * HOUR // 2
"""Length of the trading session a recorded daily bar stands for: 6.5 hours."""

INTERVAL = SECOND // 4
"""Time between two frames."""


class Frame(NamedTuple):
    """What the market says at `at` (microseconds)."""

    at: int
    quotes: list[Quote]


class Source(Protocol):
    """A market that can be played."""

    def frames(self, start: int) -> Iterator[Frame]:
        """Frames from `start` on, in order of time, without end."""


class DailyReplay:
    """Daily bars as intraday quotes, one tick wide, a frame every `interval` microseconds.

    `speed` is how much faster than recorded (a session lasts 6.5 h / speed); `first` and `days`
    pick the slice by number of day. Every day's open, high, low and close are played exactly.
    """

    def __init__(
        self,
        series: Sequence[Series] | None = None,
        *,
        seed: int = 0,
        speed: float = 60.0,
        interval: int = INTERVAL,
        first: int = 0,
        days: int | None = None,
    ) -> None:
        self.series = tuple(series or [shipped(name) for name in SERIES])
        count = min(len(one.bars) for one in self.series)
        last = count if days is None else first + days
        if speed <= 0 or interval < 1 or not 0 <= first < last <= count:
            raise UsageError(
                f"cannot play days {first} to {last} at speed {speed} every {interval} us",
                remedy=f"days lie in 0 to {count}; speed and interval are positive",
            )
        self.seed, self.interval, self.first, self.last = seed, interval, first, last
        self.steps = max(FEWEST_STEPS, round(SESSION / (interval * speed)))

    def path(self, name: str, day: int) -> list[int]:
        """The last prices of a day of a series, in ticks, `steps` + 1 of them."""
        one = next(s for s in self.series if s.name == name)
        return day_path(one.bars[day], self.steps, chance(self.seed, f"{name}/{day}"))

    def frames(self, start: int) -> Iterator[Frame]:
        offsets = dict.fromkeys((s.name for s in self.series), 0)
        before: dict[str, int] = {}
        number = 0
        while True:
            for day in range(self.first, self.last):
                paths = {s.name: self.path(s.name, day) for s in self.series}
                for step in range(self.steps + 1):
                    at = start + number * self.interval
                    quotes: list[Quote] = []
                    for one in self.series:
                        last = paths[one.name][step] + offsets[one.name]
                        quotes += self._quotes(one, last, before.get(one.name, last), at)
                        before[one.name] = last
                    yield Frame(at, quotes)
                    number += 1
            offsets = {s.name: self._offset(s, before[s.name]) for s in self.series}

    def _offset(self, one: Series, level: int) -> int:
        """What moves the slice to begin where the market stands, unless it would reach zero."""
        played = one.bars[self.first : self.last]
        offset = level - played[0].open
        return offset if min(bar.low for bar in played) + offset > 0 else 0

    @staticmethod
    def _quotes(one: Series, last: int, before: int, at: int) -> list[Quote]:
        bid = last if last <= before else last - 1
        return [Quote(i.id, bid, bid + 1, last, at) for i in one.instruments]


class RecordedReplay:
    """A person's own quotes, at their own pace divided by `speed`, rebased and looped."""

    def __init__(self, quotes: Sequence[Quote], *, speed: float = 1.0) -> None:
        if not quotes or speed <= 0:
            raise UsageError(
                f"cannot play {len(quotes)} quotes at speed {speed}",
                remedy="give at least one good row and a positive speed",
            )
        self.quotes = sorted(quotes, key=lambda quote: quote.quoted_at)
        self.speed = speed

    def frames(self, start: int) -> Iterator[Frame]:
        first = self.quotes[0].quoted_at
        while True:
            at = start
            for quote in self.quotes:
                at = start + round((quote.quoted_at - first) / self.speed)
                now = Quote(quote.instrument, quote.bid, quote.ask, quote.last, at)
                yield Frame(at, [now])
            start = at + INTERVAL
