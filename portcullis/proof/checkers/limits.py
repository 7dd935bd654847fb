"""The limits on a day's realized result: met by the fill that reaches them, whatever else is on."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

from portcullis.domain.events import LockEnded, LockSet, RulesLoaded, TradeReported
from portcullis.domain.plan import Plan, decode_plan
from portcullis.domain.rules import daily_realized_loss, daily_realized_profit
from portcullis.domain.strictness import rule_name
from portcullis.ports import StoredEvent
from portcullis.proof.checkers.days import resets
from portcullis.proof.checkers.record import Record

WEEK = 10 * 24 * 3600 * 1_000_000
Limits = list[tuple[int, int | None]]
Told = tuple[StoredEvent, TradeReported | LockSet | LockEnded]


def a_day_at_its_limit_is_locked_at_once(record: Record) -> Iterator[str]:
    """The fill that takes the day to its loss limit or profit target sets that rule's lock."""
    every: list[Told] = [*record.of(TradeReported), *record.of(LockSet), *record.of(LockEnded)]
    told: dict[str, list[Told]] = {}
    for row, event in sorted(every, key=lambda each: each[0].position):
        told.setdefault(event.account, []).append((row, event))
    loaded = [(row.position, decode_plan(event.plan)) for row, event in record.of(RulesLoaded)]
    for plan in record.story.plan.accounts:
        mine = told.get(plan.account, [])
        ends = [at for _, at in resets(plan, record.story.start - WEEK, record.rows[-1].at + WEEK)]
        for name, sign in ((daily_realized_loss.NAME, -1), (daily_realized_profit.NAME, 1)):
            limits = _limits(loaded, plan.account, name)
            for position, net in _unlocked(mine, ends, name, sign, limits):
                yield f"event {position} takes {plan.account} to {net} unlocked by {name}"


def _limits(loaded: list[tuple[int, Plan]], account: str, name: str) -> Limits:
    """From which event on which limit was in force; None: none."""
    found: Limits = []
    for position, plan in loaded:
        rules = next((each.rules for each in plan.accounts if each.account == account), ())
        params: Any = next((each for each in rules if rule_name(each) == name), None)
        limit = None if params is None else getattr(params, "limit", getattr(params, "target", 0))
        found.append((position, limit))
    return found


def _unlocked(
    told: list[Told], ends: list[int], rule: str, sign: int, limits: Limits
) -> Iterator[tuple[int, int]]:
    """Where `sign` times the day's result reaches the limit and no lock follows or stands."""
    nets: dict[str, tuple[int, int]] = {}
    standing: set[int] = set()
    waiting: tuple[int, int] | None = None
    for row, event in told:
        if isinstance(event, LockEnded):
            standing.discard(event.lock_id)
        elif isinstance(event, LockSet):
            if event.lock.rule == rule:
                standing.add(event.lock.id)
                # A lock says which fact it was set on: decisions stand directly behind it.
                if waiting is not None and event.lock.position == waiting[0]:
                    waiting = None
        else:
            if waiting is not None:
                yield waiting
            today = bisect_right(ends, row.at)
            before = sum(net for day, net in nets.values() if day == today)
            _count(nets, event, bisect_right(ends, event.executed_at))
            after = sum(net for day, net in nets.values() if day == today)
            limit = next((lim for at, lim in reversed(limits) if at < row.position), None)
            reached = limit is not None and sign * before < limit <= sign * after
            waiting = (
                (row.position, after) if reached and not standing and not event.voided else None
            )
    if waiting is not None:
        yield waiting


def _count(nets: dict[str, tuple[int, int]], trade: TradeReported, day: int) -> None:
    """Each trade once, with its costs; a voided one is nothing, whatever comes after it."""
    known = nets.get(trade.trade_id)
    if trade.voided:
        nets[trade.trade_id] = (day, 0)
    elif known is None:
        net = (trade.gross or 0) - trade.fees - trade.commission
        nets[trade.trade_id] = (day, net)
