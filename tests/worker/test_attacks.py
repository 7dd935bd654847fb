"""Ways round the gate and the lock that were found by trying, each kept shut from then on."""

from __future__ import annotations

import msgspec
import pytest

from portcullis.domain.commands import Close, Flatten
from portcullis.domain.events import (
    BreachFound,
    CommandConcluded,
    LedgerRestored,
    LooseningHeld,
    OrderReported,
    ProposalReceived,
    Quote,
    RequestReceived,
    VerdictRecorded,
    WorkerStarted,
)
from portcullis.domain.model import BUY, HOUR, MICRO, SECOND, SELL, OrderRequest, Verdict
from portcullis.domain.plan import AccountPlan, Plan, Requirement, digest, encode_plan
from portcullis.domain.rules import (
    daily_realized_loss,
    daily_unrealized_loss,
    max_contracts,
    trade_management,
    trailing_drawdown,
)
from portcullis.worker.requests import Asked
from tests.domain.desk import LISTED, USD, Desk
from tests.worker.harness import ES, World


def flatten() -> RequestReceived:
    return RequestReceived("r", "flatten", "me", "operator", "x", "A", {})


def test_a_command_that_gave_way_before_its_first_step_is_concluded():
    world = World(daily_unrealized_loss.Params(limit=300 * USD))
    world.quote(ES, 20_000)

    async def story(w):
        worker = await w.start()
        w.order(ES, BUY, 1)
        await w.pass_time(1)
        worker.core.enter(Quote(ES.id, 19_900, 19_901, 19_900, w.clock.now() + 1))
        worker.core.enter(flatten())
        await w.pass_time(5)
        assert worker.core.engine.state.accounts["A"].pending == {}
        assert {e.outcome for e in w.events(CommandConcluded)} == {"superseded", "confirmed"}
        w.quote(ES, 20_000)
        w.order(ES, BUY, 1)
        w.quote(ES, 19_800)
        await w.pass_time(5)
        assert w.size(ES) == 0

    world.play(story)


def test_automation_never_holds_back_protection():
    desk = Desk(trade_management.Params(auto_stop=10), daily_realized_loss.Params(500 * USD))
    desk.quote("ES", 20_000)
    for size in range(1, 31):
        desk.holds("ES", size)
        desk.confirm()
    desk.out.clear()
    desk.trade(-600 * USD)
    assert Flatten("A") in desk.commands()


def test_a_refused_stop_does_not_stop_protection():
    desk = Desk(trade_management.Params(auto_stop=10), daily_realized_loss.Params(500 * USD))
    desk.quote("ES", 20_000)
    desk.holds("ES", 1)
    desk.confirm("refused")
    desk.out.clear()
    desk.trade(-600 * USD)
    assert Flatten("A") in desk.commands()


def test_what_is_refused_again_and_again_is_tried_less_often():
    desk = Desk(max_contracts.Params(limit=1))
    desk.holds("ES", 2)
    for _ in range(30):
        desk.confirm("refused")
        desk.wait(31 * SECOND)
    assert len(desk.commands()) == 13  # eleven in the first six minutes, two in the next nine


def test_an_exit_that_is_none_any_more_is_not_sent():
    world = World(max_contracts.Params(limit=5))
    world.quote(ES, 20_000)

    async def story(w):
        worker = await w.start()
        w.order(ES, BUY, 2)
        await w.pass_time(1)
        worker.core.enter(flatten())
        order = OrderRequest("A", ES.id, SELL, 2, "market")
        worker.core.enter(ProposalReceived("p", "bot", order, submit=True))
        await w.pass_time(5)
        assert w.size(ES) == 0

    world.play(story)


def test_stops_together_are_no_larger_than_what_they_protect():
    world = World(max_contracts.Params(limit=5))
    world.quote(ES, 20_000)

    async def story(w):
        worker = await w.start()
        w.order(ES, BUY, 2)
        await w.pass_time(1)
        worker.core.enter(RequestReceived("l", "lock", "me", "operator", "x", "A", {}))
        for number in range(5):
            order = OrderRequest("A", ES.id, SELL, 2, "stop", stop_price=19_900)
            worker.core.enter(ProposalReceived(f"p{number}", "bot", order, submit=True))
            await w.pass_time(1)
        w.quote(ES, 19_899)
        await w.pass_time(5)
        assert w.size(ES) == 0

    world.play(story)


def test_money_that_leaves_the_account_counts_against_the_drawdown():
    world = World(trailing_drawdown.Params(50_000 * MICRO, 2_000 * MICRO))
    world.quote(ES, 20_000)

    async def story(w):
        await w.start()
        w.exchange._accounts["A"].balance -= 3_000 * MICRO
        await w.pass_time(20)
        assert [b.rule for b in w.events(BreachFound)] == ["trailing_drawdown"]

    world.play(story)


