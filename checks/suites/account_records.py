"""The suites over what is recorded: the daily records of accounts, and the ledger's snapshots."""

from __future__ import annotations

from typing import Any

from checks.suites.expectations import between, findings, present, unique
from checks.suites.running import Suite

RECORDS = (
    "SELECT account, trading_day, follows, reset_at, taken_at, written_at, position, equity, "
    "opening, realized, open, positions, orders FROM account_records "
    "WHERE reset_at >= (SELECT since FROM bounds)"
)
STATES = "SELECT position, taken_at, version, length(state) AS state_bytes FROM snapshots"

_BY_ACCOUNT = """
(SELECT account, trading_day, follows, reset_at, taken_at, position,
 lag(trading_day) OVER days AS day_before, lag(reset_at) OVER days AS reset_before,
 lag(taken_at) OVER days AS taken_before, lag(position) OVER days AS position_before
 FROM b WINDOW days AS (PARTITION BY account ORDER BY trading_day))
"""
_RESETS = f"""
SELECT account, trading_day, reset_at, reset_before FROM {_BY_ACCOUNT}
WHERE follows IS NOT NULL AND reset_at <= reset_before
"""
_TIMES = f"""
SELECT account, trading_day, taken_at, taken_before FROM {_BY_ACCOUNT}
WHERE taken_at <= taken_before
"""
_POSITIONS = f"""
SELECT account, trading_day, position, position_before FROM {_BY_ACCOUNT}
WHERE position < position_before
"""
_MISSING = f"""
SELECT account, trading_day, follows, day_before FROM {_BY_ACCOUNT}
WHERE follows IS NOT NULL AND day_before IS NOT NULL AND follows <> day_before
"""
_WITHIN = """
SELECT account, trading_day, position, (SELECT head FROM bounds) AS head FROM b
WHERE position > (SELECT head FROM bounds) OR position < 1
"""
_AFTER_RESET = """
SELECT account, trading_day, reset_at, taken_at, written_at FROM b
WHERE taken_at < reset_at OR written_at < taken_at OR written_at > (SELECT now FROM bounds)
"""
_SUMS = """
SELECT account, trading_day, opening, realized, open, equity FROM b
WHERE equity <> opening + realized + open
"""
_STATES_IN_ORDER = """
SELECT position, taken_at, before FROM
(SELECT position, taken_at, lag(taken_at) OVER (ORDER BY position) AS before FROM b)
WHERE taken_at < before
"""
_STATES_WITHIN = """
SELECT position, (SELECT position FROM head) AS head FROM b
WHERE position > (SELECT position FROM head) OR position < 1
"""


def record_expectations() -> list[Any]:
    """What must hold of the records since the bound."""
    return [
        unique("day.unique", "one record per account and day", "account", "trading_day"),
        findings("day.in_order", "each reset is later than the one before", _RESETS),
        findings("time.in_order", "each record is of a later moment than the last", _TIMES),
        findings("time.after_reset", "a record is taken after its reset", _AFTER_RESET),
        findings("day.none_missing", "no day is missing between two records", _MISSING),
        findings("position.growing", "a later record is not of an earlier event", _POSITIONS),
        findings("position.within_ledger", "a record is of an event of this ledger", _WITHIN),
        present("equity.known", "every record knows the equity", "equity"),
        findings("equity.sum", "equity is what the day opened with and all profit", _SUMS),
        between("positions.not_negative", "no count of positions is negative", "positions", 0),
        between("orders.not_negative", "no count of orders is negative", "orders", 0),
    ]


def state_expectations() -> list[Any]:
    """What must hold of the folded states that the ledger keeps."""
    return [
        unique("state.unique", "one state per position", "position"),
        findings("state.in_order", "states grow in time as in position", _STATES_IN_ORDER),
        findings("state.within_ledger", "a state is of an event of this ledger", _STATES_WITHIN),
        between("state.version", "versions of states count from 1", "version", 1),
        between("state.present", "no state is empty", "state_bytes", 1),
    ]


ACCOUNT_RECORDS = Suite("account.records", RECORDS, ("account", "trading_day"), record_expectations)
LEDGER_STATES = Suite("ledger.states", STATES, ("position",), state_expectations)
