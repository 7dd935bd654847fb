"""The recorded facts under other limits: what would have been denied, flattened, locked and kept.

Two engines are fed the same facts, one with the recorded plans, one with the new. The market and
the venue do not answer: positions, orders and fills stay as recorded, so from an account's first
different decision on its facts are hypothetical. A command that only the new plan issues counts
as carried out as soon as the recorded book shows its effect; until then it stands, once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from portcullis.domain import exposure
from portcullis.domain.commands import (
    CancelOrder,
    CancelOrders,
    Close,
    Command,
    Flatten,
    MoveStop,
    PlaceStop,
    Reduce,
)
from portcullis.domain.events import (
    FACT_KINDS,
    AlertRaised,
    AnyDecision,
    AnyFact,
    AutomationPlanned,
    BreachFound,
    CommandConcluded,
    CommandIssued,
    CommandSent,
    LockSet,
    ProposalAnswered,
    RulesLoaded,
    encode,
)
from portcullis.domain.plan import AccountPlan, decode_plan, digest, encode_plan
from portcullis.domain.rule_changes import RuleChange, rule_changes
from portcullis.domain.rules import RULES
from portcullis.domain.state import AccountState
from portcullis.ports import Records
from portcullis.worker.recovery import begin, fact_of
from portcullis.worker.what_if_side import Answers, Ended, Side, Tally

CONCLUSIONS_MAX = 20
"""So many commands of one account are concluded at one fact; a bound, never met in practice."""

WARNING = (
    "The market and the venue would have answered differently: positions, orders and fills stay as "
    "they were recorded, so every fact after an account's first different decision is "
    "hypothetical. A position is counted as ended once, until it is really flat; an order that "
    "would have been denied still fills if it did; stops the new rules would place never fill. "
    "What a position that the recorded rules ended would have come to otherwise is not known."
)


class Parting(NamedTuple):
    """Where an account's decisions first differ: from here on its facts are hypothetical."""

    position: int
    at: int
    recorded: tuple[str, ...]
    new: tuple[str, ...]


class RuleOutcome(NamedTuple):
    """One rule (or reason of the gate) on one account, under both sets of rules."""

    rule: str
    recorded: Tally
    new: Tally


class AccountOutcome(NamedTuple):
    """One account under both sets; `parting` is None where no decision differs."""

    account: str
    currency: str
    parting: Parting | None
    rules: list[RuleOutcome]
    recorded: Answers
    new: Answers
    ended_recorded: list[Ended]
    ended_new: list[Ended]


class WhatIf(NamedTuple):
    """The outcome. `since` is the event at which the new plan took over, 0 when it never did."""

    facts: int
    through: int
    since: int
    changes: list[RuleChange]
    accounts: list[AccountOutcome]
    warning: str = WARNING

    @property
    def differs(self) -> bool:
        return any(each.parting is not None for each in self.accounts)


def what_if(
    records: Records, accounts: tuple[AccountPlan, ...], *, position: int = 0, at: int = 0
) -> WhatIf:
    """Fold every fact by both plans; the new one is in force from this position and time on."""
    run, facts, through = _Run(records, accounts, position, at), 0, 0
    for row in records.read(after=run.begins):
        through = row.position
        if row.kind in FACT_KINDS:
            run.fold(row.position, row.at, fact_of(row))
            facts += 1
    run.recorded.close()
    run.other.close()
    return WhatIf(facts, through, run.since, run.changes, run.outcomes())


