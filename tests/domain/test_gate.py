"""The gate: the exit lane stays open whatever happens, and what is unknown denies."""

from __future__ import annotations

import pytest

from portcullis.domain.model import HOUR, SECOND
from portcullis.domain.plan import Requirement
from portcullis.domain.rules import daily_realized_loss, max_contracts, symbol_blocks
from tests.domain.desk import BUY, LISTED, SELL, USD, Desk

ES = LISTED["ES"].id


def codes(answer) -> list[str]:
    return [reason.code for reason in answer.reasons]


def ready(*rules, **more) -> Desk:
    desk = Desk(*rules, **more)
    desk.quote("ES", 20_000)
    return desk


def test_an_order_within_every_limit_is_approved_and_told_the_largest():
    answer = ready(max_contracts.Params(limit=5)).propose("ES", BUY, 2)
    assert (answer.approved, answer.largest_allowed, answer.lane) == (True, 5, "entry")


@pytest.mark.parametrize(("size", "approved"), [(3, True), (4, False)])
def test_positions_and_resting_orders_count_towards_the_limit(size, approved):
    desk = ready(max_contracts.Params(limit=5))
    desk.holds("ES", 1)
    desk.order("ES", BUY, 1)
    answer = desk.propose("ES", BUY, size)
    assert answer.approved is approved
    assert answer.largest_allowed == 3
    if not approved:
        assert codes(answer) == ["max_contracts"]
        assert answer.reasons[0].limit == "5 minis"


def test_an_approval_holds_its_room_until_the_time_is_over():
    desk = ready(max_contracts.Params(limit=5))
    assert desk.propose("ES", BUY, 4).approved
    assert not desk.propose("ES", BUY, 2).approved
    desk.wait(11 * SECOND)
    desk.quote("ES", 20_000)
    assert desk.propose("ES", BUY, 2).approved


def test_micros_count_as_parts_of_a_mini():
    desk = ready(max_contracts.Params(limit=5))
    desk.quote("MES", 20_000)
    desk.holds("ES", 4)
    assert desk.propose("MES", BUY, 1).largest_allowed == 10


@pytest.mark.parametrize(
    ("prepare", "code"),
    [
        (lambda d: d.ask("lock"), "locked"),
        (lambda d: d.ask("observe"), "mode"),
        (lambda d: d.ask("shutdown"), "mode"),
        (lambda d: d.wait(HOUR), "stale_price"),
        (lambda d: d.trade(-900 * USD), "locked"),
        (lambda d: d.allows(None), "unreported"),
    ],
)
def test_the_exit_lane_is_open_where_the_entry_lane_is_shut(prepare, code):
    desk = ready(daily_realized_loss.Params(limit=500 * USD))
    desk.holds("ES", 3)
    prepare(desk)
    if code != "unreported":
        assert code in codes(desk.propose("ES", BUY, 1))
    answer = desk.propose("ES", SELL, 3)
    assert (answer.approved, answer.lane) == (True, "exit")


def test_an_exit_that_would_flip_the_position_is_no_exit():
    desk = ready(max_contracts.Params(limit=5))
    desk.holds("ES", 1)
    desk.ask("observe")
    answer = desk.propose("ES", SELL, 5)
    assert not answer.approved
    assert answer.largest_allowed == 1
    assert "would_flip" in codes(answer)


def test_a_buy_while_flat_is_never_an_exit():
    desk = ready(max_contracts.Params(limit=5))
    desk.ask("observe")
    assert not desk.propose("ES", BUY, 1).approved


def test_resting_exits_count_so_that_two_of_them_cannot_flip():
    desk = ready(max_contracts.Params(limit=5))
    desk.holds("ES", 2)
    desk.order("ES", SELL, 2, price=21_000)
    desk.ask("observe")
    assert not desk.propose("ES", SELL, 2).approved


def test_a_protective_stop_does_not_use_up_the_exit():
    desk = ready(max_contracts.Params(limit=5))
    desk.holds("ES", 2)
    desk.order("ES", SELL, 2, "stop")
    desk.ask("observe")
    assert desk.propose("ES", SELL, 2).approved


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ({"account": "X"}, "unknown_account"),
        ({"ticker": "CON.XX"}, "unknown_instrument"),
        ({"size": 0}, "bad_size"),
        ({"size": -3}, "bad_size"),
        ({"side": 0}, "bad_side"),
        ({"kind": "limit"}, "bad_price"),
        ({"kind": "limit", "limit_price": -5}, "bad_price"),
        ({"ticker": "NQ"}, "no_price"),
    ],
)
def test_what_is_unknown_or_malformed_denies_and_says_so(order, code):
    desk = ready(max_contracts.Params(limit=5))
    known = {"ticker": "ES", "side": BUY, "size": 1} | order
    answer = desk.propose(known.pop("ticker"), known.pop("side"), known.pop("size"), **known)
    assert not answer.approved
    assert code in codes(answer)


def test_every_reason_is_given_at_once():
    desk = ready(max_contracts.Params(limit=1), symbol_blocks.Params(blocked=("ES",)))
    desk.ask("lock")
    found = codes(desk.propose("ES", BUY, 2))
    assert found == ["locked", "max_contracts", "symbol_blocks"]


def test_an_account_that_was_not_compared_since_the_start_may_not_open():
    desk = ready(max_contracts.Params())
    desk.account.reconciled_at = 0
    assert "unreconciled" in codes(desk.propose("ES", BUY, 1))


def test_a_stale_price_of_an_open_position_denies_every_entry():
    from portcullis.domain.rules import daily_unrealized_loss

    desk = ready(daily_unrealized_loss.Params())
    desk.holds("ES", 1)
    desk.wait(11 * SECOND)
    desk.quote("NQ", 20_000)
    assert "cannot_judge" in codes(desk.propose("NQ", BUY, 1))


def test_expired_evidence_denies_even_before_the_mode_falls():
    desk = ready(max_contracts.Params(), required=(Requirement("operations"),))
    desk.verdict("operations", lasts=SECOND)
    assert desk.engine.state.system.mode == "ACTIVE"
    desk.now += 2 * SECOND
    found = codes(desk.propose("ES", BUY, 1))
    assert found[0] in ("evidence", "mode")


def test_an_id_is_answered_once():
    from portcullis.domain.events import ProposalReceived
    from portcullis.domain.model import OrderRequest

    desk = ready(max_contracts.Params())
    order = OrderRequest("A", ES, BUY, 1, "market")
    assert desk.do(ProposalReceived("same", "x", order))[0].approved
    again = desk.do(ProposalReceived("same", "x", order))[0]
    assert codes(again) == ["duplicate"]
