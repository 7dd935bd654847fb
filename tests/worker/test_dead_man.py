"""The dead-man's ping: from completed cycles alone, at once when the gate falls, and harmless."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import aiohttp
import pytest

from portcullis.clock import ManualClock, SystemClock
from portcullis.config.settings import Settings
from portcullis.domain.engine import Engine
from portcullis.domain.events import (
    AlertRaised,
    BoundReached,
    LedgerCreated,
    RequestReceived,
    RulesLoaded,
    TimePassed,
    VerdictRecorded,
    WorkerStarted,
    decode,
)
from portcullis.domain.model import HOUR, MICRO, MINUTE, SECOND, Verdict
from portcullis.domain.plan import AccountPlan, Plan, Requirement, digest, encode_plan
from portcullis.ports import Entry, Head
from portcullis.store.ledger import SqliteLedger
from portcullis.store.memory import MemoryInbox, MemoryLedger
from portcullis.store.reading import LedgerReader
from portcullis.store.writer import GroupCommit
from portcullis.venues.simulated import Exchange, LocalVenue
from portcullis.wiring import dead_man
from portcullis.worker.core import Core
from portcullis.worker.dead_man import FAILURES_TOLD, START_GRACE, DeadMan, DeadManTerms
from portcullis.worker.ledger_time import LedgerTime
from portcullis.worker.ping_targets import Report, targets
from portcullis.worker.pings import Pings
from portcullis.worker.service import Ports, Terms, Worker
from tests.worker.watcher import UUID, Watcher, watching

START = 1_772_550_000 * MICRO
EVERY = MINUTE
NOTE = "origin\n17\nroot\nat 1\n\n- origin signature\n"


class StandingLedger(MemoryLedger):
    """A ledger whose disk can be made to stand still."""

    def __init__(self) -> None:
        super().__init__()
        self.moves = threading.Event()
        self.moves.set()

    def append(self, entries: Sequence[Entry]) -> Head:
        self.moves.wait()
        return super().append(entries)


class Bench:
    """A real core on a clock that is moved by hand, and its dead man's ping."""

    def __init__(self, *addresses: str, attempt: float = 5.0) -> None:
        self.clock = ManualClock(START)
        self.ledger = StandingLedger()
        self.writer = GroupCommit(self.ledger)
        self.core = Core(Engine(), self.writer, LedgerTime(self.clock, 0))
        plan = Plan((AccountPlan("A", ()),), required=(Requirement("operations"),))
        data = encode_plan(plan)
        self.core.enter(LedgerCreated("L", "test"))
        self.core.enter(WorkerStarted("test", 1, True))
        self.core.enter(RulesLoaded(digest(data), data))
        terms = DeadManTerms(targets(",".join(addresses)), EVERY, lambda: NOTE)
        self.dead_man = DeadMan(self.core, terms, "0.1")
        self.dead_man._pings.stop()
        self.dead_man._pings = Pings(
            terms.targets,
            self.dead_man._heard_on_thread,
            terms.checkpoint,
            attempt_seconds=attempt,
            pause_seconds=0.01,
        )

    async def verdict(self, name: str, passed: bool = True, lasts: int = 24 * HOUR) -> None:
        now = self.core.time.now()
        said = Verdict(name, passed, now, now + lasts, f"{name} said", "run")
        self.core.enter(VerdictRecorded(said))
        await self.core.settled()

    async def cycle(self, after: int = 0) -> None:
        """Time passes, and a fact is carried all the way through."""
        self.clock.advance(after)
        self.core.enter(TimePassed())
        await self.core.settled()

    async def heard(self, count: int) -> None:
        """Until the first target was heard of failing so often in a row (0: taking a ping)."""
        async with asyncio.timeout(10):
            while True:
                (heard, *_) = self.dead_man._heard.values()
                if heard.failures == count and (count or heard.at is not None):
                    return
                await asyncio.sleep(0.005)

    def close(self) -> None:
        self.ledger.moves.set()
        self.dead_man.stop()
        self.writer.close()


@contextlib.asynccontextmanager
async def bench(*addresses: str, attempt: float = 5.0) -> AsyncIterator[Bench]:
    found = Bench(*addresses, attempt=attempt)
    try:
        await found.core.settled()
        yield found
    finally:
        found.close()


async def only_sentinel_arrives(watcher: Watcher) -> bool:
    """Whether nothing had been sent: a ping of another hand is the next that arrives."""
    other = Pings(targets(watcher.healthchecks), lambda *_: None, lambda: "")
    other.send(Report("", "sentinel", "sentinel"))
    got = await watcher.next()
    other.stop()
    return got.body.startswith("sentinel")


