"""A small exchange to test on: one account, ES and MES, quotes by hand."""

from __future__ import annotations

from typing import Any

from portcullis.clock import ManualClock
from portcullis.domain.events import OrderReported, Quote, TradeReported
from portcullis.domain.model import MICRO, OrderRequest, OrderType
from portcullis.venues.simulated import Costs, Exchange, Terms, instrument

START = 1_700_000_000 * MICRO
ES = instrument("ES").id
MES = instrument("MES").id
FREE = Costs(0, 0)


class Bench:
    """An exchange whose events are kept; prices in ticks, ask one tick above bid."""

    def __init__(self, terms: Terms | None = None, flavour="practice") -> None:
        self.clock = ManualClock(START)
        self.exchange = Exchange(
            self.clock,
            terms=terms or Terms(costs=FREE),
            instruments=[instrument("ES"), instrument("MES")],
        )
        self.exchange.open_account("A", balance=50_000 * MICRO, flavour=flavour)
        self.events: list[Any] = []
        self.exchange.subscribe(self.events.append)

    def price(self, bid: int, ask: int | None = None, instrument: str = ES) -> None:
        self.clock.advance(MICRO)
        ask = bid + 1 if ask is None else ask
        self.exchange.on_quote(Quote(instrument, bid, ask, bid, self.clock.now()))

    def send(self, side: int, size: int, order_type: OrderType = "market", **prices) -> str:
        instrument = prices.pop("instrument", ES)
        return self.exchange.place_order(
            OrderRequest("A", instrument, side, size, order_type, **prices)
        )

    def order(self, order_id: str) -> OrderReported:
        """The newest report of an order."""
        return [e for e in self.events if isinstance(e, OrderReported) and e.order_id == order_id][
            -1
        ]

    def trades(self) -> list[TradeReported]:
        return [e for e in self.events if isinstance(e, TradeReported)]

    def size(self, instrument: str = ES) -> int:
        return sum(t.side * t.size for t in self.trades() if t.instrument == instrument)

    def held(self, instrument: str = ES) -> int:
        return next((p.size for p in self.exchange.positions("A") if p.instrument == instrument), 0)

    def balance(self) -> int:
        return self.exchange.accounts()[0].balance

    def by_key(self, key: str) -> OrderReported:
        found = self.exchange.order_by_key("A", key)
        assert found is not None
        return found
