"""A server's data as a backup holds it, and that backup running again on a socket of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import msgspec
import psycopg

from portcullis.backup.make import CLUSTER_FILE
from portcullis.backup.server_programs import call, connecting, program
from portcullis.config.settings import Settings
from portcullis.errors import StoreError
from portcullis.store.opening import place_of
from portcullis.store.postgres.address import Address
from portcullis.store.postgres.driver import connect

START_SECONDS = 600
POLL_SECONDS = 0.05
SERVER_USER = "postgres"
"""Who a restored server runs as where we are root: it refuses to run as root."""

CONFIGURATION = "restore.conf"
_WHO = "restore_hba.conf"
_ALONE = """
listen_addresses = ''
hot_standby = off
archive_mode = off
max_wal_senders = 0
wal_level = minimal
"""


class Copied(NamedTuple):
    """A copy: the server's version, and its first file of write-ahead log that is needed."""

    version: str
    wal: str


def copy_server(settings: Settings, scratch: Path, folder: Path) -> Copied:
    """Put the whole server, as it is now, into `folder` as one verified file. Raises StoreError."""
    address = Address(settings.store_url)
    place = place_of(settings)
    with place.explained(), connect(address, "ledger", writes=False) as connection:
        number = connection.info.server_version
    major = number // 10_000
    told, environment = connecting(address)
    data = scratch / "cluster"
    call(
        (
            program("pg_basebackup", major), "-d", told, "--no-password", "-D", data,
            "--format=plain", "--wal-method=stream", "--checkpoint=fast", "--no-sync",
        ),
        environment,
    )  # fmt: skip
    call((program("pg_verifybackup", major), data))
    first = _first_wal(data)
    with tarfile.open(folder / CLUSTER_FILE, "w") as archive:
        archive.add(data, arcname=".")
    shutil.rmtree(data)
    return Copied(f"PostgreSQL {major}.{number % 10_000}", first)


def _first_wal(data: Path) -> str:
    """`START WAL LOCATION: 0/2000028 (file 000000010000000000000002)`."""
    label = (data / "backup_label").read_text(encoding="utf-8")
    return label.partition("(file ")[2].partition(")")[0]


@contextmanager
def running(folder: Path, settings: Settings, major: int, wal: Path | None) -> Iterator[Settings]:
    """The server in a fetched backup, running where only this user reaches it; the settings whose
    store it is. `wal` is the folder that its log was shipped to, which it goes on with.

    Raises StoreError. Everything is removed at the end.
    """
    scratch = Path(tempfile.mkdtemp(prefix="pc-drill-"))  # sockets need short paths
    data, socket = scratch / "cluster", scratch / "socket"
    control = program("pg_ctl", major)
    try:
        socket.mkdir(mode=0o700)
        lay_out(folder / CLUSTER_FILE, data, major)
        shipped = take_log(wal, data, scratch / "wal") if wal is not None else None
        for name in ("postgresql.auto.conf", "standby.signal"):
            (data / name).unlink(missing_ok=True)
        configure(data, socket, shipped)
        lower = _owned_by_server(scratch)
        options = f"-c config_file={data}/{CONFIGURATION}"
        start = (*lower, control, "-D", data, "-w", "-t", START_SECONDS, "-l", scratch / "log")
        try:
            call((*start, "-o", options, "start"), cwd=scratch)
        except StoreError as error:
            log = (scratch / "log").read_text(errors="replace")[-600:]
            raise StoreError(
                f"the restored server does not start: {log}", remedy=error.remedy
            ) from error
        try:
            reached = _reached(settings, socket)
            wait_until_recovered(reached, data, scratch / "log")
            yield reached
        finally:
            call((*lower, control, "-D", data, "-w", "-m", "immediate", "stop"), cwd=scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def wait_until_recovered(settings: Settings, data: Path, log: Path) -> None:
    """`pg_ctl` waits for a server that runs, and this one takes nobody before all is replayed."""
    address, deadline = Address(settings.store_url), time.monotonic() + START_SECONDS
    while True:
        try:
            connect(address, "ledger", writes=False).close()
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline or not (data / "postmaster.pid").exists():
                told = log.read_text(errors="replace")[-600:]
                raise StoreError(
                    f"the restored server has not recovered: {told}",
                    remedy="look at the shipped log; `portcullis backup list` has older backups",
                ) from error
        else:
            return
        time.sleep(POLL_SECONDS)


def lay_out(cluster: Path, data: Path, major: int) -> None:
    """Unpack a server's data into a folder that is not there yet, and check every file of it."""
    data.mkdir(mode=0o700)
    with tarfile.open(cluster) as archive:
        archive.extractall(data, filter="data")
    call((program("pg_verifybackup", major), data))


def take_log(wal: Path, data: Path, taken: Path) -> Path:
    """A copy of the shipped log that the backup goes on with, for whoever runs the server."""
    first = _first_wal(data)
    taken.mkdir(mode=0o700)
    for path in sorted(wal.iterdir()):
        if path.is_file() and (path.name[8:] >= first[8:] or path.suffix == ".history"):
            shutil.copyfile(path, taken / path.name)
    return taken


def configure(data: Path, socket: Path, wal: Path | None, until: str = "") -> None:
    """Let it run alone: its own settings may lie outside its data. `wal` is the log it goes on
    with, to its end or `until` a moment (as the server writes it).
    """
    lines = [_ALONE, f"unix_socket_directories = '{socket}'", f"hba_file = '{data}/{_WHO}'"]
    (data / CONFIGURATION).write_text("\n".join(lines) + "\n", encoding="utf-8")
    (data / _WHO).write_text("local all all trust\n", encoding="utf-8")
    if wal is None:
        return
    # Its last file is still being written, and has another name until it is full.
    recovery = f'restore_command = \'cp "{wal}/%f" "%p" || cp "{wal}/%f.partial" "%p"\'\n'
    if until:
        recovery += f"recovery_target_time = '{until}'\nrecovery_target_action = 'promote'\n"
    with (data / "postgresql.auto.conf").open("a", encoding="utf-8") as file:
        file.write(recovery)
    (data / "recovery.signal").touch()


def _owned_by_server(scratch: Path) -> list[str]:
    """How to run as somebody whom the server accepts; empty where this user is one already."""
    if os.name == "nt" or os.geteuid() != 0:
        return []
    import pwd

    try:
        user = pwd.getpwnam(SERVER_USER)
    except KeyError as error:
        raise StoreError(
            f"a server refuses to run as root, and there is no user {SERVER_USER!r}",
            remedy="run the drill as another user than root",
        ) from error
    for path in (scratch, *scratch.rglob("*")):
        os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
    found = shutil.which("setpriv")
    if found is None:
        raise StoreError("setpriv is missing", remedy="install util-linux, or do not run as root")
    return [found, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def _reached(settings: Settings, socket: Path) -> Settings:
    """The settings, with the socket for the server's address and without a password."""
    given = Address(settings.store_url).parameters
    user = given.get("user") or getpass.getuser()
    database = given.get("dbname") or user
    url = f"postgresql://{quote(user)}@/{quote(database)}?host={quote(str(socket))}"
    return msgspec.structs.replace(settings, store_url=url)
