"""A running Portcullis on a small disk of its own, and everything that is done to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
from pysqlite3 import dbapi2

from tests.cli_up.test_up import Up

DISK_MB = 400
GATE_SECONDS = 180.0
RUN_SECONDS = 180.0
POLL_SECONDS = 0.1
HEARTBEAT_LASTS = "60 s"
"""Two beats: on a machine with other work one alone comes late now and then."""

BUSY = 503
"""What Prefect's server says while its database is locked; its own clients ask again, too."""

BUSY_SECONDS = 30.0

JUDGED_BY: dict[str, tuple[str, dict[str, Any]]] = {
    "operations": ("heartbeat", {}),
    "event_log": ("integrity", {"full": True}),
    "ledger_rows": ("ledger_rows", {"full": True}),
    "snapshot": ("snapshot", {"full": True}),
    "capital": ("capital", {}),
    "strategies": ("strategies", {}),
    "market_data": ("market_data_quality", {}),
    "backup": ("backup", {}),
    "restore": ("restore_drill", {}),
}
"""Evidence and the flow that judges it."""


class Running:
    """`portcullis up`, looked at and meddled with from outside."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.up = Up(folder, PORTCULLIS_HEARTBEAT_LASTS=HEARTBEAT_LASTS, **environment)
        self.home = self.up.home
        self.monitoring = self.home / "config" / "monitoring.yaml"
        self.backups = self.home / "backups"

    # --- looking ------------------------------------------------------------------------------

    def health(self) -> dict[str, Any] | None:
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
            found: dict[str, Any] = self.up.health()
            return found
        return None

    def until(self, holds: Callable[[dict[str, Any]], bool], what: str, seconds: float) -> float:
        """Wait for the gate to say so; how long it took."""
        began = time.monotonic()
        while True:
            health = self.health()
            if health is not None and holds(health):
                return time.monotonic() - began
            assert time.monotonic() - began < seconds, f"{what}: not in {seconds:.0f} s: {health}"
            time.sleep(POLL_SECONDS)

    def opened(self, seconds: float = GATE_SECONDS) -> float:
        return self.until(lambda health: health["mode"] == "ACTIVE", "open", seconds)

    # --- acting as a person -------------------------------------------------------------------

    def say(self, *words: str, ok: bool = True) -> str:
        ended = subprocess.run(
            [sys.executable, "-m", "portcullis", *words],
            env={k: v for k, v in self.up.environment.items() if k != "LD_PRELOAD"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert not ok or ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    def judge_again(self) -> None:
        """Have what lacks judged anew: a case that failed left its damage mended, not judged."""
        health = self.health() or {"lacking": list(JUDGED_BY)}
        names = [text.partition(":")[0] for text in health["lacking"]]
        for flow, parameters in (JUDGED_BY[name] for name in names if name in JUDGED_BY):
            self.run(flow, **parameters)

    def release(self) -> None:
        """Raise the gate, as soon as all evidence is good again."""
        deadline = time.monotonic() + GATE_SECONDS
        while "the gate is open" not in (
            said := self.say("mode", "release", "--reason", "mended", "--yes", ok=False)
        ):
            assert time.monotonic() < deadline, said
            time.sleep(1)

    @contextlib.contextmanager
    def required(self, name: str, **terms: str) -> Iterator[None]:
        """Other terms of one evidence, in force within the block."""
        kept = self.monitoring.read_text()
        told = ", ".join(f"{key}: {value}" for key, value in terms.items())
        lines = [
            f"  {name}: {{{told}}}" if line.startswith(f"  {name}:") else line
            for line in kept.splitlines()
        ]
        assert lines != kept.splitlines(), name
        self.monitoring.write_text("\n".join(lines) + "\n")
        self.say("config", "reload", "--reason", f"terms of {name}")
        try:
            yield
        finally:
            self.monitoring.write_text(kept)
            self.say("config", "reload", "--reason", "as before")

    # --- acting as the scheduler --------------------------------------------------------------

    def run(self, flow: str, **parameters: Any) -> str:
        """Run a deployment now, and wait for its end; the name of its state."""
        deployment = self._prefect("GET", f"/api/deployments/name/{flow}/{flow}")
        made = self._prefect(
            "POST",
            f"/api/deployments/{deployment['id']}/create_flow_run",
            {"parameters": parameters, "state": {"type": "SCHEDULED"}},
        )
        deadline = time.monotonic() + RUN_SECONDS
        while True:
            found = self._prefect("GET", f"/api/flow_runs/{made['id']}")
            if found["state_type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
                return str(found["state_name"])
            assert time.monotonic() < deadline, f"{flow} did not end: {found['state_name']}"
            time.sleep(POLL_SECONDS)

    def _prefect(self, method: str, path: str, body: Any = None) -> Any:
        client = str(uuid.uuid4())
        _, token = self._ask("GET", f"/api/csrf-token?client={client}", None, {})
        headers = {"Prefect-Csrf-Token": token["token"], "Prefect-Csrf-Client": client}
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            status, found = self._ask(method, path, body, headers)
            if status != BUSY or time.monotonic() > deadline:
                assert status < 300, (method, path, found)
                return found
            time.sleep(POLL_SECONDS)

    def _ask(self, method: str, path: str, body: Any, headers: dict[str, str]) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.up.ports["PREFECT"], timeout=30)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"Content-Type": "application/json", **headers})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        finally:
            connection.close()

    # --- doing damage -------------------------------------------------------------------------

    def ledger(self, *statements: tuple[str, tuple[Any, ...]]) -> list[Any]:
        """Change the ledger's file behind the worker's back; the rows of the last statement."""
        connection = dbapi2.connect(str(self.home / "ledger.db"), timeout=10)
        try:
            connection.execute("BEGIN IMMEDIATE")
            guards = connection.execute(
                "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"
            ).fetchall()
            for name, _ in guards:
                connection.execute(f'DROP TRIGGER "{name}"')
            rows: list[Any] = []
            for statement, values in statements:
                rows = connection.execute(statement, values).fetchall()
            for _, sql in guards:
                connection.execute(sql)
            connection.execute("COMMIT")
            return rows
        finally:
            connection.close()

    @contextlib.contextmanager
    def ledger_held(self) -> Iterator[None]:
        """Another program that keeps everybody else from writing."""
        connection = dbapi2.connect(str(self.home / "ledger.db"), timeout=10)
        connection.isolation_level = None
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")
        finally:
            connection.close()

    def records(self, statement: str, values: tuple[Any, ...]) -> list[Any]:
        """Change the daily records behind the back of whoever keeps them."""
        connection = dbapi2.connect(str(self.home / "operations" / "records.db"), timeout=10)
        try:
            rows: list[Any] = connection.execute(statement, values).fetchall()
            connection.commit()
            return rows
        finally:
            connection.close()

    def venue(self, act: str, **arguments: Any) -> Any:
        """An act of the simulated venue's operator."""
        token = (self.home / "venue.token").read_text().strip()
        connection = http.client.HTTPConnection("127.0.0.1", self.up.ports["VENUE"], timeout=10)
        try:
            connection.request(
                "POST",
                f"/control/{act}",
                json.dumps(arguments),
                {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            )
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, body
            return json.loads(body or b"null")
        finally:
            connection.close()

    def process(self, *words: str) -> psutil.Process:
        """A process of `up` by the words of its command."""
        return self.up.child(*words)

    @contextlib.contextmanager
    def stopped(self, *words: str) -> Iterator[None]:
        """A process that hangs: it is there, and does nothing."""
        process = self.process(*words)
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        family = self.up.family() if self.up.process.poll() is None else []
        with contextlib.suppress(Exception):
            self.up.stop()
        for each in family:
            with contextlib.suppress(psutil.Error):
                each.kill()


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of `DISK_MB` of its own, where this user may mount one; else the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    mounted = (
        os.name == "posix"
        and hasattr(os, "geteuid")
        and os.geteuid() == 0
        and (
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder)],
                check=False,
                capture_output=True,
            ).returncode
            == 0
        )
    )
    try:
        yield folder
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=False)
