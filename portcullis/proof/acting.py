"""What each act of a story does to the stage."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec

from portcullis.domain.events import AnyDecision, ProposalAnswered, ProposalReceived
from portcullis.domain.model import SECOND, OrderRequest
from portcullis.errors import PortcullisError, VenueRefused
from portcullis.proof import story
from portcullis.proof.notes import Answered
from portcullis.proof.process import ADMINISTRATOR, Process
from portcullis.proof.stage import Stage
from portcullis.venues.simulated import instrument
from portcullis.venues.simulated.orders import best_price
from portcullis.venues.simulated_gateway.control import OWN_ACTS, Goodbye
from portcullis.venues.simulated_gateway.endpoints import ENDPOINT_OF
from portcullis.worker.requests import Asked


def carry_out(stage: Stage, act: story.AnyAct) -> None:
    """Do it now. What the venue refuses is the actor's bad luck, as at a real venue."""
    with suppress(VenueRefused):
        _ACTS[type(act)](stage, act)


def _trade(stage: Stage, act: story.Trade) -> None:
    order = _order(stage, act)
    if order is not None:
        stage.exchange.place_order(order)


def _order(stage: Stage, act: story.Trade) -> OrderRequest | None:
    listed = instrument(act.ticker)
    quotes = {quote.instrument: quote for quote in stage.exchange.quotes()}
    price = best_price(act.side, quotes[listed.id])
    if price is None:
        return None
    away = act.side * act.distance
    stop = act.type in ("stop", "stop_limit")
    limits = {"limit": price - away, "stop_limit": price + away + act.side * 4}
    return OrderRequest(
        act.account,
        listed.id,
        act.side,
        act.size,
        act.type,
        limit_price=limits.get(act.type),
        stop_price=price + away if stop else None,
        trail=max(1, act.distance) if act.type == "trailing" else None,
        stop_loss=None if act.stop_loss is None else price - act.side * act.stop_loss,
        take_profit=None if act.take_profit is None else price + act.side * act.take_profit,
    )


def _close_out(stage: Stage, act: story.CloseOut) -> None:
    listed = instrument(act.ticker).id
    for order in stage.exchange.orders(act.account):
        if order.instrument == listed:
            with suppress(VenueRefused):
                stage.exchange.cancel_order(act.account, order.order_id)
    stage.exchange.close_position(act.account, listed)


def _propose(stage: Stage, act: story.Propose) -> None:
    process = stage.process
    if process is None or process.worker is None:
        stage.notes.seen["gate unreachable"] += 1
        return
    core = process.worker.core
    if not process.has_listener:
        core.on_decision(partial(_hear, stage, process))
        process.has_listener = True
    order = OrderRequest(act.account, instrument(act.ticker).id, act.side, act.size, "market")
    for _ in range(act.again):
        with suppress(PortcullisError):  # a failed store refuses: the program gets no answer
            core.enter(ProposalReceived(f"p{act.at}", "program", order, act.submit, act.strategy))
            stage.notes.seen["proposals"] += 1


def _hear(stage: Stage, process: Process, decision: AnyDecision, _trace: str) -> None:
    """The program hears an answer once it is durable, and acts on an approval."""
    if not isinstance(decision, ProposalAnswered) or stage.process is not process:
        return
    stage.notes.answers.append(Answered(stage.clock.monotonic(), decision))
    stage.notes.seen["approved" if decision.approved else "denied"] += 1


def _ask(stage: Stage, act: story.Ask) -> None:
    arguments: dict[str, Any] = {} if act.for_us is None else {"for_us": act.for_us}
    signature = ADMINISTRATOR if act.admin else ""
    asked = Asked("asked in a run", act.account, arguments, signature)
    stage.ask(act.verb, asked, 2 if act.twice else 1)


