"""What an operator of the simulated venue, or a drill, may do to it over its socket."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import msgspec

from portcullis.domain.events import AccountReported, PositionReported, Quote
from portcullis.domain.model import OrderRequest
from portcullis.venues.simulated.exchange import Exchange
from portcullis.venues.simulated.faults import Fault, FaultKind, FaultPlan, Injected
from portcullis.venues.simulated.terms import JournalEntry
from portcullis.venues.simulated.wire import Call, Nothing, OfAccount


class _Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of a control act; unknown ones are refused."""


class CanTrade(_Arguments, frozen=True):
    account: str
    can_trade: bool | None


class RefuseClose(_Arguments, frozen=True):
    account: str
    refuse: bool = True


class OfInstrument(_Arguments, frozen=True):
    instrument: str


class Void(_Arguments, frozen=True):
    account: str
    trade_id: str


class Rates(_Arguments, frozen=True):
    """Probabilities by kind of fault; null leaves what is set."""

    call: dict[FaultKind, float] | None = None
    event: dict[FaultKind, float] | None = None


class Since(_Arguments, frozen=True):
    """Journal entries after this time (microseconds)."""

    at: int = 0


class Status(msgspec.Struct, frozen=True):
    """The venue at a glance. `faults` counts what was injected, by kind."""

    accounts: list[AccountReported]
    positions: list[PositionReported]
    quotes: list[Quote]
    live_orders: int
    journal: int
    faults: dict[str, int]


class Control(NamedTuple):
    """The exchange and its fault plan, as the acts take them."""

    exchange: Exchange
    plan: FaultPlan


def _status(on: Control, _: Nothing) -> Status:
    accounts = on.exchange.accounts()
    names = [account.account for account in accounts]
    return Status(
        accounts=accounts,
        positions=[p for name in names for p in on.exchange.positions(name)],
        quotes=on.exchange.quotes(),
        live_orders=sum(len(on.exchange.orders(name)) for name in names),
        journal=len(on.exchange.journal),
        faults=dict(Counter(done.kind for done in on.plan.record)),
    )


def _journal(on: Control, since: Since) -> list[JournalEntry]:
    return [entry for entry in on.exchange.journal if entry.at > since.at]


def _record(on: Control, _: Nothing) -> list[Injected]:
    return list(on.plan.record)


ACTS: dict[str, Call] = {
    "status": Call(Nothing, _status),
    "journal": Call(Since, _journal),
    "record": Call(Nothing, _record),
    "quote": Call(Quote, lambda on, quote: on.exchange.on_quote(quote)),
    "order": Call(OrderRequest, lambda on, order: on.exchange.place_order(order)),
    "can_trade": Call(CanTrade, lambda on, a: on.exchange.set_can_trade(a.account, a.can_trade)),
    "refuse_close": Call(RefuseClose, lambda on, a: on.exchange.refuse_close(a.account, a.refuse)),
    "halt": Call(OfInstrument, lambda on, a: on.exchange.halt(a.instrument)),
    "resume": Call(OfInstrument, lambda on, a: on.exchange.resume(a.instrument)),
    "liquidate": Call(OfAccount, lambda on, a: on.exchange.liquidate(a.account)),
    "void": Call(Void, lambda on, a: on.exchange.void_trade(a.account, a.trade_id)),
    "fault": Call(Fault, lambda on, fault: on.plan.add(fault)),
    "rates": Call(Rates, lambda on, rates: on.plan.set_rates(rates.call, rates.event)),
    "heal": Call(Nothing, lambda on, _: on.plan.heal()),
}