async def test_it_is_sent_with_completed_cycles_once_in_its_time_and_says_what_is():
    with watching() as watcher:
        async with bench(watcher.healthchecks) as b:
            starting = await watcher.next()
            assert (starting.method, starting.path) == ("POST", f"/{UUID}")
            await b.verdict("operations")
            for _ in range(5):
                await b.cycle(11 * SECOND)
            assert await only_sentinel_arrives(watcher)
            await b.cycle(5 * SECOND)
            got = await watcher.next()
            assert got.path == f"/{UUID}"
            for told in (
                "portcullis 0.1: well",
                "since the start",
                "mode ACTIVE",
                f"newest event {b.core.durable_position}",
                "market data none yet",
                "1 accounts, 0 open positions",
                NOTE,
            ):
                assert told in got.body
            assert len(got.body.encode()) <= 10_000


async def test_a_fallen_gate_is_told_at_once_with_its_reason_and_when_it_is_over():
    with watching() as watcher:
        async with bench(watcher.healthchecks) as b:
            await watcher.next()
            await b.verdict("operations")
            await b.verdict("operations", passed=False)
            fell = await watcher.next()
            assert fell.path == f"/{UUID}/fail"
            assert "OBSERVE_ONLY" in fell.body
            assert "operations said" in fell.body
            await b.verdict("operations")
            await b.cycle(EVERY)
            assert (await watcher.next()).path == f"/{UUID}/fail"
            b.core.enter(asked("shutdown"))
            await b.core.settled()
            assert "SHUTDOWN" in (await watcher.next()).body
            b.core.enter(asked("open"))
            await b.core.settled()
            assert (await watcher.next()).path == f"/{UUID}"


def asked(verb: str):
    return RequestReceived(f"r-{verb}", verb, "me", "admin", "test")


async def test_a_start_that_leads_back_to_a_safe_mode_is_not_well():
    with watching() as watcher:
        async with bench(watcher.healthchecks) as b:
            await watcher.next()
            await b.verdict("operations")
            b.core.enter(asked("observe"))
            await b.core.settled()
            assert (await watcher.next()).path.endswith("/fail")
            b.core.enter(WorkerStarted("test", 2, True))
            await b.core.settled()
            await b.cycle(EVERY)
            assert (await watcher.next()).path.endswith("/fail")


async def test_alerts_that_reach_nobody_are_told():
    with watching() as watcher:
        async with bench(watcher.healthchecks) as b:
            await watcher.next()
            await b.verdict("operations")
            await b.verdict("alerts", passed=False, lasts=MINUTE)
            assert await only_sentinel_arrives(watcher)  # it may need a while after a start
            await b.cycle(START_GRACE)
            failing = await watcher.next()
            assert failing.path.endswith("/fail")
            assert "alerts reach nobody: alerts said" in failing.body
            await b.verdict("alerts", lasts=MINUTE)
            assert not (await watcher.next()).path.endswith("/fail")
            await b.cycle(59 * SECOND)
            await b.cycle(2 * SECOND)
            silent = await watcher.next()
            while not silent.path.endswith("/fail"):
                silent = await watcher.next()
            assert "the sender of alerts is silent" in silent.body


async def test_nothing_is_sent_while_the_writer_stands_still():
    with watching() as watcher:
        async with bench(watcher.healthchecks) as b:
            await watcher.next()
            b.ledger.moves.clear()
            for _ in range(10):
                b.clock.advance(EVERY)
                b.core.enter(TimePassed())
                await asyncio.sleep(0)
            assert await only_sentinel_arrives(watcher)
            b.ledger.moves.set()
            await b.core.settled()
            assert "portcullis 0.1" in (await watcher.next()).body


def freeze(b: Bench, watcher: Watcher) -> None:
    """Block the loop from here: time passes, facts become durable, and nobody turns it."""
    other = Pings(targets(watcher.healthchecks), lambda *_: None, lambda: "")
    b.clock.advance(10 * EVERY)
    b.core.enter(TimePassed())
    while b.ledger.head().position < b.core.last_position:
        time.sleep(0.001)
    other.send(Report("", "sentinel", "sentinel"))
    assert watcher.got.get(timeout=10).body.startswith("sentinel")
    other.stop()


async def test_nothing_is_sent_while_the_loop_is_frozen():
    with watching() as watcher:
        async with bench(watcher.healthchecks) as b:
            await watcher.next()
            freeze(b, watcher)
            await b.core.settled()
            assert "portcullis 0.1" in (await watcher.next()).body


