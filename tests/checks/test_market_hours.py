"""Hours of products: breaks, holidays and early closes, and what has no calendar."""

import datetime as dt

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import settings as settings_of
from hypothesis import strategies as st

from checks import market_data, market_hours
from checks.market_data import Known, is_settled, still_quoted
from checks.market_hours import PRODUCTS, MarketHours
from checks.verdicts import Grade
from portcullis.domain.events import InstrumentListed, Quote
from portcullis.domain.model import HOUR, MINUTE, SECOND, Instrument
from portcullis.domain.plan import AccountPlan, Plan
from portcullis.domain.session import Calendar, CalendarDay, instant
from portcullis.ports import Entry, Snapshot
from portcullis.store.ledger import SqliteLedger
from portcullis.wiring import defaults_folder

pytestmark = pytest.mark.filterwarnings("ignore")
CME = Calendar("America/Chicago", (CalendarDay("2026-12-25"),))
PLAN = Plan((AccountPlan("A", (), calendar=CME),))
HOURS = MarketHours(PLAN, {"CON.F.US.EP.Z26": "ES", "CON.F.US.GCE.Z26": "GC"})


def chicago(text, minute):
    return instant(dt.date.fromisoformat(text), minute, "America/Chicago")


@pytest.mark.parametrize("name", PRODUCTS)
def test_every_calendar_of_the_table_is_there_and_opens(name):
    ticker = PRODUCTS[name].split()[0]
    week = HOURS.open_time(ticker, chicago("2026-11-16", 0), chicago("2026-11-23", 0))
    assert 20 * HOUR < week <= 7 * 24 * HOUR


def test_no_product_has_two_calendars():
    listed = " ".join(PRODUCTS.values()).split()
    assert len(set(listed)) == len(listed)


def test_the_daily_break_weekends_and_holidays_are_closed():
    es = "CON.F.US.EP.Z26"
    assert HOURS.is_open(es, chicago("2026-11-18", 10 * 60))
    assert not HOURS.is_open(es, chicago("2026-11-18", 16 * 60 + 30))
    assert not HOURS.is_open(es, chicago("2026-11-21", 10 * 60))
    assert not HOURS.is_open(es, chicago("2026-12-25", 10 * 60))
    friday, sunday = chicago("2026-11-20", 16 * 60), chicago("2026-11-22", 17 * 60)
    assert HOURS.open_time(es, friday, sunday) == 0
    assert HOURS.open_time(es, friday - HOUR, sunday + HOUR) == 2 * HOUR


def test_products_close_at_their_own_times_on_a_short_day():
    noon = chicago("2026-11-26", 12 * 60 + 30)
    assert not HOURS.is_open("CON.F.US.EP.Z26", noon)
    assert HOURS.is_open("CON.F.US.GCE.Z26", noon)


def test_grains_have_a_break_of_their_own():
    assert not HOURS.is_open("ZC", chicago("2026-11-18", 8 * 60))
    assert HOURS.is_open("ZC", chicago("2026-11-18", 7 * 60))


def test_an_unknown_product_is_named_and_has_the_default_hours():
    assert HOURS.unknown(["NEW", "CON.F.US.EP.Z26"]) == ["NEW"]
    assert HOURS.is_open("NEW", chicago("2026-11-18", 10 * 60))
    assert not HOURS.is_open("NEW", chicago("2026-11-18", 16 * 60 + 30))
    assert not HOURS.is_open("NEW", chicago("2026-12-25", 10 * 60))
    week = HOURS.open_time("NEW", chicago("2026-11-16", 0), chicago("2026-11-23", 0))
    assert week == 5 * 23 * HOUR


def test_where_accounts_trade_every_day_nothing_ever_closes():
    always = MarketHours(Plan((AccountPlan("A", (), days=tuple(range(7))),)), {})
    saturday = chicago("2026-11-21", 10 * 60)
    assert always.is_open("ES", saturday)
    assert always.open_time("NEW", saturday, saturday + HOUR) == HOUR
    assert always.unknown(["NEW"]) == []


@settings_of(deadline=None)  # the library is asked for a calendar now and then
@given(
    st.sampled_from(["ES", "GC", "ZC", "NEW", "BTCUSD"]),
    st.integers(0, 60 * 24 * 60),
    st.integers(0, 60 * 24 * 6),
    st.integers(0, 60 * 24 * 6),
)
def test_open_time_adds_up_and_is_never_more_than_time(name, start, first, second):
    base = chicago("2026-10-20", 0)
    a = base + start * MINUTE
    b, c = a + first * MINUTE, a + (first + second) * MINUTE
    whole = HOURS.open_time(name, a, c)
    assert 0 <= whole <= c - a
    assert HOURS.open_time(name, a, b) + HOURS.open_time(name, b, c) == whole


