"""The limits on a day's realized result: met by the fill that reaches them, whatever else is on."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from portcullis.domain.events import FACT_KINDS, LockEnded, LockSet, TradeReported
from portcullis.domain.plan import AccountPlan
from portcullis.domain.rules import daily_realized_loss, daily_realized_profit
from portcullis.proof.checkers.days import resets
from portcullis.proof.checkers.record import Record

WEEK = 10 * 24 * 3600 * 1_000_000


def a_day_at_its_limit_is_locked_at_once(record: Record) -> Iterator[str]:
    """The fill that takes the day to its loss limit or profit target sets that rule's lock."""
    for plan in record.story.plan.accounts:
        for rule in plan.rules:
            if isinstance(rule, daily_realized_loss.Params):
                yield from _unlocked(record, plan, daily_realized_loss.NAME, -1, rule.limit)
            elif isinstance(rule, daily_realized_profit.Params):
                yield from _unlocked(record, plan, daily_realized_profit.NAME, 1, rule.target)


def _unlocked(record: Record, plan: AccountPlan, rule: str, sign: int, limit: int) -> Iterator[str]:
    """Where `sign` times the day's result reaches the limit and no lock follows or stands."""
    ends = [at for _, at in resets(plan, record.story.start - WEEK, record.rows[-1].at + WEEK)]
    nets: dict[str, tuple[int, int]] = {}
    standing: set[int] = set()
    waiting: tuple[int, int] | None = None
    for row, event in record.events:
        if row.stream != f"account/{plan.account}" and row.kind not in FACT_KINDS:
            continue
        if row.kind in FACT_KINDS and waiting is not None:
            yield f"event {waiting[0]} takes {plan.account} to {waiting[1]} unlocked by {rule}"
            waiting = None
        if isinstance(event, LockSet) and event.account == plan.account and event.lock.rule == rule:
            standing.add(event.lock.id)
            waiting = None
        elif isinstance(event, LockEnded) and event.account == plan.account:
            standing.discard(event.lock_id)
        elif isinstance(event, TradeReported) and event.account == plan.account:
            today = bisect_right(ends, row.at)
            before = sum(net for day, net in nets.values() if day == today)
            _count(nets, event, bisect_right(ends, event.executed_at))
            after = sum(net for day, net in nets.values() if day == today)
            if sign * before < limit <= sign * after and not standing and not event.voided:
                waiting = (row.position, after)


def _count(nets: dict[str, tuple[int, int]], trade: TradeReported, day: int) -> None:
    """Each trade once, with its costs; a voided one is nothing, whatever comes after it."""
    known = nets.get(trade.trade_id)
    if trade.voided:
        nets[trade.trade_id] = (day, 0)
    elif known is None:
        net = (trade.gross or 0) - trade.fees - trade.commission
        nets[trade.trade_id] = (day, net)
