"""Everything on, for as long as is asked: `python -m benchmarks.soak --minutes 120`.

Runs `portcullis up` in a home of its own and looks every ten seconds: is the gate open, what do the
processes take, how does Prefect's database grow, how late do heartbeats come. The reference in the
same run is Prefect's server alone, before anything else is started.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import itertools
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import psutil

from portcullis.config.orchestrator import prefect_environment
from portcullis.config.settings import Settings
from portcullis.domain.events import SYSTEM, VerdictRecorded, decode
from portcullis.store.reading import EventFilter, LedgerReader

LOOK_SECONDS = 10.0
SETTLE_SECONDS = 120.0
ALONE_SECONDS = 60.0
MODULES = {"flows": "operations", "tasks.server": "prefect", "portcullis": ""}
OPERATIONS = ("prefect", "operations")


def main(words: list[str] | None = None) -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.soak")
    options.add_argument("--minutes", type=float, default=10.0)
    minutes = options.parse_args(words).minutes
    with tempfile.TemporaryDirectory(dir=".", prefix="soak-") as folder:
        home = Path(folder).resolve() / "home"
        ports = dict(zip(("gate", "venue", "prefect", "api"), _free_ports(4), strict=True))
        _server_alone(home, ports)
        _soak(home, ports, minutes * 60)


def _server_alone(home: Path, ports: dict[str, int]) -> None:
    settings = Settings(home=str(home.parent / "alone"), prefect_port=ports["prefect"])
    (settings.home_path / "prefect").mkdir(parents=True)
    environment = {**os.environ, **prefect_environment(settings)}
    server = subprocess.Popen(
        [sys.executable, "-m", "tasks.server"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _until(lambda: _status(ports["prefect"], "/api/health") is not None, 120)
        time.sleep(10)
        before, began = _cpu(psutil.Process(server.pid)), time.monotonic()
        time.sleep(ALONE_SECONDS)
        cpu = (_cpu(psutil.Process(server.pid)) - before) / (time.monotonic() - began)
        size = _memory(psutil.Process(server.pid))
        print(f"reference: Prefect's server alone, {ALONE_SECONDS:.0f} s: {cpu:.1%} of a core, "
              f"{size:.0f} MB proportional", flush=True)  # fmt: skip
    finally:
        server.terminate()
        server.wait(30)


def _soak(home: Path, ports: dict[str, int], seconds: float) -> None:
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "PORTCULLIS_"))},
        "PORTCULLIS_HOME": str(home),
        **{f"PORTCULLIS_{name.upper()}_PORT": str(port) for name, port in ports.items()},
    }
    with (home.parent / "up.log").open("wb") as log:
        up = subprocess.Popen(
            [sys.executable, "-m", "portcullis", "up"], env=environment, stdout=log, stderr=log
        )
    began = time.monotonic()
    try:
        _until(lambda: _mode(ports["gate"]) == "ACTIVE", 600)
        print(f"gate open after {time.monotonic() - began:.0f} s", flush=True)
        time.sleep(SETTLE_SECONDS)
        _watch(home, ports, up, seconds)
    finally:
        up.send_signal(signal.SIGINT)
        up.wait(120)


def _watch(home: Path, ports: dict[str, int], up: subprocess.Popen[bytes], seconds: float) -> None:
    began, last = time.monotonic(), 0.0
    cpu_before, first_size = _by_part(up.pid, _cpu), _prefect_size(home)
    modes: Counter[str] = Counter()
    memory: dict[str, list[float]] = defaultdict(list)
    while (passed := time.monotonic() - began) < seconds:
        modes[_mode(ports["gate"]) or "no answer"] += 1
        for name, size in _by_part(up.pid, _memory).items():
            memory[name].append(size)
        if passed - last >= 600:
            last = passed
            told = ", ".join(f"{name} {sizes[-1]:.0f}" for name, sizes in sorted(memory.items()))
            print(f"{passed / 60:5.0f} min: {dict(modes)}, MB: {told}, Prefect's database "
                  f"{_prefect_size(home):.1f} MB", flush=True)  # fmt: skip
        time.sleep(LOOK_SECONDS)
    passed = time.monotonic() - began
    cpu = {n: (c - cpu_before.get(n, 0.0)) / passed for n, c in _by_part(up.pid, _cpu).items()}
    print(f"\n{passed / 60:.0f} minutes, {sum(modes.values())} looks: {dict(modes)}")
    print("| process | CPU of one core | memory, proportional: first, median, last |")
    print("|---|---|---|")
    for name in sorted(memory):
        sizes = memory[name]
        told = f"{sizes[0]:.0f}, {statistics.median(sizes):.0f}, {sizes[-1]:.0f} MB"
        print(f"| {name} | {cpu.get(name, 0):.1%} | {told} |")
    side = sum(cpu.get(name, 0.0) for name in OPERATIONS)
    size = sum(statistics.median(memory[name]) for name in OPERATIONS if name in memory)
    print(f"operations side: {side:.1%} of a core (target 10 %), {size:.0f} MB (target 700)")
    grown = (_prefect_size(home) - first_size) / passed * 86_400
    print(f"Prefect's database: {_prefect_size(home):.1f} MB, grows by {grown:,.0f} MB a day")
    print(f"runs: {_runs(home)}")
    print(_heartbeats(home))


def _heartbeats(home: Path) -> str:
    with LedgerReader(home) as reader:
        where = EventFilter(stream=SYSTEM, kinds=("verdict_recorded",))
        found = [decode(row.payload) for row in reader.events(where)]
    at = [
        e.verdict.checked_at / 1e6
        for e in found
        if isinstance(e, VerdictRecorded) and e.verdict.name == "operations"
    ]
    pauses = sorted(b - a for a, b in itertools.pairwise(at))
    if not pauses:
        return "no heartbeat"
    return (
        f"heartbeats: {len(at)}, pause median {statistics.median(pauses):.1f} s, "
        f"longest {pauses[-1]:.1f} s"
    )


def _runs(home: Path) -> dict[str, int]:
    """How the runs ended, as Prefect has it."""
    import sqlite3

    connection = sqlite3.connect(f"file:{home}/prefect/prefect.db?mode=ro", uri=True)
    try:
        return dict(
            connection.execute(
                "SELECT state_name, count(*) FROM flow_run "
                "WHERE state_type != 'SCHEDULED' GROUP BY state_name"
            )
        )
    finally:
        connection.close()


def _prefect_size(home: Path) -> float:
    return sum(path.stat().st_size for path in (home / "prefect").glob("prefect.db*")) / 1e6


def _by_part(pid: int, figure: Any) -> dict[str, float]:
    """A figure summed over the processes of each part of `up`."""
    found: dict[str, float] = defaultdict(float)
    for process in psutil.Process(pid).children(recursive=False):
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()[2:]
            name = MODULES.get(words[0]) or (words[1] if len(words) > 1 else words[0])
            for each in (process, *process.children(recursive=True)):
                found[name] += figure(each)
    return found


def _cpu(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.Error):
        times = process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)
    return 0.0


def _memory(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.Error):
        return float(process.memory_full_info().pss / 1e6)
    return 0.0


def _mode(port: int) -> str | None:
    found = _status(port, "/health")
    return None if found is None else str(found.get("mode"))


def _status(port: int, path: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = json.loads(connection.getresponse().read())
        return answer if isinstance(answer, dict) else {"answer": answer}
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _until(holds: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"not there after {seconds:.0f} s")
        time.sleep(0.5)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


if __name__ == "__main__":
    main()
