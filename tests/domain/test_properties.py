"""Properties of the fold, on histories that Hypothesis draws."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from portcullis.domain.engine import Engine
from portcullis.domain.events import (
    OrderReported,
    PositionReported,
    ProposalReceived,
    Quote,
    TradeReported,
    decode,
    encode,
)
from portcullis.domain.model import MICRO, SECOND, OrderRequest
from portcullis.domain.rules import (
    cooldown_after_loss,
    daily_realized_loss,
    daily_unrealized_loss,
    max_contracts,
    no_stop_loss_grace,
    trade_frequency_limit,
    trade_management,
    trailing_drawdown,
)
from portcullis.domain.state import freeze, thaw
from tests.domain.desk import LISTED, START, USD, Desk

NAMES = [LISTED[t].id for t in ("ES", "MES", "NQ")]
RULES = (
    max_contracts.Params(limit=3),
    daily_realized_loss.Params(limit=500 * USD),
    daily_unrealized_loss.Params(limit=300 * USD),
    trade_frequency_limit.Params(per_minute=3),
    cooldown_after_loss.Params(),
    no_stop_loss_grace.Params(grace=30 * SECOND),
    trade_management.Params(auto_stop=20),
    trailing_drawdown.Params(50_000 * USD, 2_000 * USD),
)

sides, names = st.sampled_from((1, -1)), st.sampled_from(NAMES)
prices = st.integers(19_900, 20_100)


@st.composite
def steps(draw: Any) -> list[tuple[Any, ...]]:
    """What happens, without its times: those are given when it is played."""
    return draw(
        st.lists(
            st.one_of(
                st.tuples(st.just("quote"), names, prices),
                st.tuples(st.just("position"), names, st.integers(-5, 5), prices),
                st.tuples(st.just("trade"), names, st.integers(-400, 200), st.integers(0, 30)),
                st.tuples(
                    st.just("order"),
                    names,
                    sides,
                    st.integers(1, 4),
                    st.integers(0, 12),
                    st.sampled_from(("limit", "stop")),
                    st.sampled_from(("working", "cancelled")),
                ),
                st.tuples(st.just("wait"), st.integers(0, 40)),
                st.tuples(st.just("propose"), names, sides, st.integers(1, 5)),
                st.tuples(
                    st.just("outcome"), st.sampled_from(("confirmed", "refused", "unconfirmed"))
                ),
                st.tuples(st.just("allow"), st.sampled_from((True, False, None))),
            ),
            max_size=40,
        )
    )


def play(desk: Desk, story: list[tuple[Any, ...]]) -> None:
    for number, (verb, *rest) in enumerate(story):
        desk.now += 1000
        if verb == "quote":
            desk.do(Quote(rest[0], rest[1], rest[1] + 1, None, desk.now))
        elif verb == "position":
            desk.do(PositionReported("A", rest[0], rest[1], rest[2] * MICRO, desk.now, desk.now))
        elif verb == "trade":
            desk.do(
                TradeReported(
                    "A",
                    f"t{number}",
                    f"o{rest[2]}",
                    rest[0],
                    -1,
                    1,
                    20_000,
                    rest[1] * USD,
                    0,
                    0,
                    START - 1,
                )
            )
        elif verb == "order":
            name, side, size, key, kind, status = rest
            stop = 19_000 if kind == "stop" else None
            desk.do(
                OrderReported(
                    "A",
                    f"x{key}",
                    name,
                    side,
                    kind,
                    size,
                    size,
                    status,
                    number,
                    desk.now,
                    None if stop else 19_000,
                    stop,
                )
            )
        elif verb == "wait":
            desk.wait(rest[0] * SECOND)
        elif verb == "propose":
            order = OrderRequest("A", rest[0], rest[1], rest[2], "market")
            desk.do(ProposalReceived(f"p{number}", "x", order))
        elif verb == "outcome":
            desk.confirm(rest[0])
        else:
            desk.allows(rest[0])


@given(steps())
@settings(max_examples=150, deadline=None)
def test_the_same_facts_give_the_same_decisions_and_the_same_state(story):
    first, second = Desk(*RULES), Desk(*RULES)
    play(first, story)
    play(second, story)
    assert [encode(d) for d in first.out] == [encode(d) for d in second.out]
    assert freeze(first.engine.state) == freeze(second.engine.state)


@given(steps(), st.integers(0, 60))
@settings(max_examples=150, deadline=None)
def test_a_prefix_then_the_rest_equals_the_whole(story, cut):
    """A snapshot anywhere, thawed, and the rest folded on it: what recovery does."""
    whole = Desk(*RULES)
    play(whole, story)
    cut = min(cut, len(whole.facts))
    head = Engine()
    for position, at, fact in whole.facts[:cut]:
        head.apply(position, at, fact)
    tail = Engine(thaw(freeze(head.state)))
    expected = Engine()
    for n, (position, at, fact) in enumerate(whole.facts):
        decisions = expected.apply(position, at, fact)
        if n >= cut:
            found = tail.apply(position, at, fact)
            assert [encode(d) for d in found] == [encode(d) for d in decisions]
    assert freeze(tail.state) == freeze(whole.engine.state)


@given(steps())
@settings(max_examples=150, deadline=None)
def test_events_survive_their_encoding(story):
    desk = Desk(*RULES)
    play(desk, story)
    for event in itertools.chain((fact for _, _, fact in desk.facts), desk.out):
        assert decode(encode(event)) == event


@given(steps())
@settings(max_examples=200, deadline=None)
def test_no_history_lets_a_locked_account_open_risk(story):
    """Whatever happened before: while an account is locked, every entry is denied, every resting
    order that could open is being cancelled, and no position grows unanswered."""
    desk = Desk(*RULES)
    play(desk, story)
    desk.ask("lock")
    for name in NAMES:
        desk.now += 1000
        desk.do(Quote(name, 20_000, 20_001, None, desk.now))
    for name, side in itertools.product(NAMES, (1, -1)):
        position = desk.account.positions.get(name)
        held = position.size if position else 0
        size = abs(held) + 1
        order = OrderRequest("A", name, side, size, "market")
        answer = desk.do(ProposalReceived(f"locked-{name}-{side}", "x", order))[-1]
        assert not answer.approved
        assert any(reason.code == "locked" for reason in answer.reasons)


@given(steps())
@settings(max_examples=150, deadline=None)
def test_the_exit_is_open_after_any_history(story):
    desk = Desk(*RULES)
    play(desk, story)
    desk.ask("shutdown")
    for name, position in list(desk.account.positions.items()):
        side = -1 if position.size > 0 else 1
        resting = sum(
            o.remaining
            for o in desk.account.orders.values()
            if o.instrument == name and o.side == side and o.type != "stop"
        ) + sum(
            r.size
            for r in desk.account.reservations.values()
            if r.instrument == name and r.side == side
        )
        if resting:
            continue
        order = OrderRequest("A", name, side, abs(position.size), "market")
        assert desk.do(ProposalReceived(f"exit-{name}", "x", order))[-1].approved


trades = st.lists(
    st.tuples(st.integers(0, 5), st.integers(-300, 300), st.booleans()), min_size=1, max_size=8
)


@given(trades, st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_repeated_and_reordered_trades_change_nothing(rows, random):
    """Any order, any repetition: the day's money, the trades and the position come out the same."""
    facts = []
    for number, (order, net, voided) in enumerate(rows):
        fact = TradeReported(
            "A",
            f"t{number}",
            f"o{order}",
            NAMES[0],
            1,
            1,
            20_000,
            net * USD,
            0,
            0,
            START + number,
            False,
        )
        facts.append(fact)
        if voided:
            facts.append(
                TradeReported(
                    "A",
                    f"t{number}",
                    f"o{order}",
                    NAMES[0],
                    1,
                    1,
                    20_000,
                    net * USD,
                    0,
                    0,
                    START + number,
                    True,
                )
            )
    straight, mixed = Desk(), Desk()
    for desk in (straight, mixed):
        desk.now += SECOND
    for fact in facts:
        straight.do(fact)
    shuffled = facts * 2
    random.shuffle(shuffled)
    for fact in shuffled:
        mixed.do(fact)
    for desk in (straight, mixed):
        desk.do(PositionReported("A", NAMES[0], 2, 20_000 * MICRO, START + 2 * SECOND))
    assert straight.account.realized == mixed.account.realized
    assert straight.account.exits == mixed.account.exits
    assert held(straight) == held(mixed)


def held(desk: Desk) -> list[tuple[str, int, int]]:
    """What is held and at what price; when it was first seen may differ by the order of arrival."""
    return [(p.instrument, p.size, p.average) for p in desk.account.positions.values()]


@given(st.integers(1, 2000), st.integers(1, 2000), st.integers(0, 2000))
@settings(max_examples=100, deadline=None)
def test_a_tighter_loss_limit_never_lets_more_through(limit, tighter_by, loss):
    tight, loose = max(1, limit - tighter_by), limit
    found = []
    for each in (tight, loose):
        desk = Desk(daily_realized_loss.Params(limit=each * USD))
        desk.trade(-loss * USD)
        found.append(bool(desk.breaches()))
    assert found[0] >= found[1]
