"""`portcullis up` as a person runs it: real processes, a real Prefect, a home of its own."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

PORTS = ("GATE", "VENUE", "PREFECT", "API")
OPEN_SECONDS = 150


def free_ports(count):
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


class Up:
    """One `portcullis up` with everything below it."""

    def __init__(self, folder: Path, *, program: str = "", **settings: str) -> None:
        self.program = ["-c", program] if program else ["-m", "portcullis"]
        self.home = folder / "home"
        self.log = folder / "up.log"
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")},
            "PORTCULLIS_HOME": str(self.home),
            **{f"PORTCULLIS_{name}_PORT": str(port) for name, port in self.ports.items()},
            **settings,
        }
        self.process = self.start()

    def start(self):
        """As a shell's background job: interrupts ignored, which children would inherit."""
        with self.log.open("wb") as output:
            return subprocess.Popen(
                ["sh", "-c", 'trap "" INT; exec "$0" "$@" up', sys.executable, *self.program],
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def text(self):
        return self.log.read_text(errors="replace")

    def wait_for(self, words, seconds=OPEN_SECONDS, *, times=1):
        deadline = time.monotonic() + seconds
        while self.text().count(words) < times:
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < deadline, f"no {words!r} in {seconds} s:\n{self.text()}"
            time.sleep(0.1)

    def family(self):
        return psutil.Process(self.process.pid).children(recursive=True)

    def child(self, *words):
        (found,) = [p for p in self.family() if p.cmdline()[2 : 2 + len(words)] == list(words)]
        return found

    def health(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["GATE"], timeout=5)
        try:
            connection.request("GET", "/health")
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def stop(self, number=signal.SIGINT):
        family = self.family() if self.process.poll() is None else []
        self.process.send_signal(number)
        code = self.process.wait(90)
        _, alive = psutil.wait_procs(family, timeout=1)
        return code, alive


@pytest.fixture
def up(tmp_path, request):
    started = Up(tmp_path, **getattr(request, "param", {}))
    yield started
    family = []
    if started.process.poll() is None:
        family = started.family()
        started.process.kill()
    for each in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    started.process.wait(10)


def test_the_gate_opens_a_second_start_is_told_and_nothing_stays(up):
    up.wait_for("| OPEN:")
    health = up.health()
    assert (health["mode"], health["lacking"]) == ("ACTIVE", [])
    listening = [
        each.laddr.ip
        for process in up.family()
        for each in process.net_connections("tcp")
        if each.status == psutil.CONN_LISTEN
    ]
    assert set(listening) == {"127.0.0.1"}

    again = subprocess.run(
        [sys.executable, "-m", "portcullis", "up"],
        env=up.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert again.returncode == 6
    assert str(up.process.pid) in again.stderr.replace("\n", "")
    assert up.health()["worker"]["pid"] == health["worker"]["pid"]

    up.child("portcullis", "worker").kill()
    up.wait_for("starting again in")  # by signal 9, or unseen where circus told nothing
    up.wait_for("| OPEN:", 30, times=2)
    assert up.health()["worker"]["pid"] != health["worker"]["pid"]

    code, alive = up.stop()
    assert (code, alive) == (0, [])
    names = ("api", "operations", "worker", "venue")
    order = [up.text().index(f"{name:<10} | stopped") for name in names]
    assert order == sorted(order)
    assert "Traceback" not in up.text()


@pytest.mark.slow
@pytest.mark.parametrize("up", [{"PORTCULLIS_HEARTBEAT_LASTS": "45 s"}], indirect=True)
def test_the_gate_falls_when_the_scheduled_side_stands_still(up):
    up.wait_for("| OPEN:")
    up.child("flows").suspend()
    up.wait_for("SHUT, OBSERVE_ONLY", 60)
    assert any(each.startswith("operations: expired") for each in up.health()["lacking"])
    up.child("flows").resume()
    code, alive = up.stop(signal.SIGTERM)
    assert (code, alive) == (0, [])


@pytest.mark.parametrize("up", [{"PORTCULLIS_OPERATIONS": "false"}], indirect=True)
def test_without_operations_only_venue_worker_and_api_run(up):
    up.wait_for("SHUT, STARTING", 30)
    up.wait_for("the API listens", 30)
    assert {p.cmdline()[3] for p in up.family()} == {"venue", "worker", "api"}
    code, alive = up.stop(signal.SIGTERM)
    assert (code, alive) == (0, [])


@pytest.mark.parametrize("up", [{"PORTCULLIS_OPERATIONS": "false"}], indirect=True)
def test_a_worker_that_cannot_live_ends_everything_and_says_why(up):
    up.wait_for("SHUT, STARTING", 30)
    (up.home / "config" / "rules.yaml").write_text("profiles: {x: {nonsense: 1}}\n")
    family = up.family()
    up.child("portcullis", "worker").kill()
    assert up.process.wait(60) == 1
    assert "nonsense" in up.text()
    assert "remedy" in up.text()
    assert psutil.wait_procs(family, timeout=1)[1] == []


UNSEEN = """
import os, signal, time
from circus.arbiter import Arbiter

looks, reap = [], Arbiter.reap_processes

def reap_then_kill(self):
    reap(self)
    looks.append(0)
    if len(looks) == 8:  # the worker dies between circus's two looks at its children
        (worker,) = [each for each in self.iter_watchers() if each.name == "worker"]
        os.kill(next(iter(worker.processes)), signal.SIGKILL)
        time.sleep(0.3)

Arbiter.reap_processes = reap_then_kill
from portcullis.cli.entry import main
main()
"""


@pytest.mark.parametrize(
    "up", [{"PORTCULLIS_OPERATIONS": "false", "program": UNSEEN}], indirect=True
)
def test_a_death_that_the_process_manager_misses_is_seen_all_the_same(up):
    up.wait_for("ended unseen; starting again", 40)
    up.wait_for("watching", 40, times=2)
    code, alive = up.stop()
    assert code == 0, up.text()
    assert not alive


def test_a_wrong_configuration_starts_nothing(tmp_path):
    folder = tmp_path / "config"
    folder.mkdir()
    environment = {**os.environ, "PORTCULLIS_HOME": str(tmp_path / "home")}
    environment["PORTCULLIS_CONFIG"] = str(folder)
    ended = subprocess.run(
        [sys.executable, "-m", "portcullis", "up"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert ended.returncode == 2
    assert not (tmp_path / "home").exists()
