"""The simulated gateway without a network: its endpoints, hubs and tokens, faults included."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from portcullis.clock import Clock
from portcullis.domain.model import SECOND
from portcullis.errors import VenueRefused
from portcullis.venues.simulated.exchange import Exchange
from portcullis.venues.simulated.faults import FaultPlan, carry_out
from portcullis.venues.simulated_gateway.books import Books, Rejected, code_of
from portcullis.venues.simulated_gateway.endpoints import TABLE, Endpoint
from portcullis.venues.simulated_gateway.hubs import METHODS, ClientSocket, HubConnection, HubName
from portcullis.venues.simulated_gateway.limits import RateLimit
from portcullis.venues.simulated_gateway.terms import GatewayTerms
from portcullis.venues.simulated_gateway.tokens import Tokens

LOGIN, VALIDATE, LOGOUT, BARS = (
    "Auth/loginKey",
    "Auth/validate",
    "Auth/logout",
    "History/retrieveBars",
)
JSON, TEXT_HTML, PROBLEM = "application/json", "text/html", "application/problem+json"
HTML = b"<html><head><title>Sign in</title></head><body>This network needs a login.</body></html>"

_encoder = msgspec.json.Encoder(decimal_format="number")


class Answer(NamedTuple):
    """What HTTP carries back."""

    status: int
    body: bytes = b""
    content_type: str = JSON


STATUSES: dict[str, Answer] = {
    "HTTP 401": Answer(401),
    "HTTP 429": Answer(429),
    "HTTP 502": Answer(502, b"<html>502 Bad Gateway</html>", TEXT_HTML),
    "HTML": Answer(200, HTML, TEXT_HTML),
}
"""Codes of a `reject` fault that stand for something other than a refusal of the gateway."""


class _Login(msgspec.Struct, rename="camel"):
    user_name: str
    api_key: str


class SimulatedGateway:
    """A gateway for `users` (login name to API key; names are told apart without their case).

    `expired` holds users without an API subscription.
    """

    def __init__(
        self,
        exchange: Exchange,
        plan: FaultPlan,
        users: Mapping[str, str],
        clock: Clock,
        terms: GatewayTerms | None = None,
    ) -> None:
        self.terms = terms or GatewayTerms()
        self.exchange, self.plan = exchange, plan
        self.books = Books(exchange, self.terms, {})
        self.tokens = Tokens(clock, self.terms.token_life)
        self.limit = RateLimit(self.terms.limit, 60 * SECOND, self.terms.window)
        self.bars_limit = RateLimit(self.terms.bars_limit, 30 * SECOND, self.terms.window)
        self.expired: set[str] = set()
        self.logins = 0
        self.connections: list[HubConnection] = []
        self._users = {name.lower(): key for name, key in users.items()}
        self._clock = clock

    def now(self) -> int:
        """The gateway's time, microseconds."""
        return self._clock.now()

    def cut(self, why: str = "cut by the operator") -> None:
        """Break every connection to a hub."""
        for connection in self.connections:
            connection.end(why)

    # --- REST ---------------------------------------------------------------------------------

    async def call(self, name: str, body: bytes, token: str) -> Answer:
        """Answer a request. Raises VenueUnreachable, ConnectionBroken or VenueTimeout where a fault
        leaves it without an answer.
        """
        counted = self.bars_limit if name == BARS else self.limit
        if not counted.take(self._clock.monotonic()):
            return STATUSES["HTTP 429"]
        try:
            return await self._answer(name, body or b"{}", token)
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            return problem(str(error))

    async def _answer(self, name: str, body: bytes, token: str) -> Answer:
        if name == LOGIN:
            return await self._with_faults(name, lambda: self._log_in(body))
        user = self.user_of(token)
        if user is None:
            return STATUSES["HTTP 401"]
        if name == VALIDATE:
            return await self._with_faults(name, lambda: {"newToken": self.tokens.issue(user)})
        if name == LOGOUT:
            return await self._with_faults(name, dict)
        endpoint = TABLE.get(name)
        if endpoint is None or (name == "Order/v2/query" and not self.terms.has_query):
            return Answer(404)
        return await self._act(name, endpoint, body)

    async def _act(self, name: str, endpoint: Endpoint, body: bytes) -> Answer:
        asked: Any = msgspec.json.decode(body, type=endpoint.body)
        return await self._with_faults(
            name,
            lambda: endpoint.act(self.books, asked),
            account=self._account_of(asked),
            instrument=getattr(asked, "contract_id", ""),
        )

    def _account_of(self, asked: Any) -> str:
        """Whom a call is about, for the fault plan; nobody where the account does not exist."""
        with contextlib.suppress(VenueRefused, AttributeError):
            return self.books.account(asked.account_id)
        return ""

    async def _with_faults(
        self,
        name: str,
        act: Callable[[], dict[str, Any]],
        *,
        account: str = "",
        instrument: str = "",
    ) -> Answer:
        """Carry a call out as the fault plan lets it; a refusal is an answer too."""
        try:
            payload = await carry_out(
                self.plan, self.exchange, name, act, account=account, instrument=instrument
            )
        except VenueRefused as error:
            return STATUSES.get(error.code) or _refusal(name, error)
        return said({**payload, "success": True, "errorCode": 0, "errorMessage": None})

    def _log_in(self, body: bytes) -> dict[str, Any]:
        asked = msgspec.json.decode(body, type=_Login)
        name = asked.user_name.lower()
        self.logins += 1
        if name not in self._users or self._users[name] != asked.api_key:
            raise VenueRefused("InvalidCredentials", "", remedy="")
        if name in self.expired:
            raise VenueRefused("ApiSubscriptionNotFound", "", remedy="")
        return {"token": self.tokens.issue(name)}

    def user_of(self, token: str) -> str | None:
        """Whose token it is, None where it is no good."""
        with contextlib.suppress(msgspec.MsgspecError, ValueError, KeyError):
            return self.tokens.user_of(token)
        return None

    # --- hubs ---------------------------------------------------------------------------------

    async def serve_hub(self, hub: str, socket: ClientSocket) -> None:
        """Serve a client that was let in, until either side ends it."""
        name: HubName = "user" if hub == "user" else "market"
        opened = HubConnection(name, self.books, self.plan, socket)
        self.connections.append(opened)
        try:
            await opened.serve()
        finally:
            self.connections.remove(opened)


def has_hub(name: str) -> bool:
    return name in METHODS


def said(payload: Any) -> Answer:
    """JSON with its numbers as they are."""
    return Answer(200, _encoder.encode(payload))


def problem(detail: str) -> Answer:
    """What cannot be read."""
    body = {"type": "about:blank", "title": "Bad Request", "status": 400, "detail": detail}
    return Answer(400, _encoder.encode(body), PROBLEM)


def _refusal(endpoint: str, error: VenueRefused) -> Answer:
    """HTTP 200, `success` false, and the number that this endpoint has for the refusal."""
    text = str(error).removeprefix(f"{error.code}:").strip() or None
    number = code_of(endpoint, error.code)
    payload: dict[str, Any] = {"success": False, "errorCode": number, "errorMessage": text}
    if isinstance(error, Rejected):
        payload["orderId"] = int(error.order_id)
    return said(payload)
