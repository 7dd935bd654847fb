"""When, and whether at all: sessions, and the venue's permission."""

from __future__ import annotations

from portcullis.domain.commands import (
    Close,
    Flatten,
)
from portcullis.domain.hours import Hours
from portcullis.domain.model import HOUR, MINUTE
from portcullis.domain.plan import Plan
from portcullis.domain.rules import (
    auth_loss_guard,
    session_block_outside,
)
from tests.domain.desk import BUY, LISTED, START, Desk

NQ = LISTED["NQ"].id


# --- RULE-009 ----------------------------------------------------------------------------------


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


# --- RULE-010 ----------------------------------------------------------------------------------


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
