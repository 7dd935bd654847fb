"""Calls of the gateway over REST: one way in, where token, budgets and errors are looked after."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from portcullis.clock import Clock
from portcullis.domain.model import SECOND
from portcullis.errors import OverBudget, VenueRefused, VenueTimeout, VenueUnreachable
from portcullis.venues.projectx import codes
from portcullis.venues.projectx.budget import Budget
from portcullis.venues.projectx.spent import Spent
from portcullis.venues.projectx.token import Stopwatch, Token, token_of
from portcullis.venues.projectx.wire import NoAnswer, Reply, Wire

LOGIN, VALIDATE, BARS = "Auth/loginKey", "Auth/validate", "History/retrieveBars"
CHANGING = frozenset(
    (
        "Order/place",
        "Order/modify",
        "Order/cancel",
        "Position/closeContract",
        "Position/partialCloseContract",
    )
)
"""What changes something at the venue: without an answer nobody knows whether it did."""

RESERVE = 60
"""Requests of a minute that only what protects an account may use."""

RENEW_PAUSE = 60 * SECOND
"""Between two tries to renew a token that still holds."""

PATIENCE_MAX, CHANGE_PATIENCE_MAX = 20 * SECOND, 10 * SECOND
"""A request waits no longer than this for its answer, however slow the last ones were."""

WAIT_MAX = 10 * SECOND
"""A call waits no longer than this for its budget."""

B = TypeVar("B", bound="Envelope")

_encoder = msgspec.json.Encoder(decimal_format="number")


class Envelope(msgspec.Struct, frozen=True, rename="camel"):
    """What every answer holds; `success` decides, whatever else is there."""

    success: bool
    error_code: int = 0
    error_message: str | None = None


class TokenAnswer(Envelope, frozen=True):
    """Of a login and of a validation."""

    token: str | None = None
    new_token: str | None = None


class Login(msgspec.Struct, frozen=True):
    """Who logs in. The key never appears in a repr."""

    user: str
    key: str

    def __repr__(self) -> str:
        return f"Login(user={self.user!r})"


class Gateway:
    """The gateway behind a wire: one token, its budgets, and errors sorted by what follows."""

    def __init__(self, wire: Wire, login: Login, clock: Clock, spent: Spent | None = None) -> None:
        """`spent` keeps what was sent, for a process that continues this one."""
        self.wire = wire
        self._login = login
        self._clock = clock
        self._token: Token | None = None
        self._token_age = Stopwatch(clock)
        self._renewing = asyncio.Lock()
        self._renew_after = 0
        self._within: dict[str, int] = {}
        self._there: int | None = None
        self.on_time: Callable[[int], None] = lambda _: None
        """Told the second of the gateway's time that an answer names."""
        self.budget = Budget(200, 60 * SECOND, RESERVE, spent)
        self.bars_budget = Budget(50, 30 * SECOND)

    async def open(self) -> None:
        """Open the wire and log in. Raises VenueRefused when user or key are wrong."""
        is_new = await self.wire.open()
        try:
            await self.token()
        except BaseException:
            if is_new:
                await self.close()
            raise

    async def close(self) -> None:
        """Let go of the wire; safe to call twice. The token is kept: it holds for a day."""
        await self.wire.close()

    async def token(self, spoilt: str | None = None) -> str:
        """A token that holds, renewed before its end; `spoilt` is one the gateway refused."""
        async with self._renewing:
            age, held = self._token_age.elapsed(), self._token
            if held is None or held.is_over(age) or held.text == spoilt:
                self._token = await self._log_in()
            elif held.is_due(age) and self._clock.monotonic() >= self._renew_after:
                self._token = await self._renewed(held)
            assert self._token is not None
            return self._token.text

    def distrust(self) -> None:
        """The token in hand is no longer any good: the next call logs in again."""
        self._token = None

    async def call(
        self,
        endpoint: str,
        body: Mapping[str, Any],
        answer: type[B],
        *,
        protective: bool = False,
    ) -> B:
        """One call. Raises VenueUnreachable (nothing was done), VenueTimeout (nobody knows) or
        VenueRefused. What was to be ended and is ended already is a success.
        """
        token = await self.token()
        try:
            return await self._answered(endpoint, body, answer, token, protective=protective)
        except _TokenSpoilt:
            token = await self.token(spoilt=token)
        try:
            return await self._answered(endpoint, body, answer, token, protective=protective)
        except _TokenSpoilt as error:
            raise VenueRefused(
                "Unauthorized",
                f"{endpoint}: refused with a token that was just made",
                remedy="check on the platform that the API key may use this account",
            ) from error

    # --- the token ----------------------------------------------------------------------------

    async def _log_in(self) -> Token:
        body = {"userName": self._login.user, "apiKey": self._login.key}
        try:
            found = await self._answered(LOGIN, body, TokenAnswer, None, protective=True)
        except _TokenSpoilt as error:
            raise VenueUnreachable(
                "the login was answered with 401, as if it needed a token",
                remedy="it is tried again by itself; is a proxy between us and the venue?",
            ) from error
        if not found.token:
            raise VenueRefused(
                "NoToken", "the login was answered without a token", remedy="try again later"
            )
        return self._taken(found.token)

    async def _renewed(self, held: Token) -> Token:
        """A fresh token for one that still holds; a login where the gateway wants that."""
        try:
            found = await self._answered(VALIDATE, {}, TokenAnswer, held.text, protective=True)
        except (_TokenSpoilt, VenueRefused):
            return await self._log_in()
        except (VenueUnreachable, VenueTimeout):
            # It holds for half an hour yet, and everybody waits while another is asked for.
            self._renew_after = self._clock.monotonic() + RENEW_PAUSE
            return held
        return self._taken(found.new_token) if found.new_token else held

    def _taken(self, text: str) -> Token:
        self._token_age.start()
        return token_of(text, self._there or self._clock.now())

    # --- the wire -----------------------------------------------------------------------------

    async def _answered(
        self,
        endpoint: str,
        body: Mapping[str, Any],
        answer: type[B],
        token: str | None,
        *,
        protective: bool,
    ) -> B:
        await self._afford(endpoint, protective=protective)
        try:
            sent = _encoder.encode(body)
            status, content, told_at = await self._post(endpoint, sent, token)
        except NoAnswer as error:
            raise _no_answer(endpoint, str(error)) from error
        if status == 401:
            raise _TokenSpoilt
        if status == 429:
            self._budget_of(endpoint).exhaust(self._clock.monotonic())
            raise VenueUnreachable(
                f"{endpoint}: the gateway's rate limit is reached (429)",
                remedy="another program uses the same key; it is tried again by itself",
            )
        if status == 400:
            raise VenueRefused(
                "BadRequest", f"{endpoint}: {_shown(content)}", remedy="this is a defect: report it"
            )
        if status in (404, 405):
            raise VenueRefused(
                "NotFound",
                f"{endpoint}: {self.wire.url} has no such endpoint",
                remedy="check the address of the gateway",
            )
        if status != 200:
            raise _no_answer(endpoint, f"HTTP {status}")
        found = _read(endpoint, content, answer)
        self._there = told_at
        if told_at is not None:
            self.on_time(told_at)
        return found

    async def _post(self, endpoint: str, body: bytes, token: str | None) -> Reply:
        """Send a request. A read that times out makes the next of its kind wait longer, until
        answers come fast again; the first of a kind waits as long as the slowest other. What
        changes something waits less: it is looked at, and sent again where that is right.
        """
        began, patience = self._clock.monotonic(), self.wire.patience
        within = self._within.get(endpoint, max(self._within.values(), default=patience))
        within = min(within, CHANGE_PATIENCE_MAX) if endpoint in CHANGING else within
        try:
            reply = await self.wire.post(f"/api/{endpoint}", body, token, within)
        except NoAnswer:
            if self._clock.monotonic() - began >= within:
                longer = max(self._within.get(endpoint, 0), 2 * within)
                self._within[endpoint] = min(longer, PATIENCE_MAX)
            raise
        took = self._clock.monotonic() - began
        self._within[endpoint] = max(patience, min(2 * took, PATIENCE_MAX))
        return reply

    def _budget_of(self, endpoint: str) -> Budget:
        return self.bars_budget if endpoint == BARS else self.budget

    async def _afford(self, endpoint: str, *, protective: bool) -> None:
        """Wait until the budget has room; raises VenueUnreachable where that is too long."""
        waited = 0
        while wait := self._budget_of(endpoint).take(
            self._clock.monotonic(), protective=protective
        ):
            waited += wait
            if waited > WAIT_MAX:
                raise OverBudget(
                    f"{endpoint}: no room in the rate budget for {wait / SECOND:.0f} s",
                    remedy="fewer accounts, or longer between reads; protection has its reserve",
                )
            await asyncio.sleep(wait / SECOND)