@pytest.mark.parametrize("how", ["holding", "dripping"])
async def test_a_target_that_hangs_delays_no_other_and_nothing_of_the_worker(how):
    with watching() as bad, watching() as good:
        getattr(bad, how).set()
        async with bench(bad.healthchecks, good.healthchecks, attempt=0.2) as b:
            began = time.monotonic()
            await good.next()
            await b.cycle(EVERY)
            await good.next()
            assert time.monotonic() - began < 5
            await b.heard(1)
            fault = b.dead_man.figures()
            assert [each["failures"] for each in fault] == [1, 0]


async def test_failing_pings_are_told_once_inside_and_shown_without_their_secret(caplog):
    caplog.set_level(logging.DEBUG)
    with watching() as watcher:
        watcher.answers = [(500, "no")]
        async with bench(watcher.healthchecks) as b:
            await b.heard(1)
            for number in range(2, FAILURES_TOLD + 3):
                await b.cycle(EVERY)
                await b.heard(number)
            await b.core.settled()
            rows = [decode(row.payload) for row in b.ledger.read()]
            (reached,) = [row for row in rows if isinstance(row, BoundReached)]
            assert (reached.bound, reached.limit) == ("dead_man", FAILURES_TOLD)
            assert "it answered 500" in reached.detail
            assert any(
                isinstance(row, AlertRaised) and row.alert == "bound_reached" for row in rows
            )
            watcher.answers = [(200, "OK")]
            await b.cycle(EVERY)
            await b.heard(0)
            (figures,) = b.dead_man.figures()
            assert figures["failures"] == 0
            assert UUID not in str((rows, figures, caplog.text))


async def test_it_tries_three_times_and_an_unknown_check_is_no_acceptance():
    with watching() as watcher:
        watcher.answers = [(503, ""), (200, "OK (not found)"), (200, "OK")]
        async with bench(watcher.healthchecks) as b:
            await b.heard(0)
            assert watcher.got.qsize() == 3
            watcher.answers = [(200, "OK (not found)")]
            await b.cycle(EVERY)
            await b.heard(1)


async def test_kuma_and_templates_hear_the_same():
    with watching() as watcher:
        template = f"http://127.0.0.1:{watcher.port}/beat?s={{status}}&m={{message}}"
        silent = f"http://127.0.0.1:{watcher.port}/silent?m={{message}}"
        async with bench(watcher.kuma, template, silent) as b:
            first = sorted([await watcher.next() for _ in range(3)], key=lambda got: got.path)
            kuma, beat, quiet = first
            assert kuma.path == "/api/push/t0ken"
            assert (kuma.method, kuma.query["status"], kuma.query["ping"]) == ("GET", "up", "")
            assert kuma.query["msg"] == "portcullis 0.1: starting"
            assert (beat.path, beat.query) == (
                "/beat",
                {"s": "up", "m": "portcullis 0.1: starting"},
            )
            assert quiet.path == "/silent"
            b.core.enter(asked("observe"))
            await b.core.settled()
            fell = sorted([await watcher.next() for _ in range(2)], key=lambda got: got.path)
            assert [got.query.get("status", got.query.get("s")) for got in fell] == ["down", "down"]
            assert int(fell[0].query["ping"]) >= 0
            assert "OBSERVE_ONLY" in fell[0].query["msg"]
            assert watcher.got.empty() or (await watcher.next()).path != "/silent"


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_a_whole_worker_pings_with_its_signed_checkpoint_and_shows_it(
    tmp_path: Path,
):
    free_port = unused_port()
    with watching() as watcher:
        exchange = Exchange(SystemClock())
        exchange.open_account("A", balance=50_000 * MICRO)
        ledger = SqliteLedger(tmp_path)
        writer = GroupCommit(ledger)
        terms = dead_man(Settings(home=str(tmp_path), dead_man=watcher.healthchecks))
        ports = Ports(
            SystemClock(),
            ledger,
            writer,
            MemoryInbox(),
            LocalVenue(exchange),
            lambda _text, _signature: False,
            lambda: Plan((AccountPlan("A", ()),)),
            asyncio.to_thread,
        )
        gate = ("127.0.0.1", free_port, None)
        worker = Worker(
            ports, Terms("test", "L", MINUTE, 20 * SECOND, 10**9, 0, gate, dead_man=terms)
        )
        task = asyncio.create_task(worker.run())
        try:
            got = await watcher.next()
            assert "at " in got.body.partition("\n\n")[2]
            await worker.begun.wait()
            async with aiohttp.ClientSession() as session:
                address = f"http://127.0.0.1:{free_port}/health"
                async with session.get(address) as reply:
                    shown = (await reply.json())["dead_man"]
            assert shown[0]["target"] == f"http://127.0.0.1:{watcher.port}/..."
        finally:
            worker.stop()
            await task
            writer.close()
            ledger.close()
        with LedgerReader(tmp_path) as reader:
            assert reader.ledger_id in got.body