def test_nothing_is_overdue_right_after_an_opening():
    opens = chicago("2026-11-18", 17 * 60)
    assert not is_settled(HOURS, "ES", opens + SECOND)
    assert is_settled(HOURS, "ES", opens + HOUR)


def test_an_instrument_is_due_within_a_day_of_open_time_and_not_of_the_clock():
    friday, monday = chicago("2026-11-20", 15 * 60), chicago("2026-11-23", 9 * 60)
    assert still_quoted(Known({}, {"ES": friday}), HOURS, monday) == ["ES"]
    assert still_quoted(Known({}, {"ES": friday}), HOURS, monday + 24 * HOUR) == []


def test_the_librarys_days_are_those_of_the_shipped_calendar():
    """Two lists of the same days: an update of either that parts them shows here."""
    shipped = yaml.safe_load((defaults_folder() / "calendar.yaml").read_text())["cme"]["days"]
    for text, day in shipped.items():
        noon = chicago(text, 12 * 60 + 30)
        assert not HOURS.is_open("ES", noon), text
        if "closes" in day:
            hour, minute = map(int, day["closes"].split(":"))
            assert HOURS.is_open("ES", chicago(text, hour * 60 + minute) - MINUTE), text


@pytest.fixture
def quoting(settings, monkeypatch):
    """A home whose snapshot knows ES and an unlisted product; quotes are added as they are told."""
    monkeypatch.setattr(market_data, "plan_to_go_by", lambda _settings: PLAN)
    ledger = SqliteLedger(settings.home_path)

    def quote(at, names=("ES", "NEW"), count=30):
        entries = [
            Entry("market", at - (count - n) * SECOND, "t", Quote(name, 400, 401, 400, at))
            for n in range(count)
            for name in names
        ]
        for n, entry in enumerate(entries):
            event = msgspec.structs.replace(entry.event, quoted_at=entry.at - 1000 + n)
            entries[n] = entry._replace(event=event)
        ledger.append(entries)

    def known(at):
        from portcullis.domain.engine import Engine
        from portcullis.domain.state import STATE_VERSION, freeze

        engine = Engine()
        for name in ("ES", "NEW"):
            listed = Instrument(name, name, name, "0.25", 12_500_000)
            engine.apply(ledger.head().position, at, InstrumentListed(listed))
            engine.apply(ledger.head().position, at, Quote(name, 400, 401, 400, at))
        state = freeze(engine.state)
        ledger.save_snapshot(Snapshot(ledger.head().position, at, STATE_VERSION, state))

    yield quote, known
    ledger.close()


def test_a_closed_market_passes_and_one_that_is_silent_fails(settings, quoting):
    quote, known = quoting
    at = chicago("2027-01-12", 15 * 60 + 58)
    quote(at)
    known(at)
    assert market_data.check(settings, at + SECOND).grade is Grade.PASS
    in_the_break = chicago("2027-01-12", 16 * 60 + 30)
    assert "closed" in market_data.check(settings, in_the_break).summary
    reopened = chicago("2027-01-12", 17 * 60)
    assert market_data.check(settings, reopened + MINUTE).grade is Grade.PASS
    silent = market_data.check(settings, reopened + 10 * MINUTE)
    assert silent.grade is Grade.EMPTY


def test_one_that_vanished_is_named_and_unknown_hours_are_told(settings, quoting):
    quote, known = quoting
    at = chicago("2027-01-12", 12 * 60)
    quote(at)
    known(at)
    both = market_data.check(settings, at + SECOND)
    assert "default hours for NEW" in both.summary
    assert both.rows[-1]["samples"] == [{"instrument": "NEW"}]
    later = at + HOUR
    quote(later, ("NEW",))
    found = market_data.check(settings, later + SECOND)
    assert found.grade is Grade.FAIL
    assert "nothing from ES" in found.summary


def test_the_demonstration_never_asks_the_library(monkeypatch):
    asked = []
    monkeypatch.setattr(market_hours, "_sessions", lambda *words: asked.append(words))
    always = MarketHours(Plan((AccountPlan("A", (), days=tuple(range(7))),)), {"x": "ES"})
    assert always.is_open("x", chicago("2026-11-18", 10 * 60))
    assert asked == []
