"""kill -9 of the real worker process under load, on real sockets and a real disk."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from portcullis.clock import SystemClock
from portcullis.domain.events import (
    BreachFound,
    CommandConcluded,
    LockEnded,
    LockSet,
    Quote,
    VenueLinked,
    WorkerStarted,
    decode,
)
from portcullis.domain.model import BUY, MICRO, SELL, OrderRequest
from portcullis.errors import StoreError, VenueRefused
from portcullis.store.keys import PUBLIC_FILE, load_verifier
from portcullis.store.reading import LedgerReader
from portcullis.store.verify import verify
from portcullis.venues.simulated import Exchange, FaultPlan, instrument
from portcullis.venues.simulated.endpoint import VenueServer
from portcullis.worker.replay import replay

ES = instrument("ES")
TRADERS = ("T0", "T1", "T2")
ARMED_SECONDS = 2.0
RULES = """
profiles:
  size: {max_contracts: {limit: 2}}
  loss: {daily_realized_loss: {limit: 100}}
"""
ACCOUNTS = """
accounts:
  T0: {profile: size, calendar: none, days: [mon, tue, wed, thu, fri, sat, sun]}
  T1: {profile: size, calendar: none, days: [mon, tue, wed, thu, fri, sat, sun]}
  T2: {profile: size, calendar: none, days: [mon, tue, wed, thu, fri, sat, sun]}
  LOST: {profile: loss, calendar: none, days: [mon, tue, wed, thu, fri, sat, sun]}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Field:
    """A venue in this process, a worker in another, and a load on both."""

    def __init__(self, home: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.exchange = Exchange(SystemClock(), instruments=[ES])
        self.home = home
        self.gate_port = free_port()
        self.acknowledged: list[tuple[int, str]] = []
        self.spawned: list[float] = []
        self.process: asyncio.subprocess.Process | None = None
        for account in (*TRADERS, "LOST"):
            self.exchange.open_account(account, balance=50_000 * MICRO)
        config = home / "config"
        config.mkdir()
        (config / "rules.yaml").write_text(RULES)
        (config / "accounts.yaml").write_text(ACCOUNTS)
        (config / "monitoring.yaml").write_text("required: {venue: {at_start: true}}\n")
        (config / "calendar.yaml").write_text("none_needed: {zone: UTC, days: {}}\n")

    async def spawn(self, venue_port: int) -> None:
        environment = os.environ | {
            "PORTCULLIS_HOME": str(self.home),
            "PORTCULLIS_GATE_PORT": str(self.gate_port),
            "PORTCULLIS_VENUE_PORT": str(venue_port),
            "PORTCULLIS_VENUE_TOKEN": "t",
            "PORTCULLIS_RECONCILE_EVERY": "1 s",
        }
        self.spawned.append(time.time())
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "portcullis",
            "worker",
            env=environment,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )

    async def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), 40)

    async def trade(self) -> None:
        """Prices move; traders now and then hold more than they may."""
        price = 20_000
        while True:
            price += self.random.choice((-1, 0, 1))
            now = SystemClock().now()
            self.exchange.on_quote(Quote(ES.id, price, price + 1, price, now))
            if self.random.random() < 0.08:
                account = self.random.choice(TRADERS)
                side = self.random.choice((BUY, SELL))
                with contextlib.suppress(VenueRefused):
                    if not self.exchange.positions(account):
                        order = OrderRequest(account, ES.id, side, 3, "market")
                        self.exchange.place_order(order)
            await asyncio.sleep(0.02)

    async def propose(self) -> None:
        """Programs ask the gate; what it answered must stay in the ledger for ever."""
        url = f"http://127.0.0.1:{self.gate_port}/api/v1/proposals"
        body = {"account": "T0", "instrument": "ES", "side": "buy", "size": 1}
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            while True:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with session.post(url, json=body) as reply:
                        found = await reply.json()
                        if reply.status == 200:
                            self.acknowledged.append((found["seq"], found["trace_id"]))
                await asyncio.sleep(0.01)

    def lose(self) -> None:
        """One account loses its day: the lock of that must outlive every kill."""
        self.exchange.on_quote(Quote(ES.id, 20_000, 20_001, 20_000, SystemClock().now()))
        self.exchange.place_order(OrderRequest("LOST", ES.id, BUY, 1, "market"))
        self.exchange.on_quote(Quote(ES.id, 19_900, 19_901, 19_900, SystemClock().now()))
        self.exchange.close_position("LOST", ES.id, "")


async def ordeal(home: Path, kills: int, seed: int) -> Field:
    print(f"replay with: seed {seed}, {kills} kills")
    field = Field(home, seed)
    server = VenueServer(field.exchange, FaultPlan(), token="t")
    port = await server.start("127.0.0.1", 0)
    loads: list[asyncio.Task[None]] = []
    try:
        await field.spawn(port)
        await until(lambda: linked(home) >= 1)
        field.lose()
        loads = [asyncio.create_task(field.trade()), asyncio.create_task(field.propose())]
        for number in range(kills):
            await asyncio.sleep(field.random.uniform(0.1, 2.0))
            await field.kill()
            await field.spawn(port)
            if number % 2:  # every other life is long enough to be armed, whatever the machine
                await until_linked_again(home)
        await asyncio.sleep(3.0)
        for load in loads:
            load.cancel()
        await until(lambda: not any(field.exchange.positions(name) for name in TRADERS))
        await asyncio.sleep(1.5)
        assert await field.stop() == 0
    finally:
        for load in loads:
            load.cancel()
        if field.process is not None and field.process.returncode is None:
            await field.kill()
        await server.stop()
    return field


