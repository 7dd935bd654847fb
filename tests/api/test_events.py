"""Searching and exporting: the same events as the ledger's, by every filter and in every form."""

from __future__ import annotations

import csv
import io
import json
import time
import tracemalloc
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portcullis.alerts.alert import Terms
from portcullis.alerts.book import Book
from portcullis.alerts.memory import Memory, Place
from portcullis.alerts.policy import Policy
from portcullis.alerts.signals import observe
from portcullis.api.exporting import export
from portcullis.api.searching import Wanted, cursor_of, in_order, page, position_in
from portcullis.api.severity import ALWAYS, NAMES, VARIES, WARNING, kinds_of, severity_of
from portcullis.domain.events import (
    KINDS,
    AlertRaised,
    BreachFound,
    DataFault,
    ModeChanged,
    Quote,
    RequestAnswered,
    VenueLinked,
    VerdictRecorded,
    WorkerFailed,
)
from portcullis.domain.model import Reason, Verdict
from portcullis.ports import Entry
from portcullis.store.ledger import SqliteLedger
from portcullis.store.reading import LedgerReader
from tests.api.home import ES, asked, settings_of

START = 1_772_550_000_000_000
EVENTS = 12_000
SECOND = 1_000_000


def entry(number):
    """Two accounts, the market and the system, by turns; one event each second."""
    at, trace = START + number * SECOND, f"T-{number // 3}"
    if number % 4 == 0:
        return Entry("account/A", at, trace, DataFault("A", None, f"=number {number}"))
    if number % 4 == 1:
        return Entry("account/B", at, trace, DataFault("B", None, 'ünïcode, "quoted"\nlines'))
    if number % 400 == 2:
        return Entry("system", at, trace, VenueLinked("simulated", number % 800 == 2))
    if number % 4 == 2:
        return Entry("system", at, trace, RequestAnswered(f"r{number}", "done", ""))
    return Entry("market", at, trace, Quote(ES.id, number, number + 1, number, at))


def fill(home, count):
    ledger = SqliteLedger(home)
    for start in range(0, count, 1_000):
        ledger.append([entry(number) for number in range(start, min(start + 1_000, count))])
    ledger.close()


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    known = settings_of(tmp_path_factory.mktemp("events"))
    fill(known.home_path, EVENTS)
    with asked(known) as found:
        yield found


@pytest.fixture(scope="module")
def reader(api):
    with LedgerReader(api.settings.home_path) as found:
        yield found


def iso(number):
    return datetime.fromtimestamp(START // SECOND + number, UTC).isoformat()


def pages(api, **filters):
    """Every page's events, in one list."""
    found, cursor = [], None
    while True:
        following = filters if cursor is None else {**filters, "cursor": cursor}
        reply = api.get("/api/v1/events", params=following)
        assert reply.status_code == 200, reply.text
        body = reply.json()
        found += body["events"]
        cursor = body["next"]
        if cursor is None:
            return found


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({"limit": 1_000}, lambda n: True),
        ({"limit": 997, "account": "A"}, lambda n: n % 4 == 0),
        ({"limit": 7, "kind": "venue_linked"}, lambda n: n % 400 == 2),
        ({"limit": 1_000, "kind": ["quote", "venue_linked"]}, lambda n: n % 4 == 3 or n % 400 == 2),
        ({"trace": "T-5"}, lambda n: n // 3 == 5),
        ({"severity": "INFO", "limit": 1_000}, lambda n: n % 4 > 1 and n % 400 != 2),
        ({"severity": "WARNING", "account": "B", "limit": 1_000}, lambda n: n % 4 == 1),
        ({"severity": "CRITICAL"}, lambda n: False),
        ({"since": iso(100), "until": iso(110)}, lambda n: 100 <= n < 110),
        ({"account": "A", "since": iso(11_990)}, lambda n: n % 4 == 0 and n >= 11_990),
        ({"until": iso(5), "kind": "quote"}, lambda n: n == 3),
        ({"account": "nobody"}, lambda n: False),
        ({"severity": "INFO", "kind": "data_fault"}, lambda n: False),
    ],
)  # fmt: skip
def test_pages_together_are_what_was_asked_for_newest_first(api, filters, wanted):
    numbers = [number for number in range(EVENTS) if wanted(number)]
    assert [row["position"] - 1 for row in pages(api, **filters)] == numbers[::-1]


