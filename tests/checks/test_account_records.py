"""The daily records: which are due, what is made up, and what damage the suites see."""

import csv
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks import account_records, record_days, record_files
from checks.account_records import Recorded, record, record_where_it_fits, records_path
from checks.record_days import Due, due_days, engines_at
from checks.record_store import AccountRecord, Newest, add_records, equity_curve, newest_records
from checks.suites import running
from checks.suites.account_records import ACCOUNT_RECORDS, LEDGER_STATES
from checks.verdicts import Grade
from portcullis.config.settings import Settings
from portcullis.domain.events import FACT_KINDS, RulesLoaded, TimePassed, decode
from portcullis.domain.model import HOUR, MINUTE, SECOND
from portcullis.domain.plan import AccountPlan, decode_plan, digest, encode_plan
from portcullis.domain.session import trading_day
from portcullis.errors import StoreTooNew
from portcullis.ports import Entry
from portcullis.store.ledger import SqliteLedger
from portcullis.store.lock import WriterLock
from portcullis.store.reading import EventFilter, LedgerReader
from portcullis.worker.recovery import recover
from tests.checks.damage import change

pytestmark = pytest.mark.filterwarnings("ignore")
NOW = 1_800_000_000_000_000
DAY = 24 * HOUR
HERE = Path(__file__).parent
EVERY_DAY = tuple(range(7))
RESET = trading_day(NOW, "America/Chicago", 17 * 60, EVERY_DAY, None).end


def rows(settings, what="*"):
    with closing(sqlite3.connect(records_path(settings))) as connection:
        connection.row_factory = sqlite3.Row
        return connection.execute(
            f"SELECT {what} FROM account_records ORDER BY account, trading_day"
        ).fetchall()


def damage(settings, *statements):
    with closing(sqlite3.connect(records_path(settings))) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def failing(found):
    return {row["check"] for row in found.rows if "check" in row and not row["passed"]}


def days(settings, count):
    """Records of so many days, one run a day; the finding of the last."""
    return [record(settings, NOW + n * DAY) for n in range(count)][-1]


def test_every_account_is_recorded_once_a_day(settings):
    first = record(settings, NOW)
    assert first.grade is Grade.PASS, first.summary
    accounts = [row["account"] for row in rows(settings)]
    assert len(accounts) == 5
    assert record(settings, NOW + MINUTE).summary.startswith("5 accounts, 0 recorded now")
    assert len(rows(settings)) == 5
    later = record(settings, NOW + DAY)
    assert later.summary.startswith("5 accounts, 5 recorded now")
    assert {row["follows"] for row in rows(settings)[1::2]} == {rows(settings)[0]["trading_day"]}


def test_events_that_come_while_a_run_folds_are_within_the_ledger(settings, home, monkeypatch):
    def busy(reader):
        ledger = SqliteLedger(home)
        ledger.append([Entry("system", ledger.last_at() + 1, "t", TimePassed())])
        ledger.close()
        return recover(reader)

    monkeypatch.setattr(account_records, "recover", busy)
    assert record(settings, NOW).grade is Grade.PASS


def test_records_are_files_for_people_too(settings):
    record(settings, RESET + MINUTE)
    record(settings, RESET + DAY + MINUTE)
    tables = sorted(settings.snapshots_path.glob("*.csv"))
    found = list(csv.DictReader(tables[-1].read_text().splitlines()))
    body = json.loads(tables[-1].with_suffix(".json").read_text())
    assert [r["account"] for r in found] == [a["account"] for a in body["accounts"]]
    assert all(int(row["equity"]) > 0 for row in found)
    assert len(list(settings.snapshots_path.glob("equity-*.svg"))) == len(found) == 5
    assert len(equity_curve(records_path(settings), found[0]["account"])) == 2


