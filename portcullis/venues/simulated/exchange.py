"""The simulated exchange: what clients may ask of it, and what its operator may do.

Pure and synchronous: time comes from the clock it is given, chance from the seed in its terms.
Refusals are `VenueRefused` with the venue's own words as codes: AccountNotFound,
AccountViolation, AccountRejected, ContractNotFound, InvalidCloseSize, OrderNotFound,
OrderRejected, PositionNotFound.
"""

from __future__ import annotations

import msgspec

from portcullis.domain.events import (
    AccountReported,
    OrderReported,
    PositionReported,
    Quote,
    TradeReported,
)
from portcullis.domain.model import Instrument, OrderRequest
from portcullis.venues.simulated.accounts import Account
from portcullis.venues.simulated.desk import Desk, refusal
from portcullis.venues.simulated.orders import Order, best_price, bracket_legs, fault_of
from portcullis.venues.simulated.terms import Flavour


class Exchange(Desk):
    """A venue in one object. See `MatchingEngine` for quotes, listeners and the journal."""

    # --- reading ------------------------------------------------------------------------------

    def instruments(self) -> list[Instrument]:
        return list(self._instruments.values())

    def accounts(self) -> list[AccountReported]:
        at = self._stamp()
        return [account.report(at) for account in self._accounts.values()]

    def positions(self, account: str) -> list[PositionReported]:
        holdings = self._account(account).holdings.values()
        at = self._stamp()
        return [holding.report(account, at) for holding in holdings if holding.size]

    def orders(self, account: str) -> list[OrderReported]:
        return [order.report() for order in self._account(account).live.values()]

    def order(self, account: str, order_id: str) -> Order | None:
        """An order itself, whatever its status."""
        return self._account(account).order(order_id)

    def every_order(self, account: str) -> list[Order]:
        """The orders themselves, ended ones first."""
        owner = self._account(account)
        return [*owner.finished.values(), *owner.live.values()]

    def trades(self, account: str, since: int) -> list[TradeReported]:
        return [t for t in self._account(account).trades if t.executed_at >= since]

    def quotes(self) -> list[Quote]:
        return list(self._quotes.values())

    def order_by_key(self, account: str, key: str) -> OrderReported | None:
        order = self._account(account).by_key.get(key)
        return order.report() if order else None

    def open_profit(self, account: str) -> int:
        """Gross open profit in micro-units, each position at the price it could close at."""
        profit = 0
        for holding in self._account(account).holdings.values():
            quote = self._quotes.get(holding.instrument.id)
            if quote is None or not holding.size:
                continue
            price = best_price(-1 if holding.size > 0 else 1, quote)
            profit += 0 if price is None else holding.open_profit(price)
        return profit

    # --- trading ------------------------------------------------------------------------------

    def place_order(self, request: OrderRequest, *, from_fill: int | None = None) -> str:
        """Take an order and match it at once; the answer is its id. With `from_fill`, a price in
        ticks, the legs of a bracket lie as far from the fill as from that price.

        A refused order stays on record with status rejected when its form or the market was the
        reason, as real venues do.
        """
        asked = self._asked(
            "place_order",
            request.account,
            key=request.key,
            instrument=request.instrument,
            side=request.side,
            size=request.size,
        )
        account = self._trader(asked)
        known = self._known(account, asked)
        if known is not None:
            return self._answer_again(known[1])
        if not account.can_trade:
            raise self._refuse(asked, "AccountViolation", "the account may not trade")
        order = self._order_of(request)
        account.remember(request.key, asked.at, order)
        fault = fault_of(request) or self._untradable(request)
        if fault:
            self._reject(account, order, fault)
            raise self._refuse(asked, "OrderRejected", fault)
        legs = bracket_legs(order, request, (str(self._next_id()), str(self._next_id())))
        order.legs = legs
        for leg in legs if from_fill is not None else ():
            price = leg.limit_price if leg.type == "limit" else leg.stop_price
            leg.from_fill = (price or 0) - (from_fill or 0)
        for new in (order, *legs):
            self._enter(account, new)
        self._try(order)
        return order.id

    def reject_order(self, request: OrderRequest, why: str) -> str:
        """Take an order down as rejected, for a reason of the venue's own; the answer is its id."""
        asked = self._asked("place_order", request.account, key=request.key)
        order = self._order_of(request)
        self._reject(self._trader(asked), order, why)
        self._refuse(asked, "OrderRejected", why)
        return order.id

    def cancel_order(self, account: str, order_id: str) -> None:
        """Cancel; an order that is no longer live is success."""
        asked = self._asked("cancel_order", account, order_id=order_id)
        owner = self._trader(asked)
        self._refuse_live(asked, owner, "cancel")
        order = owner.order(order_id)
        if order is None:
            raise self._refuse(asked, "OrderNotFound", f"no order {order_id}")
        if order.live:
            self._cancel(order)

    def modify_order(
        self,
        account: str,
        order_id: str,
        *,
        stop_price: int | None = None,
        limit_price: int | None = None,
        size: int | None = None,
    ) -> None:
        """Change prices (ticks) or the size of a live order; it may fill at once."""
        asked = self._asked("modify_order", account, order_id=order_id, size=size or 0)
        order = self._trader(asked).order(order_id)
        if order is None:
            raise self._refuse(asked, "OrderNotFound", f"no order {order_id}")
        if not order.live:
            raise self._refuse(asked, "OrderRejected", f"the order is {order.status}")
        if size is not None and size <= order.filled:
            raise self._refuse(asked, "OrderRejected", f"{order.filled} are filled already")
        if size is not None and size != order.size:
            order.size, order.follows = size, False
        order.stop_price = order.stop_price if stop_price is None else stop_price
        order.limit_price = order.limit_price if limit_price is None else limit_price
        self._report(order)
        self._try(order)

    def close_position(self, account: str, instrument: str, key: str = "") -> None:
        """Close whatever is there now; nothing there is success."""
        asked = self._asked("close_position", account, key=key, instrument=instrument)
        owner = self._trader(asked)
        if self._known(owner, asked) is not None:
            return
        self._refuse_live(asked, owner, "close")
        self._refuse_closing(asked, owner)
        self._close(asked, owner, abs(owner.size_of(instrument)))
        if self.terms.cancel_brackets_when_flat and not owner.size_of(instrument):
            for order in [o for o in owner.live.values() if o.instrument == instrument]:
                if order.parent and order.status == "working" and order.live:
                    self._end(order, "cancelled")

    def reduce_position(self, account: str, instrument: str, size: int, key: str = "") -> None:
        """Close `size` contracts; more than there is, is refused."""
        asked = self._asked("reduce_position", account, key=key, instrument=instrument, size=size)
        owner = self._trader(asked)
        if self._known(owner, asked) is not None:
            return
        self._refuse_live(asked, owner, "reduce")
        self._refuse_closing(asked, owner)
        held = abs(owner.size_of(instrument))
        if not held:
            raise self._refuse(asked, "PositionNotFound", "there is no position")
        if not 1 <= size <= held:
            raise self._refuse(asked, "InvalidCloseSize", f"{size} of a position of {held}")
        self._close(asked, owner, size)

    # --- the operator's acts ------------------------------------------------------------------

    def open_account(
        self,
        account: str,
        *,
        balance: int,
        flavour: Flavour = "practice",
        currency: str = "USD",
    ) -> None:
        """Open an account with a balance in micro-units."""
        opened = Account(id=account, balance=balance, flavour=flavour, currency=currency)
        self._accounts[account] = opened
        self._emit(opened.report(self._stamp()))

    def set_can_trade(self, account: str, can_trade: bool | None) -> None:
        """Allow or forbid trading; None makes the venue not say. Closing stays possible."""
        owner = self._account(account)
        owner.can_trade = can_trade
        self._force("set_can_trade", account, detail=str(can_trade))
        self._emit(owner.report(self._stamp()))

    def refuse_close(self, account: str, refuse: bool = True) -> None:
        """Refuse (or again accept) every close and partial close of the account."""
        self._account(account).refuses_close = refuse
        self._force("refuse_close", account, detail=str(refuse))

    def halt(self, instrument: str, why: str = "not in an active trading status") -> None:
        """Stop matching an instrument; its orders stay, new ones and closes are refused."""
        self._listed(instrument)
        self._halted[instrument] = why
        self._force("halt", "", instrument=instrument, detail=why)

    def resume(self, instrument: str) -> None:
        """Trade a halted instrument again, at the quotes of now."""
        self._listed(instrument)
        self._halted.pop(instrument, None)
        self._force("resume", "", instrument=instrument)
        self._match(instrument)

    def liquidate(self, account: str, *, forbid: bool = True) -> None:
        """Cancel and close everything in the account without anybody asking."""
        owner = self._account(account)
        forced = self._force("liquidate", account)
        for order in list(owner.live.values()):
            if order.live:
                self._cancel(order)
        for holding in list(owner.holdings.values()):
            if holding.size:
                part = msgspec.structs.replace(forced, instrument=holding.instrument.id)
                self._close(part, owner, abs(holding.size))
        if forbid:
            self.set_can_trade(account, False)

    def void_trade(self, account: str, trade_id: str) -> None:
        """Bust a trade: its money is taken back and it is reported again as voided."""
        owner = self._account(account)
        place = next((i for i, t in enumerate(owner.trades) if t.trade_id == trade_id), None)
        if place is None or owner.trades[place].voided:
            raise refusal("OrderNotFound", f"no trade {trade_id} to void")
        trade = owner.trades[place]
        voided = msgspec.structs.replace(trade, voided=True)
        owner.trades[place] = voided
        owner.balance -= (trade.gross or 0) - trade.fees - trade.commission
        self._force("void_trade", account, instrument=trade.instrument, detail=trade_id)
        self._emit(voided)
        self._emit(owner.report(self._stamp()))
