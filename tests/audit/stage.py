"""A small venue before the real engine, driven by a seed; its ledger is exported and audited.

The venue keeps positions, orders and money of its own, so that its facts fit together; they arrive
late, twice, reordered or voided as a seed wants. Commands are carried out a little later.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from portcullis.domain import commands as c
from portcullis.domain import events as e
from portcullis.domain.engine import Engine
from portcullis.domain.model import MICRO, SECOND, OrderRequest
from portcullis.domain.plan import AccountPlan, Plan, digest, encode_plan
from portcullis.ports import Entry
from portcullis.store.export import line_of
from portcullis.store.memory import MemoryLedger
from portcullis.venues.simulated.contracts import instrument

START = 1_772_550_000 * MICRO  # Tuesday 2026-03-03, 09:00 in Chicago
TICKERS = ("ES", "MES", "NQ", "MNQ")
LISTED = {ticker: instrument(ticker) for ticker in TICKERS}
BY_ID = {listed.id: ticker for ticker, listed in LISTED.items()}


class Stage:
    """The engine, its ledger, and a venue with one account."""

    def __init__(self, seed: int, *rules: Any, at: int = START, **plan: Any) -> None:
        self.random = random.Random(seed)
        self.engine, self.ledger = Engine(), MemoryLedger()
        self.now = at
        self.prices = dict.fromkeys(TICKERS, 20_000)
        self.held: dict[str, tuple[int, int, int]] = {}
        self.orders: dict[str, dict[str, Any]] = {}
        self.balance = 50_000 * MICRO
        self.may_trade = True
        self.numbers = 0
        self.todo: list[tuple[int, str, Any]] = []
        self.late: list[tuple[int, Any]] = []
        self.sent: list[e.TradeReported] = []
        self.fresh = False
        self.failing = 0.0
        self.do(e.LedgerCreated("L", "test"))
        self.do(e.WorkerStarted("test", 0, True))
        self.load(*rules, **plan)
        for listed in LISTED.values():
            self.do(e.InstrumentListed(listed))
        self.report()
        self.do(e.Reconciled("A", 0, True))
        self.do(e.VenueLinked("sim", True))

    # --- the worker -------------------------------------------------------------------------

    def do(self, fact: Any) -> list[Any]:
        """A fact into the engine, and both into the ledger."""
        position = self.ledger.head().position + 1
        decisions = list(self.engine.apply(position, self.now, fact))
        self.ledger.append(
            [Entry(e.stream_of(event), self.now, "t", event) for event in (fact, *decisions)]
        )
        for decision in decisions:
            if isinstance(decision, e.CommandIssued):
                delay = self.random.choice((50_000, 300_000, 2 * SECOND))
                self.todo.append((self.now + delay, decision.key, decision.command))
        return decisions

    def load(self, *rules: Any, **plan: Any) -> None:
        """A configuration of one account."""
        data = encode_plan(Plan((AccountPlan("A", rules, **plan),)))
        self.do(e.RulesLoaded(digest(data), data))

    def wait(self, us: int) -> None:
        """Time passes; deadlines, commands and late messages on the way are served."""
        end = self.now + us
        while True:
            if self.fresh:
                for ticker in TICKERS:
                    self.quote(ticker, 0)
            due = [at for at in (self.engine.next_deadline(),) if at is not None]
            due += [at for at, _, _ in self.todo] + [at for at, _ in self.late]
            moment = min(due, default=end + 1)
            if moment > end:
                break
            self.now = max(self.now, moment)
            self._serve()
        self.now = end
        self.do(e.TimePassed())

    def _serve(self) -> None:
        if (deadline := self.engine.next_deadline()) is not None and deadline <= self.now:
            self.do(e.TimePassed())
        for each in [each for each in self.late if each[0] <= self.now]:
            self.late.remove(each)
            self.do(each[1])
        for at, key, command in [each for each in self.todo if each[0] <= self.now]:
            self.todo.remove((at, key, command))
            self._carry_out(key, command)

    def lines(self) -> list[bytes]:
        """The export."""
        return [line_of(row) for row in self.ledger.read()]

    # --- the venue --------------------------------------------------------------------------

    def report(self) -> None:
        """The account's row."""
        self.do(e.AccountReported("A", self.may_trade, self.balance, "USD", self.now))

    def quote(self, ticker: str, move: int) -> None:
        """The price moves."""
        self.prices[ticker] += move
        bid = self.prices[ticker]
        self.do(e.Quote(LISTED[ticker].id, bid, bid + 1, bid, self.now))

    def number(self) -> str:
        self.numbers += 1
        return str(self.numbers)

    def fill(self, ticker: str, side: int, size: int, order_id: str = "", key: str = "") -> None:
        """A market order fills, in one piece or two; its messages come in any order."""
        order_id = order_id or self.number()
        parts = [size] if size == 1 or self.random.random() < 0.7 else [1, size - 1]
        for part in parts:
            self.now += 1
            self._tell(self._fill(ticker, side, part, order_id, key))

    def _fill(self, ticker: str, side: int, size: int, order_id: str, key: str) -> list[e.AnyFact]:
        held, average, opened = self.held.get(ticker, (0, 0, 0))
        price = self.prices[ticker] + (side > 0)
        closed = min(size, abs(held)) if held * side < 0 else 0
        gross = None
        if closed:
            exact = (price * MICRO - average) * (1 if held > 0 else -1) * closed
            gross = exact * LISTED[ticker].tick_value // MICRO
        after = held + side * size
        if held * side >= 0:
            average = (average * abs(held) + price * MICRO * size) // abs(after)
        elif after * held < 0:
            average = price * MICRO
        opened = opened if held * after > 0 else self.now
        self.held[ticker] = (after, average, opened)
        fees, commission = 360_000 * size, 250_000 * size
        self.balance += (gross or 0) - fees - commission
        name = LISTED[ticker].id
        trade = e.TradeReported(
            "A", f"t{self.number()}", order_id, name, side, size, price, gross,
            fees, commission, self.now, False, key,
        )  # fmt: skip
        self.sent.append(trade)
        return [
            trade,
            e.PositionReported("A", name, after, average, self.now, opened),
            e.AccountReported("A", self.may_trade, self.balance, "USD", self.now),
        ]

    def _tell(self, facts: list[e.AnyFact]) -> None:
        """In order, mostly; else shuffled, repeated, or one of them late."""
        luck = self.random.random()
        if luck > 0.8:
            self.random.shuffle(facts)
        if luck > 0.9:
            facts.append(facts[0])
        if luck > 0.95:
            self.late.append((self.now + self.random.randrange(3) * SECOND, facts.pop(0)))
        for fact in facts:
            self.do(fact)

    def void(self) -> None:
        """The venue takes the newest trade of the day back, money and all."""
        if not self.sent:
            return
        trade = self.sent.pop()
        ticker = next(t for t in TICKERS if LISTED[t].id == trade.instrument)
        held, average, opened = self.held[ticker]
        held -= trade.side * trade.size
        self.held[ticker] = (held, average, opened)
        self.balance -= (trade.gross or 0) - trade.fees - trade.commission
        self.now += 1
        values = {name: getattr(trade, name) for name in trade.__struct_fields__}
        self.do(e.TradeReported(**values | {"voided": True}))
        self.do(e.PositionReported("A", trade.instrument, held, average, self.now, opened))
        self.report()

    def rest(self, ticker: str, side: int, size: int, kind: Any = "limit", far: int = 50) -> str:
        """An order that rests."""
        order_id = self.number()
        price = self.prices[ticker] - side * far * (1 if kind == "limit" else -1)
        self.orders[order_id] = {
            "ticker": ticker,
            "side": side,
            "size": size,
            "type": kind,
            "price": price,
            "version": 1,
        }
        self._order(order_id, "working")
        return order_id

    def cancel(self, order_id: str) -> None:
        """An order is withdrawn."""
        self.orders[order_id]["version"] += 1
        self._order(order_id, "cancelled")
        del self.orders[order_id]

    def _order(self, order_id: str, status: Any) -> None:
        order = self.orders[order_id]
        stop = order["type"] != "limit"
        self.do(
            e.OrderReported(
                "A",
                order_id,
                LISTED[order["ticker"]].id,
                order["side"],
                order["type"],
                order["size"],
                0 if status == "cancelled" else order["size"],
                status,
                order["version"],
                self.now,
                None if stop else order["price"],
                order["price"] if stop else None,
                key=order.get("key", ""),
            )
        )

    # --- commands ---------------------------------------------------------------------------

    def _carry_out(self, key: str, command: Any) -> None:
        self.do(e.CommandSent("A", key, 1))
        outcome = "confirmed"
        if self.random.random() < self.failing:
            outcome = self.random.choice(("refused", "unconfirmed"))
        elif isinstance(command, c.Submit):
            outcome = "superseded"
        else:
            self._obey(key, command)
        self.do(
            e.CommandConcluded("A", key, outcome, "", 1, 3, self.now, self.now, 0, self.now)  # type: ignore[arg-type]
        )

    def _obey(self, key: str, command: Any) -> None:
        ticker = BY_ID.get(getattr(command, "instrument", None) or "", "")
        if isinstance(command, c.Flatten):
            self._close(TICKERS, key)
        elif isinstance(command, c.Close):
            if not (command.unless_covered and self._covered(ticker)):
                self._close((ticker,), key)
        elif isinstance(command, c.Reduce):
            held = self.size(ticker)
            if abs(held) > command.to:
                self.fill(ticker, -1 if held > 0 else 1, abs(held) - command.to, key=key)
        elif isinstance(command, c.CancelOrders):
            self._cancel_opening(command.instrument)
        elif isinstance(command, c.PlaceStop):
            self._place_stop(key, command)
        elif command.order_id in self.orders:
            if isinstance(command, c.CancelOrder):
                self.cancel(command.order_id)
            else:
                change = {"price": command.stop_price, "size": command.size}
                self.orders[command.order_id] |= change
                self.orders[command.order_id]["version"] += 1
                self._order(command.order_id, "working")

    def _cancel_opening(self, instrument_id: str | None) -> None:
        for order_id, order in list(self.orders.items()):
            held = self.size(order["ticker"])
            opens = order["side"] * held >= 0 or order["size"] > abs(held)
            if opens and instrument_id in (None, LISTED[order["ticker"]].id):
                self.cancel(order_id)

    def _place_stop(self, key: str, command: c.PlaceStop) -> None:
        order_id = self.number()
        self.orders[order_id] = {
            "ticker": BY_ID[command.instrument],
            "side": command.side,
            "size": command.size,
            "type": "stop",
            "price": command.stop_price,
            "version": 1,
            "key": f"{key}/stop",
        }
        self._order(order_id, "working")

    def size(self, ticker: str) -> int:
        """What the venue holds."""
        return self.held.get(ticker, (0, 0, 0))[0]

    def _covered(self, ticker: str) -> bool:
        held, price = self.held.get(ticker, (0, 0, 0))[0], self.prices[ticker]
        stops = [o for o in self.orders.values() if o["ticker"] == ticker and o["type"] == "stop"]
        sound = [o for o in stops if o["side"] * held < 0 and o["side"] * (price - o["price"]) <= 0]
        return sum(o["size"] for o in sound) >= abs(held)

    def _close(self, tickers: Any, key: str) -> None:
        for order_id, order in list(self.orders.items()):
            if order["ticker"] in tickers:
                self.cancel(order_id)
        for ticker in tickers:
            held = self.held.get(ticker, (0, 0, 0))[0]
            if held:
                self.fill(ticker, -1 if held > 0 else 1, abs(held), key=key)

    # --- people and programs ----------------------------------------------------------------

    def propose(self, ticker: str, side: int, size: int) -> Any:
        """A program asks."""
        order = OrderRequest("A", LISTED[ticker].id, side, size, "market")
        return self.do(e.ProposalReceived(f"p{self.number()}", "test", order))

    def ask(self, verb: Any, **arguments: Any) -> None:
        """A person asks, with the credential."""
        self.do(e.RequestReceived(f"r{self.number()}", verb, "me", "admin", "why", "A", arguments))


