"""From a breach to a confirmed flat account through the ProjectX adapter, over real sockets.

The gateway answers after 50 ms. Beside it, in the same run: one read over the same sockets. Thirty
breaches, since the gateway's limit of 200 requests a minute is kept.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from statistics import quantiles

from portcullis.clock import SystemClock
from portcullis.domain.events import CommandConcluded, Quote, decode
from portcullis.domain.model import BUY, MICRO, OrderRequest
from portcullis.domain.plan import AccountPlan, Plan
from portcullis.domain.rules import max_contracts
from portcullis.store.ledger import SqliteLedger
from portcullis.store.memory import MemoryInbox
from portcullis.store.writer import GroupCommit
from portcullis.venues.projectx.rest import Login
from portcullis.venues.projectx.venue import ProjectXVenue
from portcullis.venues.projectx.wire import HttpWire
from portcullis.venues.simulated import Exchange, FaultPlan, Latency, instrument
from portcullis.venues.simulated_gateway.gateway import SimulatedGateway
from portcullis.venues.simulated_gateway.server import GatewayServer
from portcullis.worker.service import Ports, Terms, Worker

ES = instrument("ES")
ACCOUNT = "PRAC-1"
BREACHES, READS = 30, 10
LATENCY = 50_000


def main() -> None:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        asyncio.run(_measure(Path(folder)))


def _show(name: str, laps: list[float], target: str) -> None:
    cuts = quantiles(laps, n=100, method="inclusive")
    print(f"{name:<52} p50 {cuts[49]:7.1f} ms  p99 {cuts[98]:7.1f} ms  n {len(laps):>3}   {target}")


async def _measure(home: Path) -> None:
    clock = SystemClock()
    exchange = Exchange(clock, instruments=[ES])
    exchange.open_account(ACCOUNT, balance=50_000 * MICRO)
    exchange.on_quote(Quote(ES.id, 20_000, 20_001, 20_000, clock.now()))
    faults = FaultPlan(latency=Latency(LATENCY))
    gateway = SimulatedGateway(exchange, faults, {"me": "a key"}, clock)
    server = GatewayServer(gateway, control_token="the bench's")
    url = f"http://127.0.0.1:{await server.start('127.0.0.1', 0)}"
    venue = ProjectXVenue(HttpWire(url, url), Login("me", "a key"), clock)
    try:
        await _breach(home, venue, exchange)
    finally:
        await server.stop()
    used = gateway.limit
    print(f"requests in one minute, at most: {used.most} of {used.limit}; refused: {used.refused}")


async def _breach(home: Path, venue: ProjectXVenue, exchange: Exchange) -> None:
    ledger, clock = SqliteLedger(home), SystemClock()
    writer = GroupCommit(ledger)
    rule = max_contracts.Params(limit=2, on_breach="flatten")
    plan = Plan((AccountPlan(ACCOUNT, (rule,), days=tuple(range(7))),))
    ports = Ports(
        clock,
        ledger,
        writer,
        MemoryInbox(),
        venue,
        lambda _t, _s: False,
        lambda: plan,
        asyncio.to_thread,
    )
    worker = Worker(ports, Terms("bench", "bench", 600 * MICRO, 20 * MICRO, 10**9))
    connected = asyncio.Event()
    worker.feed.when_ready.append(connected.set)
    working = asyncio.create_task(worker.run())
    await connected.wait()
    reads = []
    for _ in range(READS):
        begun = time.perf_counter()
        await venue.orders(ACCOUNT)
        reads.append((time.perf_counter() - begun) * 1e3)
    for _ in range(BREACHES):
        exchange.place_order(OrderRequest(ACCOUNT, ES.id, BUY, 3, "market"))
        while exchange.positions(ACCOUNT) or worker.enforcer.under_way:  # noqa: ASYNC110
            await asyncio.sleep(0.002)
    worker.stop()
    await working
    writer.close()
    found = [event for row in ledger.read() for event in [decode(row.payload)]]
    ended = [event for event in found if isinstance(event, CommandConcluded)]
    ledger.close()
    _show("reference: one read of the gateway", reads, f"its answer takes {LATENCY // 1000} ms")
    laps = [(each.confirmed_at - each.detected_at) / 1e3 for each in ended]
    _show("detection to flat through the gateway", laps, f"target {3 * LATENCY // 1000 + 20} ms")
    print(f"ended otherwise than confirmed: {sum(e.outcome != 'confirmed' for e in ended)}")


if __name__ == "__main__":
    main()
