"""An engine with one account on it, fed with facts by hand."""

from __future__ import annotations

from typing import Any

from portcullis.domain.engine import Engine
from portcullis.domain.events import (
    AccountReported,
    AnyFact,
    BreachFound,
    CommandConcluded,
    CommandIssued,
    InstrumentListed,
    LedgerCreated,
    LockEnded,
    LockSet,
    OrderReported,
    PositionReported,
    ProposalAnswered,
    ProposalReceived,
    Quote,
    Reconciled,
    RequestReceived,
    RulesLoaded,
    TimePassed,
    TradeReported,
    VenueLinked,
    VerdictRecorded,
    WorkerStarted,
)
from portcullis.domain.model import BUY, MICRO, SECOND, SELL, OrderRequest, Verdict
from portcullis.domain.plan import AccountPlan, Plan, Requirement, digest, encode_plan
from portcullis.domain.state import AccountState
from portcullis.venues.simulated.contracts import instrument

# Tuesday 2026-03-03 15:00 UTC: 09:00 in Chicago.
START = 1_772_550_000 * MICRO
USD = MICRO
LISTED = {ticker: instrument(ticker) for ticker in ("ES", "MES", "NQ", "MNQ", "CL")}


class Desk:
    """Facts go in by short verbs; every decision is kept in `out`."""

    def __init__(
        self, *rules: Any, required: tuple[Requirement, ...] = (), at: int = START, **plan: Any
    ) -> None:
        self.engine = Engine()
        self.now = at
        self.position = 0
        self.out: list[Any] = []
        self.facts: list[tuple[int, int, AnyFact]] = []
        self.numbers = 0
        self.plan = Plan((AccountPlan("A", rules, **plan),), required=required)
        self.do(LedgerCreated("L", "test"))
        self.do(WorkerStarted("test", 0, True))
        self.load(self.plan)
        for listed in LISTED.values():
            self.do(InstrumentListed(listed))
        self.do(VenueLinked("sim", True))
        self.do(AccountReported("A", True, 50_000 * USD, "USD", at))
        self.do(Reconciled("A", 0, True))
        self.out.clear()

    def load(self, plan: Plan) -> list[Any]:
        data = encode_plan(plan)
        return self.do(RulesLoaded(digest(data), data))

    def do(self, fact: AnyFact) -> list[Any]:
        self.position += 1
        self.facts.append((self.position, self.now, fact))
        decisions = list(self.engine.apply(self.position, self.now, fact))
        self.position += len(decisions)
        self.out += decisions
        return decisions

    def wait(self, us: int) -> list[Any]:
        """Let time pass, stopping at every deadline on the way, as the worker does."""
        end, found = self.now + us, []
        while (due := self.engine.next_deadline()) is not None and due <= end:
            self.now = max(self.now, due)
            found += self.do(TimePassed())
        self.now = end
        return found + self.do(TimePassed())

    @property
    def account(self) -> AccountState:
        return self.engine.state.accounts["A"]

    # --- the venue says ---------------------------------------------------------------------

    def quote(
        self, ticker: str, bid: int, ask: int | None = None, last: int | None = None
    ) -> list[Any]:
        """A quote; ask and last trade are at the bid where they are not given."""
        ask, last = (bid if price is None else price for price in (ask, last))
        return self.do(Quote(LISTED[ticker].id, bid, ask, last, self.now))

    def holds(
        self, ticker: str, size: int, price: int = 20_000, opened_at: int | None = None
    ) -> list[Any]:
        self.now += 1
        opened = self.now if opened_at is None else opened_at
        return self.do(
            PositionReported("A", LISTED[ticker].id, size, price * MICRO, self.now, opened)
        )

    def trade(
        self,
        net: int | None,
        order: str | None = None,
        *,
        at: int | None = None,
        trade_id: str | None = None,
        voided: bool = False,
        fees: int = 0,
        ticker: str = "ES",
    ) -> list[Any]:
        """A fill whose position row is known already; `net` before `fees`, None when opening."""
        self.numbers += 1
        self.now += 1
        executed = self.now if at is None else at
        fact = TradeReported(
            "A",
            trade_id or f"t{self.numbers}",
            order or f"o{self.numbers}",
            LISTED[ticker].id,
            SELL,
            1,
            20_000,
            net,
            fees,
            0,
            executed,
            voided,
        )
        row = self.account.rows.get(fact.instrument)
        if row is None or row.as_of < executed:
            size = self.account.positions.get(fact.instrument)
            held = size.size if size else 0
            self.do(PositionReported("A", fact.instrument, held, 20_000 * MICRO, executed))
        return self.do(fact)

    def order(
        self,
        ticker: str,
        side: int,
        size: int,
        kind: str = "limit",
        *,
        price: int = 19_000,
        order_id: str | None = None,
        status: str = "working",
        version: int = 1,
        parent: str | None = None,
        remaining: int | None = None,
    ) -> list[Any]:
        self.numbers += 1
        stop = price if kind in ("stop", "stop_limit", "trailing") else None
        return self.do(
            OrderReported(
                "A",
                order_id or f"o{self.numbers}",
                LISTED[ticker].id,
                side,
                kind,
                size,
                size if remaining is None else remaining,  # type: ignore[arg-type]
                status,
                version,
                self.now,
                None if stop else price,
                stop,
                parent=parent,  # type: ignore[arg-type]
            )
        )

    def allows(self, can_trade: bool | None, balance: int = 50_000 * USD) -> list[Any]:
        return self.do(AccountReported("A", can_trade, balance, "USD", self.now))

    # --- people and programs say ------------------------------------------------------------

    def propose(
        self, ticker: str, side: int, size: int, kind: str = "market", **more: Any
    ) -> ProposalAnswered:
        self.numbers += 1
        instrument_id = LISTED[ticker].id if ticker in LISTED else ticker
        order = OrderRequest(more.pop("account", "A"), instrument_id, side, size, kind, **more)  # type: ignore[arg-type]
        decisions = self.do(ProposalReceived(f"p{self.numbers}", "test", order))
        return next(d for d in decisions if isinstance(d, ProposalAnswered))

    def ask(self, verb: str, role: str = "admin", reason: str = "test", **arguments: Any) -> Any:
        self.numbers += 1
        decisions = self.do(
            RequestReceived(
                f"r{self.numbers}",
                verb,
                "me",
                role,
                reason,  # type: ignore[arg-type]
                "A",
                arguments,
            )
        )
        return decisions[-1] if decisions else None

    def verdict(self, name: str, passed: bool = True, lasts: int = 60 * SECOND) -> list[Any]:
        return self.do(
            VerdictRecorded(Verdict(name, passed, self.now, self.now + lasts, "said", "run-1"))
        )

    def confirm(self, outcome: str = "confirmed") -> list[Any]:
        """Every pending command ends with this outcome."""
        found: list[Any] = []
        for key in list(self.account.pending):
            found += self.do(CommandConcluded("A", key, outcome, "", 1, 3, 0, 0, 0, self.now))  # type: ignore[arg-type]
        return found

    # --- what came out ----------------------------------------------------------------------

    def breaches(self, rule: str | None = None) -> list[BreachFound]:
        return [d for d in self.out if isinstance(d, BreachFound) and rule in (None, d.rule)]

    def commands(self) -> list[Any]:
        return [d.command for d in self.out if isinstance(d, CommandIssued)]

    def locks_set(self) -> list[Any]:
        return [d.lock for d in self.out if isinstance(d, LockSet)]

    def locks_ended(self) -> list[LockEnded]:
        return [d for d in self.out if isinstance(d, LockEnded)]


__all__ = ["BUY", "LISTED", "SELL", "START", "USD", "Desk"]
