"""Who a request comes from, and how often each may ask."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import NamedTuple

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from portcullis.api.access import Caller
from portcullis.api.keys import KeyFile
from portcullis.api.problems import too_many
from portcullis.domain.bounds import forget_oldest

FREE_FAILURES = 5
"""So many wrong keys an address may send before it has to wait."""

WAIT_MAX = 300.0
FORGIVEN_AFTER = 900.0
ADDRESSES_MAX = 10_000
FORWARDED = ("x-forwarded-for", "forwarded", "x-real-ip")


class Failures(NamedTuple):
    """Wrong keys of one address: how many, when the last came, until when it waits (seconds)."""

    number: int
    last: float
    until: float


class Gatekeeper:
    """Names the caller of a request and refuses those who ask too often.

    A key that holds is never kept waiting by somebody else's wrong ones from the same address:
    whoever must lock an account gets through.
    """

    def __init__(
        self,
        keys: KeyFile,
        *,
        per_key: int,
        per_address: int,
        now: Callable[[], int],
        monotonic: Callable[[], float],
        told: Callable[[str, int], None] = lambda *_: None,
    ) -> None:
        """`told` hears of an address and its number of wrong keys each time it has to wait."""
        self._keys, self._now, self._monotonic, self._told = keys, now, monotonic, told
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._per_key = RateLimitItemPerMinute(per_key, namespace="key")
        self._per_address = RateLimitItemPerMinute(per_address, namespace="address")
        self._failures: dict[str, Failures] = {}

    def identify(self, address: str, headers: Mapping[str, str]) -> Caller:
        """The caller. Raises Problem 429: too many requests, or too many wrong keys."""
        forwarded = any(name in headers for name in FORWARDED)
        caller = Caller(address, _is_loopback(address) and not forwarded)
        text = _key_in(headers)
        if text is None:
            self._count(self._per_address, address)
            return caller
        key = self._keys.named_by(text)
        state = "unknown" if key is None else key.state(self._now())
        if key is None or state != "valid":
            self.failed(address)
            self._count(self._per_address, address)
            named = "" if key is None else f" {key.id}"
            known = "" if key is None else key.id
            return caller._replace(key_id=known, refusal=f"the key{named} is {state}")
        self._count(self._per_key, key.id)
        return caller._replace(name=key.name, key_id=key.id, role=key.role)

    def _count(self, limit: RateLimitItemPerMinute, name: str) -> None:
        if not self._limiter.hit(limit, name):
            wait = self._limiter.get_window_stats(limit, name).reset_time - self._now() / 1e6
            what = "key" if limit is self._per_key else "address"
            raise too_many(f"more than {limit.amount} requests a minute by one {what}", wait)

    def failed(self, address: str) -> None:
        """Count a wrong key; raises Problem while the address has to wait. Waiting grows."""
        now = self._monotonic()
        before = self._failures.pop(address, Failures(0, now, 0.0))
        if now - before.last > FORGIVEN_AFTER:
            before = Failures(0, now, 0.0)
        waits = before.until > now
        number = before.number + 1
        wait = (
            min(2.0 ** min(number - FREE_FAILURES, 20), WAIT_MAX) if number > FREE_FAILURES else 0.0
        )
        until = before.until if waits else now + wait
        self._failures[address] = Failures(number, now, until)
        forget_oldest(self._failures, ADDRESSES_MAX)
        if wait and not waits:
            self._told(address, number)
        if waits:
            raise too_many(f"{number} wrong keys from this address", until - now)


def _key_in(headers: Mapping[str, str]) -> str | None:
    """The key that a request carries; never from its address, which ends up in logs."""
    authorization = headers.get("authorization")
    if authorization is not None:
        scheme, _, text = authorization.partition(" ")
        return text.strip() if scheme.lower() == "bearer" else ""
    return headers.get("x-api-key")


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
