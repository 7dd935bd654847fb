"""Which trading days of an account are to be recorded, and what the ledger knew at their resets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from checks.record_store import Newest
from portcullis.domain.engine import Engine
from portcullis.domain.events import FACT_KINDS
from portcullis.domain.plan import AccountPlan
from portcullis.domain.session import TradingDay, trading_day
from portcullis.store.reading import LedgerReader
from portcullis.worker.recovery import begin, fact_of

MADE_UP_MAX = 40
"""Days of one account that are made up at most; what lies further back begins anew."""


class Due(NamedTuple):
    """A day to record: it begins with the reset at `reset_at` (us) and `follows` a recorded day."""

    account: str
    trading_day: str
    follows: str | None
    reset_at: int


def due_days(plan: AccountPlan, newest: Newest | None, now: int) -> list[Due]:
    """The days of an account that are to be recorded at `now`, oldest first; none when all are.

    Without a record it is the day that is under way. Where the days were cut otherwise when the
    newest was recorded (another reset, another calendar) they begin anew with that day too.
    """
    current = _day_at(plan, now)
    if newest is None:
        return [Due(plan.account, current.label, None, current.start)]
    if current.label <= newest.trading_day:
        return []
    found: list[Due] = []
    before = _day_at(plan, newest.reset_at)
    is_same_cut = (before.label, before.start) == (newest.trading_day, newest.reset_at)
    while is_same_cut and before.label < current.label and len(found) <= MADE_UP_MAX:
        following = _day_at(plan, before.end)
        found.append(Due(plan.account, following.label, before.label, following.start))
        before = following
    if not found or found[-1].trading_day != current.label:
        return [Due(plan.account, current.label, None, current.start)]
    return found


def _day_at(plan: AccountPlan, at: int) -> TradingDay:
    return trading_day(at, plan.zone, plan.reset_minute, plan.days, plan.calendar)


def engines_at(
    reader: LedgerReader, moments: Sequence[int], through: int
) -> Iterator[tuple[int, Engine]]:
    """The engine as it was at each moment (us, rising), folded from where the ledger begins.

    It is one engine: what is wanted of it must be taken before the next is asked for.
    """
    (engine, begins), waiting = begin(reader), list(moments)
    for stored in reader.read(after=begins, through=through):
        while waiting and stored.at > waiting[0]:
            yield waiting.pop(0), engine
        if not waiting:
            return
        if stored.kind in FACT_KINDS:
            engine.apply(stored.position, stored.at, fact_of(stored))
    for moment in waiting:
        yield moment, engine
