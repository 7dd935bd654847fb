"""An engine with many accounts, all fourteen rules on, and a stream of facts as a venue sends."""

from __future__ import annotations

import random
from collections.abc import Iterator

from portcullis.domain.engine import Engine
from portcullis.domain.events import (
    AccountReported,
    AnyFact,
    CommandConcluded,
    CommandIssued,
    InstrumentListed,
    LedgerCreated,
    OrderReported,
    PositionReported,
    Quote,
    Reconciled,
    RulesLoaded,
    TradeReported,
    VenueLinked,
    WorkerStarted,
)
from portcullis.domain.hours import Hours
from portcullis.domain.model import HOUR, MICRO, MINUTE
from portcullis.domain.plan import AccountPlan, Plan, digest, encode_plan
from portcullis.domain.rules import (
    auth_loss_guard,
    cooldown_after_loss,
    daily_realized_loss,
    daily_realized_profit,
    daily_unrealized_loss,
    max_contracts,
    max_contracts_per_instrument,
    max_unrealized_profit,
    no_stop_loss_grace,
    session_block_outside,
    symbol_blocks,
    trade_frequency_limit,
    trade_management,
    trailing_drawdown,
)
from portcullis.venues.simulated.contracts import instrument

START = 1_772_550_000 * MICRO
TICKERS = ("ES", "NQ", "MES", "MNQ", "CL", "GC", "RTY", "YM", "6E", "ZN")
LISTED = [instrument(ticker) for ticker in TICKERS]
FAR = 1_000_000 * MICRO

RULES = (
    max_contracts.Params(limit=50),
    max_contracts_per_instrument.Params(limits=dict.fromkeys(TICKERS, 50)),
    daily_realized_loss.Params(FAR),
    daily_unrealized_loss.Params(FAR),
    max_unrealized_profit.Params(FAR),
    trade_frequency_limit.Params(100_000, 100_000, 1_000_000),
    cooldown_after_loss.Params((cooldown_after_loss.Tier(FAR, MINUTE),)),
    no_stop_loss_grace.Params(10 * HOUR),
    session_block_outside.Params((Hours(0, 24 * 60, days=tuple(range(7))),)),
    auth_loss_guard.Params(),
    symbol_blocks.Params(("ZB",)),
    trade_management.Params(auto_stop=100_000),
    daily_realized_profit.Params(FAR),
    trailing_drawdown.Params(50_000 * MICRO, 49_000 * MICRO),
)


class Field:
    """Facts are entered by `enter`, which answers commands as a venue that obeys at once."""

    def __init__(self, accounts: int, seed: int = 1) -> None:
        self.engine = Engine()
        self.position = 0
        self.now = START
        self.random = random.Random(seed)
        self.resting: dict[str, tuple[str, str]] = {}
        self.names = [f"A{number:05}" for number in range(accounts)]
        self.enter(LedgerCreated("L", "bench"))
        self.enter(WorkerStarted("bench", 0, True))
        data = encode_plan(Plan(tuple(AccountPlan(name, RULES) for name in self.names)))
        self.enter(RulesLoaded(digest(data), data))
        self.enter(VenueLinked("bench", True))
        for listed in LISTED:
            self.enter(InstrumentListed(listed))
            self.enter(Quote(listed.id, 20_000, 20_001, 20_000, self.now))
        for name in self.names:
            self.enter(AccountReported(name, True, 50_000 * MICRO, "USD", self.now))
            self.enter(Reconciled(name, 0, True))
            self._open(name)

    def _open(self, name: str) -> None:
        """Every account holds one position with its stop."""
        held = self.random.choice(LISTED).id
        stop = OrderReported(
            name, f"s-{name}", held, -1, "stop", 2, 2, "working", 1, self.now, stop_price=1
        )
        self.enter(stop)
        self.enter(PositionReported(name, held, 2, 20_000 * MICRO, self.now, self.now))

    def enter(self, fact: AnyFact) -> None:
        self.position += 1
        decisions = self.engine.apply(self.position, self.now, fact)
        self.position += len(decisions)
        for decision in decisions:
            if isinstance(decision, CommandIssued):
                self.enter(
                    CommandConcluded(
                        decision.account, decision.key, "confirmed", "", 1, 3, 0, 0, 0, self.now
                    )
                )

    def facts(self, count: int) -> Iterator[tuple[int, AnyFact]]:
        """Times and facts: 70 % prices, the rest orders, fills and position rows."""
        for number in range(count):
            self.now += 500
            name, listed = self.random.choice(self.names), self.random.choice(LISTED).id
            drawn = self.random.random()
            if drawn < 0.7:
                bid = 20_000 + self.random.randrange(-20, 20)
                yield self.now, Quote(listed, bid, bid + 1, bid, self.now)
            elif drawn < 0.9:
                yield self.now, self._order(name, listed, number)
            elif drawn < 0.95:
                held = next(iter(self.engine.world.accounts[name].positions))
                yield self.now, PositionReported(name, held, 2, 20_000 * MICRO, self.now, START)
            else:
                held = next(iter(self.engine.world.accounts[name].positions))
                yield (
                    self.now,
                    TradeReported(
                        name, f"t{number}", f"o{number}", held, 1, 1, 20_000, None, 1, 1, START
                    ),
                )

    def _order(self, name: str, listed: str, number: int) -> OrderReported:
        """An order that comes to rest, or the end of the account's last one."""
        resting = self.resting.pop(name, None)
        if resting is None:
            self.resting[name] = (f"o{number}", listed)
            return OrderReported(
                name, f"o{number}", listed, 1, "limit", 1, 1, "working", number, self.now, 19_000
            )
        order_id, listed = resting
        return OrderReported(
            name, order_id, listed, 1, "limit", 1, 0, "filled", number, self.now, 19_000
        )
