"""Coming back: the state is the newest snapshot and the facts after it, nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, cast

import msgspec

from portcullis.domain.engine import Engine
from portcullis.domain.events import FACT_KINDS, AnyFact, CommandIssued, decode
from portcullis.domain.state import STATE_VERSION, State, thaw
from portcullis.errors import StoreError
from portcullis.ports import Records, Snapshot, StoredEvent

OLDEST_BASE = 7
"""State grows by fields with defaults alone from this version on: what a ledger begins with cannot
be folded anew. A change of meaning needs a step here that brings older states up to it.
"""


class Recovered(NamedTuple):
    """An engine at the end of the ledger, and how it got there."""

    engine: Engine
    snapshot_position: int
    folded: int
    clean: bool
    is_new: bool


def recover(ledger: Records) -> Recovered:
    """Fold the ledger; raises StoreError when an event cannot be understood."""
    snapshot = _usable(ledger.latest_snapshot())
    if snapshot is not None:
        engine, start = Engine(thaw(snapshot.state)), snapshot.position
    else:
        engine, start = begin(ledger)
    folded, last_kind = 0, ""
    for stored in ledger.read(after=start):
        last_kind = stored.kind
        if stored.kind in FACT_KINDS:
            engine.apply(stored.position, stored.at, fact_of(stored))
            folded += 1
    if not last_kind:
        last_kind = _last_kind(ledger)
    return Recovered(engine, start, folded, last_kind == "worker_stopped", start == folded == 0)


def begin(records: Records) -> tuple[Engine, int]:
    """An engine with the state that a ledger begins with, and where that is: nothing at all, or
    what the archived events amounted to. Raises StoreError where that cannot be read.
    """
    base = records.beginning()
    if base is None:
        return Engine(), 0
    try:
        if not OLDEST_BASE <= base.version <= STATE_VERSION:
            raise ValueError(f"it is of version {base.version}")  # noqa: TRY301
        return Engine(thaw(base.state)), base.position
    except (ValueError, msgspec.MsgspecError) as error:
        raise StoreError(
            f"the state that the ledger begins with, at event {base.position}, cannot be read: "
            f"{error}",
            remedy="use the version that wrote it; `portcullis archive` keeps what is before",
        ) from error


def _usable(snapshot: Snapshot | None) -> Snapshot | None:
    """A snapshot of another state version is passed over: the whole ledger is folded instead."""
    return snapshot if snapshot and snapshot.version == STATE_VERSION else None


def _last_kind(ledger: Records) -> str:
    head = ledger.head()
    newest = list(ledger.read(after=head.position - 1)) if head.position else []
    return newest[0].kind if newest else ""


def fact_of(stored: StoredEvent) -> AnyFact:
    """The fact of a stored event; raises StoreError when it cannot be read."""
    try:
        return cast("AnyFact", decode(stored.payload))
    except msgspec.MsgspecError as error:
        raise StoreError(
            f"event {stored.position} ({stored.kind}) cannot be read: {error}",
            remedy="was the ledger written by a newer version? run `portcullis ledger verify`",
        ) from error


def unfinished(state: State) -> Iterator[tuple[CommandIssued, str]]:
    """Commands without an outcome, to be taken up again, oldest first, with their trace."""
    rows = [
        (pending, account.id)
        for account in state.accounts.values()
        for pending in account.pending.values()
    ]
    for pending, account_id in sorted(rows, key=lambda row: (row[0].issued_at, row[0].key)):
        issued = CommandIssued(
            account_id, pending.key, pending.command, pending.rules, pending.issued_at
        )
        yield issued, pending.key
