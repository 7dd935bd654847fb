"""Exports: any number of events as JSON lines, CSV or Parquet, in little memory."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Literal

import msgspec

from portcullis.api.searching import shown
from portcullis.ports import StoredEvent

Form = Literal["jsonl", "csv", "parquet"]
MEDIA: dict[Form, str] = {
    "jsonl": "application/jsonl",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
CHUNK = 500
GROUP = 5_000
COLUMNS = (
    "position", "timestamp", "kind", "severity", "account", "stream", "seq", "trace", "payload",
    "hash",
)  # fmt: skip
NUMBERS = frozenset(("position", "seq"))
FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def export(events: Iterable[StoredEvent], form: Form) -> Iterator[bytes]:
    """The bytes of an export, some hundred events at a time."""
    makers = {"jsonl": _lines, "csv": _csv, "parquet": _parquet}
    return makers[form](iter(events))


def _chunks(events: Iterator[StoredEvent], size: int) -> Iterator[list[StoredEvent]]:
    while chunk := list(islice(events, size)):
        yield chunk


def _lines(events: Iterator[StoredEvent]) -> Iterator[bytes]:
    for chunk in _chunks(events, CHUNK):
        yield b"".join(msgspec.json.encode(shown(row)) + b"\n" for row in chunk)


def _csv(events: Iterator[StoredEvent]) -> Iterator[bytes]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for chunk in _chunks(events, CHUNK):
        for row in chunk:
            writer.writerow([_cell(value) for value in _flat(row).values()])
        yield _taken(text)
    yield _taken(text)


def _taken(text: io.StringIO) -> bytes:
    found = text.getvalue().encode()
    text.seek(0)
    text.truncate()
    return found


def _flat(row: StoredEvent) -> dict[str, Any]:
    """A row of cells: what is nested is JSON."""
    found = shown(row)
    found["payload"] = msgspec.json.encode(found["payload"]).decode()
    return found


def _cell(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula begins with an apostrophe."""
    if isinstance(value, str) and value.startswith(FORMULAS):
        return f"'{value}"
    return "" if value is None else value


class _Sink(io.RawIOBase):
    """What Parquet's writer writes to: it is taken away piece by piece."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._at = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._at += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._at

    def take(self) -> bytes:
        found = b"".join(self._pieces)
        self._pieces.clear()
        return found


def _parquet(events: Iterator[StoredEvent]) -> Iterator[bytes]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, pa.int64() if name in NUMBERS else pa.string()) for name in COLUMNS])
    sink = _Sink()
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for chunk in _chunks(events, GROUP):
            rows = [_flat(row) for row in chunk]
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
            yield sink.take()
    yield sink.take()