def test_an_account_that_can_no_longer_be_compared_may_not_open():
    world = World(max_contracts.Params(limit=5), required=(Requirement("venue", at_start=True),))
    world.quote(ES, 20_000)

    async def story(w):
        worker = await w.start()
        w.exchange._accounts.clear()
        await w.pass_time(60)
        state = worker.core.engine.state
        assert state.accounts["A"].reconciled_at == 0
        assert state.system.mode == "OBSERVE_ONLY"
        assert len(w.events()) < 200

    world.play(story)


def test_approvals_in_several_instruments_share_the_limit():
    desk = Desk(max_contracts.Params(limit=5))
    for ticker in ("ES", "NQ"):
        desk.quote(ticker, 20_000)
    assert desk.propose("ES", BUY, 5).approved
    assert not desk.propose("NQ", BUY, 1).approved


def test_a_filled_order_keeps_its_room_until_its_fill_is_known():
    desk = Desk(max_contracts.Params(limit=1))
    desk.quote("ES", 20_000)
    assert desk.propose("ES", BUY, 1).approved
    key = next(iter(desk.account.reservations))
    desk.do(OrderReported("A", "o", ES.id, BUY, "market", 1, 0, "filled", 2, desk.now, key=key))
    assert not desk.propose("ES", BUY, 1).approved


@pytest.mark.parametrize("case", ["future", "one side", "unlisted", "stale again"])
def test_blind_on_price_is_never_taken_for_seeing(case):
    desk = Desk(daily_unrealized_loss.Params(limit=300 * USD), max_contracts.Params(limit=9))
    desk.quote("NQ", 20_000)
    if case == "future":
        desk.holds("ES", 1)
        desk.do(Quote(ES.id, 20_000, 20_000, 20_000, desk.now + 300 * 24 * HOUR))
        desk.quote("ES", 10_000)
        assert desk.breaches("daily_unrealized_loss")
        return
    if case == "one side":
        desk.holds("ES", 1)
        desk.do(Quote(ES.id, None, 19_000, None, desk.now))
    elif case == "unlisted":
        from portcullis.domain.events import PositionReported

        desk.do(Quote("CON.X", 5, 6, 5, desk.now))
        desk.do(PositionReported("A", "CON.X", 1, 5 * MICRO, desk.now))
    else:
        desk.quote("ES", 20_000)
        desk.holds("ES", 1)
        desk.wait(11 * SECOND)
        desk.quote("ES", 20_000)
        desk.wait(600 * SECOND)
    desk.quote("NQ", 20_000)
    assert desk.account.unjudged
    assert not desk.propose("NQ", BUY, 1).approved


@pytest.mark.parametrize(
    "arguments",
    [{"for_us": 2**64 - 1}, {"for_us": "1h"}, {"instrument": ["ES"]}, {"instrument": "EP-none"}],
)
def test_a_lock_that_makes_no_sense_is_refused(arguments):
    desk = Desk()
    assert desk.ask("lock", "operator", **arguments).outcome == "refused"
    assert desk.ask("release", lock=[1]).outcome == "refused"


def test_a_lock_by_ticker_locks_the_venues_contract():
    desk = Desk(max_contracts.Params(limit=5))
    desk.quote("ES", 20_000)
    desk.ask("lock", "operator", instrument="ES")
    assert not desk.propose("ES", BUY, 1).approved
    assert desk.account.locks[1].instrument == LISTED["ES"].id


def test_an_older_verdict_never_replaces_a_newer_one():
    desk = Desk(required=(Requirement("operations"),))
    desk.verdict("operations", passed=False)
    old = Verdict("operations", True, desk.now - SECOND, desk.now + HOUR, "late")
    desk.do(VerdictRecorded(old))
    assert desk.ask("open").outcome == "refused"


def test_a_shutdown_is_not_forgotten_by_a_start_that_fails():
    desk = Desk(required=(Requirement("operations"),))
    desk.verdict("operations")
    desk.ask("shutdown")
    desk.do(WorkerStarted("test", 0, True))
    desk.verdict("operations", passed=False)
    assert desk.engine.state.system.mode == "SHUTDOWN"


