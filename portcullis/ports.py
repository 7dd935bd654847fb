"""The ports: what the worker needs from the outside, as protocols.

Every port has one conformance suite that each implementation passes (`tests/conformance`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Literal, NamedTuple, Protocol

import msgspec

from portcullis.domain.events import (
    AccountReported,
    DataFault,
    Event,
    InstrumentListed,
    OrderReported,
    PositionReported,
    Quote,
    TradeReported,
)
from portcullis.domain.model import Instrument, OrderRequest

VenueEvent = (
    InstrumentListed
    | Quote
    | AccountReported
    | PositionReported
    | OrderReported
    | TradeReported
    | DataFault
)


class VenueCapabilities(msgspec.Struct, frozen=True):
    """What an adapter's venue can do.

    `deduplicates`: how far the venue itself refuses a second request with the same key: never,
    for `window` microseconds, or for good. `reads_a_minute`: how many reads its limits of requests
    leave for comparisons; None where there is no limit. `reads_unlinked`: whether records can be
    read while the stream is broken.
    """

    deduplicates: Literal["never", "window", "always"]
    window: int = 0
    partial_close: bool = True
    finds_by_key: bool = True
    reads_a_minute: int | None = None
    reads_unlinked: bool = False


class VenueRecords(Protocol):
    """What a venue tells when it is asked. An account's records are the truth.

    Calls raise `VenueUnreachable` (nothing was sent), `VenueTimeout` (outcome unknown) or
    `VenueRefused` (the venue said no). An empty list is an answer; a failed read raises.
    """

    name: str
    capabilities: VenueCapabilities

    async def instruments(self) -> list[Instrument]: ...

    async def accounts(self) -> list[AccountReported]: ...

    async def positions(self, account: str) -> list[PositionReported]:
        """Every open position (size not 0)."""

    async def orders(self, account: str) -> list[OrderReported]:
        """Every order that may still fill: working, pending and suspended."""

    async def trades(self, account: str, since: int) -> list[TradeReported]:
        """Every fill at or after `since`, voided ones included, oldest first."""

    async def quotes(self) -> list[Quote]:
        """The newest quote of every instrument that has one."""

    async def order_by_key(self, account: str, key: str) -> OrderReported | None:
        """The order that carries an idempotency key, whatever its status."""


class VenueCalls(VenueRecords, Protocol):
    """Everything that may be asked of a venue; the only way to an order."""

    async def close_position(self, account: str, instrument: str, key: str) -> None:
        """Close whatever is there at the moment the venue acts; nothing there is success."""

    async def reduce_position(self, account: str, instrument: str, size: int, key: str) -> None:
        """Close `size` contracts of the position; more than there is, is refused."""

    async def cancel_order(self, account: str, order_id: str) -> None:
        """Cancel; an order that is no longer live is success."""

    async def place_order(self, order: OrderRequest) -> str:
        """Send an order; the answer is the venue's order id."""

    async def modify_order(
        self, account: str, order_id: str, *, stop_price: int | None, size: int | None
    ) -> None:
        """Change a working order's stop price (ticks) or size."""


class ObservedVenue(VenueRecords, Protocol):
    """A venue to look at, with a connection to it. The stream is a hint."""

    async def connect(self) -> None:
        """Open the connection and authorize."""

    async def close(self) -> None:
        """Let go of every resource; safe to call twice."""

    async def hang_up(self) -> None:
        """Let go of the stream after it ended; where the venue can still be asked without it,
        calls go on working. Safe to call twice.
        """

    def stream(self) -> AsyncIterator[VenueEvent]:
        """What the venue pushes. Raises `VenueUnreachable` when the stream ends."""


class Venue(VenueCalls, ObservedVenue, Protocol):
    """A place where accounts trade, with a connection to it."""

    def for_protection(self) -> VenueCalls:
        """The same venue, for calls that protect an account: they may use what the venue's limits
        of requests leave, where every other call stops earlier.
        """


LEDGER_HEADER = "Portcullis-Ledger"
"""Names the ledger whose worker gave an answer of the gate."""


class Entry(NamedTuple):
    """An event on its way into the ledger."""

    stream: str
    at: int
    trace: str
    event: Event


class StoredEvent(NamedTuple):
    """A row of the ledger. `position` is global, `seq` counts within the stream; both from 1."""

    position: int
    stream: str
    seq: int
    at: int
    kind: str
    version: int
    trace: str
    payload: bytes
    previous: bytes
    hash: bytes


class Head(NamedTuple):
    """The end of the ledger: number of events and RFC 6962 root over their hashes."""

    position: int
    root: bytes


class Snapshot(NamedTuple):
    """The folded state after the event at `position`."""

    position: int
    taken_at: int
    version: int
    state: bytes


class PendingCommand(NamedTuple):
    """A row of the outbox that has no outcome yet."""

    key: str
    account: str
    position: int


class Records(Protocol):
    """What a fold needs of a ledger: reading it."""

    def head(self) -> Head: ...

    def beginning(self) -> Snapshot | None:
        """The state that the ledger begins with, where older events are in the archive."""

    def read(
        self, *, after: int = 0, through: int | None = None, stream: str | None = None
    ) -> Iterator[StoredEvent]: ...

    def latest_snapshot(self) -> Snapshot | None: ...


class Ledger(Protocol):
    """The append-only record. One writer; `append` returns when the entries are durable."""

    def head(self) -> Head: ...

    def last_at(self) -> int:
        """Time of the newest event, 0 when there is none."""

    def append(self, entries: Sequence[Entry]) -> Head:
        """Chain, store and sync the entries in one transaction; all of them or none.

        A `CommandIssued` also opens its outbox row and a `CommandConcluded` closes it, in the
        same transaction. Raises `StoreError` when it could not be made durable.
        """

    def read(
        self, *, after: int = 0, through: int | None = None, stream: str | None = None
    ) -> Iterator[StoredEvent]:
        """Events in order of position, `after` excluded, `through` included."""

    def beginning(self) -> Snapshot | None:
        """As `Records.beginning`."""

    def begin_at(self, body: bytes) -> int:
        """Let the ledger begin with a base that was derived from it; the position of that."""

    def drop_retired(self, most: int) -> int:
        """Drop so many events before the base, oldest first; how many went."""

    def pending(self) -> list[PendingCommand]:
        """Outbox rows without an outcome, oldest first."""

    def save_snapshot(self, snapshot: Snapshot) -> None: ...

    def latest_snapshot(self) -> Snapshot | None: ...

    def close(self) -> None: ...


class InboxRequest(NamedTuple):
    """What somebody asks of the worker. `body` is msgpack; `number` orders the requests."""

    number: int
    request_id: str
    verb: str
    by: str
    role: str
    body: bytes
    asked_at: int


class InboxAnswer(NamedTuple):
    """What became of a request. `position` is where the ledger says so."""

    request_id: str
    outcome: str
    detail: str
    position: int


class Inbox(Protocol):
    """A durable queue of requests to the worker; many short writers, one taker."""

    def ask(
        self, request_id: str, verb: str, by: str, role: str, body: bytes, asked_at: int
    ) -> None:
        """Store a request; the same `request_id` again changes nothing."""

    def waiting(self, limit: int, verbs: Sequence[str] = ()) -> list[InboxRequest]:
        """Requests without an answer, oldest first; only of these verbs, where any are given."""

    def answer(self, answers: Sequence[InboxAnswer]) -> None: ...

    def answer_to(self, request_id: str) -> InboxAnswer | None: ...

    def close(self) -> None: ...
