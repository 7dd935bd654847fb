"""Which way each setting is stricter: a table, and what must hold for any two plans."""

from __future__ import annotations

import itertools
import random
from datetime import date

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portcullis.domain.engine import Engine
from portcullis.domain.events import BreachFound, ProposalReceived, Quote
from portcullis.domain.hours import Hours
from portcullis.domain.model import MINUTE, SECOND, OrderRequest
from portcullis.domain.plan import AccountPlan
from portcullis.domain.rules import (
    RULES,
    auth_loss_guard,
    cooldown_after_loss,
    daily_realized_loss,
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
from portcullis.domain.session import Calendar, CalendarDay, instant
from portcullis.domain.state import freeze, thaw
from portcullis.domain.strictness import OF_RULES, OF_THE_ACCOUNT, stricter
from portcullis.proof.rules_drawn import DRAWN
from tests.domain.desk import LISTED, USD, Desk
from tests.domain.test_properties import NAMES, play, steps

Tier = cooldown_after_loss.Tier
DAY, SHORT = Hours(510, 900), Hours(600, 840)
NIGHT, LONG_NIGHT = Hours(1020, 240, overnight=True), Hours(1020, 480, overnight=True)
TO_MIDNIGHT = Hours(1080, 0, overnight=True)
SHUT, EARLY = CalendarDay("2026-11-27"), CalendarDay("2026-11-27", closes_minute=720)
EARLIER, LATER = (msgspec.structs.replace(EARLY, closes_minute=each) for each in (700, 721))
OPEN = session_block_outside.Params((DAY,))
HELD = session_block_outside.Params((DAY,), calendar=Calendar("America/Chicago", (EARLY,)))
BLOCKS = symbol_blocks.Params(("ES",))
TRAIL = trailing_drawdown.Params(50_000 * USD, 2_000 * USD)
BY_TICKER = max_contracts_per_instrument.Params({"ES": 2, "NQ": 1}, 3)
TRADES = trade_frequency_limit.Params()

NONE = object()
# A rule, one setting of it, a stricter value, and one that is looser or cannot be compared.
TABLE = [
    (max_contracts.Params(), "limit", 4, 6),
    (max_contracts.Params(), "count", "gross", NONE),
    (max_contracts.Params(), "micro_ratio", NONE, 11),
    (max_contracts.Params(), "micro_ratio", NONE, 9),
    (max_contracts.Params(), "on_breach", NONE, "lock"),
    (max_contracts.Params(count="gross"), "count", NONE, "net"),
    (BY_TICKER, "limits", {"ES": 1, "NQ": 1}, {"ES": 3, "NQ": 1}),
    (BY_TICKER, "limits", {"ES": 2, "NQ": 1, "CL": 3}, {"ES": 2}),
    (BY_TICKER, "limits", {"ES": 2, "NQ": 1, "CL": 0}, {"ES": 2, "NQ": 1, "CL": 4}),
    (BY_TICKER, "unknown", "deny", 4),
    (BY_TICKER, "on_breach", "close", NONE),
    (daily_realized_loss.Params(), "limit", 499 * USD, 501 * USD),
    (daily_unrealized_loss.Params(), "scope", NONE, "total"),
    (daily_unrealized_loss.Params(), "include_realized", NONE, True),
    (max_unrealized_profit.Params(), "target", 900 * USD, 1_100 * USD),
    (TRADES, "per_hour", 9, 11),
    (TRADES, "minute_cooldown", 2 * MINUTE, 30 * SECOND),
    (TRADES, "session_cooldown", NONE, MINUTE),
    (cooldown_after_loss.Params((Tier(100, 5),)), "tiers", (Tier(90, 6),), (Tier(90, 4),)),
    (cooldown_after_loss.Params((Tier(100, 5),)), "tiers", (Tier(100, 5), Tier(1, 1)), ()),
    (no_stop_loss_grace.Params(), "grace", 20 * SECOND, 40 * SECOND),
    (no_stop_loss_grace.Params(cover="any"), "cover", "full", NONE),
    (OPEN, "sessions", (SHORT,), (Hours(510, 901),)),
    (OPEN, "sessions", (SHORT, Hours(841, 900)), (DAY, NIGHT)),
    (OPEN, "sessions", (Hours(510, 900, days=(0, 1)),), (Hours(510, 900, days=(0, 5)),)),
    (OPEN, "sessions", NONE, (Hours(600, 840, "Europe/Berlin"),)),
    (session_block_outside.Params((NIGHT,)), "sessions", NONE, (Hours(1020, 1200),)),
    (session_block_outside.Params((Hours(1020, 1440),)), "sessions", NONE, (TO_MIDNIGHT,)),
    (HELD, "calendar", Calendar("America/Chicago", (SHUT, EARLY)), None),
    (HELD, "calendar", Calendar("America/Chicago", (SHUT,)), Calendar("America/Chicago")),
    (
        HELD,
        "calendar",
        Calendar("America/Chicago", (EARLIER,)),
        Calendar("America/Chicago", (LATER,)),
    ),
    (HELD, "calendar", NONE, Calendar("Europe/Berlin", (SHUT,))),
    (
        msgspec.structs.replace(HELD, calendar=Calendar("America/Chicago", (SHUT,))),
        "calendar",
        NONE,
        Calendar("America/Chicago", (EARLY,)),
    ),
    (OPEN, "calendar", Calendar("America/Chicago"), NONE),
    (session_block_outside.Params((LONG_NIGHT,)), "sessions", (NIGHT,), (Hours(1000, 240),)),
    (OPEN, "flat_by", 840, NONE),
    (session_block_outside.Params((DAY,), flat_by=840), "flat_by", 839, None),
    (session_block_outside.Params((DAY,), flat_by=840), "flat_by", 800, 850),
    (session_block_outside.Params((DAY,), flat_by=840), "flat_by", NONE, 500),
    (OPEN, "instruments", {"ES": (SHORT,)}, NONE),
    (session_block_outside.Params((DAY,), {"ES": (SHORT,)}), "instruments", NONE, {}),
    (session_block_outside.Params((DAY,), holidays=False), "holidays", True, NONE),
    (auth_loss_guard.Params(), "auto_unlock", NONE, True),
    (auth_loss_guard.Params(), "check_every", 10 * SECOND, MINUTE),
    (BLOCKS, "blocked", ("ES", "M*"), ("M*",)),
    (BLOCKS, "during", NONE, (DAY,)),
    (symbol_blocks.Params(("ES",), (SHORT,)), "during", (DAY,), (NIGHT,)),
    (symbol_blocks.Params(("ES",), (SHORT,)), "during", (), NONE),
    (trade_management.Params(auto_stop=10), "auto_stop", NONE, "off"),
    (TRAIL, "start", 50_001 * USD, 49_999 * USD),
    (TRAIL, "allowance", 1_999 * USD, 2_001 * USD),
    (TRAIL, "trail", "intraday", NONE),
    (TRAIL, "lock_at_start", False, NONE),
    (msgspec.structs.replace(TRAIL, lock_at_start=False), "lock_at_start", NONE, True),
    (TRAIL, "warn_at", 99, NONE),
]


@pytest.mark.parametrize(("rule", "setting", "tight", "loose"), TABLE)
def test_a_stricter_value_is_taken_and_any_other_is_not(rule, setting, tight, loose):
    now = AccountPlan("A", (rule,))
    for value, is_taken in ((tight, True), (loose, False)):
        if value is NONE:
            continue
        wanted = AccountPlan("A", (msgspec.structs.replace(rule, **{setting: value}),))
        assert stricter(now, wanted) == (wanted if is_taken else now), value


def test_every_setting_of_every_rule_and_account_says_which_way_is_stricter():
    assert {rule.NAME: set(rule.Params.__struct_fields__) for rule in RULES} == {
        name: set(settings) for name, settings in OF_RULES.items()
    }
    assert set(AccountPlan.__struct_fields__) == {*OF_THE_ACCOUNT, "account", "rules"}


def test_a_rule_that_is_new_is_taken_and_one_that_is_gone_stays():
    loss, size = daily_realized_loss.Params(), max_contracts.Params()
    assert stricter(AccountPlan("A", (loss,)), AccountPlan("A", (size,))).rules == (size, loss)


def test_of_several_settings_each_goes_its_own_way():
    now = AccountPlan("A", (TRADES,), reset_minute=5)
    more = msgspec.structs.replace(TRADES, per_minute=2, per_hour=99)
    made = stricter(now, AccountPlan("A", (more,), reset_minute=9, profile="new"))
    assert made.rules == (msgspec.structs.replace(TRADES, per_minute=2),)
    assert (made.reset_minute, made.profile) == (5, "new")


@st.composite
def plans(draw):
    lot = random.Random(draw(st.integers(0, 10_000)))
    chosen = draw(st.lists(st.sampled_from(DRAWN), unique=True, max_size=5))
    return AccountPlan("A", tuple(make(lot) for make in chosen))


@given(plans(), plans())
def test_of_two_plans_the_strictest_is_no_looser_than_what_was_in_force(now, wanted):
    made = stricter(now, wanted)
    assert stricter(now, made) == made, "all of it may be in force at once"
    assert stricter(made, wanted) == made, "what waits still waits"
    assert {type(each) for each in made.rules} == {type(r) for r in (*now.rules, *wanted.rules)}
    back = stricter(made, now)
    assert stricter(made, back) == back, "going back loosens nothing"
    assert stricter(now, now) == now


def approvals(rules, story):
    """Which orders the gate lets through after a story that nobody answered."""
    desk = Desk(*rules)
    play(desk, [step for step in story if step[0] not in ("propose", "outcome")])
    for name in NAMES:
        desk.now += 1000
        desk.do(Quote(name, 20_000, 20_001, None, desk.now))
    desk.ask("open")
    found, now = set(), freeze(desk.engine.state)
    for name, side, size in itertools.product(NAMES, (1, -1), (1, 2, 4)):
        order = OrderRequest("A", name, side, size, "market", stop_loss=20)
        engine = Engine(thaw(now))  # an approval holds room: none may follow another
        answer = engine.apply(desk.position + 1, desk.now, ProposalReceived("p", "x", order))[-1]
        found |= {(name, side, size)} if answer.approved and answer.lane == "entry" else set()
    return found


@given(plans(), plans(), steps())
@settings(max_examples=150, deadline=None)
def test_what_the_strictest_lets_through_was_let_through_before(now, wanted, story):
    assert approvals(stricter(now, wanted).rules, story) <= approvals(now.rules, story)


THANKSGIVING = Calendar("America/Chicago", (CalendarDay("2026-11-26"),))
EVE = instant(date(2026, 11, 25), 18 * 60, "America/Chicago")
ALL_NIGHT = Hours(1020, 960, days=(0, 1, 2, 3, 6), overnight=True)


@pytest.mark.parametrize("sessions", [(ALL_NIGHT,), (Hours(1020, 1200, days=(0, 1, 2, 3, 6)),)])
@pytest.mark.parametrize("calendar", [THANKSGIVING, Calendar("America/Chicago"), None])
def test_no_hours_and_no_calendar_open_the_eve_of_a_holiday_at_once(sessions, calendar):
    before = session_block_outside.Params((ALL_NIGHT,), calendar=THANKSGIVING)
    wanted = session_block_outside.Params(sessions, calendar=calendar)
    made = stricter(
        AccountPlan("A", (before,), calendar=THANKSGIVING),
        AccountPlan("A", (wanted,), calendar=calendar),
    )
    desk = Desk(*made.rules, at=EVE, calendar=made.calendar)
    desk.ask("open")
    desk.quote("ES", 20_000)
    assert not desk.propose("ES", 1, 1).approved


@pytest.mark.parametrize("age", [1, 10 * SECOND, 60 * SECOND])
def test_no_age_of_quotes_that_is_in_force_at_once_keeps_a_loss_from_being_closed(age):
    desk = Desk(daily_unrealized_loss.Params(100 * USD))
    desk.quote("ES", 20_000)
    desk.holds("ES", 1)
    (now,) = desk.plan.accounts
    made = stricter(now, msgspec.structs.replace(now, quote_max_age=age))
    desk.load(msgspec.structs.replace(desk.plan, accounts=(made,)))
    desk.now += SECOND
    found = desk.do(Quote(LISTED["ES"].id, 19_000, 19_000, None, desk.now - 200_000))
    assert any(isinstance(each, BreachFound) for each in found)


def test_a_calendar_that_makes_a_day_longer_waits():
    now = AccountPlan("A", (), calendar=Calendar("America/Chicago"))
    assert stricter(now, msgspec.structs.replace(now, calendar=THANKSGIVING)) == now


MINUTES = st.sampled_from((0, 60, 480, 600, 720, 900, 960, 1020, 1080, 1200, 1380, 1440))
DAYS = st.sampled_from(((0, 1, 2, 3, 4), (0, 1, 2, 3, 6), (2, 3), (0, 1, 2, 3, 4, 5, 6), (3,)))
ZONES = st.sampled_from(("America/Chicago", "Europe/Berlin"))
WEEK = [date(2026, 10, day) for day in range(28, 32)] + [date(2026, 11, day) for day in range(1, 4)]
"""The clocks of Chicago change on its Sunday, those of Berlin had a week before."""


@st.composite
def openings(draw):
    def hours():
        start, end = draw(MINUTES), draw(MINUTES)
        return Hours(start, end, draw(ZONES), draw(DAYS), overnight=end <= start)

    special = draw(st.lists(st.sampled_from(WEEK), unique=True, max_size=3))
    days = tuple(
        CalendarDay(each.isoformat(), "", draw(st.sampled_from((None, 600, 780))))
        for each in special
    )
    return session_block_outside.Params(
        tuple(hours() for _ in range(draw(st.integers(1, 2)))),
        flat_by=draw(st.one_of(st.none(), MINUTES)),
        holidays=draw(st.booleans()),
        calendar=draw(st.sampled_from((None, Calendar("America/Chicago", days)))),
    )


@st.composite
def changed(draw):
    """Two sets of hours, of which the second is like the first but for some settings."""
    now, other = draw(openings()), draw(openings())
    kept = draw(st.sets(st.sampled_from(("sessions", "flat_by", "holidays", "calendar"))))
    return now, msgspec.structs.replace(other, **{name: getattr(now, name) for name in kept})


@given(changed())
@settings(max_examples=400, deadline=None)
def test_no_moment_opens_at_once_that_was_closed(pair):
    now, wanted = pair
    (made,) = stricter(AccountPlan("A", (now,)), AccountPlan("A", (wanted,))).rules
    for day, minute in itertools.product(WEEK, range(15, 24 * 60, 60)):
        at = instant(day, minute, "America/Chicago")
        if session_block_outside._account_session(made, at)[0]:
            assert session_block_outside._account_session(now, at)[0], (day, minute)
