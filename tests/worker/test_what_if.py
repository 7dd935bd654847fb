"""Other limits on recorded facts: nothing without a difference, never later when tighter, money."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portcullis.config.files import read_configuration
from portcullis.domain.engine import Engine
from portcullis.domain.events import (
    AccountReported,
    AnyFact,
    CommandConcluded,
    CommandIssued,
    InstrumentListed,
    LedgerCreated,
    PositionReported,
    ProposalReceived,
    Quote,
    Reconciled,
    RulesLoaded,
    TradeReported,
    VenueLinked,
    WorkerStarted,
    decode,
    stream_of,
)
from portcullis.domain.model import BUY, MICRO, SECOND, SELL, OrderRequest
from portcullis.domain.plan import AccountPlan, Plan, digest, encode_plan
from portcullis.domain.rule_changes import rule_changes
from portcullis.domain.rules import daily_realized_loss, daily_unrealized_loss, max_contracts
from portcullis.ports import Entry
from portcullis.staging import demonstrate
from portcullis.store.memory import MemoryLedger
from portcullis.venues.simulated import instrument
from portcullis.wiring import defaults_folder
from portcullis.worker.what_if import AccountOutcome, WhatIf, what_if

START = 1_772_550_000 * MICRO
ES = instrument("ES")
SHIPPED = msgspec.structs.replace(read_configuration(defaults_folder()).plan, required=())
DEMONSTRATION = demonstrate(7, SHIPPED)
HEAD = DEMONSTRATION.head().position


class Told:
    """A ledger told fact by fact, one second each; every command is confirmed at once."""

    def __init__(self, *rules: Any) -> None:
        self.engine, self.ledger, self.now = Engine(), MemoryLedger(), START
        self.plan = Plan((AccountPlan("A", rules),))
        data = encode_plan(self.plan)
        for fact in (
            LedgerCreated("L", "test"),
            WorkerStarted("test", 1, True),
            RulesLoaded(digest(data), data),
            VenueLinked("venue", True),
            InstrumentListed(ES),
            AccountReported("A", True, 50_000 * MICRO, "USD", START),
            Reconciled("A", 0, True),
        ):
            self.enter(fact)
        self.quote(20_000)

    def enter(self, fact: AnyFact) -> int:
        """The position at which the fact stands."""
        self.now += SECOND
        position = self.ledger.head().position + 1
        decisions = self.engine.apply(position, self.now, fact)
        entries = [Entry(stream_of(e), self.now, "t", e) for e in (fact, *decisions)]
        self.ledger.append(entries)
        for each in decisions:
            if isinstance(each, CommandIssued):
                self.enter(CommandConcluded("A", each.key, "confirmed", "", 1, 1, *[self.now] * 4))
        return position

    def quote(self, price: int) -> int:
        return self.enter(Quote(ES.id, price, price, price, self.now))

    def hold(self, size: int, price: int = 20_000) -> int:
        return self.enter(
            PositionReported("A", ES.id, size, price * MICRO, self.now, self.now if size else 0)
        )

    def fill(self, name: str, side: int, size: int, price: int, gross: int | None, **more) -> int:
        return self.enter(
            TradeReported(
                "A", name, f"o{name}", ES.id, side, size, price, gross, 0, 0, self.now, **more
            )
        )

    def propose(self, name: str, size: int) -> int:
        order = OrderRequest("A", ES.id, BUY, size, "market")
        return self.enter(ProposalReceived(name, "bot", order))

    def under(self, *rules: Any, **more: Any) -> AccountOutcome:
        (found,) = what_if(self.ledger, (AccountPlan("A", rules),), **more).accounts
        return found


def loss(limit: int, **more: Any) -> daily_unrealized_loss.Params:
    return daily_unrealized_loss.Params(limit * MICRO, **more)


def with_limit(name: str, dollars: int) -> tuple[AccountPlan, ...]:
    """The shipped accounts with one rule's limit changed wherever it is set."""
    n = dollars * MICRO
    return tuple(
        msgspec.structs.replace(
            plan,
            rules=tuple(
                msgspec.structs.replace(
                    rule, **{"allowance" if "allowance" in rule.__struct_fields__ else "limit": n}
                )
                if rule.__struct_config__.tag == name
                else rule
                for rule in plan.rules
            ),
        )
        for plan in SHIPPED.accounts
    )


# --- the properties -------------------------------------------------------------------------------


@settings(deadline=None, max_examples=30)
@given(position=st.integers(0, HEAD + 1), seconds=st.integers(-10, 400))
def test_the_same_rules_make_no_difference_from_wherever_they_hold(position, seconds):
    at = DEMONSTRATION.last_at() + (seconds - 300) * SECOND
    found = what_if(DEMONSTRATION, SHIPPED.accounts, position=position, at=at)
    assert_equal_sides(found)
    assert found.changes == []


