"""The pre-trade gate over loopback HTTP and, where there is one, a Unix socket.

`POST /api/v1/proposals` answers when the decision is durable. The rest is for looking.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec
import psutil
from aiohttp import web

from portcullis import trace_context
from portcullis.domain import mode
from portcullis.domain.engine import Engine
from portcullis.domain.events import AnyDecision, ProposalAnswered, ProposalReceived
from portcullis.domain.model import BUY, SECOND, SELL, OrderRequest, OrderType
from portcullis.domain.money import ticks
from portcullis.domain.overview import account_overview, capital_overview, system_overview
from portcullis.domain.state import State
from portcullis.errors import PortTaken
from portcullis.ports import LEDGER_HEADER
from portcullis.trace_context import PARENT, TraceContext
from portcullis.worker.core import Core
from portcullis.worker.meters import Meters

WAITING_MAX = 5_000
BODY_MAX = 16_384
ANSWER_SECONDS = 5.0
SOCKET_PATH_MAX = 100
NUMBER_MAX = 1_000_000_000
LOCAL_NAMES = frozenset(("127.0.0.1", "localhost", "::1", "[::1]", "portcullis"))


class Proposal(msgspec.Struct, forbid_unknown_fields=True):
    """A proposed order as a program writes it. Prices are decimals in the instrument's own unit."""

    account: str
    instrument: str
    side: str
    size: int
    type: OrderType = "market"
    limit_price: str | int | float | None = None
    stop_price: str | int | float | None = None
    stop_loss: str | int | float | None = None
    take_profit: str | int | float | None = None
    trail_ticks: int | None = None
    agent: str = "unnamed"
    strategy: str = ""
    id: str = ""
    submit: bool = False


class Malformed(ValueError):
    """The proposal cannot be understood: nothing was judged."""


def as_order(proposal: Proposal, state: State) -> OrderRequest:
    """The domain's order; raises Malformed for a side or price that is none."""
    if abs(proposal.size) > NUMBER_MAX or abs(proposal.trail_ticks or 0) > NUMBER_MAX:
        raise Malformed("size or trail_ticks is out of all bounds")
    if proposal.side not in ("buy", "sell"):
        raise Malformed(f"side: {proposal.side!r} is neither buy nor sell")
    instrument = proposal.instrument
    for listed in state.instruments.values():
        if instrument in (listed.ticker, listed.id):
            instrument = listed.id
    listed_or_none = state.instruments.get(instrument)

    def price(name: str) -> int | None:
        value = getattr(proposal, name)
        if value is None or listed_or_none is None:
            return None
        try:
            count = ticks(str(value), listed_or_none.tick_size)
        except ValueError as error:
            raise Malformed(f"{name}: {error}") from error
        if abs(count) > NUMBER_MAX:
            raise Malformed(f"{name}: {value} is out of all bounds")
        return count

    return OrderRequest(
        proposal.account,
        instrument,
        BUY if proposal.side == "buy" else SELL,
        proposal.size,
        proposal.type,
        price("limit_price"),
        price("stop_price"),
        proposal.trail_ticks,
        price("stop_loss"),
        price("take_profit"),
        proposal.id,
    )


