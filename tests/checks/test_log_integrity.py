"""The ledger's integrity, whole and by parts, against real changes of a real file."""

import sqlite3

import msgspec
import pytest

from checks import log_integrity, replayed
from checks.apart import check_apart
from checks.log_integrity import MARK_FILE, check, state_faults
from checks.verdicts import Grade
from portcullis.domain.events import TimePassed
from portcullis.domain.model import Lock
from portcullis.errors import StoreError
from portcullis.ports import Entry
from portcullis.store.ledger import SqliteLedger
from portcullis.store.lock import WriterLock
from portcullis.store.opening import place_of
from portcullis.store.reading import LedgerReader
from portcullis.worker.recovery import recover


def more(home, count=3):
    ledger = SqliteLedger(home)
    at = ledger.last_at()
    for n in range(count):
        ledger.append([Entry("system", at + n + 1, "t", TimePassed())])
    ledger.close()


def change(home, statement):
    connection = sqlite3.connect(home / "ledger.db")
    guards = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    with connection:
        for (guard,) in guards:
            connection.execute(f"DROP TRIGGER {guard}")
        connection.execute(statement)
    connection.close()


def test_a_sound_ledger_passes_whole_and_then_only_what_is_new(settings, home):
    whole = check(settings)
    assert whole.grade is Grade.PASS
    assert "from the first event" in whole.summary
    assert whole.rows[1]["checked"] > 50, "decisions were derived again"
    more(home)
    new = check(settings)
    assert new.grade is Grade.PASS
    assert new.rows[0]["checked"] == 3
    assert check(settings, full=True).rows[0]["checked"] == whole.rows[0]["checked"] + 3


def test_the_two_ways_reach_the_same_state(settings, home):
    check(settings)
    more(home)
    check(settings)
    by_parts = (settings.operations_path / MARK_FILE).read_bytes()
    check(settings, full=True)
    assert (settings.operations_path / MARK_FILE).read_bytes() == by_parts


def test_a_changed_event_fails_and_leaves_the_mark_where_it_was(settings, home):
    change(home, "UPDATE events SET at = at + 1 WHERE position = 100")
    found = check(settings)
    assert found.grade is Grade.FAIL
    assert "100" in found.summary
    assert not (settings.operations_path / MARK_FILE).exists()


def test_an_old_change_is_seen_by_the_full_run(settings, home):
    check(settings)
    change(home, "UPDATE events SET at = at + 1 WHERE position = 100")
    assert check(settings, full=True).grade is Grade.FAIL


def test_a_decision_that_no_facts_lead_to_fails_the_replay(settings, home):
    ledger = SqliteLedger(home)
    rows = [r for r in ledger.read() if r.kind == "breach_found"]
    forged = msgspec.convert(rows[0], type=tuple)
    from portcullis.domain.events import decode

    ledger.append([Entry(forged[1], ledger.last_at() + 1, "t", decode(forged[7]))])
    ledger.close()
    found = check(settings)
    assert found.grade is Grade.FAIL
    assert "breach_found" in found.summary
    assert replayed.check(settings, None).grade is Grade.FAIL


def test_snapshots_must_grow_in_time(settings, home):
    assert list(log_integrity._snapshots(place_of(settings))) == []


def test_states_that_no_event_leads_to_are_named(demonstrated):
    with LedgerReader(demonstrated) as reader:
        state = recover(reader).engine.state
    assert list(state_faults(state)) == []
    account = next(iter(state.accounts.values()))
    account.realized += 1
    account.locks[999] = Lock(999, "x", None, "at", 1, "none", 2, 1)
    faults = list(state_faults(state))
    assert any("realized" in fault for fault in faults)
    assert any("never given out" in fault for fault in faults)
    assert any("ends before it began" in fault for fault in faults)


def test_an_unreadable_mark_means_from_the_first_event(settings):
    check(settings)
    (settings.operations_path / MARK_FILE).write_bytes(b"torn")
    assert "from the first event" in check(settings).summary


def test_two_runs_do_not_share_the_mark(settings):
    settings.operations_path.mkdir()
    with WriterLock(settings.operations_path / "integrity.lock"):
        assert check(settings).grade is Grade.EARLY


def test_a_process_of_its_own_finds_the_same(settings, tmp_path):
    found = check_apart(settings, "checks.log_integrity")
    assert found.grade is Grade.PASS
    with pytest.raises(StoreError, match="nothing-here"):
        check_apart(
            msgspec.structs.replace(settings, home=str(tmp_path / "nothing-here")),
            "checks.log_integrity",
        )


def test_a_replay_of_one_account_or_of_nobody(settings):
    assert replayed.check(settings, "DEMO-SIZE").grade is Grade.PASS
    assert replayed.check(settings, "NOBODY").grade is Grade.EMPTY