@pytest.mark.parametrize("seed", [1, 23])
def test_the_same_rules_make_no_difference_on_other_days(seed):
    assert_equal_sides(what_if(demonstrate(seed, SHIPPED), SHIPPED.accounts))


def assert_equal_sides(found: WhatIf) -> None:
    assert not found.differs
    counted = 0
    for account in found.accounts:
        assert account.recorded == account.new
        assert account.ended_recorded == account.ended_new
        for row in account.rules:
            assert row.recorded == row.new
            counted += row.recorded.breaches
    assert counted == sum(row.kind == "breach_found" for row in DEMONSTRATION.read()) or counted > 9


@pytest.mark.parametrize(
    "rule", ["daily_unrealized_loss", "daily_realized_loss", "trailing_drawdown"]
)
@settings(deadline=None, max_examples=25)
@given(limits=st.tuples(st.integers(1, 500), st.integers(1, 500)))
def test_a_tighter_limit_never_ends_a_position_later(rule, limits):
    tight, loose = (what_if(DEMONSTRATION, with_limit(rule, n)) for n in sorted(limits))
    for one, other in zip(tight.accounts, loose.accounts, strict=True):
        assert first(one) <= first(other)
        assert breach_count(one, rule) >= min(1, breach_count(other, rule))


def first(found: AccountOutcome) -> int:
    return min((each.position for each in found.ended_new), default=HEAD + 1)


def breach_count(found: AccountOutcome, rule: str) -> int:
    return sum(row.new.breaches for row in found.rules if row.rule == rule)


@settings(deadline=None, max_examples=25)
@given(limit=st.integers(5, 149))
def test_money_is_what_the_recorded_fills_really_came_to(limit):
    """Summed here by a book of its own: fills after the event until the position is flat."""
    found = what_if(DEMONSTRATION, with_limit("daily_unrealized_loss", limit))
    checked = 0
    for account in found.accounts:
        for each in account.ended_new:
            if each.part == abs(each.size):
                assert each.came_to == came_to(each.account, each.instrument, each.position)
                assert each.kept == each.open - each.came_to
                checked += 1
    assert checked > 3


def came_to(account: str, name: str, after: int) -> int:
    size, total = 0, 0
    for row in DEMONSTRATION.read():
        event = decode(row.payload)
        if not isinstance(event, TradeReported):
            continue
        if (event.account, event.instrument) != (account, name):
            continue
        if row.position > after:
            total += event.gross or 0
        size += event.side * event.size
        if row.position > after and size == 0:
            return total
    raise AssertionError("the position was never flat")


# --- one thing at a time --------------------------------------------------------------------------


def test_a_loss_cut_short_is_kept_and_a_recovery_is_given_up():
    told = Told(loss(1_000))
    told.hold(2)
    cut = told.quote(19_990)  # 2 ES, 10 ticks of 12.50: 250 lost
    told.quote(19_980)
    told.fill("x1", SELL, 2, 19_980, -500 * MICRO)
    told.hold(0)
    told.quote(20_000)
    told.hold(2)
    told.quote(19_990)
    told.quote(20_004)
    told.fill("x2", SELL, 2, 20_004, 100 * MICRO)
    told.hold(0)
    found = told.under(loss(200))
    kept, given_up = found.ended_new
    assert (kept.position, kept.open, kept.came_to) == (cut, -250 * MICRO, -500 * MICRO)
    assert kept.kept == 250 * MICRO
    assert given_up.kept == -350 * MICRO
    assert found.ended_recorded == []
    assert found.parting is not None
    assert (found.parting.position, found.parting.recorded) == (cut, ("nothing",))
    (row,) = found.rules
    assert (row.new.close, row.new.breaches, row.recorded.close) == (2, 2, 0)
    assert row.new.kept == -100 * MICRO


def test_an_episode_is_counted_once_however_often_the_price_comes_back():
    told = Told(loss(1_000))
    told.hold(2)
    for price in (19_990, 20_000, 19_990, 20_000, 19_985):
        told.quote(price)
    found = told.under(loss(200))
    (only,) = found.ended_new
    assert only.still_open
    assert only.came_to == -375 * MICRO
    assert found.rules[0].new.close == 1


def test_a_row_before_its_fill_a_repeated_fill_and_a_voided_one_count_rightly():
    told = Told(loss(1_000))
    told.hold(2)
    told.quote(19_990)
    told.hold(0)
    late = told.now - SECOND
    fact = TradeReported("A", "f", "o", ES.id, SELL, 2, 19_980, -500 * MICRO, 0, 0, late)
    told.enter(fact)
    told.enter(fact)
    assert told.under(loss(200)).ended_new[0].came_to == -500 * MICRO
    told.enter(msgspec.structs.replace(fact, voided=True))
    assert told.under(loss(200)).ended_new[0].came_to == 0


