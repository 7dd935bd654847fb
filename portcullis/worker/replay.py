"""Replaying the ledger: the facts are folded anew and every decision is derived again.

What comes out must be what was recorded, byte for byte. A replay that compared nothing proves
nothing, so the count of what was compared is part of the answer.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from portcullis.domain.engine import Engine
from portcullis.domain.events import FACT_KINDS, account_stream, encode, kind_of, stream_of
from portcullis.ports import Records, StoredEvent
from portcullis.worker.recovery import begin, fact_of

DIFFERENCES_MAX = 100


class Difference(NamedTuple):
    """A decision that differs: where, what was recorded, what the facts lead to."""

    position: int
    stream: str
    recorded: str
    derived: str


class Replayed(NamedTuple):
    """The outcome of a replay; `compared` counts decisions by kind."""

    through: int
    facts: int
    compared: dict[str, int]
    differences: list[Difference]

    @property
    def agrees(self) -> bool:
        return not self.differences and sum(self.compared.values()) > 0


def replay(
    records: Records,
    account: str | None = None,
    *,
    engine: Engine | None = None,
    after: int = 0,
    through: int | None = None,
) -> Replayed:
    """Fold from the first event; compare the decisions of one account, or of all streams.

    Without an `engine` it begins where the ledger begins. To go on from an earlier replay, give
    its engine and, as `after`, its `through`; the engine is folded on in place. `through` must be
    the end of a commit, such as a head.
    """
    wanted = account_stream(account) if account else None
    if engine is None:
        engine, after = begin(records)
    derived: list[tuple[str, bytes, str]] = []
    compared: Counter[str] = Counter()
    differences: list[Difference] = []
    facts, position = 0, after
    for row in records.read(after=after, through=through):
        position = row.position
        if row.kind in FACT_KINDS:
            differences += _left_over(derived, row.position, wanted)
            decisions = engine.apply(row.position, row.at, fact_of(row))
            derived = [(stream_of(d), encode(d), kind_of(d)) for d in decisions]
            facts += 1
            continue
        difference = _compare(row, derived.pop(0) if derived else None)
        if wanted is None or row.stream == wanted:
            compared[row.kind] += 1
            if difference is not None and len(differences) < DIFFERENCES_MAX:
                differences.append(difference)
    differences += _left_over(derived, position + 1, wanted)
    return Replayed(position, facts, dict(sorted(compared.items())), differences[:DIFFERENCES_MAX])


def _compare(row: StoredEvent, derived: tuple[str, bytes, str] | None) -> Difference | None:
    if derived is not None and derived[:2] == (row.stream, row.payload):
        return None
    says = "nothing" if derived is None else f"{derived[2]} in {derived[0]}"
    return Difference(row.position, row.stream, row.kind, says)


def _left_over(
    derived: list[tuple[str, bytes, str]], position: int, wanted: str | None
) -> list[Difference]:
    return [
        Difference(position, stream, "nothing", kind)
        for stream, _, kind in derived
        if wanted in (None, stream)
    ]
