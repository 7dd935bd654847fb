"""State: what the facts so far amount to. Every rule's memory lives here, nowhere else.

Mutable, slotted, and encoded whole as a snapshot. The engine is its only writer.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from portcullis.domain.commands import Command
from portcullis.domain.events import OrderReported, Quote
from portcullis.domain.model import Instrument, Lock, StrategyState, Verdict
from portcullis.domain.session import TradingDay

STATE_VERSION = 8
Mode = Literal["STARTING", "ACTIVE", "OBSERVE_ONLY", "SHUTDOWN"]


class Position(msgspec.Struct):
    """A position with its running mark. Average in micro-ticks, mark in ticks, P&L in micros.

    `peak_pnl` is the best open profit since it opened, `best` the best mark for the holder.
    `naked_since` is when it last began to be without a covering stop, None while covered.
    """

    instrument: str
    size: int
    average: int
    as_of: int
    opened_at: int
    mark: int | None = None
    marked_at: int = 0
    pnl: int = 0
    peak_pnl: int = 0
    best: int | None = None
    naked_since: int | None = None
    watched: bool = False


class LaterFill(msgspec.Struct):
    """A fill that the venue's position row does not contain yet."""

    executed_at: int
    trade_id: str
    side: int
    size: int
    price: int
    closing: bool = False


class Row(msgspec.Struct):
    """The venue's newest position row of an instrument, and the fills executed after it."""

    size: int = 0
    average: int = 0
    as_of: int = 0
    opened_at: int = 0
    later: list[LaterFill] = []


class Fill(msgspec.Struct):
    """A fill as it counts for the day. `net` is gross less fees and commission."""

    order_id: str
    net: int
    executed_at: int
    closing: bool
    voided: bool


class Exit(msgspec.Struct):
    """What the fills of one order came to: one trade for the loss and frequency rules."""

    first_at: int
    net: int
    closing: bool
    fills: int


class Pending(msgspec.Struct):
    """A command without an outcome."""

    key: str
    command: Command
    rules: tuple[str, ...]
    issued_at: int


class Reservation(msgspec.Struct):
    """Room held for an approved proposal until its order shows up or the time is over."""

    proposal_id: str
    instrument: str
    side: int
    size: int
    until: int


class OpenBreach(msgspec.Struct):
    """A breach that has been acted on and still stands."""

    rule: str
    measure: int
    since: int
    lock_ids: tuple[int, ...] = ()
    commands: tuple[str, ...] = ()
    level: bool = True


class AccountState(msgspec.Struct):
    """One account, folded.

    `entries` are the first fills of the last hour's trades, in order of time, and `entered` the
    same by order; `newest_exit` is the order whose fill was counted last; `kept` are the sizes a
    lock leaves in place, by lock id; `failures` and `stop_failures` count commands that failed in a
    row, what protects the account and the automation's apart; `missed_fills` are those of the day
    that the venue's stream lost and a comparison found; `pool` is the pool it belongs to, or empty.
    """

    id: str
    day: TradingDay
    can_trade: bool | None = None
    reported: bool = False
    reported_at: int = 0
    reconciled_at: int = 0
    balance: int = 0
    currency: str = "USD"
    opening_balance: int | None = None
    realized: int = 0
    high: int | None = None
    positions: dict[str, Position] = {}
    orders: dict[str, OrderReported] = {}
    ended_orders: dict[str, int] = {}
    fills: dict[str, Fill] = {}
    early_fills: dict[str, Fill] = {}
    exits: dict[str, Exit] = {}
    entries: list[int] = []
    entered: dict[str, int] = {}
    newest_exit: str = ""
    past_fills: dict[str, int] = {}
    rows: dict[str, Row] = {}
    balance_gap: int = 0
    open_pnl: int = 0
    peak_open: int = 0
    locks: dict[int, Lock] = {}
    kept: dict[int, dict[str, int]] = {}
    next_lock: int = 1
    next_command: int = 1
    pending: dict[str, Pending] = {}
    breaches: dict[str, OpenBreach] = {}
    reservations: dict[str, Reservation] = {}
    unjudged: dict[str, str] = {}
    refused: list[str] = []
    retry_at: int | None = None
    recent_commands: list[int] = []
    recent_automation: list[int] = []
    taken_up: dict[str, int] = {}
    is_paced: bool = False
    failures: int = 0
    stop_failures: int = 0
    failed_compares: int = 0
    missed_fills: int = 0
    last_stop_change: dict[str, int] = {}
    pool: str = ""

    def equity(self) -> int | None:
        """Balance at the day's start + the day's net realized + open profit; None if unknown."""
        if self.opening_balance is None:
            return None
        return self.opening_balance + self.realized + self.open_pnl

    def standing(self, rule: str, instrument: str | None = None) -> list[str]:
        """Ids of a rule's open breaches that end with their condition, in one instrument or all."""
        start = f"{rule}|" if instrument is None else f"{rule}|{instrument}|"
        return [
            key for key, breach in self.breaches.items() if breach.level and key.startswith(start)
        ]

    def is_locked(self, instrument: str | None = None) -> bool:
        """Whether the account, or this instrument of it, is locked."""
        return any(
            lock.instrument is None or lock.instrument == instrument for lock in self.locks.values()
        )


