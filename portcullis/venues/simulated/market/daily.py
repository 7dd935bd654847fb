"""Recorded daily bars that ship with the simulator: S&P 500 and NASDAQ Composite, 2017-2018.

The indices stand in for their futures: S&P 500 for ES and MES, NASDAQ for NQ and MNQ. Prices are
moved to the nearest tick. Source and licence: `data/LICENCE.md`.
"""

from __future__ import annotations

import csv
from decimal import Decimal
from importlib import resources
from typing import NamedTuple

from portcullis.domain.model import Instrument
from portcullis.errors import NotFound
from portcullis.venues.simulated.contracts import instrument

SERIES: dict[str, tuple[str, ...]] = {"sp500": ("ES", "MES"), "nasdaq": ("NQ", "MNQ")}
"""Shipped series -> the tickers it moves; they have the same tick size."""


class Bar(NamedTuple):
    """A bar in ticks."""

    day: str
    open: int
    high: int
    low: int
    close: int


class Series(NamedTuple):
    """Bars, oldest first, and the instruments that move with them."""

    name: str
    bars: tuple[Bar, ...]
    instruments: tuple[Instrument, ...]


def shipped(name: str) -> Series:
    """One of the shipped series; raises NotFound naming what exists."""
    if name not in SERIES:
        raise NotFound(f"no recorded series {name!r}", remedy="use one of " + ", ".join(SERIES))
    instruments = tuple(instrument(ticker) for ticker in SERIES[name])
    tick = Decimal(instruments[0].tick_size)
    source = resources.files("portcullis.venues.simulated.market") / "data" / f"{name}.csv"
    with source.open(encoding="ascii") as lines:
        bars = tuple(_bar(row, tick) for row in csv.DictReader(lines))
    return Series(name, bars, instruments)


def _bar(row: dict[str, str], tick: Decimal) -> Bar:
    prices = [round(Decimal(row[column]) / tick) for column in ("open", "high", "low", "close")]
    bar = Bar(row["date"], *prices)
    assert 0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
    return bar
