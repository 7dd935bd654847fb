"""Going on from a mark, verifying beside a writer, damaged files, and the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random

import msgspec
import pytest

from portcullis.errors import StoreError
from portcullis.ports import Snapshot
from portcullis.store.database import LEDGER_FILE
from portcullis.store.ledger import SqliteLedger
from portcullis.store.verify import Mark
from tests.conformance.ledger import concluded, issued, position
from tests.store.tampering import attack, check, fill

# --- going on from a mark ------------------------------------------------------------------------


def test_going_on_from_a_mark_checks_only_what_is_new(copy: Path) -> None:
    first = check(copy)
    assert first.mark is not None
    mark = Mark.from_bytes(first.mark.to_bytes())
    assert mark == first.mark
    again = check(copy, since=mark)
    assert again[:2] == (True, 0)
    ledger = SqliteLedger(copy)
    for size in (5_000, 6_000, 1):
        ledger.append([position("ABD"[n % 3], n) for n in range(size)])
        ledger.checkpoint()
    ledger.append([concluded("open"), issued("new")])
    ledger.save_snapshot(Snapshot(ledger.head().position, 1, 1, b""))
    ledger.close()
    new = check(copy, since=mark)
    assert new[:2] == (True, 11_003)
    whole = check(copy)
    assert new.mark == whole.mark


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE events SET at = at + 1 WHERE position = 11000",
        "DELETE FROM events WHERE position = 121",
        "DELETE FROM events WHERE position > 11000",
        "UPDATE segments SET root = zeroblob(32)",
        "UPDATE outbox SET outcome = 'confirmed' WHERE key = 'open'",
        "DELETE FROM outbox WHERE key = 'late'",
    ],
)
def test_going_on_from_a_mark_finds_what_is_wrong_with_the_new(copy: Path, change: str) -> None:
    mark = check(copy).mark
    ledger = SqliteLedger(copy)
    ledger.append([*(position("ABD"[n % 3], n) for n in range(11_000)), issued("late")])
    ledger.close()
    assert check(copy, since=mark).ok
    attack(copy, change)
    assert not check(copy, since=mark).ok


def test_a_mark_of_another_ledger_or_a_changed_one_is_refused(copy: Path, large: Path) -> None:
    mark, other = check(copy).mark, check(large).mark
    assert mark is not None
    assert other is not None
    assert not check(copy, since=other).ok
    for changed in (
        msgspec.structs.replace(mark, position=119),
        msgspec.structs.replace(mark, at=1),
        msgspec.structs.replace(mark, peaks=bytes(len(mark.peaks))),
        msgspec.structs.replace(mark, peaks=b"short"),
        msgspec.structs.replace(mark, note=""),
    ):
        assert not check(copy, since=changed).ok


# --- the file ------------------------------------------------------------------------------------


def test_it_verifies_beside_a_writing_worker(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path)
    mark = None
    for number in range(20):
        ledger.append([position("A", n) for n in range(50)])
        found = check(tmp_path, since=mark)
        assert (found.ok, found.events) == (True, 50)
        mark = found.mark
        if number % 5 == 0:
            ledger.tidy()
    ledger.close()


def test_damage_anywhere_in_the_file_is_an_answer_and_never_a_crash(tmp_path: Path) -> None:
    copy = tmp_path
    fill(copy, 1_500)
    file = copy / LEDGER_FILE
    sound = file.read_bytes()
    random = Random(11)
    found = 0
    for _ in range(40):
        damaged = bytearray(sound)
        start = random.randrange(len(sound))
        damaged[start : start + 64] = random.randbytes(len(damaged[start : start + 64]))
        file.write_bytes(damaged)
        try:
            found += not check(copy).ok
        except StoreError:
            found += 1
    assert found >= 30  # the rest hit free space


def test_the_command_line_says_it_and_sets_the_exit_code(copy: Path, tmp_path: Path) -> None:
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "portcullis.store.verify", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    file, key = copy / LEDGER_FILE, copy / "ledger.pub"
    sound = run(file, key, "--anchors", copy / "anchors")
    assert (sound.returncode, sound.stdout) == (0, "holds: 120 events checked\n")
    attack(copy, "DELETE FROM events WHERE position > 100")
    cut = run(file, key)
    assert cut.returncode == 1
    assert "position 101: events 101..120 are missing" in cut.stdout
    for wrong in ((tmp_path / "no.db", key), (file, tmp_path / "no.pub"), (file, file)):
        refused = run(*wrong)
        assert refused.returncode == 2
        assert "Traceback" not in refused.stderr
        assert refused.stderr.strip()
