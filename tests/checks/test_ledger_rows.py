"""The suite over the ledger's rows: what damage each expectation sees, and what a run looks at."""

import json
import sqlite3
import sys
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks import ledger_rows
from checks.ledger_rows import MARK_FILE, WEEK, Watermark, Window, check, slice_of, windows
from checks.suites import running
from checks.suites.ledger_rows import SUITE
from checks.verdicts import Grade
from portcullis.config.settings import Settings
from portcullis.domain.events import TimePassed
from portcullis.domain.model import HOUR, MINUTE
from portcullis.ports import Entry
from portcullis.store import ledger as ledgers
from portcullis.store.database import DRIVER, connect_reader
from portcullis.store.ledger import SqliteLedger
from portcullis.store.lock import WriterLock
from portcullis.store.reading import LedgerReader
from portcullis.worker.deriving import derive
from tests.checks.damage import change, without_constraints

GOLDEN = Path(__file__).parent / "ledger_rows_suite.json"
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def now(home):
    with LedgerReader(home) as reader:
        return reader.last_at() + 1


def more(home, count=3):
    ledger = SqliteLedger(home)
    at = ledger.last_at()
    ledger.append([Entry("system", at + n + 1, "t", TimePassed()) for n in range(count)])
    ledger.close()


def failing(found):
    return {row["check"] for row in found.rows if not row["passed"]}


def row_of(found, name):
    (row,) = [row for row in found.rows if row["check"] == name]
    return row


def mark(settings):
    return msgspec.msgpack.decode(
        (settings.operations_path / MARK_FILE).read_bytes(), type=Watermark
    )


def test_a_sound_ledger_passes_whole_and_then_what_is_new_and_a_slice(settings, home, now):
    whole = check(settings, now)
    assert whole.grade is Grade.PASS, whole.summary
    assert len(whole.suite) == 64
    verified = mark(settings).verified
    more(home)
    later = check(settings, now + HOUR)
    assert later.grade is Grade.PASS
    assert later.summary.startswith(f"4 new rows and {-(-verified // 168):,} old ones")
    assert mark(settings).verified == verified + 3


def test_the_suite_is_the_one_that_was_agreed():
    assert running.plain(running.expectation_suite(SUITE)) == json.loads(GOLDEN.read_text())