def test_logs_are_the_same_under_another_name(api):
    assert (
        api.get("/logs", params={"limit": 3}).json()
        == api.get("/api/v1/events", params={"limit": 3}).json()
    )


def test_a_thousand_entries_take_less_than_a_fifth_of_a_second(api):
    api.get("/logs")
    took = []
    for _ in range(3):
        began = time.perf_counter()
        assert len(api.get("/logs", params={"limit": 1_000}).json()["events"]) == 1_000
        took.append(time.perf_counter() - began)
    assert min(took) < 0.2


def test_a_time_may_name_a_zone_and_its_plus_may_be_lost_on_the_way(api):
    there = datetime.fromisoformat(iso(100)).astimezone(
        __import__("zoneinfo").ZoneInfo("Europe/Berlin")
    )
    for text in (there.isoformat(), there.isoformat().replace("+", " "), iso(100)):
        found = api.get("/logs", params={"since": text, "until": iso(101)}).json()["events"]
        assert [row["position"] for row in found] == [101], text


@pytest.mark.parametrize("text", ["yesterday", "", "99999-01-01", "2026-13-01", "9" * 41])
def test_a_time_that_is_none_is_refused(api, text):
    assert api.get("/logs", params={"since": text}).status_code == 422


def test_a_cursor_serves_its_own_search_alone(api):
    cursor = api.get("/logs", params={"limit": 5, "account": "A"}).json()["next"]
    assert api.get("/logs", params={"account": "A", "cursor": cursor}).status_code == 200
    other = api.get("/logs", params={"account": "B", "cursor": cursor})
    assert (other.status_code, other.headers["content-type"]) == (422, "application/problem+json")


@settings(deadline=None)
@given(position=st.integers(1, 2**60), account=st.none() | st.text(min_size=1, max_size=20))
def test_a_cursor_comes_back_as_it_was(position, account):
    wanted = Wanted(account, ("quote",), None, 1, None)
    assert position_in(cursor_of(position, wanted), wanted) == position


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(limit=st.integers(1, 40), low=st.integers(0, 400), span=st.integers(0, 400))
def test_pages_of_any_size_leave_nothing_out_and_give_nothing_twice(reader, limit, low, span):
    wanted = Wanted(
        None, ("data_fault",), None, START + low * SECOND, START + (low + span) * SECOND
    )
    found, before = [], None
    while True:
        one = page(reader, wanted, limit, before, time.monotonic)
        assert len(one.events) <= limit
        found += [event.position - 1 for event in one.events]
        if one.next is None:
            break
        before = one.next
    assert found == [n for n in range(low, low + span) if n % 4 < 2][::-1]


def test_a_search_that_took_its_time_ends_with_where_it_goes_on(reader):
    ticks = iter(range(1_000))
    one = page(reader, Wanted(trace="nowhere"), 10, None, lambda: 2.0 * next(ticks))
    assert one.events == []
    assert one.next == one.looked_through == EVENTS - 10 + 1
    assert page(reader, Wanted(trace="nowhere"), 10, one.next, lambda: 0.0).next is None


def test_no_other_kind_is_named():
    assert set(KINDS) >= WARNING | VARIES | set(ALWAYS)
    assert not VARIES & set(ALWAYS)
    assert set(KINDS) == {kind for name in NAMES for kind in kinds_of(name)}


BROKEN = Reason("max_contracts", "3 are more than 2")
SEVERE = [
    (BreachFound("A", "max_contracts", "RULE-001", None, BROKEN), "WARNING"),
    (AlertRaised("enforcement_failed", "critical", "A", "not flat", "now"), "CRITICAL"),
    (AlertRaised("daily_realized_loss_near", "warning", "A", "80 %", ""), "WARNING"),
    (ModeChanged("ACTIVE", "SHUTDOWN", "the fail-safe", ("ledger: x",)), "CRITICAL"),
    (ModeChanged("ACTIVE", "OBSERVE_ONLY", "evidence is missing", ("a: b",)), "CRITICAL"),
    (ModeChanged("ACTIVE", "OBSERVE_ONLY", "a look", (), "anna"), "WARNING"),
    (ModeChanged("OBSERVE_ONLY", "ACTIVE", "mended", (), "anna"), "WARNING"),
    (VerdictRecorded(Verdict("backup", False, 1, 2, "x", "")), "WARNING"),
    (VerdictRecorded(Verdict("capital", False, 1, 2, "x", "")), "CRITICAL"),
    (VerdictRecorded(Verdict("capital", True, 1, 2, "x", "")), "INFO"),
    (DataFault("a", None, "x"), "WARNING"),
    (WorkerFailed("ZeroDivisionError"), "CRITICAL"),
]