class GateServer:
    """Serves the gate of one core."""

    def __init__(
        self,
        core: Core,
        host: str,
        port: int,
        socket_path: Path | None,
        *,
        observes: bool = False,
        snapshot_at: Callable[[], int | None] = lambda: None,
        told_outside: Callable[[], list[dict[str, Any]]] | None = None,
    ) -> None:
        """`snapshot_at` tells when the newest snapshot was taken (microseconds), if ever;
        `told_outside` what became of the dead-man's ping, where there is one.
        """
        self._core = core
        self._told_outside = told_outside
        self._snapshot_at = snapshot_at
        self._role = "observe" if observes else "enforce"
        self._host = host
        self._port = port
        self._socket_path = socket_path
        self._waiting: dict[str, asyncio.Future[tuple[ProposalAnswered, str]]] = {}
        self._runner: web.AppRunner | None = None
        self._number = 0
        self._process = psutil.Process()
        self._started = core.time.now()
        self._meters = Meters(self._measured)
        core.on_decision(self._on_decision)
        core.on_durable(lambda: self._meters.cycled(core.cycle_seconds))

    async def start(self) -> None:
        """Listen; raises PortTaken naming the address."""
        app = web.Application(client_max_size=BODY_MAX, middlewares=[_only_local])
        app.on_response_prepare.append(self._name_ledger)
        app.router.add_post("/api/v1/proposals", self._propose)
        app.router.add_get("/api/v1/status", self._status)
        app.router.add_get("/api/v1/accounts/{account}", self._account)
        app.router.add_get("/health", self._health)
        app.router.add_get("/healthz", self._alive)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            raise PortTaken(
                f"the gate's address {self._host}:{self._port} is taken: {error.strerror}",
                remedy="stop what listens there, or set PORTCULLIS_GATE_PORT to a free port",
            ) from error
        if self._socket_path is not None and hasattr(socket, "AF_UNIX"):
            listener = _unix_listener(self._socket_path)
            if listener is not None:
                await web.SockSite(self._runner, listener).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        if self._socket_path is not None:
            self._socket_path.unlink(missing_ok=True)

    def _on_decision(self, decision: AnyDecision, trace: str) -> None:
        if isinstance(decision, ProposalAnswered):
            waiting = self._waiting.pop(trace, None)
            if waiting is not None and not waiting.done():
                waiting.set_result((decision, trace))

    async def _propose(self, request: web.Request) -> web.Response:
        began = perf_counter()
        if request.content_type != "application/json":
            return self._refused(415, "send application/json")
        try:
            proposal = msgspec.json.decode(await request.read(), type=Proposal)
            order = as_order(proposal, self._core.engine.world)
        except (msgspec.MsgspecError, Malformed) as error:
            return self._refused(422, f"the proposal cannot be understood: {error}")
        if len(self._waiting) >= WAITING_MAX:
            return self._refused(503, "too many proposals wait for the ledger; send it again")
        caller = trace_context.adopted(request.headers.getall(PARENT, ()))
        reply = await self._judged(proposal, order, began, caller)
        if caller is not None:
            reply.headers[PARENT] = caller._replace(span_id=trace_context.span_id()).parent
        return reply

    def _refused(self, status: int, why: str) -> web.Response:
        self._meters.refused(status)
        return _problem(status, why)

    async def _judged(
        self, proposal: Proposal, order: OrderRequest, began: float, caller: TraceContext | None
    ) -> web.Response:
        """`caller`: the trace that the proposal belongs to, which is named to monitors and in the
        answer; the ledger has a trace of its own for every proposal.
        """
        self._number += 1
        trace = f"{self._core.engine.world.system.ledger}-p{self._core.last_position + 1}"
        proposal_id = proposal.id or trace
        answer: asyncio.Future[tuple[ProposalAnswered, str]]
        answer = asyncio.get_running_loop().create_future()
        self._waiting[trace] = answer
        position = self._core.last_position + 1
        fact = ProposalReceived(
            proposal_id, proposal.agent, order, proposal.submit, proposal.strategy
        )
        self._core.enter(fact, trace)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                decision, _ = await answer
        except TimeoutError:
            self._waiting.pop(trace, None)
            self._meters.decided("unanswered", perf_counter() - began, trace, caller)
            return _problem(503, "the decision is not durable yet; nothing was sent")
        answered = "approved" if decision.approved else "denied"
        self._meters.decided(answered, perf_counter() - began, trace, caller)
        return _json(self._as_answer(decision, trace, position))

    def _as_answer(self, decision: ProposalAnswered, trace: str, position: int) -> dict[str, Any]:
        engine, now = self._core.engine, self._core.time.now()
        return {
            "decision": "approved" if decision.approved else "denied",
            "proposal_id": decision.proposal_id,
            "reasons": [msgspec.to_builtins(reason) for reason in decision.reasons],
            "largest_allowed": decision.largest_allowed,
            "lane": decision.lane,
            "trace_id": trace,
            "seq": position,
            "mode": decision.mode,
            "evidence": list(mode.lacking(engine.world.system, engine.plan.required, now)),
        }

    async def _status(self, _request: web.Request) -> web.Response:
        found = await overview_in_turns(self._core.engine, self._core.time.now())
        return _json({**found, **self._figures()})

    async def _account(self, request: web.Request) -> web.Response:
        account = self._core.engine.state.accounts.get(request.match_info["account"])
        if account is None:
            return _problem(404, f"account {request.match_info['account']!r} is not known here")
        return _json(account_overview(self._core.engine, account, self._core.time.now()))

    async def _health(self, _request: web.Request) -> web.Response:
        system = system_overview(self._core.engine, self._core.time.now())
        healthy = all(system["venues"].values()) and bool(system["venues"])
        return _json(
            {
                "status": "healthy" if healthy and system["gate_open"] else "degraded",
                "mode": system["mode"],
                "why": system["why"],
                "lacking": system["lacking"],
                "accounts_monitored": len(self._core.engine.watches),
                "venues": system["venues"],
                "venue_reasons": system["venue_reasons"],
                "database_accessible": not self._core.failed.done(),
                **({"dead_man": self._told_outside()} if self._told_outside else {}),
                **self._figures(),
            }
        )

    async def _name_ledger(self, _: web.Request, answer: web.StreamResponse) -> None:
        """Whose worker answers: another home's must not be taken for one's own."""
        answer.headers[LEDGER_HEADER] = self._core.engine.state.system.ledger

    async def _metrics(self, request: web.Request) -> web.Response:
        body, kind = self._meters.exposed(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": kind})

    def _measured(self) -> dict[str, Any]:
        core = self._core
        now, state = core.time.now(), core.engine.state
        accounts = state.accounts.values()
        return {
            **system_overview(core.engine, now),
            **self._figures(),
            "now": now,
            "accounts": len(core.engine.watches),
            "locks": sum(len(account.locks) for account in accounts),
            "lost_fills": sum(account.missed_fills for account in accounts),
            "clock_offset_s": core.time.offset() / SECOND,
        }

    async def _alive(self, _request: web.Request) -> web.Response:
        return _json({"status": "alive"})

    def _figures(self) -> dict[str, Any]:
        core = self._core
        now = core.time.now()
        quoted = (quote.quoted_at for quote in core.engine.world.quotes.values())
        return {
            "worker": {
                "pid": os.getpid(),
                "role": self._role,
                "uptime_s": (now - self._started) // 1_000_000,
                "memory_mb": round(self._process.memory_info().rss / 2**20, 1),
                "last_event": core.last_position,
                "durable": core.durable_position,
                "waiting": core.depth,
                "errors_per_minute": round(core.troubles.per_minute(now), 1),
                "event_write_age_s": _seconds(now - core.durable_at),
                "market_data_age_s": _age(now, max(quoted, default=None)),
                "snapshot_age_s": _age(now, self._snapshot_at()),
            }
        }


async def overview_in_turns(engine: Engine, now: int) -> dict[str, Any]:
    """As `overview`, an account at a time: a hundred of them take 20 ms, for which no proposal and
    no event may wait. Accounts may be some events apart.
    """
    accounts = []
    for name in list(engine.state.accounts):
        account = engine.state.accounts.get(name)
        if account is not None:
            accounts.append(account_overview(engine, account, now))
        await asyncio.sleep(0)
    return {**system_overview(engine, now), "accounts": accounts, **capital_overview(engine)}


def _seconds(span: int) -> float:
    return round(max(0, span) / SECOND, 1)


def _age(now: int, at: int | None) -> float | None:
    """Seconds since then; None where it never was, which whoever judges takes for stale."""
    return None if at is None else _seconds(now - at)


@web.middleware
async def _only_local(request: web.Request, handler: Any) -> web.StreamResponse:
    """Refuse names that are not ours: a page in a browser must not reach the gate by its own."""
    name = request.host.rsplit(":", 1)[0] if not request.host.endswith("]") else request.host
    if name not in LOCAL_NAMES or "Origin" in request.headers:
        return _problem(403, "the gate answers programs on this machine only")
    answer: web.StreamResponse = await handler(request)
    return answer


def _unix_listener(path: Path) -> socket.socket | None:
    """A listening socket for this user alone; None where the path is too long for one.

    The store's lock is held, so a socket that is still there was left by a dead worker.
    """
    if len(os.fsencode(path)) > SOCKET_PATH_MAX:
        return None
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o600)
    return listener


def _json(body: Any, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(body), status=status, content_type="application/json"
    )


def _problem(status: int, detail: str) -> web.Response:
    """RFC 9457 problem details."""
    body = msgspec.json.encode({"type": "about:blank", "status": status, "detail": detail})
    return web.Response(body=body, status=status, content_type="application/problem+json")
