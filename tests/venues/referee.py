"""A referee for the demonstration: judges its rules from the venue's reports, naively.

It shares nothing with the product's rules: a straight reading of each rule's sentence, looked at
once per frame, enforced through the exchange after a delay of some frames.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from portcullis.domain.events import (
    AccountReported,
    OrderReported,
    PositionReported,
    Quote,
    TradeReported,
)
from portcullis.domain.model import MICRO, MINUTE, SECOND, STOP_TYPES, OrderRequest
from portcullis.venues.simulated import Exchange
from portcullis.venues.simulated.contracts import CONTRACTS

TICKER = {i.id: t for t, i in CONTRACTS.items()}


def span(text: str) -> int:
    return int(text.removesuffix(" s")) * SECOND


class Breach(NamedTuple):
    at: int
    account: str
    rule: str


class Account:
    def __init__(self) -> None:
        self.positions: dict[str, PositionReported] = {}
        self.orders: dict[str, OrderReported] = {}
        self.trades: list[TradeReported] = []
        self.can_trade: bool | None = True
        self.high = 0
        self.locked_until = 0

    def held(self) -> dict[str, int]:
        return {TICKER[p.instrument]: p.size for p in self.positions.values() if p.size}

    def net(self) -> int:
        return sum((t.gross or 0) - t.fees - t.commission for t in self.trades)


class Referee:
    def __init__(self, exchange: Exchange, rules: dict[str, list], delay: int) -> None:
        self.exchange = exchange
        self.rules = rules
        self.delay = delay
        self.accounts: dict[str, Account] = defaultdict(Account)
        self.quotes: dict[str, Quote] = {}
        self.breaches: list[Breach] = []
        self.orders_while_locked: list[TradeReported] = []
        self.stops: list[int] = []
        self._due: list[tuple[int, Callable[[], Any]]] = []
        self._frame = 0
        exchange.subscribe(self.hear)

    def hear(self, event) -> None:
        match event:
            case Quote():
                self.quotes[event.instrument] = event
            case PositionReported():
                self.accounts[event.account].positions[event.instrument] = event
            case OrderReported():
                self.accounts[event.account].orders[event.order_id] = event
            case AccountReported():
                self.accounts[event.account].can_trade = event.can_trade
            case TradeReported():
                account = self.accounts[event.account]
                account.trades.append(event)
                hidden = event.executed_at < account.locked_until < event.executed_at + MINUTE
                if event.gross is None and hidden:
                    self.orders_while_locked.append(event)

    def profit(self, name: str, instrument: str) -> int:
        position = self.accounts[name].positions[instrument]
        quote = self.quotes[instrument]
        price = quote.bid if position.size > 0 else quote.ask
        assert price is not None
        value = CONTRACTS[TICKER[instrument]].tick_value
        return (price * MICRO - position.average) * position.size * value // MICRO

    def look(self, at: int) -> None:
        """Judge every account once, and carry out what has become due."""
        self._frame += 1
        due, self._due = self._due, []
        for frame, act in due:
            if frame <= self._frame:
                act()
            else:
                self._due.append((frame, act))
        if self._due:
            return
        for name, rules in self.rules.items():
            for rule, parameters in rules:
                getattr(self, rule)(name, self.accounts[name], parameters, at)

    def _breach(self, at: int, name: str, rule: str, act: Callable[[], Any] | None) -> None:
        told = [b for b in self.breaches if (b.account, b.rule) == (name, rule)]
        if not told or at - told[-1].at >= SECOND:
            self.breaches.append(Breach(at, name, rule))
        if act is not None:
            self._due.append((self._frame + self.delay, act))

    def _close(self, name: str, *tickers: str) -> Callable[[], None]:
        def close() -> None:
            for ticker in tickers or tuple(self.accounts[name].held()):
                self.exchange.close_position(name, CONTRACTS[ticker].id, "referee")

        return close

    # --- the rules, one sentence each -----------------------------------------------------------

    def max_contracts_per_instrument(self, name, account, given, at) -> None:
        for ticker, size in account.held().items():
            excess = abs(size) - given["limits"][ticker]
            if excess > 0:
                act = partial(self.exchange.reduce_position, name, CONTRACTS[ticker].id, excess)
                self._breach(at, name, "max_contracts_per_instrument", act)

    def max_contracts(self, name, account, given, at) -> None:
        if sum(map(abs, account.held().values())) > given["limit"]:
            self._breach(at, name, "max_contracts", self._close(name))

    def symbol_blocks(self, name, account, given, at) -> None:
        for ticker in account.held():
            if ticker in given["blocked"]:
                self._breach(at, name, "symbol_blocks", self._close(name, ticker))

    def cooldown_after_loss(self, name, account, given, at) -> None:
        (tier,) = given["tiers"]
        for trade in account.trades:
            lost = -((trade.gross or 0) - trade.fees - trade.commission)
            until = trade.executed_at + span(tier["cooldown"])
            costly = trade.gross is not None and lost >= tier["loss"] * MICRO
            if costly and until > max(at, account.locked_until):
                account.locked_until = until
                self._breach(at, name, "cooldown_after_loss", None)

    def daily_unrealized_loss(self, name, account, given, at) -> None:
        for ticker in account.held():
            if self.profit(name, CONTRACTS[ticker].id) <= -given["limit"] * MICRO:
                self._breach(at, name, "daily_unrealized_loss", self._close(name, ticker))

    def daily_realized_loss(self, name, account, given, at) -> None:
        self._day(name, account, at, "daily_realized_loss", -account.net(), given["limit"])

    def daily_realized_profit(self, name, account, given, at) -> None:
        self._day(name, account, at, "daily_realized_profit", account.net(), given["target"])

    def _day(self, name, account, at, rule, amount, limit) -> None:
        already = any(b.account == name and b.rule == rule for b in self.breaches)
        if amount >= limit * MICRO and not already:
            account.locked_until = at + 3600 * SECOND
            self._breach(at, name, rule, self._close(name))

    def no_stop_loss_grace(self, name, account, given, at) -> None:
        live = [o for o in account.orders.values() if o.status == "working"]
        for position in account.positions.values():
            covered = any(
                o.type in STOP_TYPES and o.instrument == position.instrument for o in live
            )
            old = at - position.opened_at > span(given["grace"])
            if position.size and old and not covered:
                ticker = TICKER[position.instrument]
                self._breach(at, name, "no_stop_loss_grace", self._close(name, ticker))

    def trade_frequency_limit(self, name, account, given, at) -> None:
        recent = [t for t in account.trades if at - t.executed_at < MINUTE]
        if len(recent) > given["per_minute"] and account.locked_until < at:
            account.locked_until = at + span(given["minute_cooldown"])
            self._breach(at, name, "trade_frequency_limit", None)

    def session_block_outside(self, name, account, given, at) -> None:
        for ticker in account.held():
            if ticker in given["instruments"]:
                self._breach(at, name, "session_block_outside", self._close(name, ticker))

    def trade_management(self, name, account, given, at) -> None:
        """Keep one stop: automatic, then break-even, then trailing; one change a second."""
        stops = [o for o in account.orders.values() if o.status == "working"]
        for position in account.positions.values():
            if not position.size:
                for order in stops:
                    self.exchange.cancel_order(name, order.order_id)
                continue
            side = 1 if position.size > 0 else -1
            entry = position.average // MICRO
            quote = self.quotes[position.instrument]
            assert quote.bid is not None
            assert quote.ask is not None
            moved = side * ((quote.bid if side > 0 else quote.ask) - entry)
            wanted = entry - side * given["auto_stop"]
            if moved >= given["break_even"]["trigger"]:
                wanted = entry + side * given["break_even"]["offset"]
            if moved >= given["trailing"]["activate"]:
                wanted = entry + side * (moved - given["trailing"]["distance"])
            if not stops:
                self._breach(at, name, "trade_management", None)
                self.exchange.place_order(
                    OrderRequest(
                        name,
                        position.instrument,
                        -side,
                        abs(position.size),
                        "stop",
                        stop_price=wanted,
                    )
                )
                self.stops.append(0)
                continue
            (stop,) = stops
            assert stop.stop_price is not None
            tighter = side * (wanted - stop.stop_price) > 0
            if tighter and at - stop.reported_at >= SECOND:
                self.exchange.modify_order(name, stop.order_id, stop_price=wanted)
                self.stops.append(side * (wanted - entry))

    def max_unrealized_profit(self, name, account, given, at) -> None:
        for ticker in account.held():
            if self.profit(name, CONTRACTS[ticker].id) >= given["target"] * MICRO:
                self._breach(at, name, "max_unrealized_profit", self._close(name, ticker))

    def auth_loss_guard(self, name, account, given, at) -> None:
        if account.can_trade is False and account.held():
            self._breach(at, name, "auth_loss_guard", self._close(name))

    def trailing_drawdown(self, name, account, given, at) -> None:
        start, allowance = given["start"] * MICRO, given["allowance"] * MICRO
        opened = sum(self.profit(name, CONTRACTS[t].id) for t in account.held())
        equity = start + account.net() + opened
        account.high = max(account.high, equity)
        floor = min(start, start - allowance + max(0, account.high - start))
        if equity <= floor and account.held():
            account.locked_until = at + 3600 * SECOND
            self._breach(at, name, "trailing_drawdown", self._close(name))