class _Run:
    """Both sides on their way through the facts."""

    def __init__(
        self, records: Records, accounts: tuple[AccountPlan, ...], position: int, at: int
    ) -> None:
        (one, self.begins), (two, _) = begin(records), begin(records)
        self.recorded, self.other = Side(one), Side(two)
        self.since = 0
        self.changes: list[RuleChange] = []
        self._accounts = accounts
        self._from = (position, at)
        self._partings: dict[str, Parting] = {}
        self._shared: dict[str, set[str]] = defaultdict(set)

    def fold(self, position: int, at: int, fact: AnyFact) -> None:
        """One recorded fact, by both."""
        decided = self.recorded.fold(position, at, fact)
        otherwise = [*self._take_over(position, at, fact), *self._hypothetical(position, at, fact)]
        self._compare(position, at, decided, otherwise)
        for name in self._partings:
            self._conclude(name, position, at)

    # --- the new plan and what it is fed ----------------------------------------------------------

    def _is_due(self, position: int, at: int) -> bool:
        return position >= self._from[0] and at >= self._from[1]

    def _take_over(self, position: int, at: int, fact: AnyFact) -> Sequence[AnyDecision]:
        """Enter the new plan before this fact when its time has come and the fact brings none."""
        world = self.other.engine.world
        if self.since or not world.plan or isinstance(fact, RulesLoaded):
            return ()
        if not self._is_due(position, at):
            return ()
        loaded = self._replaced(world.plan, position)
        if loaded.plan == world.plan:
            return ()
        return self.other.fold(position, world.now, loaded)

    def _replaced(self, plan: bytes, position: int) -> RulesLoaded:
        """A recorded plan with the new accounts; evidence and bounds stay the recorded ones."""
        before = decode_plan(plan)
        data = encode_plan(msgspec.structs.replace(before, accounts=self._accounts))
        if not self.since:
            self.since = position
            self.changes = rule_changes(before.accounts, self._accounts)
        return RulesLoaded(digest(data), data)

    def _hypothetical(self, position: int, at: int, fact: AnyFact) -> Sequence[AnyDecision]:
        if isinstance(fact, RulesLoaded) and self._is_due(position, at):
            fact = self._replaced(fact.plan, position)
        if isinstance(fact, CommandConcluded | CommandSent) and self._is_foreign(fact):
            return ()
        return self.other.fold(position, at, fact)

    def _is_foreign(self, fact: CommandConcluded | CommandSent) -> bool:
        """Whether a recorded command is one that the other side never issued."""
        return fact.account in self._partings and fact.key not in self._shared[fact.account]

    def _conclude(self, name: str, position: int, at: int) -> None:
        """Conclude what only the other side ordered, as soon as the book shows its effect."""
        account = self.other.engine.world.accounts.get(name)
        for _ in range(CONCLUSIONS_MAX):
            key = None if account is None else self._done(account)
            if key is None:
                return
            times = (at, at, at, at)
            self.other.fold(
                position, at, CommandConcluded(name, key, "confirmed", "what-if", 1, 0, *times)
            )

    def _done(self, account: AccountState) -> str | None:
        shared = self._shared[account.id]
        for key, pending in account.pending.items():
            if key not in shared and _is_done(account, pending.command):
                return key
        return None

    # --- comparing --------------------------------------------------------------------------------

    def _compare(
        self, position: int, at: int, decided: Sequence[AnyDecision], otherwise: list[AnyDecision]
    ) -> None:
        if not decided and not otherwise:
            return
        first, second = _by_account(decided), _by_account(otherwise)
        for name in {**first, **second}:
            if name in self._partings:
                continue
            mine, theirs = first.get(name, []), second.get(name, [])
            same = [_essence(each) for each in mine] == [_essence(each) for each in theirs]
            common = {encode(d) for d in theirs if isinstance(d, CommandIssued)}
            self._shared[name] |= {
                d.key for d in mine if isinstance(d, CommandIssued) and encode(d) in common
            }
            if not same:
                self._partings[name] = Parting(position, at, _texts(mine), _texts(theirs))

    def outcomes(self) -> list[AccountOutcome]:
        """Every account of either plan, in the order of the new one."""
        names = [plan.account for plan in self._accounts]
        names += [name for name in self.recorded.engine.world.accounts if name not in names]
        return [self._outcome(name) for name in names]

    def _outcome(self, name: str) -> AccountOutcome:
        sides = (self.recorded, self.other)
        account = next((w for s in sides if (w := s.engine.world.accounts.get(name))), None)
        found = {rule for side in sides for owner, rule in side.tallies if owner == name}
        known = [rule.NAME for rule in RULES if rule.NAME in found]
        rules = [
            RuleOutcome(rule, *(side.tallies.get((name, rule), Tally()) for side in sides))
            for rule in [*known, *sorted(found - set(known))]
        ]
        return AccountOutcome(
            name,
            account.currency if account else "USD",
            self._partings.get(name),
            rules,
            self.recorded.answers.get(name, Answers()),
            self.other.answers.get(name, Answers()),
            [each for each in self.recorded.ended if each.account == name],
            [each for each in self.other.ended if each.account == name],
        )


def _is_done(account: AccountState, command: Command) -> bool:
    """Whether the recorded book shows what a command was to bring about."""
    if isinstance(command, Flatten):
        return not account.positions and not account.orders
    if isinstance(command, CancelOrders):
        return not exposure.opening_orders(account, command.instrument)
    if isinstance(command, CancelOrder):
        return command.order_id not in account.orders
    held = account.positions.get(getattr(command, "instrument", ""))
    if isinstance(command, Close):
        return held is None and not exposure.opening_orders(account, command.instrument)
    if isinstance(command, Reduce):
        return held is None or abs(held.size) <= command.to
    if isinstance(command, PlaceStop | MoveStop):
        return held is None
    return True


def _by_account(decisions: Sequence[AnyDecision]) -> dict[str, list[AnyDecision]]:
    found: dict[str, list[AnyDecision]] = {}
    for each in decisions:
        if not isinstance(each, AlertRaised):
            found.setdefault(getattr(each, "account", None) or "", []).append(each)
    return found


def _essence(decision: AnyDecision) -> Any:
    """What a decision brings about, without the words and figures of the limit behind it."""
    if isinstance(decision, BreachFound | AutomationPlanned):
        return (type(decision), decision.rule, decision.instrument)
    if isinstance(decision, LockSet):
        return (LockSet, msgspec.structs.replace(decision.lock, cause=""))
    if isinstance(decision, ProposalAnswered):
        return (ProposalAnswered, decision.proposal_id, decision.approved)
    return encode(decision)


def _texts(decisions: Sequence[AnyDecision]) -> tuple[str, ...]:
    return tuple(_text(each) for each in decisions) or ("nothing",)


def _text(decision: AnyDecision) -> str:
    if isinstance(decision, BreachFound | AutomationPlanned):
        return f"{decision.rule}: {decision.reason.message}"
    if isinstance(decision, CommandIssued):
        to = f" to {decision.command.to}" if isinstance(decision.command, Reduce) else ""
        return f"{type(decision.command).__name__}{to} for {', '.join(decision.rules)}"
    if isinstance(decision, LockSet):
        return f"lock of {decision.lock.rule} ({decision.lock.ends})"
    if isinstance(decision, ProposalAnswered):
        said = "approved" if decision.approved else "denied"
        codes = ", ".join(reason.code for reason in decision.reasons)
        return f"proposal {decision.proposal_id} {said}{': ' if codes else ''}{codes}"
    return type(decision).__name__
