"""Every rule at, just under and just over its limit, and what it then asks for."""

from __future__ import annotations

import pytest

from portcullis.domain.commands import (
    CancelOrder,
    CancelOrders,
    Close,
    Flatten,
    MoveStop,
    PlaceStop,
    Reduce,
)
from portcullis.domain.hours import Hours
from portcullis.domain.model import HOUR, MINUTE, SECOND
from portcullis.domain.plan import Plan
from portcullis.domain.rules import (
    auth_loss_guard,
    cooldown_after_loss,
    daily_realized_loss,
    daily_realized_profit,
    daily_unrealized_loss,
    max_contracts,
    max_contracts_per_instrument,
    max_unrealized_profit,
    no_stop_loss_grace,
    session_block_outside,
    symbol_blocks,
    trade_frequency_limit,
    trade_management,
    trailing_drawdown,
)
from tests.domain.desk import BUY, LISTED, SELL, START, USD, Desk

ES, MES, NQ, MNQ = (LISTED[t].id for t in ("ES", "MES", "NQ", "MNQ"))


# --- RULE-001 ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "params", "breaches"),
    [
        ({"ES": 5}, {"limit": 5}, False),
        ({"ES": 6}, {"limit": 5}, True),
        ({"ES": -6}, {"limit": 5}, True),
        ({"ES": 4, "MES": 10}, {"limit": 5}, False),
        ({"ES": 4, "MES": 11}, {"limit": 5}, True),
        ({"ES": 3, "NQ": -3}, {"limit": 5}, True),
        ({"MES": 5}, {"limit": 5, "micro_ratio": None}, False),
        ({"MES": 6}, {"limit": 5, "micro_ratio": None}, True),
    ],
)
def test_max_contracts_allows_n_and_breaches_above(held, params, breaches):
    desk = Desk(max_contracts.Params(**params))
    for ticker, size in held.items():
        desk.holds(ticker, size)
    assert bool(desk.breaches("max_contracts")) is breaches
    assert desk.commands() == ([Flatten("A")] if breaches else [])


def test_max_contracts_reduces_the_largest_first_and_no_further_than_needed():
    desk = Desk(max_contracts.Params(limit=3, on_breach="reduce"))
    desk.holds("NQ", 2)
    desk.holds("ES", 3)
    assert desk.commands() == [Reduce("A", ES, 1)]


def test_max_contracts_reduces_the_leg_that_adds_and_not_the_one_that_nets():
    import msgspec

    from portcullis.domain.events import InstrumentListed, PositionReported
    from portcullis.domain.model import MICRO

    desk = Desk(max_contracts.Params(limit=3, on_breach="reduce"))
    far = msgspec.structs.replace(LISTED["ES"], id="CON.F.US.EP.H27")
    desk.do(InstrumentListed(far))
    desk.do(PositionReported("A", far.id, -3, 20_000 * MICRO, desk.now))
    desk.holds("ES", 7)
    assert desk.commands() == [Reduce("A", ES, 6)]


def test_max_contracts_can_lock_until_the_next_session():
    desk = Desk(max_contracts.Params(limit=1, on_breach="lock"))
    desk.holds("ES", 2)
    assert [lock.ends for lock in desk.locks_set()] == ["next_session"]


# --- RULE-002 ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ticker", "size", "params", "command"),
    [
        ("MNQ", 2, {}, None),
        ("MNQ", 3, {}, Reduce("A", MNQ, 2)),
        ("MNQ", -3, {}, Reduce("A", MNQ, 2)),
        ("MNQ", 3, {"on_breach": "close"}, Close("A", MNQ)),
        ("ES", 1, {}, Close("A", ES)),
        ("ES", 1, {"unknown": 1}, None),
        ("ES", 2, {"unknown": 1}, Reduce("A", ES, 1)),
    ],
)
def test_max_contracts_per_instrument(ticker, size, params, command):
    desk = Desk(max_contracts_per_instrument.Params(limits={"MNQ": 2}, **params))
    desk.holds(ticker, size)
    assert desk.commands() == ([command] if command else [])


