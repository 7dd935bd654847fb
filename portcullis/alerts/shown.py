"""An alert in its published form: what the command line and the API show of it."""

from __future__ import annotations

from typing import Any

import msgspec

from portcullis.alerts.alert import Alert
from portcullis.alerts.kinds import BY_NAME
from portcullis.alerts.words import clock


def as_shown(alert: Alert) -> dict[str, Any]:
    """An alert in the published form: these names are what programs rely on."""
    more = ("rule", "formula", "measured", "limit", "flat", "until", "link", "position", "note")
    fields = msgspec.to_builtins(alert)
    return {
        "alertId": alert.id,
        "timestamp": clock(alert.first_at),
        "severity": alert.severity.upper(),
        "title": alert.title,
        "message": alert.message,
        "rootCause": alert.cause,
        "recommendedAction": alert.action,
        "metadata": {name: fields[name] for name in more if fields.get(name)},
        "acknowledged": alert.acknowledged_at > 0,
        "acknowledgedBy": alert.acknowledged_by,
        "kind": alert.kind,
        "topic": alert.topic,
        "account": alert.account,
        "fingerprint": alert.fingerprint,
        "state": alert.state,
        "count": alert.count,
        "lastSeen": clock(alert.last_at),
        "runbook": BY_NAME[alert.kind].runbook,
        "traceId": alert.trace,
        "checkpoint": fields["checkpoint"],
        "told": {channel: told["times"] for channel, told in fields["told"].items()},
        "due": {channel: clock(at) for channel, at in alert.due.items()},
    }
