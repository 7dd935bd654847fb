"""Quotes of the ledger as a bounded table, with the figures that the suite judges.

Built without pandas, so that what is judged can be tested without it: a list of rows, oldest
first. Prices are whole ticks, times microseconds.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice, pairwise
from typing import NamedTuple

import msgspec

from portcullis.domain.events import MARKET, Quote, decode
from portcullis.domain.model import SECOND
from portcullis.ports import StoredEvent
from portcullis.store.reading import EventFilter, LedgerReader

WINDOW = 300 * SECOND
ROWS_MAX = 6_000
ROLLING = 100  # steps an outlier is measured against
ROLLING_MIN = 20
STALE_TIMES = 10  # so many of an instrument's own slow gaps ...
STALE_LEAST = 20 * SECOND  # ... but never less than this
SLOW_GAP = 0.99  # quantile of the gaps between updates
GAP_TIMES = 10  # a gap is so many of the instrument's own usual ones ...
GAP_LEAST = 60 * SECOND  # ... but never less than this
USUAL_GAP = 0.9

OpenTime = Callable[[str, int, int], int]
"""For how long an instrument's market was open between two moments (us)."""


class QuoteRow(msgspec.Struct):
    """One quote with what is derived from it; a figure that cannot be had is None.

    `step_us` since the instrument's quote before, `ahead_us` of our clock, `crossed_run` how many
    crossed quotes in a row end here, `z` the price step against the `ROLLING` before it, `gap` the
    open time since the quote before over what is a gap of this instrument, `age` only on its newest
    row: its age over what is normal for it, while its market was open.
    """

    position: int
    instrument: str
    at: int
    quoted_at: int
    bid: int | None
    ask: int | None
    last: int | None
    step_us: int | None = None
    ahead_us: int = 0
    crossed_run: int = 0
    z: float | None = None
    gap: float | None = None
    age: float | None = None

    @property
    def mid(self) -> float | None:
        if self.bid is not None and self.ask is not None:
            return (self.bid + self.ask) / 2
        return self.last


class Batch(NamedTuple):
    """The rows of a window; `missing` are instruments that were due and have none."""

    rows: list[QuoteRow]
    missing: list[str]


def read_quotes(reader: LedgerReader, now: int, window: int = WINDOW) -> list[QuoteRow]:
    """The newest quotes, `ROWS_MAX` at most, oldest first."""
    newest = reader.events(EventFilter(stream=MARKET, kinds=("quote",)), newest_first=True)
    rows = []
    for stored in islice(newest, ROWS_MAX):
        if stored.at < now - window:
            break
        rows.append(row_of(stored))
    return rows[::-1]


def row_of(stored: StoredEvent) -> QuoteRow:
    """A stored quote as a row."""
    quote = decode(stored.payload)
    assert isinstance(quote, Quote)
    return QuoteRow(
        stored.position,
        quote.instrument,
        stored.at,
        quote.quoted_at,
        quote.bid,
        quote.ask,
        quote.last,
    )


def wall_time(_instrument: str, start: int, end: int) -> int:
    """Open time where a market never closes."""
    return end - start


def batch(
    rows: Sequence[QuoteRow], now: int, due: Iterable[str] = (), open_time: OpenTime = wall_time
) -> Batch:
    """Derive every figure; `due` are instruments that should be there."""
    by_instrument: dict[str, list[QuoteRow]] = defaultdict(list)
    for row in rows:
        row.ahead_us = row.quoted_at - row.at
        by_instrument[row.instrument].append(row)
    for each in by_instrument.values():
        _derive(each)
        _measure_silence(each, now, open_time)
    missing = sorted(set(due) - set(by_instrument))
    return Batch(list(rows), missing)


def _derive(rows: list[QuoteRow]) -> None:
    steps: deque[float] = deque(maxlen=ROLLING)
    before: QuoteRow | None = None
    for row in rows:
        crossed = row.bid is not None and row.ask is not None and row.bid > row.ask
        if before is not None:
            row.step_us = row.quoted_at - before.quoted_at
            if before.mid is not None and row.mid is not None:
                step = row.mid - before.mid
                row.z = z_score(step, steps)
                steps.append(step)
        row.crossed_run = (before.crossed_run if before else 0) + 1 if crossed else 0
        before = row


def _measure_silence(rows: list[QuoteRow], now: int, open_time: OpenTime) -> None:
    """Gaps between quotes and the age of the newest, in open time: a closed market owes none."""
    instrument = rows[0].instrument
    usual = quantile_gap(rows, USUAL_GAP)
    limit = max(GAP_LEAST, GAP_TIMES * usual)
    for before, row in pairwise(rows):
        step = row.at - before.at
        if step > limit:
            step = open_time(instrument, before.at, row.at)
        row.gap = step / limit
    newest = rows[-1]
    newest.age = open_time(instrument, newest.at, now) / normal_gap(rows)


def z_score(step: float, before: Sequence[float]) -> float | None:
    """How many standard deviations a step is from the steps before it; None with too few.

    A market that stood still has no spread to measure by: one tick counts as the least.
    """
    if len(before) < ROLLING_MIN:
        return None
    mean = sum(before) / len(before)
    variance = sum((each - mean) ** 2 for each in before) / len(before)
    return (step - mean) / max(math.sqrt(variance), 1.0)


def normal_gap(rows: Sequence[QuoteRow]) -> float:
    """How old a newest quote may be: `STALE_TIMES` the instrument's own slow gap."""
    return float(max(STALE_LEAST, STALE_TIMES * quantile_gap(rows, SLOW_GAP)))


def quantile_gap(rows: Sequence[QuoteRow], part: float) -> int:
    """The gap between quotes that so many of them do not exceed; 0 with fewer than two rows."""
    gaps = sorted(b.at - a.at for a, b in pairwise(rows))
    if not gaps:
        return 0
    return gaps[min(len(gaps) - 1, math.ceil(part * len(gaps)) - 1)]