def test_the_ticker_is_found_although_the_venue_calls_es_ep():
    desk = Desk(max_contracts_per_instrument.Params(limits={"ES": 1}))
    assert LISTED["ES"].root == "EP"
    desk.holds("ES", 1)
    assert not desk.breaches()


# --- RULE-003 and RULE-013 --------------------------------------------------------------------


@pytest.mark.parametrize(("loss", "breaches"), [(499_990_000, False), (500 * USD, True)])
def test_daily_realized_loss_breaches_when_the_loss_reaches_the_limit(loss, breaches):
    desk = Desk(daily_realized_loss.Params(limit=500 * USD))
    desk.trade(-loss)
    assert bool(desk.breaches("daily_realized_loss")) is breaches
    if breaches:
        assert desk.commands() == [Flatten("A")]
        assert [lock.ends for lock in desk.locks_set()] == ["next_session"]


def test_losses_are_net_of_fees_of_opening_fills_too():
    desk = Desk(daily_realized_loss.Params(limit=500 * USD))
    desk.trade(None, fees=5 * USD)
    desk.trade(-490 * USD, fees=4 * USD)
    assert not desk.breaches()
    desk.trade(None, fees=1 * USD)
    assert desk.breaches("daily_realized_loss")


@pytest.mark.parametrize(("profit", "breaches"), [(999_990_000, False), (1000 * USD, True)])
def test_daily_realized_profit_breaches_when_the_profit_reaches_the_target(profit, breaches):
    desk = Desk(daily_realized_profit.Params(target=1000 * USD))
    desk.trade(profit)
    assert bool(desk.breaches("daily_realized_profit")) is breaches


# --- RULE-004 and RULE-005 --------------------------------------------------------------------


@pytest.mark.parametrize(("bid", "command"), [(19_977, None), (19_976, Close("A", ES))])
def test_daily_unrealized_loss_of_a_position_closes_it(bid, command):
    desk = Desk(daily_unrealized_loss.Params(limit=300 * USD))
    desk.quote("ES", 20_000)
    desk.holds("ES", 1)
    desk.quote("ES", bid)
    assert desk.commands() == ([command] if command else [])
    assert desk.locks_set() == []


def test_daily_unrealized_loss_in_total_flattens_and_locks():
    desk = Desk(daily_unrealized_loss.Params(limit=300 * USD, scope="total"))
    for ticker in ("ES", "NQ"):
        desk.quote(ticker, 20_000)
        desk.holds(ticker, 1)
    desk.quote("ES", 19_988)
    assert not desk.breaches()
    desk.quote("NQ", 19_970)
    assert desk.commands() == [Flatten("A")]
    assert [lock.ends for lock in desk.locks_set()] == ["next_session"]


def test_a_short_is_marked_at_the_ask():
    desk = Desk(daily_unrealized_loss.Params(limit=300 * USD))
    desk.quote("ES", 20_000)
    desk.holds("ES", -1)
    desk.quote("ES", 20_000, 20_024)
    assert desk.commands() == [Close("A", ES)]


@pytest.mark.parametrize(("bid", "breaches"), [(20_079, False), (20_080, True)])
def test_max_unrealized_profit_takes_the_profit_at_the_target(bid, breaches):
    desk = Desk(max_unrealized_profit.Params(target=1000 * USD))
    desk.quote("ES", 20_000)
    desk.holds("ES", 1)
    desk.quote("ES", bid)
    assert bool(desk.breaches()) is breaches


def test_break_even_closes_only_after_it_was_armed():
    desk = Desk(max_unrealized_profit.Params(mode="break_even", arm_at=500 * USD))
    desk.quote("ES", 20_000)
    desk.holds("ES", 1)
    desk.quote("ES", 19_999)
    desk.quote("ES", 20_039)
    desk.quote("ES", 20_000)
    assert not desk.breaches()
    desk.quote("ES", 20_040)
    desk.quote("ES", 20_001)
    assert not desk.breaches()
    desk.quote("ES", 20_000)
    assert desk.commands() == [Close("A", ES)]