def _write(stage: Stage, act: story.Write) -> None:
    stage.files = msgspec.structs.replace(stage.files, accounts=act.accounts)
    if act.asked:
        asked = Asked("asked in a run", signature=ADMINISTRATOR)
        stage.later(SECOND, lambda: stage.ask("reload", asked))
    if act.signalled:
        stage.later(SECOND, lambda: _signal(stage))


def _signal(stage: Stage) -> None:
    process = stage.process
    if process is not None and process.worker is not None and process.worker.begun.is_set():
        with suppress(PortcullisError):  # a failed store takes nothing
            process.worker.reload()


def _move_strategy(stage: Stage, act: story.MoveStrategy) -> None:
    arguments = {"strategy": act.strategy, "to": act.to}
    signature = ADMINISTRATOR if act.admin else ""
    asked = Asked("asked in a run", None, arguments, signature)
    stage.ask("strategy", asked, 2 if act.twice else 1)


def _jump(stage: Stage, act: story.Jump) -> None:
    walk = stage.walks[act.ticker]
    walk.jump(act.ticks)
    if stage.clock.now() >= walk.silent_until:
        stage.exchange.on_quote(walk.quote(stage.clock.now()))


def _silence(stage: Stage, act: story.Silence) -> None:
    if act.of in stage.walks:
        stage.walks[act.of].silent_until = stage.clock.now() + act.lasting
    else:
        stage.silent[act.of] = stage.clock.monotonic() + act.lasting


def _fail(stage: Stage, act: story.Fail) -> None:
    stage.failing[act.name] = 1


def _forbid(stage: Stage, act: story.Forbid) -> None:
    stage.exchange.set_can_trade(act.account, False)
    stage.later(act.lasting, lambda: stage.exchange.set_can_trade(act.account, True))


def _bust(stage: Stage, act: story.Bust) -> None:
    standing = [t for t in stage.exchange.trades(act.account, 0) if not t.voided]
    if standing:
        stage.exchange.void_trade(act.account, standing[-1].trade_id)


def _hinder(stage: Stage, act: story.Hinder) -> None:
    fault = act.fault
    if stage.gateway is not None:
        fault = msgspec.structs.replace(fault, on=ENDPOINT_OF.get(fault.on, fault.on))
    stage.faults.add(fault)


def _halt(stage: Stage, act: story.Halt) -> None:
    listed = instrument(act.ticker).id
    stage.exchange.halt(listed)
    stage.later(act.lasting, lambda: stage.exchange.resume(listed))


def _refuse_close(stage: Stage, act: story.RefuseClose) -> None:
    stage.exchange.refuse_close(act.account)
    stage.later(act.lasting, lambda: stage.exchange.refuse_close(act.account, False))


def _cut(stage: Stage, act: story.Cut) -> None:
    if stage.process is not None and stage.process.network is not None:
        stage.process.network.cut("the connection broke")


def _unsettle(stage: Stage, act: story.Unsettle) -> None:
    if stage.gateway is not None:
        stage.acting.append(asyncio.ensure_future(OWN_ACTS[act.how].act(stage.gateway, Goodbye())))


def _step_clock(stage: Stage, act: story.StepClock) -> None:
    stage.machine.step(act.by)
    stage.later(act.lasting, lambda: stage.machine.step(-act.by))


def _disk_fails(stage: Stage, act: story.DiskFails) -> None:
    stage.disk_fails_until = stage.clock.monotonic() + act.lasting


_ACTS: dict[type, Callable[[Stage, Any], None]] = {
    story.Trade: _trade,
    story.CloseOut: _close_out,
    story.Propose: _propose,
    story.Ask: _ask,
    story.Write: _write,
    story.MoveStrategy: _move_strategy,
    story.Jump: _jump,
    story.Silence: _silence,
    story.Fail: _fail,
    story.Forbid: _forbid,
    story.Bust: _bust,
    story.Hinder: _hinder,
    story.Halt: _halt,
    story.RefuseClose: _refuse_close,
    story.Cut: _cut,
    story.Unsettle: _unsettle,
    story.StepClock: _step_clock,
    story.DiskFails: _disk_fails,
}
