"""The shapes of alerts, channels, messages and silences; see `portcullis.api.shapes`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field, JsonValue

from portcullis.api.shapes import PRINTED, Outcome, Shape, WithReason

CHANNEL = r"^[a-z][a-z0-9_-]{0,31}$"


class Checkpoint(Shape):
    """The ledger's newest signed head when the alert was raised: a ledger that was cut or written
    anew later does not have it.
    """

    position: int = Field(description="So many events", examples=[4711])
    root: str = Field(description="The RFC 6962 root over them", examples=["9f" * 32])


class Alert(Shape):
    """What a person must know."""

    alertId: str = Field(examples=["a-17"])  # noqa: N815 - a published name
    timestamp: str | None
    severity: Literal["CRITICAL", "WARNING", "INFO"]
    title: str
    message: str
    rootCause: str  # noqa: N815
    recommendedAction: str  # noqa: N815
    metadata: dict[str, Any]
    acknowledged: bool
    topic: str
    account: str | None
    fingerprint: str
    state: str
    count: int
    runbook: str
    traceId: str  # noqa: N815
    checkpoint: Checkpoint | None


class Alerts(Shape):
    """Alerts, newest first."""

    alerts: list[Alert]


class Channel(Shape):
    """A channel, without its address: nothing here lets anybody send."""

    channel: str = Field(examples=["phone"])
    connected: bool = Field(description="False: it is subscribed or was used, and has no address")
    service: str | None = Field(examples=["Telegram"])
    address: str | None = Field(
        description="Whom it reaches, without its secrets", examples=["tgram://…/1234"]
    )
    pace: float | None = Field(
        description="Seconds that must lie between two messages", examples=[1.05]
    )
    best_effort: bool = Field(description="True: never the only way for what is critical")
    told_of: list[str] = Field(examples=[["critical and worse of everything; accounts: all"]])
    delivered: int = Field(examples=[41])
    waiting: int = Field(examples=[0])
    dead: int = Field(description="Given up", examples=[1])
    failing: bool = Field(description="Nothing has got through since the last failure")
    last_success: str | None = Field(examples=["2026-03-02T14:30:00.000Z"])
    oldest_waiting: str | None = Field(
        description="Since when the oldest of its queue waits", examples=[None]
    )
    says: str = Field(description="Why it failed last", examples=["the service answered 403"])
    spared_until: str | None = Field(
        description="Until when a storm holds back what is not critical", examples=[None]
    )


class Channels(Shape):
    """Every channel, as the sender last wrote it down."""

    as_of: str | None = Field(description="Null: no sender has run yet")
    channels: list[Channel]


class DeliveryRow(Shape):
    """A message to one channel; `dead`: given up."""

    id: int = Field(examples=[17])
    channel: str = Field(examples=["phone"])
    why: str = Field(examples=["new"])
    severity: Literal["CRITICAL", "WARNING", "INFO"]
    alerts: list[str] = Field(description="Of which alerts it tells", examples=[["k7q2m9xa"]])
    title: str = Field(examples=["[CRITICAL] The gate is shut"])
    message: str
    state: Literal["waiting", "sending", "delivered", "dead", "replaced"]
    attempts: int = Field(examples=[1])
    created: str | None
    due: str | None
    ended: str | None
    detail: str = Field(description="What the service said last", examples=[""])


class Deliveries(Shape):
    """Messages to channels, newest first."""

    deliveries: list[DeliveryRow]
    next: int | None = Field(description="`before` of the page behind", examples=[None])


class Silences(Shape):
    """Silences that are in force or to come."""

    silences: list[dict[str, Any]]


ONE_OF: dict[str, JsonValue] = {
    "anyOf": [
        {"required": [name], "properties": {name: {"type": "string"}}}
        for name in ("alert", "kind", "topic", "account")
    ]
}


class SilenceBody(WithReason):
    """What is kept back, by at least one of alert, kind, topic and account; and for how long."""

    model_config = ConfigDict(json_schema_extra=ONE_OF)

    seconds: int = Field(ge=1, le=30 * 86400, examples=[3600])
    alert: str | None = Field(None, min_length=1, max_length=64, pattern=PRINTED)
    kind: str | None = Field(None, min_length=1, max_length=64, pattern=PRINTED)
    topic: str | None = Field(None, min_length=1, max_length=64, pattern=PRINTED)
    account: str | None = Field(None, min_length=1, max_length=64, pattern=PRINTED)
    critical: bool = Field(False, description="What is critical too, for four hours at most")


class AttemptBody(WithReason):
    wait: int = Field(10, ge=0, le=25, description="Seconds to wait for what becomes of it")


class Attempt(Outcome):
    """What became of a request to send, and of the message; null while there is none."""

    delivery: DeliveryRow | None
