"""The shapes of answers and bodies, with examples: what the description tells.

Answers are not checked against them on their way out; the suite does that. Names are promises,
and more may stand beside them.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

HEX32 = r"^[0-9a-f]{32}$"
PRINTED = r"^[^\x00-\x1f\x7f]+$"
"""No control characters, which no name here has."""


class Shape(BaseModel):
    """An answer: what is named here is there; more may be."""

    model_config = ConfigDict(extra="allow")


class Body(BaseModel):
    """What is sent: nothing that is not named here."""

    model_config = ConfigDict(extra="forbid")


class ProblemDetails(Shape):
    """Why it was refused (RFC 9457)."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["account 'X' is not known here"])
    remedy: str = Field("", examples=["known are: DEMO-50K"])


# --- health ---------------------------------------------------------------------------------------


class Alive(Shape):
    """The process is alive; nothing else was asked."""

    status: str = Field(examples=["alive"])


class Venue(Shape):
    connected: bool
    since: str | None = Field(examples=["2026-03-02T14:30:00.000Z"])


class Health(Shape):
    """How it is, from far away."""

    status: Literal["healthy", "degraded", "unhealthy"]
    mode: str = Field(examples=["ACTIVE"])
    uptime: int = Field(description="Seconds of the worker; 0 while none runs", examples=[86400])
    shut: dict[str, Any] | None = Field(
        description="What shut the gate: `at`, `by` (a person, or empty), `why`, `evidence`, and "
        "the event's `position`; null while it is open",
        examples=[None],
    )
    accounts_monitored: int = Field(examples=[2])
    venues: dict[str, Venue]
    database_accessible: bool
    last_event: str | None = Field(examples=["2026-03-02T14:30:00.000Z"])
    version: str = Field(examples=["0.1.0"])


class Check(Shape):
    name: str = Field(examples=["worker"])
    status: Literal["pass", "warn", "fail"]
    observed: str = Field(examples=["answers"])
    remedy: str = Field(examples=[""])


class Ready(Shape):
    """Whether it can be used, with every check, its result and what to do."""

    ready: bool
    checks: list[Check]


class ApiHealth(Shape):
    """The health in the names that other programs know."""

    healthy: bool
    uptime: int = Field(description="Seconds", examples=[86400])
    lastMarketDataUpdate: str | None  # noqa: N815 - a published name
    lastEventLogWrite: str | None  # noqa: N815
    lastSnapshotWrite: str | None  # noqa: N815
    executionQueueStatus: Literal["IDLE", "PROCESSING", "STALLED"]  # noqa: N815
    memoryUsage: float | None = Field(description="Megabytes", examples=[61.5])  # noqa: N815
    errorRate: float | None = Field(description="Errors a minute", examples=[0.0])  # noqa: N815
    timestamp: str = Field(examples=["2026-03-02T14:30:00.000Z"])


class Uptime(Shape):
    """How long the worker has run."""

    uptime: int = Field(description="Seconds", examples=[183000])
    human: str = Field(examples=["2d 2h 50m"])
    started: str | None
    api_uptime: int = Field(description="Seconds of the API itself", examples=[183000])


class LastSnapshot(Shape):
    """The newest snapshot of the folded state."""

    sequence: int = Field(description="The event it was taken after", examples=[20000])
    hash: str = Field(description="SHA-256 of the state", examples=["ab" * 32])
    timestamp: str | None
    age: float | None = Field(description="Seconds", examples=[12.5])
    bytes: int = Field(examples=[18231])


# --- events ---------------------------------------------------------------------------------------


class Event(Shape):
    position: int = Field(examples=[4711])
    timestamp: str = Field(examples=["2026-03-02T14:30:00.000000Z"])
    kind: str = Field(examples=["breach_found"])
    severity: Literal["CRITICAL", "WARNING", "INFO"]
    account: str | None = Field(examples=["DEMO-50K"])
    stream: str = Field(examples=["account/DEMO-50K"])
    seq: int = Field(examples=[12])
    trace: str = Field(examples=["L-4710"])
    payload: dict[str, Any]
    hash: str = Field(examples=["cd" * 32])


class Events(Shape):
    """Events, newest first. `next` is the cursor of the page behind; null at the end."""

    events: list[Event]
    next: str | None = Field(examples=[None])
    looked_through: int = Field(description="Where the search stopped", examples=[1])


# --- what the dashboard shows ---------------------------------------------------------------------