# --- RULE-006 and RULE-007 --------------------------------------------------------------------


def test_trade_frequency_counts_orders_not_fills_and_allows_n():
    desk = Desk(trade_frequency_limit.Params(per_minute=3))
    for order in ("a", "a", "b", "c", "c"):
        desk.trade(None, order)
    assert not desk.breaches()
    desk.trade(None, "d")
    assert desk.commands() == []
    lock = desk.locks_set()[0]
    assert (lock.ends, lock.until) == ("at", desk.now + MINUTE)


def test_trade_frequency_takes_the_longest_cooldown_reached():
    desk = Desk(trade_frequency_limit.Params(per_minute=1, per_hour=2))
    for order in "abc":
        desk.trade(None, order)
    assert max(lock.until for lock in desk.locks_set()) == desk.now + 30 * MINUTE


def test_trades_older_than_the_window_do_not_count():
    desk = Desk(trade_frequency_limit.Params(per_minute=2, per_hour=100))
    for order in "ab":
        desk.trade(None, order)
    desk.wait(MINUTE)
    for order in "cd":
        desk.trade(None, order)
    assert not desk.breaches()


def test_a_session_that_is_full_is_over():
    desk = Desk(trade_frequency_limit.Params(per_minute=99, per_hour=99, per_session=2))
    for order in "abc":
        desk.trade(None, order)
    assert [lock.ends for lock in desk.locks_set()] == ["next_session"]


def test_trades_learnt_more_than_an_hour_late_count_for_the_session():
    """The worker was away; what it reads back is over the session's limit, and in no window."""
    desk = Desk(trade_frequency_limit.Params(per_minute=9, per_hour=9, per_session=2))
    desk.wait(2 * HOUR)
    for minute in (1, 2, 3):
        desk.trade(-1 * USD, at=START + minute * MINUTE)
    assert [lock.ends for lock in desk.locks_set()] == ["next_session"]
    desk.trade(-1 * USD, at=START + 4 * MINUTE)
    assert len(desk.breaches()) == 2


@pytest.mark.parametrize(
    ("loss", "minutes"), [(99_990_000, None), (100 * USD, 5), (200 * USD, 15), (950 * USD, 30)]
)
def test_cooldown_after_loss_takes_the_worst_tier(loss, minutes):
    desk = Desk(cooldown_after_loss.Params())
    desk.trade(-loss)
    spans = [lock.until - desk.now for lock in desk.locks_set()]
    assert spans == ([] if minutes is None else [minutes * MINUTE])


def test_partial_exits_of_one_order_are_one_trade():
    desk = Desk(cooldown_after_loss.Params())
    desk.trade(-60 * USD, "exit")
    assert not desk.breaches()
    desk.trade(-60 * USD, "exit")
    assert len(desk.breaches("cooldown_after_loss")) == 1


def test_a_cooldown_does_not_erase_a_hard_lock():
    desk = Desk(daily_realized_loss.Params(limit=500 * USD), cooldown_after_loss.Params())
    desk.trade(-600 * USD)
    assert {lock.rule for lock in desk.locks_set()} == {
        "daily_realized_loss",
        "cooldown_after_loss",
    }
    desk.wait(31 * MINUTE)
    assert [lock.rule for lock in desk.account.locks.values()] == ["daily_realized_loss"]


# --- RULE-008 ---------------------------------------------------------------------------------


def test_no_stop_loss_grace_closes_after_the_grace_and_not_before():
    desk = Desk(no_stop_loss_grace.Params(grace=30 * SECOND))
    desk.holds("ES", 1)
    desk.wait(30 * SECOND)
    assert not desk.breaches()
    desk.wait(1)
    assert desk.commands() == [Close("A", ES, unless_covered=True)]


