"""The exchange behind the gateway, its accounts' numbers, and refusals in the gateway's words.

A refusal becomes the code that its endpoint has for it, which is another number at another
endpoint; the lists are those of `portcullis.venues.projectx.codes`.
"""

from __future__ import annotations

from typing import NamedTuple

from portcullis.domain.model import Instrument
from portcullis.errors import VenueRefused
from portcullis.venues.projectx.codes import ENDPOINTS
from portcullis.venues.simulated.exchange import Exchange
from portcullis.venues.simulated_gateway.terms import GatewayTerms

FIRST_ACCOUNT = 26_282_486


class Books(NamedTuple):
    """The exchange with its terms. Its accounts' names are what the gateway calls them; their
    numbers are given out as they are met.
    """

    exchange: Exchange
    terms: GatewayTerms
    numbers: dict[str, int]

    def number(self, account: str) -> int:
        return self.numbers.setdefault(account, FIRST_ACCOUNT + len(self.numbers))

    def account(self, number: int) -> str:
        """The exchange's name of an account; raises VenueRefused where there is none."""
        for told in self.exchange.accounts():
            if self.number(told.account) == number:
                return told.account
        raise refused("AccountNotFound", None)

    def listed(self, contract: str) -> Instrument:
        for instrument in self.exchange.instruments():
            if instrument.id == contract:
                return instrument
        raise refused("ContractNotFound", None)


class Rejected(VenueRefused):
    """Refused, though the order was taken down and has an id."""

    def __init__(self, order_id: str, message: str | None) -> None:
        super().__init__("OrderRejected", message or "", remedy="see the order's history")
        self.order_id = order_id
        self.text = message


def refused(code: str, message: str | None) -> VenueRefused:
    """A refusal of the gateway in its own word."""
    return VenueRefused(code, message or "", remedy="correct the request")


def code_of(endpoint: str, name: str) -> int:
    """The number that an endpoint has for a refusal, by its name."""
    wanted = _OTHER_NAMES.get((endpoint, name), name)
    for each in ENDPOINTS[endpoint]:
        if each.name == wanted:
            return int(each.value)
    return next((int(e.value) for e in ENDPOINTS[endpoint] if e.name == "UnknownError"), 1)


_OTHER_NAMES = {
    ("Order/modify", "OrderRejected"): "Rejected",
    ("Order/cancel", "OrderRejected"): "Rejected",
    ("Position/closeContract", "AccountViolation"): "AccountRejected",
    ("Position/partialCloseContract", "AccountViolation"): "AccountRejected",
}
