"""A ledger that begins with a base: nothing before it is there, and everything still holds."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pysqlite3 import dbapi2
from typer.testing import CliRunner

from portcullis import independent_verifier
from portcullis.backup import archive
from portcullis.backup.make import make
from portcullis.backup.restore import Wanted, choose, drill, restore
from portcullis.backup.shipper import Shipper
from portcullis.backup.target import Target
from portcullis.cli.main import app
from portcullis.domain.events import FACT_KINDS, TimePassed
from portcullis.domain.state import freeze
from portcullis.errors import LedgerBroken, NotFound, UsageError
from portcullis.ports import Entry
from portcullis.store import chain, merkle
from portcullis.store import ledger as ledgers
from portcullis.store.base import Base
from portcullis.store.keys import PRIVATE_FILE, load_verifier
from portcullis.store.ledger import SqliteLedger
from portcullis.store.reading import EventFilter, LedgerReader
from portcullis.store.verify import verify
from portcullis.wiring import defaults_folder
from portcullis.worker.deriving import derive
from portcullis.worker.explain import explain
from portcullis.worker.recovery import recover
from portcullis.worker.replay import replay
from tests.checks.conftest import demonstrated, home  # noqa: F401 - fixtures

NOW = 1_780_000_000_000_000


def public(home: Path):  # noqa: F811 - the fixture
    return load_verifier(home / "ledger.pub")


def rows_of(home: Path):  # noqa: F811
    with LedgerReader(home) as reader:
        return list(reader.read())


def retire(home: Path, through: int, *, keep_rows: bool = False, dropped: int = 10**6) -> Base:  # noqa: F811
    """What the worker does, in one go."""
    base = derive(home, through)
    ledger = SqliteLedger(home)
    assert ledger.begin_at(base.to_bytes()) == base.position
    while not keep_rows and ledger.drop_retired(dropped):
        pass
    ledger.close()
    return base


@pytest.fixture(autouse=True)
def few_are_kept(monkeypatch):
    monkeypatch.setattr(ledgers, "KEPT_EVENTS", 10)


@pytest.fixture(params=[False, True], ids=["dropped", "not yet dropped"])
def cut(request, home):  # noqa: F811
    """A home whose ledger begins in its middle, and the events it had."""
    before = rows_of(home)
    base = retire(home, len(before) // 2, keep_rows=request.param)
    return home, base, before


def test_what_is_left_verifies_and_is_what_was_there(cut):
    home, base, before = cut  # noqa: F811
    found = verify(home / "ledger.db", public(home))
    assert found.ok, str(found)
    assert found.events == len(before) - base.position
    assert rows_of(home)[-found.events :] == before[base.position :]


def test_a_base_ends_with_whole_groups(home):  # noqa: F811
    before = rows_of(home)
    for through in range(len(before) // 3, len(before) // 3 + 40):
        base = derive(home, through)
        assert base.position <= through
        assert before[base.position].kind in FACT_KINDS


def test_state_decisions_and_explanations_are_as_before(cut):
    home, base, before = cut  # noqa: F811
    with LedgerReader(home) as reader:
        found = replay(reader)
        assert found.agrees
        state = freeze(recover(reader).engine.state)
        late = next(r for r in reversed(before) if r.kind == "breach_found")
        assert explain(reader, late.position).agrees
        with pytest.raises(NotFound, match="in the archive"):
            explain(reader, base.position)
    assert found.through == len(before)
    (home / "ledger.db").with_name("x").unlink(missing_ok=True)
    ledger = SqliteLedger(home)
    assert freeze(recover(ledger).engine.state) == state
    ledger.close()


def test_streams_go_on_also_those_that_slept_since_before_the_base(cut):
    home, base, before = cut  # noqa: F811
    asleep = set(base.streams) - {row.stream for row in before[base.position :]}
    ledger = SqliteLedger(home)
    at = ledger.last_at()
    names = [*asleep, "account/new", *list(base.streams)[:3]]
    ledger.append([Entry(name, at, "t", TimePassed()) for name in names])
    ledger.close()
    found = verify(home / "ledger.db", public(home))
    assert found.ok, str(found)
    with LedgerReader(home) as reader:
        for name in base.streams:
            seqs = [row.seq for row in reader.events(EventFilter(stream=name))]
            assert seqs == list(range(seqs[0], seqs[0] + len(seqs))) if seqs else True


def test_an_incremental_verification_goes_on_over_the_cut(home):  # noqa: F811
    early = verify(home / "ledger.db", public(home)).mark
    retire(home, len(rows_of(home)) // 2)
    found = verify(home / "ledger.db", public(home), since=early)
    assert found.ok
    assert found.events == 0


@pytest.mark.parametrize("dropped", [1, 7, 500])
def test_retiring_again_and_bit_by_bit(home, dropped):  # noqa: F811
    end = len(rows_of(home))
    for part in (0.2, 0.5, 0.8):
        retire(home, int(end * part), dropped=max(dropped, 7))
        assert verify(home / "ledger.db", public(home)).ok
    with pytest.raises(NotFound, match="begins behind"):
        derive(home, 5)


# --- what must be refused or found ----------------------------------------------------------------


def test_a_base_of_another_past_is_refused(home):  # noqa: F811
    base = derive(home, len(rows_of(home)) // 2)
    ledger = SqliteLedger(home)
    wrong = bytes([base.peaks[0] ^ 1]) + base.peaks[1:]
    import msgspec

    for bad in (
        b"garbage",
        msgspec.structs.replace(base, peaks=wrong).to_bytes(),
        msgspec.structs.replace(base, position=base.position + 1).to_bytes(),
        msgspec.structs.replace(derive(home, len(rows_of(home)))).to_bytes(),
    ):
        with pytest.raises(UsageError, match="no base of this ledger"):
            ledger.begin_at(bad)
    assert ledger.beginning() is None
    ledger.close()
    assert verify(home / "ledger.db", public(home)).ok


@pytest.mark.parametrize("column", ["body", "note", "signature", "position"])
def test_an_altered_base_is_found_and_stops_the_worker(cut, column):
    home, _, _ = cut  # noqa: F811
    with dbapi2.connect(str(home / "ledger.db")) as connection:
        if column == "position":
            connection.execute("UPDATE base SET position = position + 1")
        elif column == "note":
            connection.execute("UPDATE base SET note = replace(note, 'at ', 'at 9')")
        else:
            (data,) = connection.execute(f"SELECT {column} FROM base").fetchone()
            changed = data[:-1] + bytes([data[-1] ^ 1])
            connection.execute(f"UPDATE base SET {column} = ?", (changed,))
    connection.close()
    assert not verify(home / "ledger.db", public(home)).ok
    with pytest.raises(LedgerBroken):
        SqliteLedger(home)


def test_a_removed_base_is_found(home):  # noqa: F811
    retire(home, len(rows_of(home)) // 2)
    with dbapi2.connect(str(home / "ledger.db")) as connection:
        connection.execute("DELETE FROM base")
    connection.close()
    assert not verify(home / "ledger.db", public(home)).ok


def test_an_event_missing_behind_the_base_is_found(cut):
    home, base, _ = cut  # noqa: F811
    with dbapi2.connect(str(home / "ledger.db")) as connection:
        connection.execute("DROP TRIGGER events_no_delete")
        connection.execute("DELETE FROM events WHERE position = ?", (base.position + 3,))
    connection.close()
    found = verify(home / "ledger.db", public(home))
    assert not found.ok
    assert found.position == base.position + 3


# --- backups, shipments, exports ------------------------------------------------------------------


def test_backups_drills_shipments_and_cuts_work_behind_a_base(cut, tmp_path):
    home, base, before = cut  # noqa: F811
    target = Target(str(tmp_path / "backups"))
    made = make(home, defaults_folder(), target, (), NOW).manifest
    ledger = SqliteLedger(home)
    ledger.append([Entry("system", ledger.last_at(), "t", TimePassed()) for _ in range(30)])
    ledger.close()
    shipper = Shipper(home, target, (), lambda: NOW)
    shipper.turn()
    shipper.look_after()
    found = drill(home, target, made, (), NOW)
    assert found.same
    assert found.restored.position == len(before) + 30
    event = base.position + (len(before) - base.position) // 2
    wanted = Wanted(event=event)
    back = tmp_path / "back"
    manifest = choose(target, None, wanted, home)
    restore(target, manifest, wanted, back, (), key=home / PRIVATE_FILE)
    assert verify(back / "ledger.db", public(home)).ok
    with pytest.raises(NotFound):
        restore(
            target, manifest, Wanted(event=base.position - 5), tmp_path / "no", (),
            key=home / PRIVATE_FILE,
        )  # fmt: skip


def exported(home: Path) -> list[str]:  # noqa: F811
    answer = CliRunner().invoke(
        app, ["event", "export", "--evidence"], env={"PORTCULLIS_HOME": str(home)}
    )
    assert answer.exit_code == 0, answer.output
    return answer.stdout.splitlines()


def test_the_independent_verifier_begins_with_the_base(home):  # noqa: F811
    whole = exported(home)
    base = retire(home, len(rows_of(home)) // 2)
    rest = exported(home)
    key = independent_verifier.Key((home / "ledger.pub").read_text())
    assert independent_verifier.verify(rest, key)[0] == len(rows_of(home)) + base.position
    before = [line for line in whole if json.loads(line).get("position", 10**9) <= base.position]
    joined = independent_verifier.verify([*before, *rest], key)
    assert joined[0] == independent_verifier.verify(whole, key)[0]
    with pytest.raises(independent_verifier.Broken, match="does not go on"):
        independent_verifier.verify([*before[:-1], *rest], key)
    told = json.loads(rest[0])
    told["base"]["peaks"] = "00" * 32 + told["base"]["peaks"][64:]
    with pytest.raises(independent_verifier.Broken, match="not what was signed"):
        independent_verifier.verify([json.dumps(told), *rest[1:]], key)


# --- the archive ----------------------------------------------------------------------------------


@pytest.fixture
def small_segments(monkeypatch):
    """Segments of 64 events. Everything that knows their size has it from here."""
    from portcullis.backup import archive as archived
    from portcullis.store import evidence
    from portcullis.store import verify as verifying

    monkeypatch.setattr(merkle, "SEGMENT_LEAVES", 64)
    for module in (chain, evidence, verifying, archived):
        monkeypatch.setattr(module, "SEGMENT_EVENTS", 64)


@pytest.fixture
def long(small_segments, tmp_path):
    """A ledger of ten segments and a little more, without anything decided."""
    made = tmp_path / "long"
    made.mkdir()
    ledger = SqliteLedger(made)
    for number in range(65):
        ledger.append([Entry(f"account/{number % 3}", number, "t", TimePassed())] * 10)
    ledger.close()
    return made


def test_archived_retired_and_both_hold_across_the_cut(long, tmp_path):
    before, target = rows_of(long), Target(str(tmp_path / "there"))
    made = archive.archive(long, target, (), 400, NOW)
    assert [name.last for name in made] == [64, 128, 192, 256, 320, 384]
    assert archive.archive(long, target, (), 400, NOW) == []
    ledger_id = public(long).name.rpartition("/")[2]
    assert archive.archived_through(target, ledger_id) == 384
    base = retire(long, 384)
    assert base.position == 384
    assert verify(long / "ledger.db", public(long)).ok
    held = archive.check(target, public(long), (), long)
    assert (held.segments, held.last, held.problem) == (6, 384, "")
    old = list(archive.archived_events(target, public(long), (), base.position))
    assert [*old, *rows_of(long)] == before


@pytest.mark.parametrize("damage", ["flip", "gone", "swapped", "empty"])
def test_damage_of_the_archive_is_found(long, tmp_path, damage):
    target = Target(str(tmp_path / "there"))
    archive.archive(long, target, (), 400, NOW)
    retire(long, 384)
    files = sorted((tmp_path / "there" / archive.FOLDER).iterdir())
    data = bytearray(files[2].read_bytes())
    if damage == "flip":
        data[-10] ^= 1
        files[2].write_bytes(data)
    elif damage == "gone":
        files[2].unlink()
    elif damage == "empty":
        files[2].write_bytes(b"")
    else:
        files[2].write_bytes(files[3].read_bytes())
    held = archive.check(target, public(long), (), long)
    assert held.problem
    assert held.last == 128


@pytest.mark.parametrize("data", [b"", b"{}\n", None])
def test_a_segment_that_is_damaged_before_its_events_leave_is_archived_again(long, tmp_path, data):
    target = Target(str(tmp_path / "there"))
    made = archive.archive(long, target, (), 400, NOW)
    files = sorted((tmp_path / "there" / archive.FOLDER).iterdir())
    files[2].write_bytes(files[2].read_bytes()[:-10] if data is None else data)
    assert archive.archive(long, target, (), 400, NOW) == [made[2]]
    retire(long, 384)
    assert archive.check(target, public(long), (), long).problem == ""


def test_an_archive_that_is_too_short_does_not_lead_to_the_ledger(long, tmp_path):
    target = Target(str(tmp_path / "there"))
    archive.archive(long, target, (), 400, NOW)
    retire(long, 192)
    for segment in archive.listed(target, public(long).name.rpartition("/")[2])[2:]:
        target.folder(archive.FOLDER).discard(f"{segment}{archive.SEGMENT}")
    held = archive.check(target, public(long), (), long)
    assert "does not lead to where the ledger begins" in held.problem


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=60), st.data())
def test_any_cut_of_any_ledger_verifies(tmp_path_factory, sizes, data):
    made = tmp_path_factory.mktemp("any")
    ledger = SqliteLedger(made)
    for number, size in enumerate(sizes):
        ledger.append([Entry(f"s{number % 4}", number, "t", TimePassed())] * size)
    end = ledger.head().position
    ledger.close()
    if end <= ledgers.KEPT_EVENTS:
        return
    through = data.draw(st.integers(1, end - ledgers.KEPT_EVENTS))
    base = retire(made, through)
    assert base.position == through
    found = verify(made / "ledger.db", public(made))
    assert found.ok, str(found)
    assert found.events == end - through


def test_an_export_of_the_archive_and_of_the_ledger_is_one(long, tmp_path):
    target = Target(str(tmp_path / "there"))
    archive.archive(long, target, (), 400, NOW)
    base = retire(long, 384)
    from portcullis.store.export import evidence_of

    old = io.BytesIO()
    for row in archive.archived_events(target, public(long), (), base.position):
        old.write(evidence_of(row))
    key = independent_verifier.Key((long / "ledger.pub").read_text())
    lines = [*old.getvalue().decode().splitlines(), *exported(long)]
    assert independent_verifier.verify(lines, key)[0] == 650
