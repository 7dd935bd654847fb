"""What the adapter remembers, so that a row of the gateway becomes a fact of the domain. No I/O.

Contracts for whole ticks, the parts of quotes, the keys of orders (trades do not carry them), and
how far rows go that have no time of their own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable

import msgspec

from portcullis.domain.bounds import forget_oldest
from portcullis.domain.events import (
    AccountReported,
    OrderReported,
    PositionReported,
    Quote,
    TradeReported,
)
from portcullis.domain.model import Instrument
from portcullis.errors import VenueUnreachable
from portcullis.venues.projectx import facts
from portcullis.venues.projectx.figure import Figure, Moments
from portcullis.venues.projectx.payloads import (
    AccountRow,
    ContractRow,
    OrderRow,
    PositionRow,
    QuoteRow,
    TradeRow,
)
from portcullis.venues.projectx.skew import Skew

ORDERS_MAX = 20_000


class Books:
    """Facts of rows. Times are microseconds; `came_at` is our clock's when a row came."""

    def __init__(self) -> None:
        self.instruments: dict[str, Instrument] = {}
        self.accounts: dict[str, int] = {}
        """The gateway's number of every account that was listed, by the name people know."""
        self._names: dict[int, str] = {}
        self.dealt: dict[str, None] = {}
        """Contracts that an account holds or has orders in: their prices are needed."""
        self.when_dealt: Callable[[str], None] = lambda _: None
        self.skew = Skew()
        self._quotes: dict[str, tuple[QuoteRow, Quote]] = {}
        self._orders: dict[str, tuple[str, str]] = {}
        self._sizes: dict[int, dict[str, Figure]] = defaultdict(dict)
        self._read_at: dict[int, int] = {}
        self._busted: dict[str, None] = {}
        self._balances: dict[int, Figure] = defaultdict(Figure)
        self._moments: dict[int, Moments] = defaultdict(Moments)

    def list_contract(self, row: ContractRow) -> Instrument:
        """Take a contract in. Raises ValueError where its tick value cannot be told exactly."""
        listed = facts.instrument(row)
        self.instruments[listed.id] = listed
        return listed

    def meet(self, row: AccountRow) -> None:
        """Learn what an account is called. A name that another has too gets its number added."""
        taken = self.accounts.get(row.name, row.id) != row.id
        name = f"{row.name}#{row.id}" if taken else row.name
        self.accounts[name], self._names[row.id] = row.id, name

    def knows(self, contract: str) -> bool:
        return contract in self.instruments

    def account(self, row: AccountRow) -> AccountReported | None:
        """An account's word on itself, as of the last fill its balance contains; None where it
        contains one that is not known, or nothing is known yet.
        """
        figure, balance = self._balances[row.id], facts.account(row, "", 0).balance
        at = figure.moment(balance)
        if at is None:
            at = figure.unchanged(balance)
        return None if at is None else facts.account(row, self.name(row.id), at)

    def settled_account(self, row: AccountRow, as_of: int) -> AccountReported:
        """An account's word that contains every known fill and everything until `as_of`."""
        figure, balance = self._balances[row.id], facts.account(row, "", 0).balance
        return facts.account(
            row, self.name(row.id), figure.settle(balance, max(figure.newest(), as_of))
        )

    def position(self, row: PositionRow) -> PositionReported | None:
        """A position, as of the last fill it contains; None as for `account`."""
        told = facts.position(row, self._listed(row.contract_id), self.name(row.account_id), 0)
        if told.size:
            self._deal(told.instrument)
        opened_at = told.opened_at if told.size else None
        at = self._size(row.account_id, row.contract_id).moment(told.size, opened_at)
        return (
            None
            if at is None
            else facts.position(row, self._listed(row.contract_id), self.name(row.account_id), at)
        )

    def settled_position(self, row: PositionRow, as_of: int) -> PositionReported:
        """A position that contains every known fill and everything until `as_of`."""
        told = facts.position(row, self._listed(row.contract_id), self.name(row.account_id), 0)
        figure = self._size(row.account_id, row.contract_id)
        at = figure.settle(told.size, max(figure.newest(), as_of, told.opened_at))
        return facts.position(row, self._listed(row.contract_id), self.name(row.account_id), at)

    def flat(self, account: int, held: Collection[str], as_of: int) -> None:
        """A read of the account's positions, asked for at `as_of`, listed those in `held` alone."""
        self._read_at[account] = as_of
        for contract, figure in self._sizes[account].items():
            if contract not in held and figure.moment(0) is None:
                figure.settle(0, as_of)

    def order(self, row: OrderRow) -> OrderReported:
        told = facts.order(row, self._listed(row.contract_id), self.name(row.account_id))
        self.remember(told.order_id, told.instrument, told.key)
        if told.remaining:
            self._deal(told.instrument)
        return told

    def trade(self, row: TradeRow) -> TradeReported:
        """A fill, with its order's key where that is known."""
        _, key = self._orders.get(str(row.order_id), ("", ""))
        told = facts.trade(row, self._listed(row.contract_id), self.name(row.account_id), key)
        at = self._moments[row.account_id].of(told.trade_id, told.executed_at)
        told = msgspec.structs.replace(told, executed_at=at)
        size, balance = self._size(row.account_id, row.contract_id), self._balances[row.account_id]
        if told.voided:
            if told.trade_id not in self._busted:  # every read lists it again
                self._busted[told.trade_id] = None
                forget_oldest(self._busted, ORDERS_MAX)
                size.forget()
                balance.forget()
        else:
            net = (told.gross or 0) - told.fees - told.commission
            size.note(told.trade_id, told.executed_at, told.side * told.size)
            balance.note(told.trade_id, told.executed_at, net)
        return told

    def quote(self, contract: str, parts: Iterable[QuoteRow], came_at: int) -> Quote:
        """The whole quote after some parts of it came."""
        known = self._quotes.get(contract)
        whole = known[0] if known else None
        for part in parts:
            whole = part.over(whole)
        told = facts.quote(whole or QuoteRow(), self._listed(contract), came_at)
        self._quotes[contract] = whole or QuoteRow(), told
        return told

    def quotes(self) -> list[Quote]:
        return [told for _, told in self._quotes.values()]

    def price(self, contract: str) -> Quote | None:
        known = self._quotes.get(contract)
        return known[1] if known else None

    def remember(self, order_id: str, contract: str, key: str) -> None:
        """Take note of an order before the gateway reports it."""
        self._orders[order_id] = contract, key
        forget_oldest(self._orders, ORDERS_MAX)

    def contract_of(self, order_id: str) -> str | None:
        known = self._orders.get(order_id)
        return known[0] if known else None

    def _size(self, account: int, contract: str) -> Figure:
        """The size held; of a contract that was never seen it was 0 when positions were read."""
        figures = self._sizes[account]
        figure = figures.get(contract)
        if figure is None:
            figure = figures[contract] = Figure()
            if account in self._read_at:
                figure.settle(0, self._read_at[account])
        return figure

    def name(self, account: int) -> str:
        return self._names.get(account, str(account))

    def _deal(self, contract: str) -> None:
        if contract not in self.dealt:
            self.dealt[contract] = None
            self.when_dealt(contract)

    def _listed(self, contract: str) -> Instrument:
        listed = self.instruments.get(contract)
        if listed is None:
            raise VenueUnreachable(
                f"contract {contract} is not known yet", remedy="it is looked up by itself"
            )
        return listed