def test_a_reduce_is_measured_on_as_many_contracts_as_it_would_have_ended():
    told = Told(max_contracts.Params(limit=9))
    told.hold(4)
    told.quote(19_990)
    told.fill("one", SELL, 1, 19_990, -125 * MICRO)
    told.hold(3)
    told.fill("rest", SELL, 3, 19_960, -1_500 * MICRO)
    told.hold(0)
    (only,) = told.under(max_contracts.Params(limit=2, on_breach="reduce")).ended_new
    assert (only.size, only.part) == (4, 2)
    assert only.came_to == (-125 - 500) * MICRO


def test_the_gate_is_asked_again_and_does_not_stand_in_enforcing_for_ever():
    told = Told(max_contracts.Params(limit=9))
    told.propose("small", 1)
    large = told.propose("large", 4)
    found = told.under(max_contracts.Params(limit=3))
    assert (found.recorded.approved, found.recorded.approved_contracts) == (2, 5)
    assert (found.new.approved, found.new.denied, found.new.denied_contracts) == (1, 1, 4)
    assert found.parting is not None
    assert found.parting.position == large
    assert [(r.rule, r.new.denied, r.new.denied_contracts) for r in found.rules] == [
        ("max_contracts", 1, 4)
    ]
    told.hold(4)
    told.quote(20_000)
    told.propose("during", 1)
    told.hold(0)
    for _ in range(12):
        told.quote(20_000)
    told.propose("after", 1)
    found = told.under(max_contracts.Params(limit=3))
    assert {r.rule: r.new.denied for r in found.rules} == {"max_contracts": 2, "enforcing": 1}
    assert found.new.approved == 2


def test_a_lock_is_counted_with_its_time_and_its_denials():
    told = Told(daily_realized_loss.Params(1_000 * MICRO))
    told.hold(1)
    breach = told.fill("f", SELL, 1, 19_980, -250 * MICRO)
    told.hold(0)
    told.quote(20_000)
    told.propose("p", 1)
    found = told.under(daily_realized_loss.Params(200 * MICRO))
    (row,) = found.rules
    since = next(r.at for r in told.ledger.read() if r.position == breach)
    assert (row.new.locks, row.new.locked, row.new.denied) == (1, told.now - since, 1)
    assert (row.recorded.locks, row.recorded.locked, row.recorded.denied) == (0, 0, 0)


def test_new_rules_hold_only_from_their_time_on():
    told = Told(loss(1_000))
    told.hold(2)
    told.quote(19_990)
    told.hold(0)
    told.quote(20_000)
    told.hold(2)
    second = told.quote(19_990)
    when = next(r.at for r in told.ledger.read() if r.position == second)
    for more in ({"position": second}, {"at": when}):
        found = told.under(loss(200), **more)
        assert [each.position for each in found.ended_new] == [second]
        assert len(told.under(loss(200)).ended_new) == 2
    assert told.under(loss(200), position=second + 1).ended_new == []


def test_looser_rules_let_live_what_the_recorded_ones_ended():
    found = what_if(DEMONSTRATION, with_limit("daily_unrealized_loss", 10_000))
    account = next(each for each in found.accounts if each.account == "DEMO-LOSS")
    assert [each.command for each in account.ended_recorded] == ["close", "close"]
    assert account.ended_new == []
    assert all(each.parting is None for each in found.accounts if each is not account)


def test_what_is_set_differently_reads_as_people_write_it():
    before = AccountPlan("A", (loss(300), max_contracts.Params(limit=5)), quote_max_age=10 * SECOND)
    after = AccountPlan(
        "A",
        (loss(250, scope="total"), daily_realized_loss.Params(500 * MICRO)),
        quote_max_age=90 * SECOND,
    )
    rows = rule_changes((before,), (after, AccountPlan("B", (loss(1),))))
    texts = {(r.account, r.rule, r.setting): (r.recorded, r.new) for r in rows}
    assert texts["A", "daily_unrealized_loss", "limit"] == ("300.00", "250.00")
    assert texts["A", "daily_unrealized_loss", "scope"] == ("position", "total")
    assert texts["A", "daily_realized_loss", "limit"] == ("-", "500.00")
    assert texts["A", "max_contracts", "limit"] == ("5", "-")
    assert texts["A", "", "quote_max_age"] == ("10 s", "1 min 30 s")
    assert texts["B", "daily_unrealized_loss", "limit"] == ("-", "1.00")
    assert rule_changes((before,), (before,)) == []