@pytest.mark.parametrize(
    ("order", "is_covered"),
    [
        (("ES", SELL, 2, "stop"), True),
        (("ES", SELL, 2, "stop_limit"), True),
        (("ES", SELL, 2, "trailing"), True),
        (("ES", SELL, 1, "stop"), False),
        (("ES", SELL, 2, "limit"), False),
        (("ES", BUY, 2, "stop"), False),
        (("NQ", SELL, 2, "stop"), False),
    ],
)
def test_what_counts_as_a_stop(order, is_covered):
    desk = Desk(no_stop_loss_grace.Params(grace=30 * SECOND))
    desk.holds("ES", 2)
    ticker, side, size, kind = order
    desk.order(ticker, side, size, kind)
    desk.wait(MINUTE)
    assert bool(desk.breaches()) is not is_covered


def test_a_suspended_child_counts_only_while_its_parent_works():
    desk = Desk(no_stop_loss_grace.Params(grace=30 * SECOND))
    desk.order("ES", BUY, 2, order_id="parent", remaining=1)
    desk.order("ES", SELL, 1, "stop", order_id="child", status="suspended", parent="parent")
    desk.holds("ES", 1)
    desk.wait(MINUTE)
    assert not desk.breaches()
    desk.order("ES", BUY, 2, order_id="parent", status="cancelled", version=2, remaining=0)
    desk.wait(MINUTE)
    assert desk.breaches("no_stop_loss_grace")


def test_a_grace_of_more_than_a_day_does_not_wrap():
    desk = Desk(no_stop_loss_grace.Params(grace=25 * HOUR))
    desk.holds("ES", 1)
    desk.wait(24 * HOUR + 30 * SECOND)
    assert not desk.breaches()
    desk.wait(HOUR)
    assert desk.breaches()


def test_a_position_opened_while_nobody_watched_has_used_its_grace():
    desk = Desk(no_stop_loss_grace.Params(grace=30 * SECOND))
    desk.holds("ES", 1, opened_at=desk.now - 5 * MINUTE)
    desk.wait(0)
    assert desk.breaches()


# --- RULE-009 ---------------------------------------------------------------------------------

DAY_HOURS = (Hours(8 * 60 + 30, 15 * 60),)


def test_a_position_is_closed_at_the_end_of_the_session_and_locked_until_the_next():
    desk = Desk(session_block_outside.Params(sessions=DAY_HOURS))
    desk.holds("ES", 1)
    assert not desk.breaches()
    desk.wait(6 * HOUR)
    assert desk.commands() == [Flatten("A")]
    assert desk.locks_set()[0].until == START + 23 * HOUR + 30 * MINUTE


def test_an_order_outside_the_session_is_cancelled():
    desk = Desk(session_block_outside.Params(sessions=DAY_HOURS), at=START + 7 * HOUR)
    desk.order("ES", BUY, 1)
    assert desk.breaches("session_block_outside")
    assert desk.commands() == [Flatten("A")]


def test_flat_by_ends_an_overnight_session():
    night = (Hours(17 * 60, 16 * 60, overnight=True, days=(6, 0, 1, 2, 3)),)
    rule = session_block_outside.Params(sessions=night, flat_by=15 * 60 + 8)
    desk = Desk(rule)
    desk.holds("ES", 1)
    desk.wait(6 * HOUR + 7 * MINUTE)
    assert not desk.breaches()
    desk.wait(MINUTE)
    assert desk.breaches()


def test_an_instrument_can_have_hours_of_its_own():
    rule = session_block_outside.Params(
        sessions=(Hours(0, 24 * 60, days=tuple(range(7))),), instruments={"NQ": (Hours(60, 120),)}
    )
    desk = Desk(rule)
    desk.holds("ES", 1)
    assert not desk.breaches()
    desk.holds("NQ", 1)
    assert desk.commands() == [Close("A", NQ)]
    assert desk.locks_set()[0].instrument == NQ


# --- RULE-010 ---------------------------------------------------------------------------------


def test_a_venue_that_forbids_flattens_and_locks_until_a_person():
    desk = Desk(auth_loss_guard.Params())
    desk.allows(False)
    assert desk.commands() == [Flatten("A")]
    assert desk.locks_set()[0].ends == "person"
    desk.confirm()
    desk.allows(True)
    assert desk.account.locks


