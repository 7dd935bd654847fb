"""Events: what happened (facts) and what was decided (decisions), as the ledger keeps them.

State is the fold of the facts; decisions are the engine's answers, recorded beside the facts that
caused them, so that a replay can be compared with what was decided at the time. Each event is
encoded once (msgpack, tagged with its kind) and stored and hashed as the same bytes. Fields may
be added with a default; a change of meaning is a new kind.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, get_args

import msgspec

from portcullis.domain.commands import Command
from portcullis.domain.model import (
    Instrument,
    Lock,
    OrderRequest,
    OrderStatus,
    OrderType,
    Reason,
    StrategyState,
    Verdict,
)

SCHEMA_VERSION = 1
SYSTEM = "system"
MARKET = "market"


def account_stream(account: str) -> str:
    """Name of an account's stream in the ledger."""
    return f"account/{account}"


class Fact(msgspec.Struct, frozen=True, tag_field="kind", tag=str.lower):
    """Something that happened. Facts alone make the state."""

    is_fact: ClassVar[bool] = True


class Decision(msgspec.Struct, frozen=True, tag_field="kind", tag=str.lower):
    """Something the engine decided because of a fact."""

    is_fact: ClassVar[bool] = False


# --- facts of the venue -----------------------------------------------------------------------


class InstrumentListed(Fact, frozen=True, tag="instrument_listed"):
    instrument: Instrument


class Quote(Fact, frozen=True, tag="quote"):
    """Best prices in ticks; None where a side is missing. `quoted_at` is the venue's time."""

    instrument: str
    bid: int | None
    ask: int | None
    last: int | None
    quoted_at: int


class AccountReported(Fact, frozen=True, tag="account_reported"):
    """`can_trade` is None when the venue did not say, which is not yes."""

    account: str
    can_trade: bool | None
    balance: int
    currency: str
    reported_at: int


class PositionReported(Fact, frozen=True, tag="position_reported"):
    """The venue's own row: signed size (0 = closed), average price in micro-ticks.

    `as_of` is the venue's time of the row: trades executed after it are not yet in it.
    """

    account: str
    instrument: str
    size: int
    average: int
    as_of: int
    opened_at: int = 0


class OrderReported(Fact, frozen=True, tag="order_reported"):
    """An order in the venue's own status. `remaining` is what may still fill.

    `parent` is the id of the order whose fill wakes this bracket child. `version` grows with
    every change of the order at the venue; an older report never overwrites a newer one.
    """

    account: str
    order_id: str
    instrument: str
    side: int
    type: OrderType
    size: int
    remaining: int
    status: OrderStatus
    version: int
    reported_at: int
    limit_price: int | None = None
    stop_price: int | None = None
    trail: int | None = None
    parent: str | None = None
    key: str = ""


class OrderGone(Fact, frozen=True, tag="order_gone"):
    """The venue's list of live orders no longer has this one; how it ended is not known."""

    account: str
    order_id: str


class TradeReported(Fact, frozen=True, tag="trade_reported"):
    """One fill. `gross` is the realized profit or loss before costs, None on opening fills."""

    account: str
    trade_id: str
    order_id: str
    instrument: str
    side: int
    size: int
    price: int
    gross: int | None
    fees: int
    commission: int
    executed_at: int
    voided: bool = False
    key: str = ""


class VenueLinked(Fact, frozen=True, tag="venue_linked"):
    venue: str
    connected: bool
    reason: str = ""


class AuthorizationLost(Fact, frozen=True, tag="authorization_lost"):
    """The venue no longer accepts us: none of its accounts can be traded through this worker."""

    venue: str
    detail: str


class Reconciled(Fact, frozen=True, tag="reconciled"):
    """The account was compared with the venue's records; differences were entered before this.

    `missed` counts fills among them that the venue's stream should have told and did not.
    """

    account: str
    differences: int
    ok: bool
    detail: str = ""
    missed: int = 0


class DataFault(Fact, frozen=True, tag="data_fault"):
    """Data that must not be used: a price off its tick, out of order, not positive."""

    source: str
    instrument: str | None
    detail: str


# --- facts of this system ---------------------------------------------------------------------


class LedgerCreated(Fact, frozen=True, tag="ledger_created"):
    ledger: str
    version: str


