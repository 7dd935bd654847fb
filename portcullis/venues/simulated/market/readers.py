"""Reading a person's own market data: CSV or Parquet with ticks, quotes or bars.

Columns are found by name, whatever their case and order:

- time: time, timestamp, ts, datetime, date, t (ISO-8601, or a whole number of seconds,
  milliseconds, microseconds or nanoseconds since 1970 UTC);
- quotes: bid, bid_price, bestbid, best_bid, b and ask, ask_price, bestask, best_ask, a
  (one side may be empty);
- bars: open, high, low, close (or o, h, l, c), stamped at their beginning;
- ticks: price, last, trade, p.

Bars win over quotes, quotes over ticks. A tick is quoted at its price and one tick above; a bar
becomes four quotes: open, the extreme the close is farther from, the other extreme, close.
"""

from __future__ import annotations

import csv
import importlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn
from zoneinfo import ZoneInfo

from portcullis.domain.events import DataFault, Quote
from portcullis.domain.model import MINUTE, SECOND, Instrument
from portcullis.errors import UsageError

ROW_BOUND = 5_000_000
"""Most rows of one file; more are refused."""

SHOWN = 20
"""Most faulty rows a refusal lists."""

NAMES: dict[str, tuple[str, ...]] = {
    "time": ("time", "timestamp", "ts", "datetime", "date", "t"),
    "bid": ("bid", "bid_price", "bestbid", "best_bid", "b"),
    "ask": ("ask", "ask_price", "bestask", "best_ask", "a"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "price": ("price", "last", "trade", "p"),
}
KINDS: dict[Literal["bars", "quotes", "ticks"], tuple[str, ...]] = {
    "bars": ("open", "high", "low", "close"),
    "quotes": ("bid", "ask"),
    "ticks": ("price",),
}
_UNITS = ((11, SECOND), (14, 1_000), (17, 1))


class Recording(NamedTuple):
    """What a file holds: quotes in order of time, and a fault for every row left out."""

    kind: Literal["bars", "quotes", "ticks"]
    quotes: list[Quote]
    faults: list[DataFault]


class _BadRow(Exception):
    """A row that must not be used: which column, and why."""


def read_market(
    path: Path,
    instrument: Instrument,
    *,
    on_bad: Literal["fault", "refuse"] = "fault",
    zone: str | None = None,
    bar_length: int = MINUTE,
) -> Recording:
    """Read a file of one instrument.

    Rows that are unreadable, off the tick, not positive or out of order become faults and are
    left out, or refuse the whole file (`on_bad`). Times without an offset are in `zone`; without
    a zone they are bad. `bar_length` is in microseconds. Raises UsageError naming file, line,
    column and what is allowed.
    """
    rows = _parquet_rows(path) if path.suffix.lower() == ".parquet" else _csv_rows(path)
    reader = _Reader(path, instrument, zone, bar_length)
    for line, row in rows:
        if line > ROW_BOUND:
            raise UsageError(f"{path} has more than {ROW_BOUND} rows", remedy="split the file")
        reader.take(line, row)
    if reader.kind is None:
        raise UsageError(f"{path} has no rows", remedy="give a file with a header and rows")
    if reader.faults and on_bad == "refuse":
        shown = "\n".join(fault.detail for fault in reader.faults[:SHOWN])
        raise UsageError(
            f"{len(reader.faults)} rows of {path} must not be used:\n{shown}",
            remedy="mend the rows named above, or let bad rows be left out as faults",
        )
    return Recording(reader.kind, reader.quotes, reader.faults)


class _Reader:
    """Turns rows into quotes, one by one."""

    def __init__(
        self, path: Path, instrument: Instrument, zone: str | None, bar_length: int
    ) -> None:
        self.path = path
        self.instrument = instrument
        self.zone = ZoneInfo(zone) if zone else None
        self.bar_length = bar_length
        self.tick = Decimal(instrument.tick_size)
        self.kind: Literal["bars", "quotes", "ticks"] | None = None
        self.columns: dict[str, str] = {}
        self.quotes: list[Quote] = []
        self.faults: list[DataFault] = []
        self.newest = 0

    def take(self, line: int, row: Mapping[str, Any]) -> None:
        if self.kind is None:
            self.kind, self.columns = _detect(self.path, row)
        try:
            at = self._time(row)
            quotes = self._quotes(at, row)
        except _BadRow as bad:
            detail = f"{self.path}:{line}: {bad}"
            self.faults.append(DataFault(str(self.path), self.instrument.id, detail))
            return
        self.newest = at
        self.quotes += quotes

    def _quotes(self, at: int, row: Mapping[str, Any]) -> list[Quote]:
        name = self.instrument.id
        if self.kind == "ticks":
            price = self._price("price", row)
            return [Quote(name, price, price + 1, price, at)]
        if self.kind == "quotes":
            bid, ask = (self._side(side, row) for side in ("bid", "ask"))
            if bid is None and ask is None:
                self._bad("bid", None, "a price on at least one side")
            return [Quote(name, bid, ask, None, at)]
        opened, high, low, close = (self._price(c, row) for c in KINDS["bars"])
        if not low <= min(opened, close) <= max(opened, close) <= high:
            self._bad("high", row[self.columns["high"]], "low <= open, close <= high")
        extremes = (low, high) if close >= opened else (high, low)
        step = self.bar_length // 4
        points = enumerate((opened, *extremes, close))
        return [Quote(name, p, p + 1, p, at + n * step) for n, p in points]

    def _side(self, column: str, row: Mapping[str, Any]) -> int | None:
        given = row[self.columns[column]]
        return None if given is None or given == "" else self._price(column, row)

    def _price(self, column: str, row: Mapping[str, Any]) -> int:
        given = row[self.columns[column]]
        try:
            ticks = Decimal(str(given).strip()) / self.tick
        except InvalidOperation:
            self._bad(column, given, "a decimal number")
        if not ticks.is_finite() or ticks <= 0:
            self._bad(column, given, "a price above 0")
        if ticks != ticks.to_integral_value():
            self._bad(column, given, f"a multiple of the tick {self.instrument.tick_size}")
        return int(ticks)

    def _time(self, row: Mapping[str, Any]) -> int:
        given = row[self.columns["time"]]
        at = self._micros(given)
        if at < self.newest:
            self._bad("time", given, "a time not before the row above")
        return at

    def _micros(self, given: Any) -> int:
        text = given.isoformat() if isinstance(given, date) else str(given).strip()
        if text.isdigit() and len(text) != len("yyyymmdd"):
            for digits, unit in _UNITS:
                if len(text) <= digits:
                    return int(text) * unit
            return int(text) // 1_000
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self._bad("time", given, "ISO-8601, or a whole number since 1970 UTC")
        if moment.tzinfo is None:
            if self.zone is None:
                self._bad("time", given, "a time with an offset, or a zone for the file")
            moment = moment.replace(tzinfo=self.zone)
        since = moment - datetime.combine(date(1970, 1, 1), time(), UTC)
        return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds

    def _bad(self, column: str, given: object, allowed: str) -> NoReturn:
        name = self.columns[column]
        raise _BadRow(f"column {name!r}: {given!r} is not allowed; allowed is {allowed}")


def _detect(
    path: Path, row: Mapping[str, Any]
) -> tuple[Literal["bars", "quotes", "ticks"], dict[str, str]]:
    given = {str(name).strip().lower(): str(name) for name in row}
    columns: dict[str, str] = {}
    for meaning, names in NAMES.items():
        found = next((given[name] for name in names if name in given), None)
        if found is not None:
            columns[meaning] = found
    for kind, needed in KINDS.items():
        if "time" in columns and all(name in columns for name in needed):
            return kind, columns
    raise UsageError(
        f"{path}:1: columns {', '.join(given.values())} are neither bars, quotes nor ticks",
        remedy="name the columns time and open, high, low, close; or time, bid, ask; "
        "or time, price",
    )


def _csv_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            for row in reader:
                yield reader.line_num, {k: v for k, v in row.items() if k is not None}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(path, error) from error


def _parquet_rows(path: Path) -> Iterable[tuple[int, Mapping[str, Any]]]:
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{path} is a Parquet file and pyarrow is not installed",
            remedy="install pyarrow, or give the data as CSV",
        ) from error
    try:
        number = 0
        for batch in parquet.ParquetFile(path).iter_batches():
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> UsageError:
    return UsageError(
        f"{path} cannot be read: {error}", remedy="give a readable UTF-8 CSV or Parquet file"
    )
