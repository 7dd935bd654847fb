"""Bands of prices in which nobody is asked: they never change a decision, nor the state."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from portcullis.domain import quiet
from portcullis.domain.engine import Engine
from portcullis.domain.events import (
    InstrumentListed,
    LedgerCreated,
    PositionReported,
    Quote,
    RulesLoaded,
    WorkerStarted,
)
from portcullis.domain.model import MICRO, SECOND
from portcullis.domain.money import open_pnl
from portcullis.domain.plan import AccountPlan, Plan, encode_plan
from portcullis.domain.rules import (
    daily_realized_loss,
    daily_unrealized_loss,
    max_unrealized_profit,
    no_stop_loss_grace,
    trade_management,
    trailing_drawdown,
)
from portcullis.domain.state import Position
from tests.domain.desk import LISTED, START, USD
from tests.domain.pair import ACCOUNTS, NAMES, Pair, Reborn, play

EXAMPLES = 250
names, accounts = st.sampled_from(NAMES), st.sampled_from(ACCOUNTS)
prices = st.integers(19_960, 20_040)
amounts = st.integers(1, 900).map(lambda dollars: dollars * USD)
scopes = st.sampled_from(("position", "total"))


def some(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


RULES: tuple[st.SearchStrategy[Any], ...] = (
    st.builds(daily_unrealized_loss.Params, amounts, scopes, st.booleans()),
    st.builds(
        max_unrealized_profit.Params,
        amounts,
        scopes,
        st.sampled_from(("take_profit", "break_even")),
        amounts,
    ),
    st.builds(
        trade_management.Params,
        st.sampled_from(("off", 5, 30)),
        some(st.builds(trade_management.BreakEven, st.integers(2, 10), st.integers(0, 1))),
        some(st.builds(trade_management.Trailing, st.integers(1, 10), st.integers(1, 10))),
    ),
    st.builds(
        trailing_drawdown.Params,
        st.just(50_000 * USD),
        amounts,
        st.sampled_from(("end_of_day", "intraday")),
        st.booleans(),
        st.integers(1, 100),
    ),
    st.just(daily_realized_loss.Params(400 * USD)),
    st.just(no_stop_loss_grace.Params(20 * SECOND)),
)
plans = st.tuples(*(some(rule) for rule in RULES)).map(
    lambda found: tuple(rule for rule in found if rule is not None)
)
steps = st.lists(
    st.one_of(
        *(st.tuples(st.just("quote"), names, prices, st.sampled_from((0, 1, 2, 3))),) * 8,
        st.tuples(st.just("position"), accounts, names, st.integers(-3, 3), prices),
        st.tuples(st.just("position"), accounts, names, st.integers(-3, 3), prices),
        st.tuples(st.just("trade"), accounts, names, st.integers(-200, 200)),
        st.tuples(st.just("fill"), accounts, names, st.sampled_from((1, -1)), prices),
        st.tuples(st.just("stop"), accounts, names, st.sampled_from((1, -1)), prices),
        st.tuples(st.just("stop gone"), accounts, names),
        st.tuples(st.just("wait"), st.integers(0, 15)),
        st.tuples(st.just("wait"), st.just(24 * 3600)),
        st.tuples(st.just("outcome"), st.sampled_from(("confirmed", "refused", "superseded"))),
        st.tuples(st.just("release"), accounts),
        st.tuples(st.just("balance"), accounts, st.integers(49_000, 51_000)),
        st.tuples(st.just("load"), plans),
        st.tuples(st.just("list"), names, st.integers(1, 3)),
        st.tuples(
            st.just("look"),
        ),
        st.tuples(
            st.just("recover"),
        ),
    ),
    max_size=60,
)


@given(plans, steps)
@settings(max_examples=EXAMPLES, deadline=None)
def test_resting_changes_no_decision_and_no_state(rules, story):
    play(Pair(rules), story)


WEIGHTS = {
    "quote": 60,
    "position": 6,
    "trade": 2,
    "fill": 2,
    "stop": 5,
    "stop gone": 2,
    "wait": 4,
    "outcome": 8,
    "release": 1,
    "balance": 2,
    "load": 1,
    "list": 1,
    "look": 3,
    "venue": 1,
    "recover": 1,
}


def drawn(seed: int) -> tuple[tuple[Any, ...], list[tuple[Any, ...]]]:
    """Rules, and a long story in which prices wander, as lists drawn step by step rarely do."""
    rng = random.Random(seed)
    price = dict.fromkeys(NAMES, 20_000)
    story: list[tuple[Any, ...]] = []
    for verb in rng.choices(list(WEIGHTS), list(WEIGHTS.values()), k=250):
        account, name = rng.choice(("A", "A", "B", "C")), rng.choice(NAMES)
        near = price[name] + rng.randint(-4, 4)
        rest: dict[str, tuple[Any, ...]] = {
            "quote": (name, near, rng.choice((0, 0, 0, 0, 1, 2, 3))),
            "position": (account, name, rng.randint(-2, 2), near),
            "trade": (account, name, rng.randint(-150, 150)),
            "fill": (account, name, rng.choice((1, -1)), near),
            "stop": (account, name, rng.choice((1, -1)), near + rng.randint(-30, 30)),
            "stop gone": (account, name),
            "wait": (rng.choice((0, 1, 5, 11, 30)),),
            "outcome": (rng.choice(("confirmed", "refused", "superseded")),),
            "release": (account,),
            "balance": (account, rng.choice((49_700, 50_000, 50_300))),
            "load": (rules_of(rng),),
            "list": (name, rng.randint(1, 3)),
        }
        if verb == "quote":
            price[name] = near
        story.append((verb, *rest.get(verb, ())))
    return rules_of(rng), story


def rules_of(rng: random.Random) -> tuple[Any, ...]:
    def amount() -> int:
        return rng.choice((50, 120, 300, 700)) * USD

    scope = rng.choice(("position", "total"))
    stops = trade_management.Params(
        rng.choice(("off", 5, 30)),
        rng.choice((None, trade_management.BreakEven(rng.randint(2, 8), rng.randint(0, 1)))),
        rng.choice((None, trade_management.Trailing(rng.randint(1, 8), rng.randint(1, 8)))),
    )
    trail = rng.choice(("end_of_day", "intraday"))
    found = (
        daily_unrealized_loss.Params(amount(), rng.choice((scope, "position")), rng.random() < 0.5),
        max_unrealized_profit.Params(
            amount(), scope, rng.choice(("take_profit", "break_even")), amount()
        ),
        stops,
        trailing_drawdown.Params(
            50_000 * USD, amount(), trail, rng.random() < 0.5, rng.choice((20, 60, 100))
        ),
        daily_realized_loss.Params(400 * USD),
        no_stop_loss_grace.Params(rng.choice((1, 5, 30)) * SECOND, rng.choice(("full", "any"))),
    )
    return tuple(rule for rule in found if rng.random() < 0.4)


@given(st.integers(0, 2**32))
@example(6773)  # a stop was wanted, not announced, and a quote without any price came
@settings(max_examples=EXAMPLES, deadline=None)
def test_resting_changes_nothing_in_a_long_story_either(seed):
    rules, story = drawn(seed)
    play(Pair(rules), story)


@given(st.integers(0, 2**32))
@settings(max_examples=EXAMPLES // 6, deadline=None)
def test_a_restart_before_any_fact_changes_no_decision(seed):
    rules, story = drawn(seed)
    play(Reborn(rules), story)


def walk(size: int, *marks: int) -> list[tuple[Any, ...]]:
    """One position of A on ES, and prices one after the other with nobody looking between."""
    return [
        ("quote", NAMES[0], 20_000, 0),
        ("position", "A", NAMES[0], size, 20_000),
        *(("quote", NAMES[0], mark, 0) for mark in marks),
    ]


LEVELS = {
    "loss": (daily_unrealized_loss.Params(300 * USD), walk(2, 19_999, 20_004, 19_989, 19_988)),
    "short": (daily_unrealized_loss.Params(300 * USD), walk(-2, 19_999, 20_010, 20_011, 20_012)),
    "profit": (max_unrealized_profit.Params(500 * USD), walk(2, 20_019, 20_000, 20_020)),
    "break even": (
        max_unrealized_profit.Params(mode="break_even", arm_at=100 * USD),
        walk(1, 20_007, 20_000, 20_008, 20_001, 20_000),
    ),
    "drawdown": (
        trailing_drawdown.Params(50_000 * USD, 1_000 * USD),
        walk(1, 19_937, 19_936, 19_937, 19_921, 19_920),
    ),
    "intraday": (
        trailing_drawdown.Params(50_000 * USD, 500 * USD, "intraday"),
        walk(1, 20_020, 19_999, 20_030, 19_991, 19_990),
    ),
    "realized too": (
        daily_unrealized_loss.Params(300 * USD, "total", include_realized=True),
        [("trade", "A", NAMES[0], -100), *walk(1, 19_999, 19_985, 19_984)],
    ),
    "looser rules": (
        daily_unrealized_loss.Params(300 * USD),
        [
            ("quote", NAMES[0], 20_000, 0),
            ("position", "C", NAMES[0], 1, 20_000),
            ("quote", NAMES[0], 19_970, 0),
            ("load", (daily_unrealized_loss.Params(900 * USD),)),
            ("quote", NAMES[0], 19_969, 0),
            ("quote", NAMES[0], 19_900, 0),
        ],
    ),
    "trailing stop": (
        trade_management.Params(trailing=trade_management.Trailing(4, 2)),
        walk(1, 20_003, 20_001, 20_004, 20_002, 20_005),
    ),
}


@pytest.mark.parametrize("name", LEVELS)
def test_a_limit_is_met_at_its_very_tick(name):
    """At, just before and just beyond: the decisions of both engines, and that there are some."""
    rule, story = LEVELS[name]
    pair = Pair((rule,))
    before = pair.position
    play(pair, story)
    assert pair.position - before > len(story), "the story was to breach"


@given(
    st.integers(-9, 9).filter(bool),
    st.integers(19_000 * MICRO, 20_000 * MICRO),
    st.integers(1, 50 * MICRO),
    st.integers(-(10**12), 10**12),
    st.integers(0, 10**9),
)
def test_a_band_is_exactly_the_prices_with_these_profits(size, average, worth, low, width):
    position = Position(NAMES[0], size, average, 0, 0)
    high = low + width
    lowest, highest = quiet.keys_between(position, low, high, worth)
    sign = 1 if size > 0 else -1
    for key in itertools.chain(range(lowest - 2, lowest + 3), range(highest - 2, highest + 3)):
        pnl = open_pnl(sign * key, average, size, worth)
        assert (lowest <= key <= highest) == (low <= pnl <= high)


def test_a_price_meets_only_the_holders_whose_band_it_leaves():
    """A hundred holders with limits of their own: each price concerns the ones it passes."""
    engine = Engine()
    rules = [daily_unrealized_loss.Params((100 + n) * USD) for n in range(100)]
    plan = Plan(tuple(AccountPlan(f"A{n}", (rule,)) for n, rule in enumerate(rules)))
    data = encode_plan(plan)
    position = itertools.count(1)

    def enter(fact: Any) -> None:
        engine.apply(next(position), START, fact)

    for fact in (LedgerCreated("L", ""), WorkerStarted("", 0, True), RulesLoaded("", data)):
        enter(fact)
    enter(InstrumentListed(LISTED["ES"]))
    enter(Quote(NAMES[0], 20_000, 20_000, None, START))
    for n in range(100):
        enter(PositionReported(f"A{n}", NAMES[0], 1, 20_000 * MICRO, START, START))
    met = []
    for price in (20_050, 19_995, 19_992, 19_991, 20_000):
        quote = Quote(NAMES[0], price, price, None, START)
        met.append(len(engine._holders.concerned(quote)))
    # A tick is worth 12.50: at 19,992 a loss of 100, at 19,991 one of 112.50.
    assert met == [0, 0, 1, 13, 13]
