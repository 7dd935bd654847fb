"""May the market data be relied on? The suite's outcomes, and what the suite cannot see."""

from __future__ import annotations

from collections.abc import Sequence

from checks import market_suite
from checks.quotes import Batch, batch, read_quotes
from checks.suites.outcomes import Outcome, graded
from checks.verdicts import Finding, Grade
from portcullis.config.settings import Settings
from portcullis.domain.events import SYSTEM
from portcullis.domain.model import HOUR, MINUTE, SECOND
from portcullis.domain.plan import AccountPlan, Plan
from portcullis.domain.session import Window, opening
from portcullis.domain.state import STATE_VERSION, thaw
from portcullis.store.reading import EventFilter, LedgerReader
from portcullis.wiring import configured_plan

# Futures trade from 17:00 to 16:00 Chicago time, Sunday to Friday.
HOURS = (Window("America/Chicago", 17 * 60, 16 * 60, (6, 0, 1, 2, 3)),)
EVERY_DAY = 7
SETTLING = 2 * MINUTE  # after an opening, or after the worker's start, nothing is overdue yet
DUE_WITHIN = 24 * HOUR


def check(settings: Settings, now: int, window_seconds: int = 300) -> Finding:
    """Judge the newest quotes of the ledger. Raises StoreError when it cannot be read."""
    plan = configured_plan(settings)
    if not is_open(plan, now):
        return Finding(Grade.PASS, "the exchange is closed; nothing is due", [])
    with LedgerReader(settings.home_path) as reader:
        rows = read_quotes(reader, now, window_seconds * SECOND)
        found = batch(rows, now, instruments_due(reader, now))
        if not found.rows and _just_started(reader, now):
            return Finding(Grade.EARLY, "the worker has just started; no quote yet", [])
    if settled(plan, now):
        return judge(found)
    return judge(Batch(found.rows, []))


def judge(found: Batch) -> Finding:
    """Empty batches first: most expectations hold of nothing at all."""
    if not found.rows:
        return Finding(Grade.EMPTY, "no quote in the window, and the exchange is open", [])
    return grade(found, market_suite.validate(found.rows))


def grade(found: Batch, outcomes: Sequence[Outcome]) -> Finding:
    """The verdict of a validation, and of what the suite cannot see."""
    instruments = len({row.instrument for row in found.rows})
    size = f"{len(found.rows)} quotes of {instruments} instruments"
    missing = [f"nothing from {name}" for name in found.missing]
    return graded(size, outcomes, market_suite.digest(), missing)


def is_open(plan: Plan, now: int) -> bool:
    """Whether any watched account could trade now."""
    return any(_opening(account, now)[0] for account in plan.accounts)


def settled(plan: Plan, now: int) -> bool:
    """Whether the market has been open long enough for a silence to mean something."""
    return any(_opening(a, now)[0] and _opening(a, now - SETTLING)[0] for a in plan.accounts)


def _opening(account: AccountPlan, at: int) -> tuple[bool, int | None]:
    if account.calendar is None and len(account.days) == EVERY_DAY:
        return True, None
    return opening(at, HOURS, account.calendar)


def instruments_due(reader: LedgerReader, now: int) -> list[str]:
    """Instruments that quoted within the last day, as the newest snapshot knows them."""
    snapshot = reader.latest_snapshot()
    if snapshot is None or snapshot.version != STATE_VERSION:
        return []
    quotes = thaw(snapshot.state).quotes
    return [name for name, quote in quotes.items() if quote.quoted_at > now - DUE_WITHIN]


def _just_started(reader: LedgerReader, now: int) -> bool:
    started = EventFilter(stream=SYSTEM, kinds=("worker_started",), since=now - SETTLING)
    return any(True for _ in reader.events(started, newest_first=True))