class Account(Shape):
    account: str = Field(examples=["DEMO-50K"])
    locked: bool
    equity: str | None = Field(examples=["49,812.50 USD"])
    distances: list[dict[str, Any]] = Field(description="What is left of every limit")
    largest: dict[str, dict[str, int]] = Field(
        description="The largest order that each gate would let through now",
        examples=[{"ES": {"buy": 2, "sell": 3}}],
    )
    locks: list[dict[str, Any]]


class Accounts(Shape):
    """Every account: limits left, largest allowed orders, positions, locks."""

    live: bool = Field(description="False: no worker answers, and this is from the records")
    mode: str
    gate_open: bool
    accounts: list[Account]


class OneAccount(Account):
    """One account."""

    live: bool


class Rules(Shape):
    """Every rule there is, and how each stands on the accounts that have it."""

    live: bool
    rules: list[dict[str, Any]]


class Locks(Shape):
    """Every lock, with what ends it and in how long."""

    live: bool
    locks: list[dict[str, Any]]


class EvidenceList(Shape):
    """What holds the gate open."""

    live: bool
    mode: str
    gate_open: bool
    lacking: list[str]
    evidence: list[dict[str, Any]]


class Drills(Shape):
    """What the drills found lately, from their verdicts in the ledger."""

    drills: list[dict[str, Any]]


class Agents(Shape):
    """Who proposed orders lately, and what became of the proposals."""

    since_position: int
    agents: list[dict[str, Any]]


# --- control --------------------------------------------------------------------------------------

REASON = Field(
    min_length=1,
    max_length=500,
    pattern=r"[^\x00-\x20\x7f-\xa0]",
    description="Why; kept in the ledger for ever",
    examples=["lost connection at home"],
)


class WithReason(Body):
    """Why, which is always asked."""

    reason: str = REASON


class LockBody(WithReason):
    seconds: int | None = Field(
        None,
        ge=1,
        le=366 * 86400,
        description="How long; null: until a person releases it",
        examples=[3600],
    )
    instrument: str | None = Field(
        None,
        min_length=1,
        max_length=64,
        pattern=PRINTED,
        description="One instrument; null: the whole account",
    )


class FlattenBody(WithReason):
    wait: int = Field(10, ge=0, le=25, description="Seconds to wait for the venue's confirmation")


class Signed(WithReason):
    """What loosens: signed with the administrator's key, by `portcullis key sign`."""

    request_id: str = Field(pattern=HEX32, examples=["0" * 32])
    signature: str = Field(
        min_length=1,
        max_length=200,
        description="Of the administrator, over the request; `portcullis key sign` makes it",
        examples=["bm8gc2lnbmF0dXJl"],
    )


class ReleaseBody(Signed):
    lock: int | None = Field(
        None, ge=1, le=2**53, description="One lock by its id; null: all of the account"
    )


class ApproveBody(Signed):
    plan: str = Field(
        pattern="^[0-9a-f]{64}$",
        description="The digest of what waits, as `/config/pending` has it: nothing else is agreed",
        examples=["0" * 64],
    )


class Outcome(Shape):
    """What the ledger says became of a request; `waiting` while no worker has taken it."""

    outcome: Literal["done", "refused", "waiting"]
    detail: str = Field(examples=["lock 3 set"])
    request_id: str = Field(examples=["0" * 32])
    position: int | None = Field(description="The event that records it", examples=[4711])


class KeyRow(Shape):
    id: str = Field(examples=["Ab3dE5gH"])
    name: str = Field(examples=["grafana"])
    role: Literal["readonly", "operator", "admin"]
    state: Literal["valid", "expired", "revoked"]
    created: str | None
    expires: str | None


class Keys(Shape):
    """Every key, without its text."""

    keys: list[KeyRow]


class NewKey(KeyRow):
    """A new key; its text is shown this one time."""

    key: str = Field(examples=["pck_Ab3dE5gH_..."])


class KeyBody(Body):
    name: str = Field(pattern=r"^[A-Za-z0-9_ .@+-]{1,64}$", examples=["grafana"])
    role: Literal["readonly", "operator", "admin"]
    days: int = Field(90, ge=1, le=366)


class RotateBody(Body):
    overlap_hours: int = Field(24, ge=0, le=720, description="How long the old key still holds")


class MetricsShown(Shape):
    """What is measured, by name; durations with their percentiles."""

    as_of: str
    metrics: dict[str, dict[str, Any]]


class Objectives(Shape):
    """The objectives, and how they stand since the processes started."""

    slos: list[dict[str, Any]] = Field(
        description="`current` is null where there is no figure, and `why` says why"
    )
