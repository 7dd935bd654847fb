"""The plan: the whole effective configuration as values, stored in the ledger with its digest."""

from __future__ import annotations

import hashlib

import msgspec

from portcullis.domain.model import DAY, MINUTE, SECOND, StrategyState
from portcullis.domain.rules import RuleParams
from portcullis.domain.session import Calendar


class AccountPlan(msgspec.Struct, frozen=True):
    """How one account is watched. `reset_minute` is wall time of `zone`."""

    account: str
    rules: tuple[RuleParams, ...]
    profile: str = ""
    zone: str = "America/Chicago"
    reset_minute: int = 17 * 60
    days: tuple[int, ...] = (0, 1, 2, 3, 4)
    calendar: Calendar | None = None
    quote_max_age: int = 10 * SECOND


class Requirement(msgspec.Struct, frozen=True):
    """Evidence that must hold the gate open. Durations in microseconds; 0: no such bound.

    `at_start`: the verdict must have been made after this start of the worker. `lasts`: how long a
    verdict holds at most, whatever it says itself. The fail-safe: SHUTDOWN once the last verdict
    that passed is `shutdown_after` old, or at once when one fails (`shutdown_when_failed`).
    """

    name: str
    at_start: bool = False
    lasts: int = 0
    shutdown_after: int = 0
    shutdown_when_failed: bool = False


class PoolPlan(msgspec.Struct, frozen=True):
    """Capital that several accounts share. Money in micro-units of `currency`.

    `allocated`: the part of each account; together no more than `capital`.
    """

    pool: str
    currency: str
    capital: int
    allocated: dict[str, int] = {}


class StrategyPlan(msgspec.Struct, frozen=True):
    """A way of trading that proposals name, and where it may trade.

    `pool`: the pool that every one of its accounts belongs to; empty: any. `starts`: its state when
    it is first read. `probation_contracts`: the largest order while it is in PROBATION.
    """

    strategy: str
    accounts: tuple[str, ...]
    pool: str = ""
    starts: StrategyState = "DRAFT"
    probation_contracts: int = 1


class Plan(msgspec.Struct, frozen=True):
    """Everything a decision can depend on besides the facts themselves.

    `keep_online`: events are retired into the archive when they are so old, and not before.
    """

    accounts: tuple[AccountPlan, ...]
    required: tuple[Requirement, ...] = ()
    start_allowance: int = 10 * MINUTE
    silence_allowance: int = 2 * MINUTE
    reservation: int = 10 * SECOND
    commands_per_minute: int = 20
    keep_online: int = 90 * DAY
    pools: tuple[PoolPlan, ...] = ()
    strategies: tuple[StrategyPlan, ...] = ()


_encoder = msgspec.msgpack.Encoder(order="deterministic")
_decoder = msgspec.msgpack.Decoder(Plan)


def encode_plan(plan: Plan) -> bytes:
    """The plan as bytes; equal plans give equal bytes."""
    return _encoder.encode(plan)


def decode_plan(data: bytes) -> Plan:
    """The plan of its bytes."""
    return _decoder.decode(data)


def digest(data: bytes) -> str:
    """The name of a plan: SHA-256 of its bytes."""
    return hashlib.sha256(data).hexdigest()