def _exit(stage: Stage, ticker: str, side: int, size: int) -> None:
    held = stage.size(ticker)
    if held:
        stage.fill(ticker, -1 if held > 0 else 1, abs(held))


def _cancel(stage: Stage, ticker: str, side: int, size: int) -> None:
    if stage.orders:
        stage.cancel(stage.random.choice(sorted(stage.orders)))


def _allow(stage: Stage, ticker: str, side: int, size: int) -> None:
    stage.may_trade = not stage.may_trade
    stage.report()


VERBS: dict[str, tuple[int, Callable[[Stage, str, int, int], Any]]] = {
    "quote": (40, lambda s, t, side, size: s.quote(t, s.random.randint(-25, 25))),
    "fill": (12, lambda s, t, side, size: s.fill(t, side, size)),
    "exit": (5, _exit),
    "rest": (6, lambda s, t, side, size: s.rest(t, side, size, s.random.choice(("limit", "stop")))),
    "cancel": (3, _cancel),
    "propose": (6, lambda s, t, side, size: s.propose(t, side, size)),
    "void": (1, lambda s, t, side, size: s.void()),
    "allow": (1, _allow),
    "long": (1, lambda s, t, side, size: s.wait(s.random.choice((1, 6, 26)) * 3600 * SECOND)),
    "lock": (
        1,
        lambda s, t, side, size: s.ask("lock", **s.random.choice(({}, {"for_us": 20 * SECOND}))),
    ),
    "release": (2, lambda s, t, side, size: s.ask("release")),
    "flatten": (1, lambda s, t, side, size: s.ask("flatten")),
}
"""What can happen, how often, and how."""

PAUSES = (1, 1000, 250_000, 3 * SECOND, 20 * SECOND)


def play(stage: Stage, steps: int, *, without: tuple[str, ...] = ()) -> None:
    """So many random steps of market, trader, venue and people."""
    draw = stage.random
    names = [name for name in VERBS if name not in without]
    weights = [VERBS[name][0] for name in names]
    for _ in range(steps):
        _, act = VERBS[draw.choices(names, weights)[0]]
        act(stage, draw.choice(TICKERS), draw.choice((1, -1)), draw.randint(1, 3))
        stage.wait(draw.choice(PAUSES))
