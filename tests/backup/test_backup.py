"""Backups of a real ledger: beside a writer, encrypted, damaged, and at targets that fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from portcullis.backup.make import make
from portcullis.backup.manifest import MANIFEST, PACKED
from portcullis.backup.packing import identities_in, new_identity, recipients_of
from portcullis.backup.restore import Wanted, choose, drill, restore
from portcullis.backup.target import PART, Target
from portcullis.domain.model import HOUR
from portcullis.errors import NotFound, StoreError, StoreLocked, UsageError
from portcullis.store.keys import PRIVATE_FILE, load_verifier
from portcullis.store.ledger import SqliteLedger
from portcullis.store.lock import WriterLock
from portcullis.store.verify import verify
from tests.backup.conftest import NOW
from tests.conformance.ledger import position


def keys(folder: Path) -> tuple[str, list]:
    """A public key, and the private one as it is read from a file."""
    private, public = new_identity()
    path = folder / "identity"
    path.write_text(f"# public key: {public}\n{private}\n")
    return public, identities_in(path)


def test_what_is_backed_up_is_what_is_restored(store, config, target, tmp_path):
    made = make(store, config, target, (), NOW)
    assert [each.name for each in target.manifests()] == [made.manifest.name]
    found = restore(target, made.manifest, Wanted(), tmp_path / "back", ())
    ledger = SqliteLedger(store)
    head, at = ledger.head(), ledger.last_at()
    ledger.close()
    assert (found.position, found.at) == (head.position, at)
    assert verify(tmp_path / "back" / "ledger.db", load_verifier(store / "ledger.pub")).ok
    assert (tmp_path / "back" / "config" / "capital.yaml").is_file()
    assert (tmp_path / "back" / "config" / "rules.yaml").read_bytes() == (
        config / "rules.yaml"
    ).read_bytes()
    assert not (tmp_path / "back" / PRIVATE_FILE).exists()
    assert not [path for path in store.iterdir() if path.name.startswith(".")]


def test_a_drill_folds_to_the_same_state_and_says_how_long_it_took(store, config, target):
    made = make(store, config, target, (), NOW)
    found = drill(store, target, made.manifest, (), NOW)
    assert found.same
    assert found.events == made.manifest.position
    assert found.rto > 0
    proof = target.proof(made.manifest.name)
    assert proof is not None
    assert proof.restored


def test_backups_beside_a_writing_process_hold_and_grow(store, config, target, tmp_path):
    home = tmp_path / "written"
    home.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.store.writing_process", str(home), "20"],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parent.parent.parent,
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        positions = []
        for number in range(3):
            for _ in range(20):
                process.stdout.readline()
            made = make(home, config, target, (), NOW + number * HOUR)
            positions.append(made.manifest.position)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert positions == sorted(set(positions))
    for each in target.manifests():
        found = restore(target, each, Wanted(), tmp_path / each.name, ())
        assert found.position == each.position


def test_an_encrypted_backup_is_opened_by_its_key_alone(store, config, target, tmp_path):
    public, mine = keys(tmp_path)
    made = make(store, config, target, (public,), NOW)
    packed = (tmp_path / "backups" / (made.manifest.name + PACKED)).read_bytes()
    assert packed.startswith(b"age-encryption.org")
    assert b"DEMO-LOSS" not in packed
    with pytest.raises(UsageError, match="is encrypted"):
        restore(target, made.manifest, Wanted(), tmp_path / "no", ())
    (tmp_path / "other").mkdir()
    _, others = keys(tmp_path / "other")
    with pytest.raises(StoreError, match="cannot be opened"):
        restore(target, made.manifest, Wanted(), tmp_path / "no", others)
    assert not (tmp_path / "no").exists()
    restore(target, made.manifest, Wanted(), tmp_path / "yes", mine)
    key = tmp_path / "yes" / PRIVATE_FILE
    assert key.read_bytes() == (store / PRIVATE_FILE).read_bytes()
    assert key.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("where", [0, 0.3, 0.7, 1])
def test_one_flipped_bit_is_refused(store, config, target, tmp_path, where):
    made = make(store, config, target, (), NOW)
    path = tmp_path / "backups" / (made.manifest.name + PACKED)
    data = bytearray(path.read_bytes())
    data[min(len(data) - 1, int(where * len(data)))] ^= 1
    path.write_bytes(data)
    with pytest.raises(StoreError, match="is damaged"):
        restore(target, made.manifest, Wanted(), tmp_path / "back", ())
    assert not (tmp_path / "back").exists()


def test_a_backup_that_was_never_finished_is_none(store, config, target, tmp_path):
    made = make(store, config, target, (), NOW)
    folder = tmp_path / "backups"
    (folder / (made.manifest.name + MANIFEST)).unlink()
    half = folder / f"half-{made.manifest.ledger[:8]}{PACKED}{PART}"
    half.write_bytes(b"x")
    others = folder / f"half-another{PACKED}{PART}"
    others.write_bytes(b"x")
    assert target.manifests() == []
    with pytest.raises(NotFound, match="there is no backup"):
        choose(target, None, Wanted())
    make(store, config, target, (), NOW + HOUR)
    assert not half.exists()
    assert others.exists(), "another ledger may be uploading it"


@pytest.mark.parametrize("said", [b"", b"{}", b'{"name": "x"}', b"\xff"])
def test_a_damaged_manifest_is_named_and_blocks_no_other(store, config, target, tmp_path, said):
    made = make(store, config, target, (), NOW)
    (tmp_path / "backups" / (made.manifest.name + MANIFEST)).write_bytes(said)
    other = make(store, config, target, (), NOW + HOUR)
    assert [each.name for each in target.manifests()] == [other.manifest.name]
    assert target.damaged == [made.manifest.name]
    with pytest.raises(StoreError, match=made.manifest.name):
        choose(target, made.manifest.name, Wanted())


def test_a_clock_that_was_set_back_costs_no_backup(store, config, target):
    first = make(store, config, target, (), NOW)
    ledger = SqliteLedger(store)
    ledger.append([position("A", 1)])
    ledger.close()
    second = make(store, config, target, (), NOW - 4 * HOUR)
    assert second.manifest.name not in second.removed
    assert second.manifest.made_at > first.manifest.made_at
    assert choose(target, None, Wanted()).name == second.manifest.name


def test_what_is_not_encrypted_does_not_stand_for_what_is(store, config, target, tmp_path):
    public, _ = keys(tmp_path)
    sealed = make(store, config, target, (public,), NOW)
    plain = make(store, config, target, (), NOW + 1_000_000)
    assert plain.removed == []
    assert sealed.manifest.name in {each.name for each in target.manifests()}
    with pytest.raises(UsageError, match="names no key"):
        recipients_of(" , ")


def test_nothing_secret_is_in_what_is_not_encrypted(store, config, target, tmp_path):
    (store / "settings.env").write_text("PORTCULLIS_PROJECTX_KEY=hush")
    (store / "projectx.key").write_text("hush")
    made = make(store, config, target, (), NOW)
    assert {"settings.env", "ledger.key", "projectx.key"} & set(made.manifest.files) == set()
    for path in (tmp_path / "backups").iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
    public, mine = keys(tmp_path)
    with pytest.raises(UsageError) as caught:
        identities_in(Path(str(mine[0])))
    assert str(mine[0]) not in str(caught.value)
    with pytest.raises(UsageError) as caught:
        recipients_of(str(mine[0]))
    assert str(mine[0])[:24] not in str(caught.value)
    with pytest.raises(StoreError) as unreachable:
        Target("ftp://user:hunter2@127.0.0.1:9/x")
    assert "hunter2" not in str(unreachable.value)
    assert public


def test_backups_of_two_ledgers_at_one_target_do_not_meet(store, config, target, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    SqliteLedger(other).close()
    mine = make(store, config, target, (), NOW)
    theirs = make(other, config, target, (), NOW + HOUR)
    assert choose(target, None, Wanted(), store) == mine.manifest
    assert choose(target, None, Wanted(), other) == theirs.manifest


def test_an_archive_with_anything_else_in_it_is_refused(store, config, target, tmp_path):
    made = make(store, config, target, (), NOW).manifest
    files = {name: digest for name, digest in made.files.items() if name != "config/rules.yaml"}
    with pytest.raises(StoreError, match="which its manifest does not"):
        restore(target, replace(made, files=files), Wanted(), tmp_path / "back", ())
    with pytest.raises(StoreError, match="which its manifest does not"):
        restore(target, replace(made, files={}), Wanted(), tmp_path / "back", ())
    with pytest.raises(StoreError, match="ends at event"):
        restore(target, replace(made, position=3), Wanted(), tmp_path / "back", ())
    assert not (tmp_path / "back").exists()


def test_a_ledger_that_does_not_hold_is_not_backed_up(store, config, target):
    make(store, config, target, (), NOW)
    from pysqlite3 import dbapi2

    ledger = dbapi2.connect(store / "ledger.db")
    for (name,) in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
        ledger.execute(f"DROP TRIGGER {name}")
    ledger.execute("UPDATE events SET trace = 'other' WHERE position = 9")
    ledger.commit()
    ledger.close()
    with pytest.raises(StoreError, match="does not hold at position 9"):
        make(store, config, target, (), NOW + HOUR)
    assert len(target.manifests()) == 1


def test_the_next_backup_verifies_what_is_new_and_a_wrong_mark_all_of_it(store, config, target):
    make(store, config, target, (), NOW)
    mark = store / "backup.mark"
    first = mark.read_bytes()
    ledger = SqliteLedger(store)
    ledger.append([position("A", 1)])
    ledger.close()
    make(store, config, target, (), NOW + HOUR, whole=False)
    assert mark.read_bytes() != first
    for wrong in (b"", b"nonsense", first[:-9] + bytes(9)):
        mark.write_bytes(wrong)
        made = make(store, config, target, (), NOW + 2 * HOUR, whole=False)
        assert made.manifest.position
    assert mark.read_bytes() != first


def test_two_at_once_are_one(store, config, target):
    with WriterLock(store / "backup.lock"), pytest.raises(StoreLocked):
        make(store, config, target, (), NOW)


def test_a_target_of_another_kind_serves_as_well(store, config, tmp_path):
    target = Target(f"memory://{tmp_path.name}")
    made = make(store, config, target, (), NOW)
    assert drill(store, target, made.manifest, (), NOW).same
    target.remove(made.manifest.name)
    assert target.manifests() == []


@pytest.mark.parametrize("address", ["nowhere://x", "file", "/proc/1/mem/x"])
def test_a_target_that_cannot_be_used_says_which_setting_to_check(
    store, config, tmp_path, address, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreError) as caught:
        make(store, config, Target(address), (), NOW)
    assert "PORTCULLIS_BACKUP_TARGET" in caught.value.remedy
    assert not [path for path in store.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("text", ["age1x", "hello", "ssh-ed25519 nothing", "AGE-SECRET-KEY-1"])
def test_what_is_no_public_key_is_refused_before_anything_is_copied(text):
    with pytest.raises(UsageError, match="no public key for backups"):
        recipients_of(text)


@pytest.mark.parametrize("said", ["", "# nothing\n", "age1notprivate\n"])
def test_a_file_without_a_key_is_named(tmp_path, said):
    path = tmp_path / "identity"
    path.write_text(said)
    with pytest.raises(UsageError, match="identity"):
        identities_in(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_target_without_permission(store, config, tmp_path):
    (tmp_path / "shut").mkdir(mode=0o500)
    with pytest.raises(StoreError, match="cannot write"):
        make(store, config, Target(str(tmp_path / "shut")), (), NOW)
