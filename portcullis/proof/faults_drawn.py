"""What goes wrong in a story: a few kinds of fault per seed, each several times."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Literal

from portcullis.domain.model import MINUTE, SECOND
from portcullis.domain.plan import Plan
from portcullis.proof import story
from portcullis.proof.story import AnyAct, Ending
from portcullis.venues.simulated import Fault
from portcullis.venues.simulated.faults import FaultKind

CALLS = (
    "*",
    "close_position",
    "reduce_position",
    "cancel_order",
    "place_order",
    "modify_order",
    "positions",
    "orders",
    "order_by_key",
)
CALL_KINDS: tuple[FaultKind, ...] = (
    "drop",
    "timeout_before",
    "timeout_after",
    "disconnect",
    "reject",
    "delay",
)
EVENTS = ("*", "trade_reported", "order_reported", "position_reported", "account_reported", "quote")
EVENT_KINDS: tuple[FaultKind, ...] = (
    "drop",
    "duplicate",
    "reorder",
    "delay",
    "freeze",
    "disconnect",
)
EVERY = 200 * SECOND
"""Mean time between two faults of one kind."""
RARER_MAX = 12
"""A long day still has one of each kind drawn every forty minutes."""

Lot = random.Random
Draw = Callable[[Lot, int, Plan, tuple[str, ...]], AnyAct]


def draw(lot: Lot, plan: Plan, tickers: tuple[str, ...], lasting: int, rarer: int) -> list[AnyAct]:
    """The faults of a seed, in the order of their kinds; `rarer` times the mean pause apart."""
    rarer = min(rarer, RARER_MAX)
    chosen = sorted(lot.sample(range(len(_KINDS)), lot.randint(2, 7)))
    acts: list[AnyAct] = []
    for number in chosen:
        at = lot.randrange(2 * EVERY * rarer)
        while at < lasting:
            acts.append(_KINDS[number](lot, at, plan, tickers))
            at += 1 + int(lot.expovariate(1 / EVERY) * rarer)
    return acts + _unanswered(lot, lasting)


def _unanswered(lot: Lot, lasting: int) -> list[AnyAct]:
    """In some stories opening orders go without an answer: what must never be sent twice."""
    if lot.random() < 0.7:
        return []
    moments = [lot.randrange(lasting) for _ in range(4)]
    return [story.Hinder(at, Fault("call", "timeout_after", on="place_order")) for at in moments]


def _span(lot: Lot) -> int:
    return lot.choice((SECOND, 15 * SECOND, MINUTE, 4 * MINUTE))


def _account(lot: Lot, plan: Plan) -> str:
    return lot.choice(plan.accounts).account


def _kill(lot: Lot, at: int, plan: Plan, tickers: tuple[str, ...]) -> AnyAct:
    how: Ending = lot.choice(("kill", "kill", "power", "stop"))
    down = lot.choice((0, SECOND, 30 * SECOND, 3 * MINUTE))
    commit: Literal["lost", "durable"] = lot.choice(("lost", "durable"))
    return story.End(at, how, down, commit)


def _call(lot: Lot, at: int, plan: Plan, tickers: tuple[str, ...]) -> AnyAct:
    kind, count = lot.choice(CALL_KINDS), lot.choice((1, 1, 2, 5))
    return story.Hinder(at, Fault("call", kind, on=lot.choice(CALLS), count=count))


def _event(lot: Lot, at: int, plan: Plan, tickers: tuple[str, ...]) -> AnyAct:
    kind, count = lot.choice(EVENT_KINDS), lot.choice((1, 1, 3))
    return story.Hinder(at, Fault("event", kind, on=lot.choice(EVENTS), count=count))


def _outage(lot: Lot, at: int, plan: Plan, tickers: tuple[str, ...]) -> AnyAct:
    """No connection can be made for a while; the next cut begins it."""
    kind: FaultKind = lot.choice(("drop", "timeout_before"))
    return story.Hinder(at, Fault("call", kind, on="connect", count=lot.choice((1, 4, 12))))


def _cut(lot: Lot, at: int, plan: Plan, tickers: tuple[str, ...]) -> AnyAct:
    return story.Cut(at)


def _jump(lot: Lot, at: int, plan: Plan, tickers: tuple[str, ...]) -> AnyAct:
    return story.Jump(at, lot.choice(tickers), lot.choice((-80, -25, 25, 80)))


def _silence(lot: Lot, at: int, plan: Plan, tickers: tuple[str, ...]) -> AnyAct:
    if lot.random() < 0.5:
        return story.Silence(at, "operations", lot.choice((MINUTE, 4 * MINUTE)))
    return story.Silence(at, lot.choice(tickers), _span(lot))


def _failing(lot: Lot, at: int, plan: Plan, tickers: tuple[str, ...]) -> AnyAct:
    return story.Fail(at, "operations")


def _forbid(lot: Lot, at: int, plan: Plan, tickers: tuple[str, ...]) -> AnyAct:
    return story.Forbid(at, _account(lot, plan), _span(lot))


def _bust(lot: Lot, at: int, plan: Plan, tickers: tuple[str, ...]) -> AnyAct:
    return story.Bust(at, _account(lot, plan))


def _halt(lot: Lot, at: int, plan: Plan, tickers: tuple[str, ...]) -> AnyAct:
    return story.Halt(at, lot.choice(tickers), _span(lot))


def _refuse(lot: Lot, at: int, plan: Plan, tickers: tuple[str, ...]) -> AnyAct:
    return story.RefuseClose(at, _account(lot, plan), _span(lot))


def _clock(lot: Lot, at: int, plan: Plan, tickers: tuple[str, ...]) -> AnyAct:
    return story.StepClock(at, lot.choice((-3_600, -5, 5, 3_600)) * SECOND, _span(lot))


def _disk(lot: Lot, at: int, plan: Plan, tickers: tuple[str, ...]) -> AnyAct:
    return story.DiskFails(at, _span(lot))


def _person(lot: Lot, at: int, plan: Plan, tickers: tuple[str, ...]) -> AnyAct:
    verb = lot.choice(("lock", "lock", "release", "flatten", "observe", "open"))
    for_us = lot.choice((None, _span(lot))) if verb == "lock" else None
    admin, twice = lot.random() < 0.6, lot.random() < 0.3
    return story.Ask(at, verb, _account(lot, plan), admin, twice, for_us)


_KINDS: tuple[Draw, ...] = (
    _kill,
    _kill,
    _call,
    _call,
    _event,
    _cut,
    _outage,
    _jump,
    _silence,
    _failing,
    _forbid,
    _bust,
    _halt,
    _refuse,
    _clock,
    _disk,
    _person,
)
