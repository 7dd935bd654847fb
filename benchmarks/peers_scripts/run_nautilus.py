"""Peer benchmark: NautilusTrader's RiskEngine (Cython build on PyPI).

What is timed: one call RiskEngine.execute(SubmitOrder) from the command object in
hand to the moment the engine has either forwarded the order to the execution
endpoint (a counting stub) or denied it. Orders and commands are built before the
clock starts, so only the check is measured.

Run:  python bench_nautilus.py [N] [--json out.json]
Venv: python -m venv v && v/bin/pip install nautilus-trader==1.221.0   (py 3.11)
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics as st
import time

import nautilus_trader
from nautilus_trader.common.component import MessageBus, TestClock, init_logging
from nautilus_trader.common.enums import LogLevel
from nautilus_trader.config import RiskEngineConfig
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import SubmitOrder
from nautilus_trader.model.enums import OrderSide, TradingState
from nautilus_trader.model.identifiers import StrategyId, TraderId
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.common.factories import OrderFactory
from nautilus_trader.portfolio.portfolio import Portfolio
from nautilus_trader.risk.engine import RiskEngine
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.test_kit.stubs.component import TestComponentStubs
from nautilus_trader.test_kit.stubs.events import TestEventStubs
from nautilus_trader.test_kit.stubs.identifiers import TestIdStubs

AUDUSD = TestInstrumentProvider.default_fx_ccy("AUD/USD")


def build(account: str, *, bypass=False, max_notional=True, rate="1000000000/00:00:01"):
    clock = TestClock()
    trader_id = TestIdStubs.trader_id()
    msgbus = MessageBus(trader_id=trader_id, clock=clock)
    cache = TestComponentStubs.cache()
    portfolio = Portfolio(msgbus=msgbus, cache=cache, clock=clock)
    hits = {"sent": 0, "denied": 0}

    def sent(_):
        hits["sent"] += 1

    def processed(_):
        hits["denied"] += 1

    msgbus.register(endpoint="ExecEngine.execute", handler=sent)
    msgbus.register(endpoint="ExecEngine.process", handler=processed)
    cfg = RiskEngineConfig(
        bypass=bypass,
        max_order_submit_rate=rate,
        max_notional_per_order={str(AUDUSD.id): 2_000_000} if max_notional else {},
    )
    risk = RiskEngine(portfolio=portfolio, msgbus=msgbus, cache=cache, clock=clock, config=cfg)
    cache.add_instrument(AUDUSD)
    state = (
        TestEventStubs.cash_account_state()
        if account == "cash"
        else TestEventStubs.margin_account_state()
    )
    portfolio.update_account(state)
    risk.start()
    return clock, trader_id, risk, hits


def commands(clock, trader_id, n, qty=10_000):
    f = OrderFactory(trader_id=trader_id, strategy_id=StrategyId("S-001"), clock=clock)
    out = []
    for _ in range(n):
        o = f.limit(AUDUSD.id, OrderSide.BUY, Quantity.from_int(qty), Price.from_str("0.90000"))
        out.append(
            SubmitOrder(
                trader_id=trader_id,
                strategy_id=StrategyId("S-001"),
                position_id=None,
                order=o,
                command_id=UUID4(),
                ts_init=clock.timestamp_ns(),
            )
        )
    return out


def timer_floor(n=200_000):
    pc = time.perf_counter_ns
    a = []
    for _ in range(n):
        t = pc()
        a.append(pc() - t)
    a.sort()
    return a[n // 2]


def measure(name, n, account, *, state=None, repeats=5, qty=10_000, **kw):
    best_rate, rates, lats = 0.0, [], None
    for _ in range(repeats):
        clock, tid, risk, hits = build(account, **kw)
        if state is not None:
            risk.set_trading_state(state)
        cmds = commands(clock, tid, n, qty=qty)
        ex = risk.execute
        for c in commands(clock, tid, min(2000, n), qty=qty):  # warm-up
            ex(c)
        gc.collect()
        gc.disable()
        t0 = time.perf_counter_ns()
        for c in cmds:
            ex(c)
        dt = time.perf_counter_ns() - t0
        gc.enable()
        rates.append(n / dt * 1e9)
    # second pass: per-call latency distribution
    clock, tid, risk, hits = build(account, **kw)
    if state is not None:
        risk.set_trading_state(state)
    cmds = commands(clock, tid, n, qty=qty)
    ex, pc, lat = risk.execute, time.perf_counter_ns, [0] * n
    gc.collect()
    gc.disable()
    for i, c in enumerate(cmds):
        t = pc()
        ex(c)
        lat[i] = pc() - t
    gc.enable()
    lat.sort()
    q = lambda p: lat[min(n - 1, int(n * p))]
    r = dict(
        case=name,
        n=n,
        orders_per_s_median=round(st.median(rates)),
        orders_per_s_best=round(max(rates)),
        ns_per_check_median=round(1e9 / st.median(rates)),
        p50_ns=q(0.5),
        p95_ns=q(0.95),
        p99_ns=q(0.99),
        p999_ns=q(0.999),
        max_ns=lat[-1],
        sent=hits["sent"],
        denied=hits["denied"],
    )
    print(json.dumps(r), flush=True)
    return r


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("n", nargs="?", type=int, default=100_000)
    ap.add_argument("--json")
    a = ap.parse_args()
    guard = init_logging(level_stdout=LogLevel.OFF)
    floor = timer_floor()
    print(
        f"nautilus_trader {nautilus_trader.__version__} python {platform.python_version()} "
        f"{platform.processor() or platform.machine()} timer floor {floor} ns",
        flush=True,
    )
    rows = [
        measure("bypass=True (duplicate/none checks, cash)", a.n, "cash", bypass=True),
        measure("checks on, CASH account, max_notional set, order passes", a.n, "cash"),
        measure(
            "checks on, CASH account, no max_notional, order passes",
            a.n,
            "cash",
            max_notional=False,
        ),
        measure("checks on, MARGIN account (engine returns early)", a.n, "margin"),
        measure("checks on, CASH, over notional -> denied", a.n // 5, "cash", qty=9_000_000),
        measure("MARGIN, over max_notional (is it denied?)", a.n // 5, "margin", qty=9_000_000),
        measure("HALTED -> denied", a.n // 5, "cash", state=TradingState.HALTED),
        measure("throttled at 100/s -> denied", a.n // 5, "cash", rate="100/00:00:01"),
    ]
    if a.json:
        json.dump(
            dict(
                version=nautilus_trader.__version__,
                python=platform.python_version(),
                timer_floor_ns=floor,
                rows=rows,
            ),
            open(a.json, "w"),
            indent=1,
        )
