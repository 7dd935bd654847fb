"""What the gateway sends, as rows: REST lists and the events of both hubs, numbers exact.

The hubs wrap a row in `{"action": n, "data": {...}}` or send it bare, leave out keys that are null,
and send some events in batches; what is not known is passed over. Times come with six or seven
digits, with an offset or a Z.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TypeVar

import msgspec


class Row(msgspec.Struct, frozen=True, rename="camel"):
    """A row of the gateway; unknown keys are passed over, for it adds some without notice."""


class AccountRow(Row, frozen=True):
    """An account; `can_trade` is None where the row does not say."""

    id: int
    name: str
    balance: Decimal
    can_trade: bool | None = None
    is_visible: bool = True
    simulated: bool | None = None


class ContractRow(Row, frozen=True):
    """A contract: `name` is the exchange's (NQZ6), `symbol_id` holds the gateway's root."""

    id: str
    name: str
    tick_size: Decimal
    tick_value: Decimal
    active_contract: bool = True
    symbol_id: str = ""
    description: str = ""


class OrderRow(Row, frozen=True):
    """An order; prices absolute, `trail_distance` in ticks, signed for brackets."""

    id: int
    account_id: int
    contract_id: str
    creation_timestamp: datetime
    status: int
    type: int
    side: int
    size: int
    update_timestamp: datetime | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    fill_volume: int = 0
    filled_price: Decimal | None = None
    custom_tag: str | None = None
    parent_order_id: int | None = None
    linked_order_id: int | None = None
    trail_distance: int | None = None


class PositionRow(Row, frozen=True):
    """A position: `type` 1 is long, 2 short, 0 closed (the old average price is kept)."""

    id: int
    account_id: int
    contract_id: str
    creation_timestamp: datetime
    type: int
    size: int
    average_price: Decimal


class TradeRow(Row, frozen=True):
    """A half-turn: `profit_and_loss` is gross, None on an opening one; costs of this side."""

    id: int
    account_id: int
    contract_id: str
    creation_timestamp: datetime
    price: Decimal
    side: int
    size: int
    order_id: int
    profit_and_loss: Decimal | None = None
    fees: Decimal = Decimal(0)
    commissions: Decimal | None = None
    voided: bool = False


class QuoteRow(Row, frozen=True):
    """A part of a quote: what is not there has not changed."""

    last_price: Decimal | None = None
    best_bid: Decimal | None = None
    best_ask: Decimal | None = None
    last_updated: datetime | None = None
    timestamp: datetime | None = None

    def over(self, known: QuoteRow | None) -> QuoteRow:
        """The quote as it is with this part laid over what was known."""
        if known is None:
            return self
        pairs = ((name, getattr(self, name)) for name in self.__struct_fields__)
        return msgspec.structs.replace(
            known, **{n: value for n, value in pairs if value is not None}
        )


R = TypeVar("R", bound=Row)


class _Wrapped(msgspec.Struct, frozen=True):
    data: msgspec.Raw
    action: int = -1


def rows(kind: type[R], raw: bytes) -> list[R]:
    """The rows of an event's argument: one or a list of them, wrapped or bare.

    Raises msgspec.MsgspecError where it is none of these.
    """
    text = bytes(raw).strip()
    if text.startswith(b"["):
        parts = msgspec.json.decode(text, type=list[msgspec.Raw])
        return [row for part in parts for row in rows(kind, bytes(part))]
    try:
        wrapped = msgspec.json.decode(text, type=_Wrapped)
    except msgspec.ValidationError:
        return [msgspec.json.decode(text, type=kind)]
    return rows(kind, bytes(wrapped.data))
