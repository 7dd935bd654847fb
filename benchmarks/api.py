"""The API beside a worker at 1,000 events/s: a hundred readers and twenty dashboards, the gate with
and without them, and the export of a million events.

Worker, API and readers are processes of their own, as they are in use. Readers stand for other
machines: they are as nice as the API, so that what they burn is not taken from the worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import quantiles
from typing import Any

import aiohttp
import psutil

from benchmarks.worker_path import ACCOUNTS, RATE
from portcullis.api.keys import KeyFile
from portcullis.api.serving import NICE
from portcullis.clock import SystemClock
from portcullis.domain.events import Quote
from portcullis.domain.model import MICRO
from portcullis.domain.plan import AccountPlan, Plan
from portcullis.domain.rules import max_contracts
from portcullis.ports import Entry
from portcullis.store.ledger import SqliteLedger
from portcullis.store.memory import MemoryInbox
from portcullis.store.writer import GroupCommit
from portcullis.venues.simulated import Exchange, LocalVenue, instrument
from portcullis.worker.service import Ports, Terms, Worker

ES = instrument("ES")
READERS, DASHBOARDS, SECONDS, PROPOSALS_A_SECOND = 100, 20, 10, 50
BOARD_EVERY = 2.0
EVENTS = 1_000_000
PATHS = (
    "/api/v1/accounts",
    "/health",
    "/api/v1/events?limit=100",
    "/api/v1/locks",
    "/api/v1/evidence",
)


def main() -> None:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        _beside_a_worker(Path(folder) / "home")
        _export(Path(folder) / "long")


def _show(name: str, laps: list[float], target: str = "") -> None:
    cuts = quantiles(laps, n=100)
    print(
        f"{name:<52} p50 {cuts[49]:8.2f} ms  p95 {cuts[94]:8.2f}  p99 {cuts[98]:8.2f}  "
        f"n {len(laps):>6}   {target}",
        flush=True,
    )


# --- beside a worker ------------------------------------------------------------------------------


def _beside_a_worker(home: Path) -> None:
    home.mkdir()
    gate, api = _free_port(), _free_port()
    with _process("worker", home, gate), _api(home, gate, api) as key:
        _answering(gate, "/healthz")
        _show("gate, durable, alone", asyncio.run(_propose(gate)), f"{RATE} events/s beside it")
        for pause in (1.0, 0.0):
            with _process("readers", api, key, pause) as readers:
                laps = asyncio.run(_propose(gate))
                told = json.loads(readers.communicate(timeout=120)[0])
            how = f"{READERS} readers, {'one request a second each' if pause else 'no pause'}"
            _show(f"gate beside {how}, {DASHBOARDS} boards", laps, "target p99 15 ms")
            _show(f"the API to {how}", told["laps"], f"{told['failed']} failed")
            _show(f"  to {DASHBOARDS} dashboards", told["boards"])
            rate = len(told["laps"]) / SECONDS
            print(f"  {rate:,.0f} answers a second; memory of the API {_memory(api):.0f} MB")


async def _propose(port: int) -> list[float]:
    laps: list[float] = []
    body = {"account": "A0", "instrument": "ES", "side": "buy", "size": 1}
    async with aiohttp.ClientSession() as session:
        until = time.perf_counter() + SECONDS
        while time.perf_counter() < until:
            begun = time.perf_counter()
            url = f"http://127.0.0.1:{port}/api/v1/proposals"
            async with session.post(url, json=body) as reply:
                await reply.read()
            took = time.perf_counter() - begun
            laps.append(took * 1e3)
            await asyncio.sleep(max(0.0, 1 / PROPOSALS_A_SECOND - took))
    return laps


async def _work(home: Path, port: int) -> None:
    """A worker with steady prices until it is killed."""
    exchange = Exchange(SystemClock(), instruments=[ES])
    names = [f"A{number}" for number in range(ACCOUNTS)]
    for name in names:
        exchange.open_account(name, balance=50_000 * MICRO)
    ledger = SqliteLedger(home)
    rules = (max_contracts.Params(limit=2),)
    plan = Plan(tuple(AccountPlan(name, rules, days=tuple(range(7))) for name in names))
    ports = Ports(
        SystemClock(),
        ledger,
        GroupCommit(ledger),
        MemoryInbox(),
        LocalVenue(exchange),
        lambda _t, _s: False,
        lambda: plan,
        asyncio.to_thread,
    )
    gate = ("127.0.0.1", port, None)
    terms = Terms("bench", ledger.ledger_id[:8], 60 * MICRO, 20 * MICRO, 10**9, gate=gate)
    task = asyncio.create_task(Worker(ports, terms).run())
    began, sent = time.perf_counter(), 0
    while not task.done():
        due = int((time.perf_counter() - began) * RATE)
        for number in range(sent, due):
            bid = 20_000 + number % 7
            exchange.on_quote(Quote(ES.id, bid, bid + 1, bid, SystemClock().now()))
        sent = due
        await asyncio.sleep(0.001)


async def _read(port: int, key: str, pause: float) -> None:
    """Readers that go from route to route, and what each answer took."""
    os.nice(NICE)
    laps: list[float] = []
    boards: list[float] = []
    failed = 0
    until = time.perf_counter() + SECONDS
    headers = {"Authorization": f"Bearer {key}"}

    async def one(session: aiohttp.ClientSession, number: int) -> None:
        nonlocal failed
        await asyncio.sleep(pause * number / READERS)
        while time.perf_counter() < until:
            path = PATHS[number % len(PATHS)]
            begun = time.perf_counter()
            async with session.get(f"http://127.0.0.1:{port}{path}") as reply:
                await reply.read()
                failed += reply.status != 200
            laps.append((time.perf_counter() - begun) * 1e3)
            number += 1
            await asyncio.sleep(pause)

    async def board(session: aiohttp.ClientSession, number: int) -> None:
        """A page that is open: all of it once, then whatever has changed, as its script asks."""
        nonlocal failed
        await asyncio.sleep(BOARD_EVERY * number / DASHBOARDS)
        path, known = "/", {}
        while time.perf_counter() < until:
            begun = time.perf_counter()
            async with session.get(f"http://127.0.0.1:{port}{path}", headers=known) as reply:
                await reply.read()
                failed += reply.status not in (200, 304)
                known = {"If-None-Match": reply.headers["ETag"]} if path == "/board" else {}
            boards.append((time.perf_counter() - begun) * 1e3)
            path = "/board"
            await asyncio.sleep(BOARD_EVERY)

    connector = aiohttp.TCPConnector(limit=READERS + DASHBOARDS)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
        await asyncio.gather(
            *(one(session, number) for number in range(READERS)),
            *(board(session, number) for number in range(DASHBOARDS)),
        )
    print(json.dumps({"laps": laps, "failed": failed, "boards": boards}))


# --- a long ledger --------------------------------------------------------------------------------


def _export(home: Path) -> None:
    home.mkdir()
    ledger = SqliteLedger(home)
    at = SystemClock().now() - EVENTS * 1_000
    for start in range(0, EVENTS, 5_000):
        rows = range(start, start + 5_000)
        ledger.append(
            [Entry("market", at + n * 1_000, f"T-{n}", Quote(ES.id, n, n + 1, n, at)) for n in rows]
        )
    ledger.close()
    port = _free_port()
    with _api(home, _free_port(), port) as key:
        laps = []
        for _ in range(20):
            begun = time.perf_counter()
            _fetch(port, key, "/logs?limit=1000")
            laps.append((time.perf_counter() - begun) * 1e3)
        _show(f"1,000 entries of a ledger of {EVENTS:,}", laps, "target 200 ms")
        for form in ("jsonl", "csv", "parquet"):
            before = _memory(port)
            with _watched(port) as peak:
                begun = time.perf_counter()
                size = _fetch(port, key, f"/api/v1/events/export?format={form}")
                took = time.perf_counter() - begun
            print(
                f"export of {EVENTS:,} events as {form:<8} {took:6.1f} s  {size / 2**20:6.0f} MB  "
                f"memory before {before:.0f}, at most {peak[0]:.0f} MB",
                flush=True,
            )


def _fetch(port: int, key: str, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    with contextlib.closing(connection):
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
        reply = connection.getresponse()
        assert reply.status == 200, reply.read()
        size = 0
        while piece := reply.read(2**20):
            size += len(piece)
        return size


# --- processes ------------------------------------------------------------------------------------


@contextlib.contextmanager
def _process(*words: object) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "benchmarks.api", *map(str, words)]
    started = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        yield started
    finally:
        started.kill()
        started.wait()


@contextlib.contextmanager
def _api(home: Path, gate: int, port: int) -> Iterator[str]:
    key = KeyFile(home).create("bench", "readonly", SystemClock().now()).text
    environment = {
        **os.environ,
        "PORTCULLIS_HOME": str(home),
        "PORTCULLIS_GATE_PORT": str(gate),
        "PORTCULLIS_API_PORT": str(port),
        "PORTCULLIS_API_RATE": "1000000",
    }
    command = [sys.executable, "-m", "portcullis", "api"]
    started = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        _answering(port, "/healthz")
        yield key
    finally:
        started.terminate()
        started.wait(40)


def _answering(port: int, path: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with contextlib.suppress(OSError), contextlib.closing(connection):
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return
        assert time.monotonic() < deadline, f"nobody answers at {port}"
        time.sleep(0.05)


def _listener(port: int) -> psutil.Process:
    for each in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(
                c.laddr.port == port for c in each.net_connections("tcp") if c.status == "LISTEN"
            ):
                return each
    raise AssertionError(f"nobody listens at {port}")


def _memory(port: int) -> float:
    return _listener(port).memory_info().rss / 2**20


@contextlib.contextmanager
def _watched(port: int) -> Iterator[list[float]]:
    """The most memory that a process has while something goes on, looked at 20 times a second."""
    process, peak, over = _listener(port), [0.0], threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            peak[0] = max(peak[0], process.memory_info().rss / 2**20)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


PARTS: dict[str, Any] = {
    "worker": lambda home, port: _work(Path(home), int(port)),
    "readers": lambda port, key, pause: _read(int(port), key, float(pause)),
}

if __name__ == "__main__":
    if sys.argv[1:]:
        asyncio.run(PARTS[sys.argv[1]](*sys.argv[2:]))
    else:
        main()
