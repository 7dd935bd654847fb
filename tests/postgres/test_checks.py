"""The worker's processes and the checks on a server: the same records, the same verdicts."""

from __future__ import annotations

import msgspec
import psycopg
import pytest

from checks import capital, ledger_rows, log_integrity, strategies
from checks.verdicts import Grade
from portcullis.backup import archive
from portcullis.backup.target import Target
from portcullis.config.files import read_configuration
from portcullis.domain.events import decode
from portcullis.ports import Entry
from portcullis.staging import demonstrate
from portcullis.store import ledger as ledgers
from portcullis.store.chain import SEGMENT_EVENTS
from portcullis.store.keys import load_verifier
from portcullis.store.opening import open_ledger, open_reader, place_of
from portcullis.wiring import defaults_folder
from portcullis.worker.deriving import derive
from portcullis.worker.recovery import recover
from portcullis.worker.replay import replay
from tests.conformance.ledger import position

NOW = 1_780_000_000_000_000


@pytest.fixture
def demonstrated(settings):
    """The whole demonstration on the server."""
    plan = read_configuration(defaults_folder()).plan
    source = demonstrate(7, msgspec.structs.replace(plan, required=()))
    ledger = open_ledger(settings)
    ledger.append([Entry(r.stream, r.at, r.trace, decode(r.payload)) for r in source.read()])
    ledger.close()
    return settings


def run(settings, statement: str) -> None:
    with psycopg.connect(settings.store_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE ledger.events DISABLE TRIGGER USER")
        connection.execute(statement)


def test_it_folds_replays_and_is_judged_as_on_files(demonstrated, monkeypatch) -> None:
    with open_reader(demonstrated) as reader:
        assert replay(reader).agrees
        head = reader.head().position
    first = log_integrity.check(demonstrated, full=True)
    again = log_integrity.check(demonstrated)
    assert (first.grade, again.grade) == (Grade.PASS, Grade.PASS)
    assert again.summary.startswith("0 events since the last mark")
    rows = ledger_rows.check(demonstrated, NOW)
    assert rows.grade is Grade.PASS, rows
    assert rows.summary.startswith(f"{head:,} new rows")
    assert capital.check(demonstrated, NOW).grade.holds
    assert strategies.check(demonstrated, NOW).grade.holds

    monkeypatch.setattr(ledgers, "KEPT_EVENTS", 10)
    ledger = open_ledger(demonstrated)
    before = recover(ledger).engine.state
    begins = ledger.begin_at(derive(place_of(demonstrated), head // 2).to_bytes())
    while ledger.drop_retired(1_000):
        pass
    assert recover(ledger).engine.state == before
    ledger.close()
    assert 0 < begins <= head // 2
    assert log_integrity.check(demonstrated, full=True).grade is Grade.PASS


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger.events SET at = at + 1 WHERE position = 50",
        "DELETE FROM ledger.events WHERE position = 50",
    ],
)
def test_what_was_altered_on_the_server_is_found(demonstrated, statement: str) -> None:
    run(demonstrated, statement)
    found = log_integrity.check(demonstrated, full=True)
    assert found.grade is Grade.FAIL
    assert "50" in found.summary


def test_a_missing_row_is_found_by_the_suite_too(demonstrated) -> None:
    run(demonstrated, "DELETE FROM ledger.events WHERE position = 50")
    found = ledger_rows.check(demonstrated, NOW)
    assert found.grade is Grade.FAIL
    assert "rows.all_there" in str(found)


def test_old_segments_are_archived_from_the_server(settings, tmp_path) -> None:
    """With the seals that the worker made, and read back."""
    ledger = open_ledger(settings)
    for first in range(0, SEGMENT_EVENTS + 100, 4_000):
        ledger.append([position("AB"[n % 2], n) for n in range(first, first + 4_000)])
    ledger.close()
    target, place = Target(str(tmp_path / "target")), place_of(settings)
    made = archive.archive(settings.home_path, target, (), SEGMENT_EVENTS, NOW, place)
    assert [(name.first, name.last) for name in made] == [(1, SEGMENT_EVENTS)]
    public = load_verifier(settings.home_path / "ledger.pub")
    assert archive.check(target, public, (), place) == (1, SEGMENT_EVENTS, "")
