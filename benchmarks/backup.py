"""Backups beside a writing process: how long a copy, a whole backup and a restore take.

The reference, in the same run: a plain copy of the file with its flush, which is no backup of one
that is being written.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.ingest import entry
from portcullis.backup.make import make
from portcullis.backup.packing import digest, pack
from portcullis.backup.restore import fetch
from portcullis.backup.target import Target
from portcullis.store.copying import copy_online
from portcullis.store.database import LEDGER_FILE
from portcullis.store.keys import load_verifier
from portcullis.store.ledger import SqliteLedger
from portcullis.store.verify import verify

EVENTS = 1_000_000
BATCH = 2_000


def main() -> None:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        home = Path(folder) / "home"
        home.mkdir()
        ledger = SqliteLedger(home)
        for first in range(0, EVENTS, BATCH):
            ledger.append([entry(number) for number in range(first, first + BATCH)])
        ledger.tidy()
        ledger.close()
        size = (home / LEDGER_FILE).stat().st_size / 1e6
        print(f"{EVENTS:,} events, {size:,.0f} MB")
        plain = _timed(lambda: _plain_copy(home, Path(folder) / "plain"))
        _row("a plain copy and its flush", plain, plain)
        writer = _writer(home)
        try:
            _beside(home, Path(folder), plain)
        finally:
            writer.kill()
            writer.wait()


def _beside(home: Path, folder: Path, plain: float) -> None:
    files = folder / "files"
    files.mkdir()
    _row("copied online, beside a writer", _timed(lambda: _copy(home, files)), plain)
    public = load_verifier(home / "ledger.pub")
    _row("verified", _timed(lambda: verify(files / LEDGER_FILE, public)), plain)
    _row("packed", _timed(lambda: pack(files, folder / "packed", ())), plain)
    _row("hashed", _timed(lambda: digest(folder / "packed")), plain)
    target = Target(str(folder / "target"))
    for what, whole in (("all", True), ("what is new", False)):
        began = time.perf_counter()
        made = make(home, home / "config", target, (), 1_780_000_000_000_000, whole=whole)
        _row(f"a backup, {what} verified, read back", time.perf_counter() - began, plain)
    print(f"  stored {made.manifest.size / 1e6:,.0f} MB; newest event {made.manifest.position:,}")
    back = folder / "back"
    back.mkdir()
    fetched = _timed(lambda: fetch(target, made.manifest, back, ()))
    _row("fetched, unpacked, every file hashed", fetched, plain)
    verified = _timed(lambda: verify(back / LEDGER_FILE, public))
    _row("restored with full verification (RTO)", fetched + verified, plain)


def _copy(home: Path, files: Path) -> None:
    (files / LEDGER_FILE).unlink(missing_ok=True)
    copy_online(home / LEDGER_FILE, files / LEDGER_FILE)


def _plain_copy(home: Path, copy: Path) -> None:
    shutil.copyfile(home / LEDGER_FILE, copy)
    descriptor = os.open(copy, os.O_RDWR)
    os.fsync(descriptor)
    os.close(descriptor)


def _writer(home: Path) -> subprocess.Popen[bytes]:
    """A process that commits twenty events each few milliseconds."""
    code = (
        "import sys, time; from pathlib import Path; from benchmarks.ingest import entry; "
        "from portcullis.store.ledger import SqliteLedger\n"
        "ledger = SqliteLedger(Path(sys.argv[1]))\n"
        "while True: ledger.append([entry(n) for n in range(20)]); time.sleep(0.005)"
    )
    return subprocess.Popen([sys.executable, "-c", code, str(home)])


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _row(what: str, took: float, plain: float) -> None:
    print(f"{what:<40} {took:7.2f} s   {took / plain:6.1f} of the plain copy")


if __name__ == "__main__":
    main()