def test_days_that_were_missed_are_made_up_from_the_ledger(settings):
    record(settings, NOW)
    found = record(settings, NOW + 4 * DAY)
    assert found.grade is Grade.PASS, found.summary
    assert "20 recorded now (20 made up)" in found.summary
    per_account = [row for row in rows(settings) if row["account"] == "DEMO-SIZE"]
    assert len(per_account) == 5
    assert [row["follows"] for row in per_account[1:]] == [
        row["trading_day"] for row in per_account[:-1]
    ]
    assert all(row["taken_at"] == row["reset_at"] + MINUTE for row in per_account[1:])


def test_the_ledger_says_what_it_knew_at_a_moment(demonstrated):
    with LedgerReader(demonstrated) as reader:
        head, last = reader.head().position, reader.last_at()
        moments = [last - 100 * SECOND, last - 50 * SECOND, last]
        seen = [
            (moment, engine.state.position, len(engine.state.accounts))
            for moment, engine in engines_at(reader, moments, head)
        ]
        for moment, position, _ in seen:
            facts = [row for row in reader.read(through=head) if row.kind in FACT_KINDS]
            assert position == max(row.position for row in facts if row.at <= moment)
        whole = recover(reader).engine.state
    assert [each[0] for each in seen] == moments
    assert seen[0][1] < seen[1][1] < seen[2][1] == whole.position


def plan_of(**fields):
    return AccountPlan("A", (), **fields)


def test_an_account_is_due_at_its_own_reset():
    chicago, tokyo = plan_of(days=EVERY_DAY), plan_of(zone="Asia/Tokyo", days=EVERY_DAY)
    for plan in (chicago, tokyo):
        day = trading_day(NOW, plan.zone, plan.reset_minute, plan.days, None)
        newest = Newest(day.label, day.start)
        assert due_days(plan, newest, day.end - 1) == []
        (due,) = due_days(plan, newest, day.end)
        assert (due.reset_at, due.follows) == (day.end, day.label)


def test_a_weekend_is_one_day():
    plan = plan_of()
    newest, due = None, []
    for hour in range(24 * 14):
        for each in due_days(plan, newest, NOW + hour * HOUR):
            due.append(each)
            newest = Newest(each.trading_day, each.reset_at)
    assert len(due) in (10, 11)
    assert [each.follows for each in due[1:]] == [each.trading_day for each in due[:-1]]


@given(st.integers(0, 400), st.integers(0, 400), st.sampled_from([EVERY_DAY, (0, 1, 2, 3, 4)]))
def test_due_days_follow_on_and_end_with_the_day_under_way(first, later, weekdays):
    plan = plan_of(days=weekdays)
    (start,) = due_days(plan, None, NOW + first * HOUR)
    now = NOW + (first + later) * HOUR
    found = due_days(plan, Newest(start.trading_day, start.reset_at), now)
    current = trading_day(now, plan.zone, plan.reset_minute, plan.days, None)
    assert [each.trading_day for each in found[-1:]] in ([], [current.label])
    assert bool(found) is (current.label != start.trading_day)
    chain = [start.trading_day, *(each.trading_day for each in found)]
    assert [each.follows for each in found] == chain[:-1]
    assert all(each.reset_at <= now for each in found)


def test_days_cut_otherwise_begin_anew():
    (start,) = due_days(plan_of(days=EVERY_DAY), None, NOW)
    moved = plan_of(days=EVERY_DAY, reset_minute=0)
    found = due_days(moved, Newest(start.trading_day, start.reset_at), NOW + 3 * DAY)
    assert [each.follows for each in found] == [None]


def test_what_lies_too_far_back_begins_anew():
    (start,) = due_days(plan_of(days=EVERY_DAY), None, NOW)
    found = due_days(
        plan_of(days=EVERY_DAY), Newest(start.trading_day, start.reset_at), NOW + 400 * DAY
    )
    assert [each.follows for each in found] == [None]
    assert record_days.MADE_UP_MAX < 400