class _TokenSpoilt(Exception):
    """HTTP 401: the token is no longer any good, whatever its claims say."""


def _read(endpoint: str, content: bytes, answer: type[B]) -> B:
    try:
        envelope = msgspec.json.decode(content, type=Envelope)
        if envelope.success:
            return msgspec.json.decode(content, type=answer)
    except msgspec.MsgspecError as error:
        raise _no_answer(endpoint, f"what came is none: {_shown(content)}") from error
    if codes.needs_login(endpoint, envelope.error_code):
        raise _TokenSpoilt
    failed = codes.failure(endpoint, envelope.error_code, envelope.error_message)
    if failed is not None:
        raise failed
    return msgspec.json.decode(b'{"success":true}', type=answer)


def _no_answer(endpoint: str, why: str) -> VenueTimeout | VenueUnreachable:
    """Without an answer a read has done nothing; of a change nobody knows."""
    if endpoint in CHANGING:
        return VenueTimeout(
            f"{endpoint}: no answer ({why})", remedy="the venue is read before anything else"
        )
    return VenueUnreachable(
        f"{endpoint}: no answer ({why})",
        remedy="it is tried again by itself; is a proxy between us and the venue?",
    )


def _shown(content: bytes) -> str:
    return repr(content[:80].decode(errors="replace"))