class CountedTrade(msgspec.Struct):
    """A trade as a pool counted it: `net` in micro-units, zero once voided."""

    net: int
    executed_at: int
    voided: bool


class PoolMember(msgspec.Struct):
    """An account in its pool's book: what it came with, realized since, and what moved in or out
    that is no trade, micro-units; and the trades counted since its trading day began.
    """

    brought: int
    result: int = 0
    moved: int = 0
    counted: dict[str, CountedTrade] = {}


class Pool(msgspec.Struct):
    """A pool's own book. `brought`, `result` and `moved` are kept up fact by fact, apart from what
    the accounts say, so that both can be compared. Money in micro-units of `currency`.
    """

    name: str
    currency: str = "USD"
    capital: int = 0
    allocated: dict[str, int] = {}
    members: dict[str, PoolMember] = {}
    brought: int = 0
    result: int = 0
    moved: int = 0


class Strategy(msgspec.Struct):
    """A strategy's present state, since when, how many moves led there, and what the plan in force
    says of it; `planned` is False where that no longer names it.
    """

    name: str
    state: StrategyState
    since: int
    moves: int = 1
    planned: bool = True
    accounts: tuple[str, ...] = ()
    pool: str = ""
    probation_contracts: int = 1


class Loosening(msgspec.Struct):
    """A plan of which the looser settings wait: for a session of each account that began after it
    was asked for, or for the approver who has agreed to it.
    """

    plan: bytes
    digest: str
    by: str
    reason: str
    asked_at: int
    approved_by: str = ""


class Approver(msgspec.Struct):
    """A second person, who may agree to what an administrator has asked for. `key`: the public half
    of an Ed25519 key, base64.
    """

    key: str
    enrolled_at: int
    enrolled_by: str


class SystemState(msgspec.Struct):
    """Mode, evidence and the connections. `resumes` is the mode that STARTING leads to.

    `passed_at` is when each evidence was last found good.
    """

    ledger: str = ""
    mode: Mode = "STARTING"
    why: str = ""
    resumes: Mode = "ACTIVE"
    started_at: int = 0
    verdicts: dict[str, Verdict] = {}
    passed_at: dict[str, int] = {}
    venues: dict[str, bool] = {}
    venue_since: dict[str, int] = {}
    venue_reasons: dict[str, str] = {}
    answered: dict[str, int] = {}
    proposals: dict[str, int] = {}
    loosening: Loosening | None = None
    approvers: dict[str, Approver] = {}


class State(msgspec.Struct):
    """Everything: the fold of all facts up to and including `position`."""

    now: int = 0
    position: int = 0
    system: SystemState = msgspec.field(default_factory=SystemState)
    instruments: dict[str, Instrument] = {}
    quotes: dict[str, Quote] = {}
    accounts: dict[str, AccountState] = {}
    pools: dict[str, Pool] = {}
    strategies: dict[str, Strategy] = {}
    plan: bytes = b""
    plan_digest: str = ""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(State)


def freeze(state: State) -> bytes:
    """The state as bytes. The same facts give the same bytes: entries stand in order of entry."""
    return _encoder.encode(state)


def thaw(data: bytes) -> State:
    """The state of a snapshot's bytes."""
    return _decoder.decode(data)