def linked(home: Path) -> int:
    """How often a worker was connected and compared."""
    if not (home / "ledger.db").exists():
        return 0
    try:
        with LedgerReader(home) as reader:
            rows = reader.read(stream="system")
            return sum(
                1
                for row in rows
                if row.kind == "verdict_recorded" and b"accounts compared" in row.payload
            )
    except StoreError:  # the file is being made
        return 0


async def until_linked_again(home: Path) -> None:
    before = linked(home)
    await until(lambda: linked(home) > before)


async def until(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the condition did not come true")
        await asyncio.sleep(0.05)


def judge(field: Field, kills: int) -> None:
    """From the ledger and the venue's own journal only."""
    with LedgerReader(field.home) as reader:
        rows = list(reader.read())
        assert replay(reader).agrees
    public = load_verifier(field.home / PUBLIC_FILE)
    assert verify(field.home / "ledger.db", public).ok
    by_position = {row.position: row for row in rows}
    assert len(field.acknowledged) > kills
    for position, trace in field.acknowledged:
        assert by_position[position].trace == trace, "an acknowledged decision is lost"
    events = [(row, decode(row.payload)) for row in rows]
    assert sum(1 for _, e in events if isinstance(e, WorkerStarted)) >= 2
    assert all(e.clean is False for _, e in events[5:] if isinstance(e, WorkerStarted))
    check_enforcement(field, events)
    check_locks(events)
    check_armed(field, events)


def unwatched(events) -> list[tuple[int, int]]:
    """The times from the last event of a life to when a later one had compared the accounts."""
    found: list[tuple[int, int]] = []
    newest, since = 0, None
    for row, event in events:
        if isinstance(event, WorkerStarted) and since is None:
            since = newest
        name = getattr(getattr(event, "verdict", None), "name", "")
        if name == "venue" and since is not None:
            found.append((since, row.at))
            since = None
        newest = row.at
    return found


def hidden(mine, dark: list[tuple[int, int]]) -> int:
    """How often a position was closed and another opened while no worker looked: for whoever reads
    the account then, it is the position that was there before, and its breach the same.
    """
    count, closed_at = 0, None
    for row in mine:
        if row.call != "place_order":
            closed_at = row.at
        elif closed_at is not None:
            count += any(start <= closed_at and row.at <= end for start, end in dark)
            closed_at = None
    return count


def check_enforcement(field: Field, events) -> None:
    dark = unwatched(events)
    breaches = [e for _, e in events if isinstance(e, BreachFound) and e.rule == "max_contracts"]
    concluded = [e for _, e in events if isinstance(e, CommandConcluded)]
    assert breaches, "no breach at all: the run proves nothing"
    assert all(e.outcome in ("confirmed", "superseded") for e in concluded)
    for account in TRADERS:
        assert field.exchange.positions(account) == []
        opened = closed = 0
        for row in field.exchange.journal:
            if row.account != account or row.what != "executed":
                continue
            if row.call == "place_order":
                opened += row.size
            else:
                closed += row.size
        assert opened == closed, f"{account}: opened {opened}, closed {closed}"
        mine = [e for e in breaches if e.account == account]
        done = [r for r in field.exchange.journal if r.account == account and r.what == "executed"]
        fewest = opened // 3 - hidden(done, dark)
        assert fewest <= len(mine) <= opened // 3, "every breach once, none missed"


def check_locks(events) -> None:
    sets = [e.lock for _, e in events if isinstance(e, LockSet)]
    assert [lock.rule for lock in sets] == ["daily_realized_loss"]
    assert not [e for _, e in events if isinstance(e, LockEnded)]


def check_armed(field: Field, events) -> None:
    """From exec to connected and compared; short lives never got so far and are not counted."""
    waits = []
    compared = [
        row.at / 1e6
        for row, e in events
        if getattr(getattr(e, "verdict", None), "name", "") == "venue"
    ]
    links = [row.at / 1e6 for row, e in events if isinstance(e, VenueLinked)]
    for begun, ended in zip(field.spawned, [*field.spawned[1:], time.time()], strict=True):
        armed = min((at for at in (*compared, *links) if begun < at < ended), default=None)
        if armed is not None:
            waits.append(armed - begun)
    waits.sort()
    print(
        f"armed {len(waits)} of {len(field.spawned)} lives, seconds after exec: "
        f"median {waits[len(waits) // 2]:.2f}, worst {waits[-1]:.2f}"
    )


async def test_killed_a_few_times(tmp_path):
    seed = int(os.environ.get("PORTCULLIS_TEST_SEED", "11"))
    judge(await ordeal(tmp_path, 4, seed), 4)


@pytest.mark.kill
async def test_killed_fifty_times(tmp_path):
    seed = int(os.environ.get("PORTCULLIS_TEST_SEED", str(random.randrange(10**6))))
    judge(await ordeal(tmp_path, 50, seed), 50)