def test_a_bad_state_at_the_start_is_seen_without_a_change():
    desk = Desk()
    desk.allows(False)
    desk.load(Plan((desk.plan.accounts[0].__class__("A", (auth_loss_guard.Params(),)),)))
    assert desk.breaches("auth_loss_guard")


def test_auto_unlock_ends_its_own_lock_when_the_venue_allows_again():
    desk = Desk(auth_loss_guard.Params(auto_unlock=True))
    desk.allows(False)
    desk.ask("lock", for_us=HOUR)
    desk.confirm()
    desk.allows(True)
    assert [lock.rule for lock in desk.account.locks.values()] == ["manual"]


def test_a_venue_that_does_not_say_denies_but_flattens_nothing():
    desk = Desk(auth_loss_guard.Params())
    desk.quote("ES", 20_000)
    desk.allows(None)
    assert desk.commands() == []
    answer = desk.propose("ES", BUY, 1)
    assert [reason.code for reason in answer.reasons] == [
        "not_allowed_to_trade",
        "auth_loss_guard",
    ]


# --- RULE-011 ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("blocked", "ticker", "hit"),
    [("ES", "ES", True), ("ES", "MES", False), ("M*", "MES", True), ("es", "ES", True)],
)
def test_symbol_blocks_match_whole_tickers_or_patterns(blocked, ticker, hit):
    desk = Desk(symbol_blocks.Params(blocked=(blocked,)))
    desk.holds(ticker, 1)
    assert bool(desk.breaches("symbol_blocks")) is hit


def test_a_block_locks_its_instrument_until_the_configuration_changes():
    desk = Desk(symbol_blocks.Params(blocked=("NQ",)))
    desk.order("NQ", BUY, 1)
    assert desk.commands() == [Close("A", NQ)]
    assert desk.locks_set()[0].instrument == NQ
    desk.wait(72 * HOUR)
    assert desk.account.locks
    desk.load(
        Plan((desk.plan.accounts[0].__class__("A", (symbol_blocks.Params(blocked=("CL",)),)),))
    )
    assert [ended.how for ended in desk.locks_ended()] == ["config"]


# --- RULE-012 ---------------------------------------------------------------------------------


def managed(**settings) -> Desk:
    desk = Desk(trade_management.Params(**settings))
    desk.quote("ES", 20_000)
    return desk


def test_an_automatic_stop_is_placed_at_its_distance():
    desk = managed(auto_stop=20)
    desk.holds("ES", 2)
    assert desk.commands() == [PlaceStop("A", ES, SELL, 2, 19_980)]


def test_break_even_and_trailing_ratchet_and_never_widen():
    desk = managed(
        auto_stop=20,
        break_even=trade_management.BreakEven(10, 2),
        trailing=trade_management.Trailing(30, 15),
    )
    desk.holds("ES", 1)
    desk.order("ES", SELL, 1, "stop", price=19_980, order_id="s")
    desk.confirm()
    prices = []
    for bid in (20_009, 20_010, 20_005, 20_030, 20_020, 20_040):
        desk.wait(2 * SECOND)
        desk.out.clear()
        desk.quote("ES", bid)
        moved = [c for c in desk.commands() if isinstance(c, MoveStop)]
        for command in moved:
            prices.append(command.stop_price)
            desk.order(
                "ES",
                SELL,
                1,
                "stop",
                price=command.stop_price,
                order_id="s",
                version=len(prices) + 1,
            )
            desk.confirm()
    assert prices == [20_002, 20_015, 20_025]


def test_a_tighter_stop_of_a_person_is_respected():
    desk = managed(auto_stop=20)
    desk.holds("ES", 1)
    desk.out.clear()
    desk.order("ES", SELL, 1, "stop", price=19_990, order_id="mine")
    desk.confirm()
    desk.wait(5 * SECOND)
    desk.quote("ES", 20_001)
    assert not [c for c in desk.commands() if isinstance(c, MoveStop)]


