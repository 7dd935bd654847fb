"""A server backed up by its own programs, its log shipped, and the backup running on its own."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tarfile
import time

import msgspec
import psycopg
import pytest
from typer.testing import CliRunner

from portcullis.backup import wal
from portcullis.backup.make import CLUSTER_FILE, make
from portcullis.backup.packing import new_identity
from portcullis.backup.server_backup import (
    ServerSource,
    choose_server,
    drill_server,
    restore_server,
)
from portcullis.backup.server_copy import (
    CONFIGURATION,
    copy_server,
    running,
    wait_until_recovered,
)
from portcullis.backup.server_programs import connecting
from portcullis.backup.target import Target
from portcullis.cli.main import app
from portcullis.clock import SystemClock
from portcullis.domain.model import Verdict
from portcullis.errors import NotFound, StoreError, UsageError
from portcullis.store.keys import load_verifier
from portcullis.store.ledger import SqliteLedger
from portcullis.store.opening import open_ledger, place_of
from portcullis.store.postgres.address import Address
from portcullis.store.verify import verify_place
from tests.conformance.ledger import position


@pytest.fixture
def filled(settings):
    """A ledger of some events; the settings name a target."""
    ledger = open_ledger(settings)
    ledger.append([position("AB"[n % 2], n) for n in range(500)])
    ledger.checkpoint()
    ledger.close()
    target = settings.home_path.parent / "target"
    return msgspec.structs.replace(settings, backup_target=str(target))


def more(settings, count: int) -> int:
    ledger = open_ledger(settings)
    head = ledger.append([position("A", n) for n in range(count)])
    ledger.close()
    return head.position


def backed_up(settings):
    target = Target(settings.backup_address)
    source = ServerSource(settings)
    home, config = settings.home_path, settings.config_path
    return make(home, config, target, (), SystemClock().now(), source=source).manifest


def test_a_byte_that_is_another_is_found_before_it_runs(filled, tmp_path) -> None:
    scratch, folder, data = (tmp_path / name for name in ("scratch", "folder", "data"))
    for path in (scratch, folder):
        path.mkdir()
    copied = copy_server(filled, scratch, folder)
    with tarfile.open(folder / CLUSTER_FILE) as archive:
        archive.extractall(data, filter="data")
    page = next(path for path in sorted(data.glob("base/*/*")) if path.stat().st_size > 8_192)
    body = bytearray(page.read_bytes())
    body[5_000] ^= 1
    page.write_bytes(body)
    with tarfile.open(folder / CLUSTER_FILE, "w") as archive:
        archive.add(data, arcname=".")
    major = int(copied.version.split()[1].partition(".")[0])
    with (
        pytest.raises(StoreError, match=r"pg_verifybackup: .*checksum"),
        running(folder, filled, major, None),
    ):
        pass


def test_the_shipped_log_brings_back_what_came_after_the_backup(filled) -> None:
    target = Target(filled.backup_address)
    receiver = wal.Receiver(filled, target, SystemClock().now)
    try:
        receive_everything(receiver, filled)
        made = backed_up(filled)
        last = more(filled, 250)
        receive_everything(receiver, filled)
        assert receiver.verdict().passed
        found = drill_server(filled, target, made, (), SystemClock().now(), wal.shipped_to(target))
    finally:
        receiver.stop()
    assert (found.same, found.restored.position, found.rpo) == (True, last, 0)
    assert made.position == 500 < last
    wal.forget_before_oldest(target)
    kept = [path.name for path in (wal.shipped_to(target) or target).iterdir()]
    assert kept
    assert all(name[:24] >= made.wal for name in kept)


def test_a_server_is_restored_to_a_moment_and_starts_where_it_lies(filled, server) -> None:
    target = Target(filled.backup_address)
    receiver = wal.Receiver(filled, target, SystemClock().now)
    try:
        receive_everything(receiver, filled)
        made = backed_up(filled)
        wanted = more(filled, 100)
        moment = SystemClock().now()
        more(filled, 100)
        receive_everything(receiver, filled)
    finally:
        receiver.stop()
    with pytest.raises(NotFound, match="from before that"):
        choose_server(target, None, made.made_at - 1)
    chosen = choose_server(target, None, moment)
    assert chosen == made
    folder = server.folder / "restored"
    with pytest.raises(UsageError, match="no log was shipped"):
        restore_server(target, chosen, folder, (), moment=moment)
    shipped = wal.shipped_to(target)
    restored = restore_server(target, chosen, folder, (), moment=moment, wal=shipped)
    assert restored.position == 500
    with pytest.raises(UsageError, match="not empty"):
        restore_server(target, chosen, folder, ())

    data = folder / "cluster"
    server.own(folder)
    options = f"-c config_file={data / CONFIGURATION}"
    server.run("pg_ctl", "-D", data, "-l", folder / "log", "-o", options, "-w", "start")
    try:
        url = f"postgresql://portcullis@/store?host={folder}"
        there = msgspec.structs.replace(filled, store_url=url)
        wait_until_recovered(there, data, folder / "log")
        found = verify_place(place_of(there), load_verifier(folder / "ledger.pub"))
        assert found[:2] == (True, wanted)
    finally:
        server.run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")


def receive_everything(receiver: wal.Receiver, settings) -> None:
    """Take turns until what the server has flushed by now is at the target."""
    with psycopg.connect(settings.store_url, autocommit=True) as connection:
        found = connection.execute("SELECT pg_current_wal_flush_lsn() - '0/0'::pg_lsn").fetchall()
    deadline = time.monotonic() + 30
    while receiver.received < found[0][0]:
        assert time.monotonic() < deadline
        with contextlib.suppress(StoreError):  # it has just been started
            receiver.turn()


def test_the_shipper_starts_it_again_leaves_verdicts_and_ends_it(filled) -> None:
    receiver = wal.Receiver(filled, Target(filled.backup_address), SystemClock().now)
    verdicts: list[Verdict] = []
    children: list[subprocess.Popen[bytes]] = []
    told: list[str] = []

    def is_stopping(_seconds: float) -> bool:
        child = receiver._child
        if child is not None and child not in children:
            children.append(child)
        if receiver.received and len(children) == 1:
            children[0].kill()
        return receiver.received > 0 and len(children) > 1

    wal.run(receiver, filled.home_path, verdicts.append, is_stopping, told.append)
    assert [child.returncode is None for child in children] == [False, False]
    assert verdicts[0].name == "shipped"


def test_the_command_line_makes_lists_and_drills_what_is_encrypted(filled, tmp_path) -> None:
    private, public = new_identity()
    (tmp_path / "key").write_text(private)
    environment = {
        "PORTCULLIS_HOME": filled.home,
        "PORTCULLIS_STORE_URL": filled.store_url,
        "PORTCULLIS_BACKUP_TARGET": filled.backup_target,
        "PORTCULLIS_BACKUP_RECIPIENTS": public,
        "PORTCULLIS_BACKUP_IDENTITY": str(tmp_path / "key"),
    }

    def says(*words: str):
        ended = CliRunner().invoke(app, [*words, "-o", "json"], env=environment)
        assert ended.exit_code == 0, ended.output
        return json.loads(ended.stdout)

    made = says("backup", "create")
    assert (made["event"], made["encrypted"]) == (500, True)
    manifest = Target(filled.backup_address).manifest(made["name"])
    assert {"cluster.tar", "ledger.key", "ledger.pub"} <= manifest.files.keys()
    drilled = says("backup", "drill")
    assert (drilled["same_state"], drilled["events"]) == (True, 500)
    assert says("backup", "list")[0]["verified"].startswith("restored")
    assert says("ledger", "verify")["events"] == 500
    rows = {row["name"]: row for row in says("doctor", "--offline")["rows"]}
    assert rows["store"]["state"] == "warn"  # a slot may keep any amount of log
    assert "max_slot_wal_keep_size" in rows["store"]["remedy"]
    assert rows["ledger"]["state"] == "ok"


def test_what_cannot_be_done_with_a_server_is_refused_with_what_serves_instead(filled) -> None:
    with pytest.raises(UsageError, match="to a folder only"):
        wal.Receiver(filled, Target("memory://elsewhere"), SystemClock().now)
    elsewhere = filled.home_path.parent / "files"
    elsewhere.mkdir()
    SqliteLedger(elsewhere).close()
    target = Target(filled.backup_address)
    of_files = make(elsewhere, elsewhere, target, (), SystemClock().now()).manifest
    with pytest.raises(UsageError, match="not of a server"):
        restore_server(target, of_files, filled.home_path.parent / "back", ())
    environment = {"PORTCULLIS_HOME": filled.home, "PORTCULLIS_STORE_URL": filled.store_url}
    words = ["restore", "--in-place", "--reason", "to see", "--yes"]
    ended = CliRunner().invoke(app, words, env=environment)
    assert isinstance(ended.exception, UsageError)
    assert "docs/postgres.md" in ended.exception.remedy


def test_no_password_is_on_a_command_line() -> None:
    told, environment = connecting(Address("postgresql://u:hunter2@h/db"))
    assert "hunter2" not in told
    assert environment["PGPASSWORD"] == "hunter2"