DAMAGE = {
    "a deleted row": (
        ["DELETE FROM events WHERE position = 100"],
        {"rows.all_there", "position.contiguous", "stream_seq.contiguous"},
    ),
    "two swapped times": (
        [
            "UPDATE events SET at = (SELECT max(at) FROM events) WHERE position = 100",
            "UPDATE events SET at = (SELECT min(at) FROM events) WHERE position = 200",
        ],
        {"time.in_order"},
    ),
    "a kind nobody knows": (
        ["UPDATE events SET kind = 'who_knows' WHERE position = 100 "],
        {"kind.known"},
    ),
    "a number of a stream left out": (
        ["UPDATE events SET seq = seq + 1000000 WHERE position = 100"],
        {"stream_seq.contiguous"},
    ),
    "an empty payload": (
        ["UPDATE events SET payload = x'' WHERE position = 100"],
        {"payload.present"},
    ),
    "half a hash": (["UPDATE events SET hash = x'00' WHERE position = 100"], {"hash.whole"}),
    "half the one before": (
        ["UPDATE events SET previous = x'00' WHERE position = 100"],
        {"previous.whole"},
    ),
    "no version": (["UPDATE events SET version = 0 WHERE position = 100"], {"version.positive"}),
    "a command from nowhere": (
        ["INSERT INTO outbox VALUES ('k', 'A', 1, NULL, NULL)"],
        {"outbox.issued"},
    ),
    "an outcome without its event": (
        ["UPDATE outbox SET concluded = NULL WHERE outcome IS NOT NULL"],
        {"outbox.outcome"},
    ),
    "an outcome before its command": (
        ["UPDATE outbox SET concluded = position - 1 WHERE outcome IS NOT NULL"],
        {"outbox.concluded"},
    ),
    "a head of another time": (["UPDATE head SET at = at + 1"], {"head.of_the_last_row"}),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_each_damage_fails_by_its_own_expectation(case, settings, home, now):
    statements, names = DAMAGE[case]
    change(home, *statements)
    found = check(settings, now)
    assert found.grade is Grade.FAIL
    assert names <= failing(found)
    for name in names:
        row = row_of(found, name)
        assert row["unexpected"] >= 1
        assert row["samples"], "what failed is shown"
        assert len(row["samples"]) <= 5


def test_a_row_that_is_there_twice_is_named_by_its_position(settings, home, now):
    without_constraints(home)
    change(home, "INSERT INTO events SELECT * FROM events WHERE position = 100")
    found = check(settings, now)
    assert {"position.unique", "stream_seq.unique", "rows.all_there"} <= failing(found)
    assert {"position": 100} in [
        {"position": sample["position"]} for sample in row_of(found, "position.unique")["samples"]
    ]


def test_a_null_is_seen_where_the_table_takes_one(settings, home, now):
    without_constraints(home)
    change(home, "UPDATE events SET trace = NULL WHERE position = 100")
    assert failing(check(settings, now)) == {"trace.present"}


def test_a_full_segment_without_its_seal_fails(settings, home, now):
    more(home, 8_192)
    assert check(settings, now).grade is Grade.PASS
    change(home, "DELETE FROM segments")
    found = check(settings, now, full=True)
    assert row_of(found, "segment.sealed")["samples"] == [{"last": 8192, "segment": 1}]


def test_a_checkpoint_of_a_missing_event_fails(settings, home, now):
    change(
        home, "INSERT INTO checkpoints VALUES (100, 'x')", "DELETE FROM events WHERE position = 100"
    )
    assert "checkpoint.of_an_event" in failing(check(settings, now))


def test_the_joint_between_verified_and_new_is_looked_at(settings, home, now):
    check(settings, now)
    last = mark(settings).verified
    more(home, 2)
    change(home, f"DELETE FROM events WHERE position = {last + 1}")
    assert {"position.contiguous", "rows.all_there"} <= failing(check(settings, now))


def test_a_stream_that_does_not_go_on_where_it_stood_fails(settings, home, now):
    more(home, 1)
    check(settings, now)
    ledger = SqliteLedger(home)
    ledger.append([Entry("market", ledger.last_at() + 1, "t", TimePassed())])
    ledger.close()
    change(home, "UPDATE events SET seq = seq + 5 WHERE position = (SELECT position FROM head)")
    assert failing(check(settings, now)) == {"stream_seq.joined"}


def test_an_event_from_the_future_warns_and_holds_the_gate(settings, home, now):
    found = check(settings, now - HOUR)
    assert found.grade is Grade.WARN
    assert failing(found) == {"time.not_ahead"}


def test_the_watermark_stays_where_it_was_when_a_check_fails(settings, home, now):
    check(settings, now)
    before = mark(settings)
    more(home)
    change(home, "UPDATE events SET kind = 'x' WHERE position = (SELECT max(position) FROM events)")
    assert check(settings, now + HOUR).grade is Grade.FAIL
    assert mark(settings) == before
    assert check(settings, now + 2 * HOUR).grade is Grade.FAIL, "and it is looked at again"


def test_an_old_change_is_seen_by_the_slices_of_a_week(settings, home, now):
    check(settings, now)
    change(home, "UPDATE events SET kind = 'x' WHERE position = 1234")
    day = 24 * HOUR
    grades = [check(settings, now + n * day).grade for n in range(1, 8)]
    assert Grade.FAIL in grades


@given(
    st.integers(1, 400),
    st.integers(0, 399),
    st.lists(st.integers(1, 3 * 24 * 60), min_size=1, max_size=60),
)
def test_slices_look_at_every_verified_row_within_any_week(verified, turned, minutes):
    """However the runs lie, wherever they begin, as long as the slices' bound is not reached."""
    mark = Watermark("l", "s", verified, turned % verified)
    seen: set[int] = set()
    at = 0
    for pause in (*minutes, WEEK // MINUTE):  # the last pause makes it a week for sure
        at = min(at + pause * MINUTE, WEEK)
        found, behind = slice_of(mark, at)
        for each in found:
            assert 1 <= each.first <= each.last <= verified
            seen.update(range(each.first, each.last + 1))
        mark = msgspec.structs.replace(mark, turned=behind, at=at)
        assert 0 <= behind < verified
    assert seen == set(range(1, verified + 1))


def test_a_slice_is_bounded_however_long_nobody_looked():
    (found,), _ = slice_of(Watermark("l", "s", 10_000_000, 0, 0), 52 * WEEK)
    assert found.rows == ledger_rows.SLICE_MAX


@given(st.integers(1, 400_000), st.integers(1, 400_000))
def test_windows_join_and_leave_nothing_out(first, length):
    last = first + length
    found = list(windows(first, last))
    assert (found[0].first, found[-1].last) == (first, last)
    assert all(before.last == after.first for before, after in pairwise(found))
    assert all(each.rows <= ledger_rows.WINDOW_ROWS + 1 for each in found)


def test_where_nothing_is_new_the_last_row_is_looked_at(settings, now):
    assert list(windows(5, 5)) == [Window(5, 5)]
    check(settings, now)
    again = check(settings, now)
    assert again.grade is Grade.PASS
    assert again.summary.startswith("1 new rows and 0 old ones")


def test_a_ledger_without_events_is_empty(tmp_path):
    SqliteLedger(tmp_path).close()
    assert check(Settings(home=str(tmp_path)), 1).grade is Grade.EMPTY


@pytest.mark.parametrize("other", [{"suite": "x"}, {"ledger": "x"}, {"verified": 10**9}])
def test_a_mark_of_another_suite_ledger_or_past_counts_for_nothing(other, settings, now):
    check(settings, now)
    path = settings.operations_path / MARK_FILE
    path.write_bytes(msgspec.msgpack.encode(msgspec.structs.replace(mark(settings), **other)))
    assert ledger_rows.planned(settings, now).new[0].first == 1


def test_two_runs_do_not_share_the_mark(settings, now):
    settings.operations_path.mkdir()
    with WriterLock(settings.operations_path / "ledger_rows.lock"):
        assert check(settings, now).grade is Grade.EARLY


def test_a_process_of_its_own_finds_the_same(settings, now):
    found = ledger_rows.check_where_it_fits(settings, now, full=True)
    assert found.grade is Grade.PASS
    assert found.suite == running.digest_of(SUITE)


def test_a_query_that_cannot_run_is_an_error_and_no_failure(settings, home, now):
    change(home, "DROP TABLE segments")
    assert check(settings, now).grade is Grade.ERROR


@pytest.mark.skipif(sys.platform != "linux", reason="counts open files as Linux shows them")
def test_a_validation_leaves_no_file_open(settings, now):
    check(settings, now)
    for _ in range(3):
        check(settings, now, full=True)
    names = [_target(each) for each in Path("/proc/self/fd").iterdir()]
    assert [name for name in names if settings.home in name] == []


def test_every_connection_of_a_validation_is_closed(settings, now, monkeypatch):
    made = []

    def connect(path):
        made.append(connect_reader(path))
        return made[-1]

    monkeypatch.setattr(running, "connect_reader", connect)
    check(settings, now)
    assert made
    for each in made:
        with pytest.raises(DRIVER.ProgrammingError, match="closed"):
            each.execute("SELECT 1")


def _target(path):
    try:
        return str(path.readlink())
    except OSError:
        return ""


def test_no_other_sqlite_library_opens_the_file(settings, now, monkeypatch):
    """Two in one process undo each other's locks, and that once cost a database."""

    def refuse(*words, **named):
        raise AssertionError(f"the standard library's sqlite3 was asked for {words}")

    monkeypatch.setattr(sqlite3, "connect", refuse)
    monkeypatch.setattr(sqlite3.dbapi2, "connect", refuse)
    assert check(settings, now).grade is Grade.PASS


@pytest.mark.parametrize("dropped", [True, False])
def test_behind_a_base_what_is_left_is_looked_at_and_damage_there_is_found(
    settings, home, now, monkeypatch, dropped
):
    monkeypatch.setattr(ledgers, "KEPT_EVENTS", 10)
    with LedgerReader(home) as reader:
        end = reader.head().position
    assert check(settings, now).grade is Grade.PASS
    base = derive(home, end // 2)
    ledger = SqliteLedger(home)
    ledger.begin_at(base.to_bytes())
    while dropped and ledger.drop_retired(1_000):
        pass
    ledger.close()
    whole = check(settings, now, full=True)
    assert whole.grade is Grade.PASS, whole.summary
    assert whole.summary.startswith(f"{end - base.position:,} new rows")
    assert check(settings, now + 9 * WEEK).grade is Grade.PASS
    change(home, f"DELETE FROM events WHERE position = {base.position + 5}")
    assert "rows.all_there" in failing(check(settings, now, full=True))