def test_the_stop_follows_the_size():
    desk = managed(auto_stop=20)
    desk.holds("ES", 1)
    desk.order("ES", SELL, 1, "stop", price=19_980, order_id="s")
    desk.confirm()
    desk.out.clear()
    desk.holds("ES", 3)
    assert desk.commands() == [MoveStop("A", ES, "s", 19_980, 3)]


def test_a_stop_that_outlived_its_position_is_withdrawn():
    desk = managed(auto_stop=20)
    desk.holds("ES", 1)
    key = next(iter(desk.account.pending))
    from portcullis.domain.events import OrderReported

    desk.do(
        OrderReported(
            "A",
            "s",
            ES,
            SELL,
            "stop",
            1,
            1,
            "working",
            1,
            desk.now,
            stop_price=19_980,
            key=key + "/stop",
        )
    )
    desk.confirm()
    desk.out.clear()
    desk.holds("ES", 0)
    desk.order("ES", BUY, 1, price=100)
    assert CancelOrder("A", ES, "s") in desk.commands()


# --- RULE-014 ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("high", "floor"), [(50_000, 48_000), (50_500, 48_500), (52_500, 50_000), (60_000, 50_000)]
)
def test_the_floor_follows_the_high_and_stops_at_the_start(high, floor):
    rule = trailing_drawdown.Params(start=50_000 * USD, allowance=2_000 * USD)
    desk = Desk(rule)
    desk.account.high = high * USD
    assert trailing_drawdown.floor(desk.account, rule) == floor * USD


@pytest.mark.parametrize(("bid", "breaches"), [(19_841, False), (19_840, True)])
def test_equity_at_the_floor_ends_the_account(bid, breaches):
    desk = Desk(trailing_drawdown.Params(start=50_000 * USD, allowance=2_000 * USD))
    desk.quote("ES", 20_000)
    desk.holds("ES", 1)
    desk.quote("ES", bid)
    assert bool(desk.breaches("trailing_drawdown")) is breaches
    if breaches:
        assert desk.locks_set()[0].ends == "person"
        assert desk.commands() == [Flatten("A")]


def test_the_end_of_day_high_does_not_rise_within_the_day():
    rule = trailing_drawdown.Params(start=50_000 * USD, allowance=2_000 * USD)
    desk = Desk(rule)
    desk.trade(1_000 * USD)
    assert trailing_drawdown.floor(desk.account, rule) == 48_000 * USD
    desk.wait(9 * HOUR)
    assert trailing_drawdown.floor(desk.account, rule) == 49_000 * USD


def test_an_intraday_trail_follows_open_profit():
    rule = trailing_drawdown.Params(50_000 * USD, 2_000 * USD, "intraday", lock_at_start=False)
    desk = Desk(rule)
    desk.quote("ES", 20_000)
    desk.holds("ES", 1)
    desk.quote("ES", 20_100)
    assert trailing_drawdown.floor(desk.account, rule) == 49_250 * USD
    desk.quote("ES", 19_940)
    assert desk.breaches("trailing_drawdown")


# --- all of them ------------------------------------------------------------------------------


def test_all_breaches_are_kept_and_their_commands_merged():
    desk = Desk(
        max_contracts.Params(limit=1),
        max_contracts_per_instrument.Params(limits={"ES": 1}),
        symbol_blocks.Params(blocked=("ES",)),
    )
    desk.holds("ES", 2)
    assert {b.rule for b in desk.breaches()} == {
        "max_contracts",
        "max_contracts_per_instrument",
        "symbol_blocks",
    }
    assert desk.commands() == [Flatten("A")]


def test_a_breach_that_stands_is_not_enforced_twice_and_a_new_one_is():
    desk = Desk(max_contracts.Params(limit=1))
    desk.holds("ES", 2)
    desk.holds("ES", 3)
    assert len(desk.commands()) == 1
    desk.holds("ES", 0)
    desk.confirm()
    desk.holds("ES", 2)
    assert len(desk.commands()) == 2


def test_resting_orders_that_could_open_risk_are_cancelled_when_a_lock_is_set():
    desk = Desk()
    desk.order("ES", BUY, 1)
    desk.ask("lock")
    assert desk.commands() == [CancelOrders("A", ES)]
