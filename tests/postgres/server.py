"""A real PostgreSQL server of the tests' own: on a socket in a private folder, with real syncs."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import psycopg

WHO = """
local all all trust
local replication all trust
host all all 127.0.0.1/32 scram-sha-256
host replication all 127.0.0.1/32 scram-sha-256
"""
OWNER, ROLE = "postgres", "portcullis"
DATABASE = "store"
SETTINGS = "-c listen_addresses=127.0.0.1 -c max_wal_senders=4 -c wal_level=replica"


def programs() -> Path | None:
    """Where `initdb` and `pg_ctl` are: Debian's newest, or those on the path."""
    places = Path("/usr/lib/postgresql").glob("*/bin/initdb")  # a client alone has none
    newest = max(
        (path.parent for path in places), key=lambda path: int(path.parts[-2]), default=None
    )
    if newest is not None:
        return newest
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """Made by `initdb` in a folder of its own. A server refuses to run as root, so that there it
    runs as `postgres`.
    """

    def __init__(self, bin_folder: Path) -> None:
        self.bin = bin_folder
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # sockets need short paths
        self.data = self.folder / "data"
        self.port = _free_port()
        self._as: list[str] = []
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
            self.folder.chmod(0o755)
            self._as = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        self.run(
            "initdb", "-D", self.data, "-A", "trust", "-U", OWNER, "-E", "UTF8", "--locale=C",
            "--no-sync", "--data-checksums", "--wal-segsize=1",
        )  # fmt: skip
        (self.data / "pg_hba.conf").write_text(WHO)
        self.start()
        with self.connect("postgres") as connection:
            connection.execute(f"CREATE ROLE {ROLE} LOGIN REPLICATION")
            connection.execute(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")

    def run(self, program: str, *arguments: object) -> str:
        done = subprocess.run(
            [*self._as, str(self.bin / program), *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=60,
            check=False,
            cwd=self.folder,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def own(self, folder: Path) -> None:
        """Give a folder to whoever the server runs as."""
        if self._as:
            owner = pwd.getpwnam("postgres")
            for path in (folder, *folder.rglob("*")):
                os.chown(path, owner.pw_uid, owner.pw_gid)

    def start(self) -> None:
        options = f"-k {self.folder} -p {self.port} {SETTINGS}"
        log = self.folder / "log"
        self.run("pg_ctl", "-D", self.data, "-w", "-l", log, "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """`immediate` is a crash: nothing is flushed, and the next start recovers."""
        self.run("pg_ctl", "-D", self.data, "-w", "-m", mode, "stop")

    def url(self, database: str, user: str = ROLE) -> str:
        return f"postgresql://{user}@/{database}?host={self.folder}&port={self.port}"

    def connect(self, database: str) -> psycopg.Connection:
        """As the server's owner, who may do anything."""
        return psycopg.connect(self.url(database, OWNER), autocommit=True)

    def empty_database(self) -> str:
        """The address of the one database, emptied."""
        with self.connect(DATABASE) as connection:
            connection.execute("DROP SCHEMA IF EXISTS ledger CASCADE")
            connection.execute("DROP SCHEMA IF EXISTS inbox CASCADE")
        return self.url(DATABASE)

    def remove(self) -> None:
        pid = self.data / "postmaster.pid"
        if pid.exists():
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(20)
