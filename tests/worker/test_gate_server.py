"""The gate over real loopback HTTP and a Unix socket, on a real store."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from benchmarks._field import Field
from portcullis.clock import SystemClock
from portcullis.domain.events import PositionReported, ProposalAnswered, Quote, decode
from portcullis.domain.model import BUY, MICRO
from portcullis.domain.overview import overview
from portcullis.domain.plan import AccountPlan, Plan
from portcullis.domain.rules import max_contracts
from portcullis.store.ledger import SqliteLedger
from portcullis.store.memory import MemoryInbox
from portcullis.store.writer import GroupCommit
from portcullis.venues.simulated import Exchange, LocalVenue, instrument
from portcullis.worker.gate_server import overview_in_turns
from portcullis.worker.service import Ports, Terms, Worker

ES = instrument("ES")


@contextlib.asynccontextmanager
async def running(home: Path) -> AsyncIterator[tuple[str, Exchange]]:
    """A worker with its gate on a free port; the exchange has one account and a price."""
    exchange = Exchange(SystemClock(), instruments=[ES])
    exchange.open_account("A", balance=50_000 * MICRO)
    exchange.on_quote(Quote(ES.id, 20_000, 20_001, 20_000, SystemClock().now()))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ledger = SqliteLedger(home)
    writer = GroupCommit(ledger)
    plan = Plan((AccountPlan("A", (max_contracts.Params(limit=2),), days=tuple(range(7))),))
    ports = Ports(
        SystemClock(),
        ledger,
        writer,
        MemoryInbox(),
        LocalVenue(exchange),
        lambda _text, _signature: False,
        lambda: plan,
        asyncio.to_thread,
    )
    gate = ("127.0.0.1", port, home / "gate.sock")
    worker = Worker(ports, Terms("test", "L", 60 * MICRO, 20 * MICRO, 10**9, 0, gate))
    connected = asyncio.Event()
    worker.feed.when_ready.append(connected.set)
    task = asyncio.create_task(worker.run())
    try:
        await asyncio.wait_for(connected.wait(), 10)
        yield f"http://127.0.0.1:{port}", exchange
    finally:
        worker.stop()
        await task
        writer.close()
        ledger.close()


async def post(session: aiohttp.ClientSession, url: str, **body) -> tuple[int, dict]:
    order = {"account": "A", "instrument": "ES", "side": "buy", "size": 1} | body
    async with session.post(url + "/api/v1/proposals", json=order) as reply:
        return reply.status, await reply.json(content_type=None)


async def test_an_answer_stands_in_the_ledger_with_its_trace(tmp_path):
    async with running(tmp_path) as (url, _), aiohttp.ClientSession() as session:
        status, approved = await post(session, url)
        assert (status, approved["decision"], approved["largest_allowed"]) == (200, "approved", 2)
        status, denied = await post(session, url, size=9)
        assert denied["decision"] == "denied"
        assert denied["reasons"][0]["code"] == "max_contracts"
        assert denied["reasons"][0]["limit"] == "2 minis"
    ledger = SqliteLedger(tmp_path)
    rows = {
        row.trace: decode(row.payload) for row in ledger.read() if row.kind == "proposal_answered"
    }
    ledger.close()
    assert isinstance(rows[approved["trace_id"]], ProposalAnswered)
    assert rows[approved["trace_id"]].approved
    assert not rows[denied["trace_id"]].approved


async def test_an_approved_order_is_sent_by_the_worker_once(tmp_path):
    async with running(tmp_path) as (url, exchange), aiohttp.ClientSession() as session:
        filled = asyncio.Event()
        exchange.subscribe(
            lambda event: filled.set() if isinstance(event, PositionReported) else None
        )
        await post(session, url, id="mine", submit=True)
        _, again = await post(session, url, id="mine", submit=True)
        assert again["reasons"][0]["code"] == "duplicate"
        await asyncio.wait_for(filled.wait(), 5)
        assert [(p.size, p.instrument) for p in exchange.positions("A")] == [(BUY, ES.id)]


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ({"side": "long"}, "neither buy nor sell"),
        ({"size": "many"}, "size"),
        ({"type": "limit", "limit_price": "5000.26"}, "off its tick"),
        ({"type": "limit", "limit_price": "cheap"}, "limit_price"),
        ({"type": "limit", "limit_price": "1e999999"}, "limit_price"),
        ({"type": "limit", "limit_price": "1e99999999999999999999"}, "limit_price"),
        ({"typo": 1}, "typo"),
    ],
)
async def test_what_cannot_be_understood_is_a_problem_with_the_field(tmp_path, body, part):
    async with running(tmp_path) as (url, _), aiohttp.ClientSession() as session:
        status, problem = await post(session, url, **body)
        assert status == 422
        assert part in problem["detail"]


async def test_only_programs_of_this_machine_are_answered(tmp_path):
    async with running(tmp_path) as (url, _), aiohttp.ClientSession() as session:
        for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
            async with session.get(url + "/health", headers=headers) as reply:
                assert reply.status == 403
        async with session.post(url + "/api/v1/proposals", data="account=A") as reply:
            assert reply.status == 415
        async with session.get(url + "/api/v1/accounts/X") as reply:
            assert reply.status == 404


async def test_the_unix_socket_answers_and_is_its_owners_alone(tmp_path):
    async with running(tmp_path):
        path = tmp_path / "gate.sock"
        assert path.stat().st_mode & 0o777 == 0o600
        connector = aiohttp.UnixConnector(str(path))
        async with aiohttp.ClientSession(connector=connector) as session:
            async with session.get("http://localhost/health") as reply:
                body = await reply.json()
            async with session.get("http://localhost/api/v1/status") as reply:
                status = await reply.json()
    assert body["venues"] == {"simulated": True}
    account = status["accounts"][0]
    assert account["largest"]["ES"] == {"buy": 2, "sell": 2}
    assert account["distances"][0]["left"] == "2 minis"
    assert not path.exists()


async def test_who_looks_keeps_nobody_waiting():
    """An overview of many accounts is made a piece at a time; it is the same as in one."""
    field, turns = Field(30), 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    found = await overview_in_turns(field.engine, field.now)
    task.cancel()
    assert found == overview(field.engine, field.now)
    assert turns >= 30