def replan(home, change):
    """Load the plan that `change` makes of the accounts' plans."""
    with LedgerReader(home) as reader:
        *_, stored = reader.events(EventFilter(kinds=("rules_loaded",)))
    event = decode(stored.payload)
    plan = decode_plan(event.plan)
    data = encode_plan(msgspec.structs.replace(plan, accounts=change(plan.accounts)))
    ledger = SqliteLedger(home)
    loaded = RulesLoaded(**{**msgspec.structs.asdict(event), "plan": data, "digest": digest(data)})
    ledger.append([Entry(stored.stream, ledger.last_at() + 1, "t", loaded)])
    ledger.close()


def test_an_account_that_left_the_plan_fails_nothing(settings, home):
    record(settings, NOW)
    replan(home, lambda accounts: accounts[1:])
    found = record(settings, NOW + 3 * DAY)
    assert found.grade is Grade.PASS, found.summary
    assert found.summary.startswith("4 accounts, 12 recorded now")


def test_an_account_nobody_knows_fails_when_it_is_overdue(settings, home):
    replan(home, lambda accounts: (*accounts, AccountPlan("NEW", (), days=EVERY_DAY)))
    found = record(settings, NOW)
    assert found.grade is Grade.FAIL
    assert "equity not known: NEW" in found.summary
    assert len(rows(settings)) == 5, "the others are recorded"


def test_an_account_that_was_known_has_two_hours_then_its_records_are_stale(settings):
    record(settings, NOW)
    now = NOW + DAY
    work = account_records.work_of(settings, now)

    def judged(reset_at):
        unknown = Due("DEMO-SIZE", "2027-01-16", "2027-01-15", reset_at)
        return account_records.judge(settings, work, Recorded([], [unknown]), now, full=False)

    assert judged(now - HOUR).grade is Grade.PASS
    late = judged(now - 3 * HOUR)
    assert late.grade is Grade.STALE
    assert "DEMO-SIZE has no record since 2027-01-15" in late.summary
    assert not late.grade.holds


def test_no_watched_account_is_no_record(settings, home):
    replan(home, lambda _: ())
    assert record(settings, NOW).grade is Grade.EMPTY


DAMAGE = {
    "day.in_order": "UPDATE account_records SET reset_at = reset_at - 400000000000 WHERE {third}",
    "time.in_order": "UPDATE account_records SET taken_at = taken_at - 400000000000 WHERE {third}",
    "time.after_reset": "UPDATE account_records SET written_at = taken_at - 1 WHERE {third}",
    "day.none_missing": "DELETE FROM account_records WHERE {third}",
    "position.growing": "UPDATE account_records SET position = 1 WHERE {third}",
    "position.within_ledger": "UPDATE account_records SET position = 9000000 WHERE {third}",
    "equity.sum": "UPDATE account_records SET equity = equity + 1 WHERE {third}",
    "positions.not_negative": "UPDATE account_records SET positions = -1 WHERE {third}",
    "orders.not_negative": "UPDATE account_records SET orders = -1 WHERE {third}",
}


@pytest.fixture(scope="module")
def recorded(demonstrated, tmp_path_factory):
    """A home with records of four days, not to be written to."""
    home = tmp_path_factory.mktemp("recorded") / "home"
    shutil.copytree(demonstrated, home)
    days(Settings(home=str(home)), 4)
    return home


@pytest.mark.parametrize("check", DAMAGE)
def test_each_damage_of_the_records_fails_by_its_own_expectation(check, settings, recorded):
    shutil.copytree(recorded / "operations", settings.operations_path)
    third = sorted({row["trading_day"] for row in rows(settings)})[2]
    which = f"account = 'DEMO-SIZE' AND trading_day = '{third}'"
    damage(settings, DAMAGE[check].format(third=which))
    found = record(settings, NOW + 3 * DAY + HOUR)
    assert found.grade is Grade.FAIL
    assert check in failing(found)
    (row,) = [row for row in found.rows if row.get("check") == check]
    assert row["samples"][0]["account"] == "DEMO-SIZE"


