"""NautilusTrader's RiskEngine on the list of orders. Prints JSON: a verdict and a time a case.

python decide_nautilus.py CASES.json CALLS cash|margin

What is given is made with the engine's own means: a lock is TradingState.REDUCING (the state that
lets exits pass), a shut gate TradingState.HALTED, a contract limit max_notional_per_order, a rate
max_order_submit_rate. What it has no means for is left out and named in "missing".
"""

from __future__ import annotations

import json
import sys
import time

import nautilus_trader
from nautilus_trader.common.component import MessageBus, TestClock, init_logging
from nautilus_trader.common.enums import LogLevel
from nautilus_trader.common.factories import OrderFactory
from nautilus_trader.config import RiskEngineConfig
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import SubmitOrder
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import AccountType, AssetClass, OmsType, OrderSide, TradingState
from nautilus_trader.model.events import AccountState
from nautilus_trader.model.identifiers import (
    AccountId,
    InstrumentId,
    PositionId,
    StrategyId,
    Symbol,
)
from nautilus_trader.model.instruments import FuturesContract
from nautilus_trader.model.objects import AccountBalance, Money, Price, Quantity
from nautilus_trader.model.position import Position
from nautilus_trader.portfolio.portfolio import Portfolio
from nautilus_trader.risk.engine import RiskEngine
from nautilus_trader.test_kit.stubs.component import TestComponentStubs
from nautilus_trader.test_kit.stubs.events import TestEventStubs
from nautilus_trader.test_kit.stubs.identifiers import TestIdStubs

STRATEGY = StrategyId("S-001")
NOTIONAL = 250_000
MEANS = {
    "contracts",
    "position",
    "per_instrument",
    "locked",
    "shut",
    "quote",
    "unknown_instrument",
    "unknown_account",
    "repeated",
    "balance",
    "burst",
}
ES = FuturesContract(
    instrument_id=InstrumentId.from_str("ESH6.SIM"),
    raw_symbol=Symbol("ESH6"),
    asset_class=AssetClass.INDEX,
    exchange="XCME",
    currency=USD,
    price_precision=2,
    price_increment=Price.from_str("0.25"),
    multiplier=Quantity.from_int(50),
    lot_size=Quantity.from_int(1),
    underlying="ES",
    activation_ns=0,
    expiration_ns=2**62,
    ts_event=0,
    ts_init=0,
)


class Desk:
    """A risk engine in the state a case asks for, with a counter in place of the execution."""

    def __init__(self, given, account):
        self.clock, self.trader, self.sent = TestClock(), TestIdStubs.trader_id(), 0
        self.clock.set_time(10**18)
        bus = MessageBus(trader_id=self.trader, clock=self.clock)
        self.cache = TestComponentStubs.cache()
        portfolio = Portfolio(msgbus=bus, cache=self.cache, clock=self.clock)
        bus.register(endpoint="ExecEngine.execute", handler=self._count)
        bus.register(endpoint="ExecEngine.process", handler=lambda _: None)
        contracts = min(5, given.get("per_instrument", 5))
        self.risk = RiskEngine(
            portfolio=portfolio,
            msgbus=bus,
            cache=self.cache,
            clock=self.clock,
            config=RiskEngineConfig(
                max_order_submit_rate="100/00:00:01" if "burst" in given else "1000000/00:00:01",
                max_notional_per_order={str(ES.id): contracts * (NOTIONAL + 1_000)},
            ),
        )
        if not given.get("unknown_instrument"):
            self.cache.add_instrument(ES)
        if not given.get("unknown_account"):
            portfolio.update_account(self._account(given, account))
        if given.get("quote") != "none":
            at = self.clock.timestamp_ns() - (3600 * 10**9 if given.get("quote") == "stale" else 0)
            size = Quantity.from_int(100)
            self.cache.add_quote_tick(
                QuoteTick(
                    ES.id, Price.from_str("5000.00"), Price.from_str("5000.25"), size, size, at, at
                )
            )
        self.factory = OrderFactory(trader_id=self.trader, strategy_id=STRATEGY, clock=self.clock)
        if given.get("position"):
            self._hold(given["position"], portfolio)
        self.risk.start()
        if given.get("locked"):
            self.risk.set_trading_state(TradingState.REDUCING)
        if given.get("shut"):
            self.risk.set_trading_state(TradingState.HALTED)

    def _count(self, _):
        self.sent += 1

    def _account(self, given, account):
        total = Money(given.get("balance", 10_000_000), USD)
        return AccountState(
            account_id=AccountId("SIM-000"),
            account_type=AccountType.CASH if account == "cash" else AccountType.MARGIN,
            base_currency=USD,
            reported=True,
            balances=[AccountBalance(total, Money(0, USD), total)],
            margins=[],
            info={},
            event_id=UUID4(),
            ts_event=0,
            ts_init=0,
        )

    def _hold(self, size, portfolio):
        order = self.factory.market(ES.id, OrderSide.BUY, Quantity.from_int(size))
        fill = TestEventStubs.order_filled(
            order,
            instrument=ES,
            position_id=PositionId("P-1"),
            strategy_id=STRATEGY,
            last_px=Price.from_str("5000.00"),
        )
        self.cache.add_position(Position(instrument=ES, fill=fill), OmsType.NETTING)
        portfolio.initialize_positions()

    def command(self, case, order=None):
        """The order to ask about; raises ValueError where one cannot even be made."""
        if order is None:
            side = OrderSide.BUY if case["side"] == "buy" else OrderSide.SELL
            size = Quantity.from_int(case["size"])
            if case["price"] is None:
                reduces = case["side"] == "sell" and case["size"] <= case["given"].get(
                    "position", 0
                )
                order = self.factory.market(ES.id, side, size, reduce_only=reduces)
            else:
                order = self.factory.limit(ES.id, side, size, Price.from_str(case["price"]))
        return order, SubmitOrder(
            trader_id=self.trader,
            strategy_id=STRATEGY,
            position_id=None,
            order=order,
            command_id=UUID4(),
            ts_init=self.clock.timestamp_ns(),
        )


def decide(case, calls, account):
    given = case["given"]
    missing = sorted(set(given) - MEANS)
    desk = Desk(given, account)
    for _ in range(given.get("burst", 0)):
        desk.risk.execute(desk.command(case)[1])
    kept, laps, verdict = None, [], ""
    if given.get("repeated"):
        kept, first = desk.command(case)
        desk.cache.add_order(kept, None)
        desk.risk.execute(first)
    for _ in range(calls):
        begun = time.perf_counter_ns()
        try:
            _, command = desk.command(case, kept)
        except (ValueError, OverflowError) as error:
            laps.append(time.perf_counter_ns() - begun)
            verdict, why = "deny", str(error)[:80]
            continue
        before = desk.sent
        begun = time.perf_counter_ns()
        desk.risk.execute(command)
        laps.append(time.perf_counter_ns() - begun)
        verdict, why = ("approve" if desk.sent > before else "deny"), ""
    laps.sort()
    return {"verdict": verdict, "us": laps[calls // 2] / 1000, "why": why, "missing": missing}


if __name__ == "__main__":
    guard = init_logging(level_stdout=LogLevel.OFF)
    cases = json.loads(open(sys.argv[1]).read())
    rows = [decide(case, int(sys.argv[2]), sys.argv[3]) for case in cases]
    print(json.dumps({"version": nautilus_trader.__version__, "rows": rows}))
