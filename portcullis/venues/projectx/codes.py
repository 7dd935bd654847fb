"""The error codes of the gateway: one list for each endpoint, since the same number differs.

A business failure is an answer with HTTP 200 and `success: false`. What its code means for us is
sorted by what must happen next, as all errors here are.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal

from portcullis.errors import PortcullisError, VenueRefused, VenueTimeout, VenueUnreachable

Next = Literal["gone", "wait", "look", "refused", "person", "login"]
"""What follows: what was to be ended is ended; wait and look again; look what came of it; refused;
refused for as long as a person does nothing; a new login.
"""


class LoginError(Enum):
    """`Auth/loginKey`."""

    UserNotFound = 1
    PasswordVerificationFailed = 2
    InvalidCredentials = 3
    AppNotFound = 4
    AppVerificationFailed = 5
    InvalidDevice = 6
    AgreementsNotSigned = 7
    UnknownError = 8
    ApiSubscriptionNotFound = 9
    ApiKeyAuthenticationDisabled = 10


class ValidateError(Enum):
    """`Auth/validate`."""

    InvalidSession = 1
    SessionNotFound = 2
    ExpiredToken = 3
    UnknownError = 4


class LogoutError(Enum):
    """`Auth/logout`."""

    InvalidSession = 1
    UnknownError = 2


class AccountError(Enum):
    """`Account/search`: no failure is documented."""


class ContractError(Enum):
    """`Contract/search`, `searchById`, `available`."""

    ContractNotFound = 1


class BarsError(Enum):
    """`History/retrieveBars`."""

    ContractNotFound = 1
    UnitInvalid = 2
    UnitNumberInvalid = 3
    LimitInvalid = 4


class PlaceOrderError(Enum):
    """`Order/place`. A rejected order may come back with an id: `success` decides, never the id."""

    AccountNotFound = 1
    OrderRejected = 2
    InsufficientFunds = 3
    AccountViolation = 4
    OutsideTradingHours = 5
    OrderPending = 6
    UnknownError = 7
    ContractNotFound = 8
    ContractNotActive = 9
    AccountRejected = 10


class ModifyOrderError(Enum):
    """`Order/modify`."""

    AccountNotFound = 1
    OrderNotFound = 2
    Rejected = 3
    Pending = 4
    UnknownError = 5
    AccountRejected = 6
    ContractNotFound = 7


class CancelOrderError(Enum):
    """`Order/cancel`. `AccountRejected`: live accounts, and followers of copied trades."""

    AccountNotFound = 1
    OrderNotFound = 2
    Rejected = 3
    Pending = 4
    UnknownError = 5
    AccountRejected = 6


class SearchError(Enum):
    """`Order/search`, `searchOpen`, `Position/searchOpen`, `Trade/search`."""

    AccountNotFound = 1


class OrderByIdError(Enum):
    """`Order/searchById`."""

    OrderNotFound = 1


class ClosePositionError(Enum):
    """`Position/closeContract`."""

    AccountNotFound = 1
    PositionNotFound = 2
    ContractNotFound = 3
    ContractNotActive = 4
    OrderRejected = 5
    OrderPending = 6
    UnknownError = 7
    AccountRejected = 8


class PartialCloseError(Enum):
    """`Position/partialCloseContract`: shifted by one against `closeContract` from 5 on."""

    AccountNotFound = 1
    PositionNotFound = 2
    ContractNotFound = 3
    ContractNotActive = 4
    InvalidCloseSize = 5
    OrderRejected = 6
    OrderPending = 7
    UnknownError = 8
    AccountRejected = 9


ENDPOINTS: dict[str, type[Enum]] = {
    "Auth/loginKey": LoginError,
    "Auth/validate": ValidateError,
    "Auth/logout": LogoutError,
    "Account/search": AccountError,
    "Contract/search": ContractError,
    "Contract/searchById": ContractError,
    "Contract/available": ContractError,
    "History/retrieveBars": BarsError,
    "Order/place": PlaceOrderError,
    "Order/modify": ModifyOrderError,
    "Order/cancel": CancelOrderError,
    "Order/search": SearchError,
    "Order/searchOpen": SearchError,
    "Order/searchById": OrderByIdError,
    "Order/v2/query": SearchError,
    "Position/searchOpen": SearchError,
    "Position/closeContract": ClosePositionError,
    "Position/partialCloseContract": PartialCloseError,
    "Trade/search": SearchError,
}
"""Every endpoint that is called, with its own list of codes."""

NEXT: dict[Enum, Next] = {
    CancelOrderError.OrderNotFound: "gone",
    ClosePositionError.PositionNotFound: "gone",
    CancelOrderError.Pending: "wait",
    ModifyOrderError.Pending: "wait",
    PlaceOrderError.OrderPending: "look",
    ClosePositionError.OrderPending: "wait",
    PartialCloseError.OrderPending: "wait",
    PlaceOrderError.UnknownError: "look",
    ModifyOrderError.UnknownError: "look",
    CancelOrderError.UnknownError: "look",
    ClosePositionError.UnknownError: "look",
    PartialCloseError.UnknownError: "look",
    PlaceOrderError.AccountRejected: "person",
    ModifyOrderError.AccountRejected: "person",
    CancelOrderError.AccountRejected: "person",
    ClosePositionError.AccountRejected: "person",
    PartialCloseError.AccountRejected: "person",
    PlaceOrderError.AccountViolation: "person",
    LoginError.UnknownError: "wait",
    ValidateError.InvalidSession: "login",
    ValidateError.SessionNotFound: "login",
    ValidateError.ExpiredToken: "login",
    ValidateError.UnknownError: "wait",
}
"""What is not plainly `refused`."""

REMEDIES: dict[str, str] = {
    "UserNotFound": "check the user name: it is the platform's login name, not the e-mail",
    "InvalidCredentials": "check user name and API key; a key is made in the platform's settings",
    "ApiSubscriptionNotFound": "the API needs a subscription of its own: order it at the firm",
    "ApiKeyAuthenticationDisabled": "allow API keys in the platform's settings, or ask the firm",
    "AgreementsNotSigned": "sign the market data agreements on the platform, then try again",
    "AccountRejected": "live accounts and followers of copied trades refuse this: act by hand now",
    "AccountViolation": "the firm has restricted the account: look at the platform",
    "OutsideTradingHours": "the market is closed; nothing can be carried out until it opens",
    "ContractNotFound": "look the contract up again: a month may have rolled",
    "ContractNotActive": "the contract has expired or is halted: use the active month",
}
LOOK_AT_VENUE = "look at the account on the platform"


def failure(endpoint: str, code: int, text: str | None) -> PortcullisError | None:
    """What a failed answer means; None where what was to be ended is ended already.

    A code that the endpoint's list does not have is refused by its number.
    """
    found = _found(endpoint, code)
    name = found.name if found is not None else f"code {code}"
    what = _next(endpoint, code)
    message = f"{endpoint}: {text or 'no reason given'}"
    remedy = REMEDIES.get(name, LOOK_AT_VENUE)
    if what == "gone":
        return None
    if what == "wait":
        return VenueUnreachable(f"{name}: {message}", remedy="it is tried again by itself")
    if what == "look":
        return VenueTimeout(f"{name}: {message}", remedy="the venue is read before anything else")
    return VenueRefused(name, message, remedy=remedy)


def needs_login(endpoint: str, code: int) -> bool:
    """Whether the token is no longer any good."""
    return _next(endpoint, code) == "login"


def _found(endpoint: str, code: int) -> Enum | None:
    return next((each for each in ENDPOINTS[endpoint] if each.value == code), None)


def _next(endpoint: str, code: int) -> Next:
    found = _found(endpoint, code)
    return "refused" if found is None else NEXT.get(found, "refused")