class WorkerStarted(Fact, frozen=True, tag="worker_started"):
    """`clean` says whether the run before ended by a drained stop."""

    version: str
    pid: int
    clean: bool


class WorkerStopped(Fact, frozen=True, tag="worker_stopped"):
    reason: str


class WorkerFailed(Fact, frozen=True, tag="worker_failed"):
    """The run before this one ended by an error it could not deal with; entered at the start."""

    what: str


class LedgerRestored(Fact, frozen=True, tag="ledger_restored"):
    """The ledger was restored from a backup, up to `position`, by a person who said why."""

    backup: str
    position: int
    by: str
    reason: str


class LedgerRetired(Fact, frozen=True, tag="ledger_retired"):
    """Events up to `position` are in the archive alone; not `ok`: nothing was retired, and why."""

    position: int
    ok: bool
    detail: str = ""


class HostStated(Fact, frozen=True, tag="host_stated"):
    """A person states that enforcement may run on this machine, whatever it looks like."""

    looks_like: str
    statement: str


class RulesLoaded(Fact, frozen=True, tag="rules_loaded"):
    """The whole effective configuration, so that a replay needs nothing but the ledger.

    `plan` is the msgpack of `portcullis.domain.plan.Plan`; `difference` is what changed, in words.
    """

    digest: str
    plan: bytes
    difference: tuple[str, ...] = ()


class LooseningHeld(Fact, frozen=True, tag="loosening_held"):
    """Looser settings were asked for and wait; the ones that were stricter are in force already.

    `plan` as in `RulesLoaded`; `held` is what waits, in words.
    """

    digest: str
    plan: bytes
    by: str
    reason: str
    held: tuple[str, ...]


class LooseningDropped(Fact, frozen=True, tag="loosening_dropped"):
    """What waited will not come into force; `why` in words."""

    digest: str
    why: str


class TimePassed(Fact, frozen=True, tag="time_passed"):
    """A deadline was reached and nothing else happened."""


class ClockStepped(Fact, frozen=True, tag="clock_stepped"):
    """The wall clock moved against the monotonic one by `by` microseconds."""

    by: int


class BoundReached(Fact, frozen=True, tag="bound_reached"):
    """A written-down bound was reached (queue, retries, rate)."""

    bound: str
    limit: int
    detail: str


class VerdictRecorded(Fact, frozen=True, tag="verdict_recorded"):
    verdict: Verdict


class RequestReceived(Fact, frozen=True, tag="request_received"):
    """A request of a person or a program, taken once from the inbox.

    `verb` is one of lock, release, flatten, observe, open, shutdown, reload, approve, withdraw,
    enrol, dismiss, retire, strategy, or one about alerts (`portcullis.domain.alert_requests`).
    """

    request_id: str
    verb: str
    by: str
    role: Literal["readonly", "operator", "admin"]
    reason: str
    account: str | None = None
    arguments: dict[str, Any] = {}


class ProposalReceived(Fact, frozen=True, tag="proposal_received"):
    """An order proposed to the gate. `submit` asks the worker to send it when approved.

    `strategy` is the strategy it is for; empty: none is named.
    """

    proposal_id: str
    agent: str
    order: OrderRequest
    submit: bool = False
    strategy: str = ""


class CommandSent(Fact, frozen=True, tag="command_sent"):
    """The first request of a command left for the venue (`attempt` counts from 1)."""

    account: str
    key: str
    attempt: int


class CommandConcluded(Fact, frozen=True, tag="command_concluded"):
    """How a command ended. `confirmed` means the venue's own records showed the effect, twice.

    `detected_at` … `confirmed_at` are the times of N9; `round_trips` counts venue calls.
    """

    account: str
    key: str
    outcome: Literal["confirmed", "refused", "unconfirmed", "superseded"]
    detail: str
    attempts: int
    round_trips: int
    detected_at: int
    durable_at: int
    sent_at: int
    confirmed_at: int


# --- decisions --------------------------------------------------------------------------------


class BreachFound(Decision, frozen=True, tag="breach_found"):
    account: str
    rule: str
    code: str
    instrument: str | None
    reason: Reason


class AutomationPlanned(Decision, frozen=True, tag="automation_planned"):
    """What a rule does for the trader (a stop placed, moved, withdrawn), and why."""

    account: str
    rule: str
    code: str
    instrument: str
    reason: Reason


