"""Events outside the ledger: as plain values, and as the lines of an export."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from portcullis.domain.events import LooseningHeld, RulesLoaded, decode
from portcullis.ports import StoredEvent
from portcullis.store.base import Base

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def as_plain(row: StoredEvent, *, whole: bool = False) -> dict[str, Any]:
    """An event as plain values; bytes as hexadecimal, a plan as its size unless `whole`."""
    moment = EPOCH + timedelta(microseconds=row.at)
    event = decode(row.payload)
    payload = msgspec.to_builtins(event, enc_hook=str)
    if isinstance(event, RulesLoaded | LooseningHeld):
        plan = msgspec.msgpack.decode(event.plan)
        payload["plan"] = plan if whole else f"{len(plan['accounts'])} accounts"
    return {
        "position": row.position,
        "stream": row.stream,
        "seq": row.seq,
        "at": moment.isoformat(timespec="microseconds"),
        "kind": row.kind,
        "version": row.version,
        "trace": row.trace,
        "payload": payload,
        "previous": row.previous.hex(),
        "hash": row.hash.hex(),
    }


def evidence_of(row: StoredEvent) -> bytes:
    """An event as it is stored, bytes in hexadecimal: what a verifier needs to hash it again."""
    values = {n: v.hex() if isinstance(v, bytes) else v for n, v in row._asdict().items()}
    return msgspec.json.encode(values) + b"\n"


def base_line(base: Base, note: str) -> bytes:
    """Where a ledger begins whose older events are in the archive."""
    streams = {name: (seq, digest.hex()) for name, (seq, digest) in base.streams.items()}
    told = {"position": base.position, "peaks": base.peaks.hex(), "streams": streams}
    return msgspec.json.encode({"base": {**told, "checkpoint": note}}) + b"\n"


def checkpoint_line(note: str) -> bytes:
    """A signed checkpoint, behind the events that it states."""
    return msgspec.json.encode({"checkpoint": note}) + b"\n"


def line_of(row: StoredEvent) -> bytes:
    """An event as a line of the export: JSON and a line feed; a plan stands in it whole."""
    return msgspec.json.encode(as_plain(row, whole=True)) + b"\n"