@pytest.mark.parametrize("meanwhile", ["asked to observe", "restored"])
def test_a_start_out_of_shutdown_leads_nowhere_milder(meanwhile):
    desk = Desk(required=(Requirement("operations"),))
    desk.verdict("operations")
    desk.ask("shutdown")
    desk.do(WorkerStarted("test", 0, True))
    if meanwhile == "restored":
        desk.do(LedgerRestored("backup", 1, "me", "the disk was lost"))
    else:
        assert desk.ask("observe").outcome == "refused"
    desk.do(WorkerStarted("test", 0, True))
    desk.verdict("operations")
    assert desk.engine.state.system.mode == "SHUTDOWN"


def test_a_restore_brings_back_nothing_that_was_withdrawn_and_nobody_who_was_dismissed():
    desk = Desk(max_contracts.Params(limit=5))
    assert desk.ask("enrol", name="Sam", key="K").outcome == "done"
    desk.wait(25 * HOUR)
    looser = encode_plan(Plan((AccountPlan("A", (max_contracts.Params(limit=9),)),)))
    desk.do(LooseningHeld(digest(looser), looser, "me", "more", ()))
    desk.do(LedgerRestored("backup", 1, "me", "the disk was lost"))
    agree = {"approver": "Sam", "plan": digest(looser)}
    assert desk.ask("approve", **agree).detail == "nothing waits to be agreed to"
    desk.do(LooseningHeld(digest(looser), looser, "me", "more", ()))
    assert "less than 24 hours" in desk.ask("approve", **agree).detail
    desk.wait(25 * HOUR)
    assert desk.ask("approve", **agree).outcome == "done"


def test_a_loss_dated_after_the_reset_is_judged_when_its_day_begins():
    desk = Desk(daily_realized_loss.Params(limit=500 * USD))
    desk.trade(-900 * USD, at=desk.account.day.end + 1)
    desk.wait(9 * HOUR)
    assert desk.breaches("daily_realized_loss")


def test_a_row_from_the_future_does_not_freeze_a_position():
    from portcullis.domain.events import PositionReported

    desk = Desk(max_contracts.Params(limit=5))
    desk.do(PositionReported("A", ES.id, 1, 20_000 * MICRO, desk.now + 30 * 24 * HOUR))
    desk.holds("ES", 50)
    assert desk.commands() == [Flatten("A")]


def test_two_stops_are_not_grown_past_the_position():
    desk = Desk(trade_management.Params(auto_stop=100))
    desk.quote("ES", 20_000)
    desk.holds("ES", 2)
    desk.confirm()
    desk.order("ES", SELL, 1, "stop", price=19_950, order_id="a")
    desk.order("ES", SELL, 1, "stop", price=19_940, order_id="b")
    desk.out.clear()
    desk.wait(5 * SECOND)
    desk.quote("ES", 20_001)
    assert not [c for c in desk.commands() if not isinstance(c, Close)]


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("operations", "readonly"),
        ("venue", "operator"),
        ("clock", "admin"),
        ("unheard of", "operator"),
        ("", "admin"),
    ],
)
def test_a_verdict_that_is_not_theirs_to_give_is_refused(name, role):
    """The worker's own verdicts come from the worker alone; a reader gives none."""
    world = World(max_contracts.Params(limit=2))

    async def story(w):
        await w.start()
        now = w.clock.now()
        body = msgspec.msgpack.encode(Verdict(name, True, now, now + HOUR, "all is well", "forged"))
        w.inbox.ask("v1", "verdict", "somebody", role, body, now)
        await w.pass_time(1)
        assert w.inbox.answer_to("v1").outcome == "refused"
        assert "forged" not in {event.verdict.run_id for event in w.events(VerdictRecorded)}

    world.play(story)


DEEP = b"\x91" * 3_000 + b"\x90"


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("flatten", b"\x81\xa9arguments\x81\xa1a" + DEEP),
        ("observe", b"\x81\xa7unknown" + DEEP),
        ("observe", msgspec.msgpack.encode({"reason": "r", "arguments": {"a": {"b": [1]}}})),
        ("observe", msgspec.msgpack.encode({"reason": "x" * 70_000})),
        ("verdict", b"\x81\xa7unknown" + DEEP),
        ("verdict", msgspec.msgpack.encode(Verdict("x" * 70_000, True, 1, 2, ""))),
    ],
)
def test_a_request_that_no_one_means_ends_no_worker(verb, body):
    world = World(max_contracts.Params(limit=2))

    async def story(w):
        await w.start()
        w.inbox.ask("bad", verb, "somebody", "operator", body, w.clock.now())
        good = msgspec.msgpack.encode(Asked("look first"))
        w.inbox.ask("good", "observe", "somebody", "operator", good, w.clock.now())
        await w.pass_time(1)
        assert w.inbox.answer_to("bad").outcome == "refused"
        assert w.inbox.answer_to("good").outcome == "done"

    world.play(story)
