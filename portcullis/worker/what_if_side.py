"""One engine of a what-if: what it decides on the facts, counted by account and rule, in money."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec

from portcullis.domain.commands import (
    CancelOrder,
    CancelOrders,
    Close,
    Flatten,
    MoveStop,
    PlaceStop,
    Reduce,
)
from portcullis.domain.engine import Engine
from portcullis.domain.events import (
    AnyDecision,
    AnyFact,
    BreachFound,
    CommandIssued,
    LockEnded,
    LockSet,
    ProposalAnswered,
    ProposalReceived,
    TradeReported,
)
from portcullis.domain.model import Lock
from portcullis.domain.state import Position

COUNTED: dict[type, str] = {
    Flatten: "flatten",
    Close: "close",
    Reduce: "reduce",
    CancelOrders: "cancel",
    CancelOrder: "cancel",
    PlaceStop: "stops",
    MoveStop: "stops",
}


class Tally(msgspec.Struct):
    """What one rule came to on one account. `locked` in microseconds, `kept` in micro-units.

    A command that answers several rules counts for each of them.
    """

    breaches: int = 0
    flatten: int = 0
    close: int = 0
    reduce: int = 0
    cancel: int = 0
    stops: int = 0
    locks: int = 0
    locked: int = 0
    denied: int = 0
    denied_contracts: int = 0
    kept: int = 0


class Answers(msgspec.Struct):
    """What the gate answered on one account."""

    approved: int = 0
    approved_contracts: int = 0
    denied: int = 0
    denied_contracts: int = 0


class Ended(msgspec.Struct):
    """A position that was to be ended or made smaller: once, until it is really flat.

    `size` is what was held, `part` how many contracts were to go. `open` is the open profit of
    that part at the decision, `came_to` what the same number of contracts brought that were really
    closed first after it; what was never closed counts at its last price. Money in micro-units
    before costs.
    """

    account: str
    instrument: str
    ticker: str
    command: str
    rules: tuple[str, ...]
    position: int
    at: int
    size: int
    part: int
    open: int
    came_to: int = 0
    left: int = 0
    until: int | None = None

    @property
    def kept(self) -> int:
        """What ending it then would have kept; negative: what it would have given up."""
        return self.open - self.came_to

    @property
    def still_open(self) -> bool:
        return self.left > 0 and self.until is None


class Side:
    """An engine, and what it decided. The book it holds is the recorded one."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.tallies: dict[tuple[str, str], Tally] = defaultdict(Tally)
        self.answers: dict[str, Answers] = defaultdict(Answers)
        self.ended: list[Ended] = []
        self._open: dict[tuple[str, str], Ended] = {}
        self._late: dict[tuple[str, str], list[Ended]] = {}
        self._taken: dict[str, tuple[Ended, int, int]] = {}
        self._locks: dict[tuple[str, int], Lock] = {}
        self._locked: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)

    def fold(self, position: int, at: int, fact: AnyFact) -> Sequence[AnyDecision]:
        """Apply a fact and count what is decided."""
        decisions = self.engine.apply(position, at, fact)
        self._follow(fact)
        for each in decisions:
            self._count(each, position, at, fact)
        return decisions

    def close(self) -> None:
        """End the account: locks that stand are counted to now, open positions at their price."""
        now, accounts = self.engine.state.now, self.engine.state.accounts
        for (account, _), lock in self._locks.items():
            self._note_locked(account, lock, now)
        for key, spans in self._locked.items():
            self.tallies[key].locked = _union(spans)
        for each in self.ended:
            held = accounts[each.account].positions.get(each.instrument)
            if each.still_open and held is not None:
                each.came_to += held.pnl * each.left // abs(held.size)
            for rule in each.rules:
                self.tallies[each.account, rule].kept += each.kept

    # --- what became of positions ---------------------------------------------------------------

    def _follow(self, fact: AnyFact) -> None:
        """Give a closing fill to what was to be ended, and note what is flat."""
        if isinstance(fact, TradeReported):
            self._take(fact)
        for key, each in list(self._open.items()):
            held = self.engine.world.accounts[each.account].positions.get(each.instrument)
            if held is None or held.size * each.size < 0:
                when: Any = getattr(fact, "executed_at", None) or getattr(fact, "as_of", None)
                each.until = when or self.engine.world.now
                self._late.setdefault(key, []).append(self._open.pop(key))

    def _take(self, fact: TradeReported) -> None:
        if fact.voided:
            taken = self._taken.pop(fact.trade_id, None)
            if taken is not None:
                taken[0].left += taken[1]
                taken[0].came_to -= taken[2]
        elif fact.gross is not None and fact.trade_id not in self._taken:
            for each in self._candidates(fact.account, fact.instrument):
                if each.left and (each.until is None or fact.executed_at <= each.until):
                    count = min(each.left, fact.size)
                    share = fact.gross * count // min(fact.size, abs(each.size))
                    self._taken[fact.trade_id] = (each, count, share)
                    each.left -= count
                    each.came_to += share
                    return

    def _candidates(self, account: str, instrument: str) -> list[Ended]:
        key = (account, instrument)
        return self._late.get(key, [])[-1:] + ([self._open[key]] if key in self._open else [])

    def _end(self, issued: CommandIssued, position: int, at: int) -> None:
        command = issued.command
        account = self.engine.state.accounts[issued.account]
        for held in list(account.positions.values()):
            key, part = (account.id, held.instrument), _part(command, held)
            if not part or key in self._open:
                continue
            listed = self.engine.world.instruments.get(held.instrument)
            self._open[key] = Ended(
                account.id,
                held.instrument,
                listed.ticker if listed else held.instrument,
                COUNTED[type(command)],
                issued.rules,
                position,
                at,
                held.size,
                part,
                held.pnl * part // abs(held.size),
                left=part,
            )
            self.ended.append(self._open[key])

    # --- counting -------------------------------------------------------------------------------

    def _count(self, decision: AnyDecision, position: int, at: int, fact: AnyFact) -> None:
        if isinstance(decision, BreachFound):
            self.tallies[decision.account, decision.rule].breaches += 1
        elif isinstance(decision, CommandIssued):
            self._count_command(decision, position, at)
        elif isinstance(decision, LockSet):
            self.tallies[decision.account, decision.lock.rule].locks += 1
            self._locks[decision.account, decision.lock.id] = decision.lock
        elif isinstance(decision, LockEnded):
            self._note_locked(
                decision.account, self._locks.pop((decision.account, decision.lock_id)), at
            )
        elif isinstance(decision, ProposalAnswered) and isinstance(fact, ProposalReceived):
            self._count_answer(decision, fact)

    def _count_command(self, issued: CommandIssued, position: int, at: int) -> None:
        name = COUNTED.get(type(issued.command))
        if name is None:
            return
        for rule in issued.rules:
            tally = self.tallies[issued.account, rule]
            setattr(tally, name, getattr(tally, name) + 1)
        if name in ("flatten", "close", "reduce"):
            self._end(issued, position, at)

    def _count_answer(self, answer: ProposalAnswered, fact: ProposalReceived) -> None:
        size, answers = fact.order.size, self.answers[answer.account]
        if answer.approved:
            answers.approved += 1
            answers.approved_contracts += size
            return
        answers.denied += 1
        answers.denied_contracts += size
        codes = {reason.code for reason in answer.reasons}
        account = self.engine.world.accounts.get(answer.account)
        if "locked" in codes and account is not None:
            rows = account.locks.values()
            codes -= {"locked"}
            codes |= {r.rule for r in rows if r.instrument in (None, fact.order.instrument)}
        for code in sorted(codes):
            tally = self.tallies[answer.account, code]
            tally.denied += 1
            tally.denied_contracts += size

    def _note_locked(self, account: str, lock: Lock, at: int) -> None:
        end = at if lock.until is None else min(at, lock.until)
        self._locked[account, lock.rule].append((lock.set_at, end))


def _part(command: Any, held: Position) -> int:
    """How many contracts of a position a command would end."""
    if isinstance(command, Flatten):
        return abs(held.size)
    if command.instrument != held.instrument:
        return 0
    return abs(held.size) if isinstance(command, Close) else max(0, abs(held.size) - command.to)


def _union(spans: list[tuple[int, int]]) -> int:
    """Microseconds that at least one of the spans covers."""
    total, reached = 0, 0
    for start, end in sorted(spans):
        total += max(0, end - max(start, reached))
        reached = max(reached, end)
    return total
