"""The real worker on the in-process venue and a real disk: the gate over HTTP, event to command,
detection to flat, recovery, memory.

Beside each, in the same run: a bare answer of the same server, one durable commit, the venue's own
latency.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import quantiles

import aiohttp
import psutil

from portcullis.clock import SystemClock
from portcullis.domain.events import CommandConcluded, CommandIssued, CommandSent, Quote, decode
from portcullis.domain.model import BUY, MICRO, OrderRequest
from portcullis.domain.plan import AccountPlan, Plan
from portcullis.domain.rules import max_contracts
from portcullis.ports import Entry
from portcullis.store.ledger import SqliteLedger
from portcullis.store.memory import MemoryInbox
from portcullis.store.writer import GroupCommit
from portcullis.venues.simulated import Exchange, FaultPlan, Latency, LocalVenue, instrument
from portcullis.worker.recovery import recover
from portcullis.worker.service import Ports, Terms, Worker

ES = instrument("ES")
ACCOUNTS = 100
RATE, SECONDS = 1_000, 5
PROPOSALS = 1_000
LATENCY = 50_000


def main() -> None:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        _commit_floor(Path(folder) / "floor")
        (Path(folder) / "home").mkdir()
        asyncio.run(_measure(Path(folder) / "home"))
        _recovery(Path(folder) / "home")


def _show(name: str, laps: list[float], target: str) -> None:
    cuts = quantiles(laps, n=100)
    print(f"{name:<46} p50 {cuts[49]:7.2f} ms  p99 {cuts[98]:7.2f} ms  n {len(laps):>5}   {target}")


def _commit_floor(home: Path) -> None:
    home.mkdir()
    ledger, laps = SqliteLedger(home), []
    for number in range(500):
        quote = Quote(ES.id, 20_000, 20_001, 20_000, number)
        begun = time.perf_counter()
        ledger.append([Entry("market", SystemClock().now(), "t", quote)])
        laps.append((time.perf_counter() - begun) * 1e3)
    ledger.close()
    _show("reference: one durable commit", laps, "")


@contextlib.asynccontextmanager
async def _running(home: Path, exchange: Exchange, port: int) -> AsyncIterator[Worker]:
    ledger = SqliteLedger(home)
    writer = GroupCommit(ledger)
    plan = Plan(
        tuple(
            AccountPlan(f"A{n}", (max_contracts.Params(limit=2),), days=tuple(range(7)))
            for n in range(ACCOUNTS)
        )
    )
    venue = LocalVenue(exchange, plan=FaultPlan(latency=Latency(LATENCY)))
    ports = Ports(
        SystemClock(),
        ledger,
        writer,
        MemoryInbox(),
        venue,
        lambda _t, _s: False,
        lambda: plan,
        asyncio.to_thread,
    )
    terms = Terms("bench", "bench", 60 * MICRO, 20 * MICRO, 10**9, gate=("127.0.0.1", port, None))
    worker = Worker(ports, terms)
    task = asyncio.create_task(worker.run())
    connected = asyncio.Event()
    worker.feed.when_ready.append(connected.set)
    await connected.wait()
    try:
        yield worker
    finally:
        worker.stop()
        await task
        writer.close()
        ledger.close()


async def _measure(home: Path) -> None:
    exchange = Exchange(SystemClock(), instruments=[ES])
    for number in range(ACCOUNTS):
        exchange.open_account(f"A{number}", balance=50_000 * MICRO)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with _running(home, exchange, port) as worker:
        await _gate(port)
        await _events(worker, exchange)
        memory = psutil.Process().memory_info().rss / 2**20
        print(
            f"memory of this process, venue included, {ACCOUNTS} accounts: {memory:.0f} MB   "
            "target 100 MB at 10 accounts, 300 MB at 1,000"
        )
    _from_ledger(home)


async def _gate(port: int) -> None:
    base = f"http://127.0.0.1:{port}"
    body = {"account": "A0", "instrument": "ES", "side": "buy", "size": 1}
    async with aiohttp.ClientSession() as session:
        for name, path, method, target in (
            ("reference: bare answer of the same server", "/healthz", "GET", ""),
            (
                "gate over loopback, durable before the answer",
                "/api/v1/proposals",
                "POST",
                "target p50 2, p99 15 at 200/s",
            ),
        ):
            laps = []
            for _ in range(PROPOSALS):
                begun = time.perf_counter()
                async with session.request(
                    method, base + path, json=body if method == "POST" else None
                ) as reply:
                    await reply.read()
                laps.append((time.perf_counter() - begun) * 1e3)
                await asyncio.sleep(max(0.0, 0.005 - (time.perf_counter() - begun)))
            _show(name, laps, target)


async def _events(worker: Worker, exchange: Exchange) -> None:
    """Prices at a steady rate; now and then an account holds more than it may."""
    began, sent = time.perf_counter(), 0
    while sent < RATE * SECONDS:
        due = int((time.perf_counter() - began) * RATE)
        while sent < due:
            bid = 20_000 + sent % 7
            exchange.on_quote(Quote(ES.id, bid, bid + 1, bid, SystemClock().now()))
            sent += 1
            if sent % 25 == 0:
                account = f"A{(sent // 25) % ACCOUNTS}"
                if not exchange.positions(account):
                    exchange.place_order(OrderRequest(account, ES.id, BUY, 3, "market"))
        await asyncio.sleep(0.001)
    await worker.enforcer.drain()


def _from_ledger(home: Path) -> None:
    ledger = SqliteLedger(home)
    issued: dict[str, int] = {}
    to_command, to_flat = [], []
    for row in ledger.read():
        event = decode(row.payload)
        if isinstance(event, CommandIssued):
            issued[event.key] = event.detected_at
        elif isinstance(event, CommandSent) and event.key in issued:
            to_command.append((row.at - issued[event.key]) / 1e3)
        elif isinstance(event, CommandConcluded) and event.outcome == "confirmed":
            to_flat.append((event.confirmed_at - event.detected_at) / 1e3)
    ledger.close()
    _show(f"event in to command handed over, {RATE}/s", to_command, "target p50 1.5, p99 15")
    _show(
        f"detection to flat, venue answers in {LATENCY // 1000} ms",
        to_flat,
        f"target {3 * LATENCY // 1000 + 20} ms",
    )


class _WithoutSnapshot:
    """A ledger as if no snapshot had been taken: every fact is folded."""

    def __init__(self, ledger: SqliteLedger) -> None:
        self.head, self.read = ledger.head, ledger.read

    def latest_snapshot(self) -> None:
        return None


def _recovery(home: Path) -> None:
    begun = time.perf_counter()
    ledger = SqliteLedger(home)
    recovered = recover(_WithoutSnapshot(ledger))
    took = time.perf_counter() - begun
    events = ledger.head().position
    ledger.close()
    rate = events / took
    print(
        f"recovery without a snapshot: {events} events in {took:.2f} s ({rate:,.0f}/s, "
        f"{recovered.folded} facts folded)   target 1 M in 5 s"
    )
    begun = time.perf_counter()
    os.spawnlp(os.P_WAIT, sys.executable, sys.executable, "-c", "import portcullis.wiring")
    print(
        f"reference: the worker's imports alone {time.perf_counter() - begun:.2f} s of the "
        "1.5 s to armed"
    )


if __name__ == "__main__":
    main()
