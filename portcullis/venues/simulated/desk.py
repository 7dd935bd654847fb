"""The steps every request to the simulated venue goes through: note, judge, de-duplicate, act."""

from __future__ import annotations

from typing import Literal

import msgspec

from portcullis.domain.model import Instrument, OrderRequest
from portcullis.errors import VenueRefused
from portcullis.venues.simulated.accounts import Account
from portcullis.venues.simulated.matching import MatchingEngine
from portcullis.venues.simulated.orders import Order, best_price, trailed_stop
from portcullis.venues.simulated.terms import JournalEntry

_REMEDIES = {
    "AccountViolation": "ask the venue why the account may not trade",
    "AccountRejected": "do it on the venue's own screen, or ask the venue",
    "InvalidCloseSize": "read the position again and ask for no more than there is",
}


def refusal(code: str, message: str) -> VenueRefused:
    remedy = _REMEDIES.get(code, "correct the request; nothing was changed")
    return VenueRefused(code, message, remedy=remedy)


class Desk(MatchingEngine):
    """A matching engine with a front desk."""

    def _asked(
        self,
        call: str,
        account: str,
        *,
        key: str = "",
        instrument: str = "",
        order_id: str = "",
        side: int = 0,
        size: int = 0,
    ) -> JournalEntry:
        at = self._stamp()
        entry = JournalEntry(at, "requested", call, account, key, instrument, order_id, side, size)
        self.journal.append(entry)
        return entry

    def _force(
        self, call: str, account: str, *, instrument: str = "", detail: str = ""
    ) -> JournalEntry:
        entry = JournalEntry(
            self._stamp(), "forced", call, account, instrument=instrument, detail=detail
        )
        self.journal.append(entry)
        return entry

    def _refuse(self, asked: JournalEntry, code: str, message: str) -> VenueRefused:
        self.journal.append(_again(asked, self._stamp(), "refused", f"{code}: {message}"))
        return refusal(code, message)

    def _account(self, account: str) -> Account:
        found = self._accounts.get(account)
        if found is None:
            raise refusal("AccountNotFound", f"no account {account!r}")
        return found

    def _listed(self, instrument: str) -> Instrument:
        found = self._instruments.get(instrument)
        if found is None:
            raise refusal("ContractNotFound", f"no contract {instrument!r}")
        return found

    def _trader(self, asked: JournalEntry) -> Account:
        """The account of a request; its instrument must be listed."""
        if asked.account not in self._accounts:
            raise self._refuse(asked, "AccountNotFound", f"no account {asked.account!r}")
        if asked.instrument and asked.instrument not in self._instruments:
            raise self._refuse(asked, "ContractNotFound", f"no contract {asked.instrument!r}")
        return self._accounts[asked.account]

    def _known(self, account: Account, asked: JournalEntry) -> tuple[int, Order | None] | None:
        """What was done for this key before, as far as the venue looks back."""
        known = account.seen.get(asked.key) if asked.key else None
        if known is None or self.terms.deduplicates == "never":
            return None
        if self.terms.deduplicates == "window" and asked.at - known[0] > self.terms.window:
            return None
        self.journal.append(_again(asked, self._stamp(), "repeated", "nothing was done"))
        return known

    def _answer_again(self, order: Order | None) -> str:
        if order is None:
            raise refusal("OrderRejected", "the key was used for another request")
        if order.status == "rejected":
            raise refusal("OrderRejected", order.detail)
        return order.id

    def _refuse_live(self, asked: JournalEntry, account: Account, act: str) -> None:
        if account.flavour == "live" and act in self.terms.live_refuses:
            raise self._refuse(asked, "AccountRejected", f"live accounts refuse to {act} here")

    def _refuse_closing(self, asked: JournalEntry, account: Account) -> None:
        if account.refuses_close:
            raise self._refuse(asked, "AccountRejected", "the account refuses to close")

    def _order_of(self, request: OrderRequest) -> Order:
        order = Order(
            id=str(self._next_id()),
            account=request.account,
            instrument=request.instrument,
            side=request.side,
            type=request.type,
            size=request.size,
            key=request.key,
            limit_price=request.limit_price,
            stop_price=request.stop_price,
            trail=request.trail,
            status="pending" if request.type == "market" else "working",
        )
        quote = self._quotes.get(request.instrument)
        if quote is not None and order.stop_price is None:
            order.stop_price = trailed_stop(order, quote)
        return order

    def _untradable(self, request: OrderRequest) -> str | None:
        if request.instrument in self._halted:
            return f"the instrument is {self._halted[request.instrument]}"
        quote = self._quotes.get(request.instrument)
        priced = quote is not None and best_price(request.side, quote) is not None
        if request.type in ("market", "trailing") and not priced:
            return "there is no price"
        return None

    def _reject(self, account: Account, order: Order, fault: str) -> None:
        order.detail = fault
        if order.key:
            account.by_key[order.key] = order
        self._end(order, "rejected")

    def _cancel(self, order: Order) -> None:
        self._end(order, "cancelled")
        if order.parent and self.terms.cancel_oco_together:
            for leg in order.parent.legs:
                if leg.live:
                    self._end(leg, "cancelled")

    def _close(self, asked: JournalEntry, account: Account, size: int) -> None:
        """Send the venue's own closing market order."""
        if not size:
            account.remember(asked.key, asked.at, None)
            return
        side = -1 if account.size_of(asked.instrument) > 0 else 1
        request = OrderRequest(asked.account, asked.instrument, side, size, "market", key=asked.key)
        fault = self._untradable(request)
        if fault:
            raise self._refuse(asked, "OrderRejected", fault)
        order = self._order_of(request)
        order.closes_only, order.call = True, asked.call
        account.remember(asked.key, asked.at, order)
        self._enter(account, order)
        self._try(order)


def _again(
    asked: JournalEntry, at: int, what: Literal["refused", "repeated"], detail: str
) -> JournalEntry:
    """The entry that answers `asked`."""
    return msgspec.structs.replace(asked, at=at, what=what, detail=detail)
