"""Limits: whatever the files said, nothing was loosened but by who may, in its time, untripped."""

from __future__ import annotations

from collections.abc import Iterator

from portcullis.domain.events import (
    DayRolled,
    LockEnded,
    LockSet,
    LooseningDropped,
    LooseningHeld,
    RequestAnswered,
    RequestReceived,
    RulesLoaded,
)
from portcullis.domain.model import SECOND
from portcullis.domain.plan import AccountPlan, Plan, decode_plan
from portcullis.domain.strictness import rule_name, stricter
from portcullis.proof.checkers.record import Record

OVERDUE = 3 * SECOND


class _Book:
    """What waits, whose day has begun since, and which rules hold a lock, event by event."""

    def __init__(self) -> None:
        self.plan: Plan | None = None
        self.held: Plan | None = None
        self.rolled: dict[str, int] = {}
        self.locks: dict[tuple[str, int], str] = {}
        self.ended: dict[str, int] = {}

    def take(self, at: int, event: object) -> None:
        if isinstance(event, LooseningHeld):
            self.held, self.rolled = decode_plan(event.plan), {}
        elif isinstance(event, LooseningDropped):
            self.held = None
        elif isinstance(event, DayRolled):
            self.rolled[event.account] = at
        elif isinstance(event, LockSet) and event.lock.ends != "config":
            self.locks[event.account, event.lock.id] = event.lock.rule
        elif isinstance(event, LockEnded):
            self.locks.pop((event.account, event.lock_id), None)
            self.ended[event.account] = at
        elif isinstance(event, RulesLoaded):
            self.plan = decode_plan(event.plan)
            self.held = None if self.held == self.plan else self.held

    def locked_by(self, account: str) -> set[str]:
        return {rule for (name, _), rule in self.locks.items() if name == account}


def nothing_is_loosened_out_of_turn(record: Record) -> Iterator[str]:
    """A limit that became looser had been asked for, its session was over, its rule not tripped."""
    book, withdrawn = _Book(), ""
    for row, event in record.events:
        if isinstance(event, RulesLoaded) and book.plan is not None:
            before = {each.account: each for each in book.plan.accounts}
            after = {each.account: each for each in decode_plan(event.plan).accounts}
            for name, old in before.items():
                for rule in _loosened(old, after.get(name)):
                    why = _out_of_turn(book, name, rule)
                    if why:
                        yield f"event {row.position} loosens {rule} of {name}: {why}"
        if isinstance(event, RequestReceived) and event.verb == "withdraw":
            withdrawn = event.request_id
        if isinstance(event, RequestAnswered) and event.request_id == withdrawn:
            book.held = None
        book.take(row.at, event)


def _loosened(old: AccountPlan, new: AccountPlan | None) -> list[str]:
    """The rules, and `frame` for the rest, that let through more than before."""
    if new is None:
        return ["frame"]
    tight = {rule_name(each): each for each in stricter(old, new).rules}
    now = {rule_name(each): each for each in new.rules}
    found = [name for name, each in tight.items() if now.get(name) != each]
    framed = _frame(stricter(old, new)) != _frame(new)
    return [*found, "frame"] if framed else found


def _frame(plan: AccountPlan) -> tuple[object, ...]:
    """An account's settings without its rules."""
    return tuple(getattr(plan, name) for name in plan.__struct_fields__ if name != "rules")


def _out_of_turn(book: _Book, account: str, rule: str) -> str:
    if book.held is None:
        return "nobody had asked for it"
    if account not in book.rolled:
        return "its session was not over"
    if rule in book.locked_by(account):
        return "its rule held a lock"
    return ""


def what_waits_comes_into_force(record: Record) -> Iterator[str]:
    """After the calm nothing waits whose session is over and whose account is free of trouble."""
    state = record.outcome.state
    if not record.is_settled or state is None or state.system.loosening is None:
        return
    book = _Book()
    for row, event in record.events:
        book.take(row.at, event)
    last = record.rows[-1].at
    wanted = {e.account: e for e in decode_plan(state.system.loosening.plan).accounts}
    for each in decode_plan(state.plan).accounts:
        name, account = each.account, state.accounts[each.account]
        since = max(book.rolled.get(name, last), book.ended.get(name, 0))
        free = not account.locks and not account.breaches
        if free and since + OVERDUE < last and wanted.get(name) != each and name in book.rolled:
            yield f"{name} waits for limits that are due since {(last - since) // SECOND} s"