@pytest.mark.parametrize(("event", "severity"), SEVERE)
def test_an_event_is_as_severe_as_the_alert_that_it_raises(event, severity):
    kind = type(event).__struct_config__.tag
    assert severity_of(kind, event) == severity
    assert kind in kinds_of(severity)


@pytest.mark.parametrize(("event", "severity"), SEVERE)
def test_the_alert_that_it_raises_says_the_same(event, severity):
    book = Policy(Book(), Terms())
    alerts = [book.take(each, 1) for each in observe(Memory(), Place(1, 1), event)]
    assert {alert.severity.upper() for alert in alerts if alert and alert.is_open} <= {severity}


def test_a_severity_is_searched_for_by_what_events_hold(tmp_path):
    ledger = SqliteLedger(tmp_path)
    ledger.append([Entry("system", START, "t", event) for event, _ in SEVERE])
    ledger.close()
    with LedgerReader(tmp_path) as found:
        for name in NAMES:
            wanted = Wanted(kinds=kinds_of(name), severity=name)
            shown = [row.position for row in page(found, wanted, 100, None, lambda: 0.0).events]
            assert shown == [n for n, (_, of) in enumerate(SEVERE, 1) if of == name][::-1]
            assert [row.position for row in in_order(found, wanted)] == shown[::-1]


# --- exports --------------------------------------------------------------------------------------


def exported(api, form, **filters):
    reply = api.get("/api/v1/events/export", params={"format": form, **filters})
    assert reply.status_code == 200, reply.text
    return reply


def test_the_three_forms_hold_the_same_events_oldest_first(api):
    filters = {"account": "A", "until": iso(9_000)}
    expected = pages(api, limit=1_000, **filters)[::-1]
    lines = [json.loads(line) for line in exported(api, "jsonl", **filters).text.splitlines()]
    assert lines == expected

    rows = list(csv.DictReader(io.StringIO(exported(api, "csv", **filters).text)))
    table = pq.read_table(io.BytesIO(exported(api, "parquet", **filters).content)).to_pylist()
    for row, cells, columns in zip(expected, rows, table, strict=True):
        flat = {**row, "payload": json.loads(columns["payload"])}
        assert {**columns, "payload": flat["payload"]} == row
        assert json.loads(cells["payload"]) == row["payload"]
        assert int(cells["position"]) == row["position"]


def test_a_spreadsheet_takes_no_text_for_a_formula(tmp_path):
    ledger = SqliteLedger(tmp_path)
    ledger.append([Entry("account/=1+1", START, "@trace", DataFault("a", None, "x"))])
    ledger.close()
    with LedgerReader(tmp_path) as reader:
        text = b"".join(export(reader.read(), "csv")).decode()
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["account"], row["trace"]) == ("'=1+1", "'@trace")


def test_an_export_of_nothing_is_a_file_of_its_form(api):
    assert exported(api, "jsonl", account="nobody").content == b""
    assert exported(api, "csv", account="nobody").text.startswith("position,timestamp")
    nothing = io.BytesIO(exported(api, "parquet", account="nobody").content)
    assert pq.read_table(nothing).num_rows == 0


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_memory_does_not_grow_with_the_export(reader, form):
    """Python's own memory, which is where events are held; twelve thousand are 6 MB of JSON."""
    for _ in export(reader.read(through=1_000), form):
        pass
    tracemalloc.start()
    try:
        size = sum(len(piece) for piece in export(reader.read(), form))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size > 100_000
    assert peak < (25 if form == "parquet" else 8) * 2**20


def test_a_third_export_waits_and_one_that_is_cut_gives_its_place_back(api):
    from portcullis.api import events

    held = [events._exporting.acquire(blocking=False) for _ in range(events.EXPORTS_MAX)]
    try:
        reply = api.get("/api/v1/events/export")
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "10")
    finally:
        for _ in held:
            events._exporting.release()
    for _ in range(events.EXPORTS_MAX + 1):
        assert api.get("/api/v1/events/export", params={"account": "A"}).status_code == 200
