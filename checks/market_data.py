"""May the market data be relied on? The suite's outcomes, and what the suite cannot see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from checks import market_suite
from checks.market_hours import DEFAULT, EVERY_DAY, MarketHours
from checks.plan import plan_to_go_by
from checks.quotes import Batch, batch, read_quotes
from checks.suites.outcomes import SAMPLES, Outcome, graded
from checks.verdicts import Finding, Grade
from portcullis.config.settings import Settings
from portcullis.domain.events import SYSTEM
from portcullis.domain.model import HOUR, MINUTE, SECOND
from portcullis.domain.plan import AccountPlan, Plan
from portcullis.domain.session import opening
from portcullis.domain.state import STATE_VERSION, thaw
from portcullis.errors import StoreLocked
from portcullis.store.lock import WriterLock
from portcullis.store.opening import open_reader
from portcullis.store.reading import EventFilter, LedgerReader

LOCK_FILE = "market_data.lock"
SETTLING = 2 * MINUTE  # after an opening, or after the worker's start, nothing is overdue yet
DUE_WITHIN = 24 * HOUR  # of a market's open time
LOOK_BACK = 14 * 24 * HOUR


def check(settings: Settings, now: int, window_seconds: int = 300) -> Finding:
    """Judge the newest quotes of the ledger, where no other run is at it: a run whose time was up
    may still be. Raises StoreError when the ledger cannot be read.
    """
    settings.operations_path.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with WriterLock(settings.operations_path / LOCK_FILE):
            return _check(settings, now, window_seconds)
    except StoreLocked:
        return Finding(Grade.EARLY, "another run is judging; it leaves the verdict", [])


def _check(settings: Settings, now: int, window_seconds: int) -> Finding:
    plan = plan_to_go_by(settings)
    with open_reader(settings) as reader:
        known = known_instruments(reader)
        hours = MarketHours(plan, known.tickers)
        watched = still_quoted(known, hours, now)
        rows = read_quotes(reader, now, window_seconds * SECOND)
        if not rows and not _any_open(plan, hours, watched, now):
            return Finding(Grade.PASS, "every market is closed; nothing is due", [])
        if not rows and _just_started(reader, now):
            return Finding(Grade.EARLY, "the worker has just started; no quote yet", [])
    due = [each for each in watched if is_settled(hours, each, now)]
    if not rows and watched and not due:
        return Finding(Grade.PASS, "a market has just opened; nothing is overdue yet", [])
    found = judge(batch(rows, now, due, hours.open_time))
    return _with_unknown(found, hours.unknown({*watched, *(row.instrument for row in rows)}))


class Known(NamedTuple):
    """Instruments of the newest snapshot: tickers by id, and when each quoted last (us)."""

    tickers: dict[str, str]
    quoted_at: dict[str, int]


def known_instruments(reader: LedgerReader) -> Known:
    """What the ledger's newest snapshot knows; nothing where there is none of this version."""
    snapshot = reader.latest_snapshot()
    if snapshot is None or snapshot.version != STATE_VERSION:
        return Known({}, {})
    state = thaw(snapshot.state)
    return Known(
        {name: each.ticker for name, each in state.instruments.items()},
        {name: quote.quoted_at for name, quote in state.quotes.items()},
    )


def still_quoted(known: Known, hours: MarketHours, now: int) -> list[str]:
    """Instruments that quoted within the last `DUE_WITHIN` of their market's open time."""
    return [
        name
        for name, at in known.quoted_at.items()
        if at > now - LOOK_BACK and hours.open_time(name, at, now) < DUE_WITHIN
    ]


def is_settled(hours: MarketHours, instrument: str, now: int) -> bool:
    """Whether its market has been open long enough for a silence to mean something."""
    return hours.open_time(instrument, now - SETTLING, now) == SETTLING


def _any_open(plan: Plan, hours: MarketHours, watched: Sequence[str], now: int) -> bool:
    if watched:
        return any(hours.is_open(each, now) for each in watched)
    return is_open(plan, now)


def _with_unknown(found: Finding, unknown: Sequence[str]) -> Finding:
    """Say which products are judged by hours that may not be theirs; it changes no grade."""
    if not unknown:
        return found
    told = Outcome(
        "market.calendar.known",
        "info",
        False,
        True,
        len(unknown),
        "each product has a calendar; these are judged by the default hours",
        [{"instrument": name} for name in unknown[:SAMPLES]],
    )
    summary = f"{found.summary}; default hours for {', '.join(unknown[:SAMPLES])}"
    return found._replace(summary=summary, rows=[*found.rows, told._asdict()])


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
    """Whether any watched account could trade now, by the default hours and its own calendar."""
    return any(_is_open(account, now) for account in plan.accounts)


def _is_open(account: AccountPlan, at: int) -> bool:
    if account.calendar is None and len(account.days) == EVERY_DAY:
        return True
    return opening(at, DEFAULT, account.calendar)[0]


def _just_started(reader: LedgerReader, now: int) -> bool:
    started = EventFilter(stream=SYSTEM, kinds=("worker_started",), since=now - SETTLING)
    return any(True for _ in reader.events(started, newest_first=True))