class CommandIssued(Decision, frozen=True, tag="command_issued"):
    """A command for the outbox; `rules` are the breached rules it answers."""

    account: str
    key: str
    command: Command
    rules: tuple[str, ...]
    detected_at: int


class LockSet(Decision, frozen=True, tag="lock_set"):
    account: str
    lock: Lock


class LockEnded(Decision, frozen=True, tag="lock_ended"):
    """`how` is expired, session, released, config or venue."""

    account: str
    lock_id: int
    rule: str
    how: str
    by: str = ""
    reason: str = ""


class DayRolled(Decision, frozen=True, tag="day_rolled"):
    """An account's trading day ended. Money in micro-units."""

    account: str
    day: str
    realized: int
    balance: int
    trades: int


class ModeChanged(Decision, frozen=True, tag="mode_changed"):
    before: str
    after: str
    why: str
    evidence: tuple[str, ...] = ()
    by: str = ""


class StrategyMoved(Decision, frozen=True, tag="strategy_moved"):
    """A strategy came to another state; `before` is empty where the configuration made it."""

    strategy: str
    before: StrategyState | Literal[""]
    after: StrategyState
    by: str
    reason: str


class ProposalAnswered(Decision, frozen=True, tag="proposal_answered"):
    proposal_id: str
    account: str
    approved: bool
    reasons: tuple[Reason, ...]
    largest_allowed: int
    lane: Literal["entry", "exit"]
    mode: str


class RequestAnswered(Decision, frozen=True, tag="request_answered"):
    request_id: str
    outcome: Literal["done", "refused"]
    detail: str


class AlertRaised(Decision, frozen=True, tag="alert_raised"):
    """Something a person must know; `remedy` says what to do now."""

    alert: str
    severity: Literal["critical", "warning", "info"]
    account: str | None
    message: str
    remedy: str


AnyFact = (
    InstrumentListed
    | Quote
    | AccountReported
    | PositionReported
    | OrderReported
    | OrderGone
    | TradeReported
    | VenueLinked
    | AuthorizationLost
    | Reconciled
    | DataFault
    | LedgerCreated
    | WorkerStarted
    | WorkerStopped
    | WorkerFailed
    | HostStated
    | LedgerRestored
    | LedgerRetired
    | RulesLoaded
    | LooseningHeld
    | LooseningDropped
    | TimePassed
    | ClockStepped
    | BoundReached
    | VerdictRecorded
    | RequestReceived
    | ProposalReceived
    | CommandSent
    | CommandConcluded
)
AnyDecision = (
    BreachFound
    | AutomationPlanned
    | CommandIssued
    | LockSet
    | LockEnded
    | DayRolled
    | ModeChanged
    | StrategyMoved
    | ProposalAnswered
    | RequestAnswered
    | AlertRaised
)
Event = AnyFact | AnyDecision

KINDS: frozenset[str] = frozenset(
    str(event.__struct_config__.tag) for event in get_args(AnyFact) + get_args(AnyDecision)
)
"""The kinds of all events."""

FACT_KINDS: frozenset[str] = frozenset(
    str(fact.__struct_config__.tag) for fact in get_args(AnyFact)
)

_encoder = msgspec.msgpack.Encoder(order="deterministic")
_decoder: msgspec.msgpack.Decoder[Event] = msgspec.msgpack.Decoder(Event)


def encode(event: Event) -> bytes:
    """The bytes that are stored and hashed."""
    return _encoder.encode(event)


def decode(payload: bytes) -> Event:
    """The event of stored bytes; raises msgspec.DecodeError or ValidationError when not one."""
    return _decoder.decode(payload)


def kind_of(event: Event) -> str:
    """The event's kind, as stored."""
    return str(event.__struct_config__.tag)


_OF_THE_MARKET = (Quote, InstrumentListed)


def stream_of(event: Event) -> str:
    """The stream an event belongs to: its account's, the market's, or the system's."""
    if isinstance(event, _OF_THE_MARKET):
        return MARKET
    if isinstance(event, ProposalReceived):
        return account_stream(event.order.account)
    account = getattr(event, "account", None)
    return account_stream(account) if account else SYSTEM