@pytest.mark.parametrize(
    ("check", "column", "value"), [("equity.known", "equity", "NULL"), ("day.unique", None, None)]
)
def test_what_the_table_forbids_is_seen_where_it_is_not_forbidden(
    check, column, value, settings, recorded
):
    shutil.copytree(recorded / "operations", settings.operations_path)
    damage(
        settings,
        "CREATE TABLE copy AS SELECT * FROM account_records",
        "DROP TABLE account_records",
        "ALTER TABLE copy RENAME TO account_records",
        f"UPDATE account_records SET {column} = {value} WHERE account = 'DEMO-SIZE'"
        if column
        else "INSERT INTO account_records SELECT * FROM account_records LIMIT 1",
    )
    assert check in failing(record(settings, NOW + 3 * DAY + HOUR))


@pytest.mark.parametrize(
    ("check", "values"),
    [
        ("state.in_order", "(1, 5, 1, x'00', x'00'), (2, 4, 1, x'00', x'00')"),
        ("state.within_ledger", "(9000000, 5, 1, x'00', x'00')"),
        ("state.version", "(1, 5, 0, x'00', x'00')"),
        ("state.present", "(1, 5, 1, x'', x'00')"),
    ],
)
def test_damage_of_the_ledgers_own_states_fails(check, values, settings, home):
    change(home, "DELETE FROM snapshots", f"INSERT INTO snapshots VALUES {values}")
    assert check in failing(record(settings, NOW))


@pytest.mark.parametrize("suite", [ACCOUNT_RECORDS, LEDGER_STATES], ids=lambda each: each.name)
def test_the_suites_are_those_that_were_agreed(suite):
    golden = HERE / f"{suite.name.replace('.', '_')}_suite.json"
    assert running.plain(running.expectation_suite(suite)) == json.loads(golden.read_text())


def test_one_process_records_at_a_time(settings):
    settings.operations_path.mkdir()
    with WriterLock(records_path(settings).with_suffix(".lock")):
        assert record(settings, NOW).grade is Grade.EARLY
        assert record_where_it_fits(settings, NOW).grade is Grade.EARLY


def test_much_that_is_missed_is_made_up_in_a_process_of_its_own(settings, monkeypatch):
    monkeypatch.setattr(account_records, "HERE_MOST", 10)
    long_ago = NOW - 300 * DAY  # between the demonstration and now, so that its time has come
    record(settings, long_ago)
    found = record_where_it_fits(settings, long_ago + 30 * DAY)
    assert found.grade is Grade.PASS, found.summary
    assert len(rows(settings)) > 5, "written by a process whose clock is the machine's"


def test_records_of_a_newer_version_are_left_alone(settings):
    record(settings, NOW)
    damage(settings, "PRAGMA user_version = 2")
    with pytest.raises(StoreTooNew):
        record(settings, NOW + DAY)


def test_a_day_is_written_once(tmp_path):
    path = tmp_path / "records.db"
    one = AccountRecord(
        "A", "2026-01-01", None, 1, 2, 3, False, 1, "USD", 5, 5, 0, 0, 5, False, 0, 0, None
    )
    add_records(path, [one])
    add_records(path, [msgspec.structs.replace(one, equity=9)])
    assert equity_curve(path, "A") == [5]
    assert newest_records(path) == {"A": Newest("2026-01-01", 1)}


def test_old_files_are_forgotten(tmp_path, monkeypatch):
    monkeypatch.setattr(record_files, "KEPT_MOST", 2)
    for day in range(4):
        for suffix in ("json", "csv"):
            (tmp_path / f"2026010{day}T000000Z.{suffix}").touch()
    record_files.forget_oldest(tmp_path)
    assert len(list(tmp_path.iterdir())) == 4


def test_curves_span_their_range():
    assert record_files.sparkline([0, 5, 10]) == "▁▄█"
    assert record_files.sparkline([7, 7]) == "▁▁"
    assert record_files.picture("A<b>", [1, 2]).count(",") == 2
    assert "<b>" not in record_files.picture("A<b>", [1, 2])
