"""The worker is silent: nobody else can say it, since its ledger does not."""

from __future__ import annotations

import msgspec

from checks import alerts
from checks.alerts import Incident
from checks.worker_health import Seen
from portcullis.config.settings import Settings
from portcullis.domain.model import MINUTE
from portcullis.domain.money import duration

KIND, BY = "worker_silent", "heartbeat"
NO_EVENT_AFTER = 2 * MINUTE


def tell(settings: Settings, seen: Seen, now: int, link: str = "") -> str:
    """Leave the alert, or that it is over; the answer is the request's id, empty for none.

    A gate that does not answer is told at the second look, since a restart takes as long as one;
    a worker that was stopped by a person is not told. One that was told is left alone: the inbox
    of a worker that is dead for days must not fill up. Raises as `alerts.leave`.
    """
    why, incident = silent(seen, now), alerts.known(settings, KIND)
    if not why:
        return "" if incident is None else _over(settings, incident, now, link)
    if seen.stopped:
        return ""
    if incident is None:
        incident = alerts.keep(settings, Incident(KIND, "", str(now), now))
        if now - seen.newest_at <= NO_EVENT_AFTER:
            return ""
    if incident.told:
        return ""
    left = alerts.leave(settings, incident, "firing", now, BY, f"the worker is silent: {why}", link)
    alerts.keep(settings, msgspec.structs.replace(incident, told=True))
    return left


def silent(seen: Seen, now: int) -> str:
    """Why the worker counts as silent; empty when it does not."""
    age = max(0, now - seen.newest_at)
    if seen.health is None:
        return f"its gate does not answer ({seen.problem}); its newest event is {duration(age)} old"
    if age > NO_EVENT_AFTER:
        return f"its gate answers, and its newest event is {duration(age)} old"
    return ""


def _over(settings: Settings, incident: Incident, now: int, link: str) -> str:
    """What was never told ends without a word."""
    left = ""
    if incident.told:
        told = f"the worker answers again, after {duration(max(0, now - incident.since))}"
        left = alerts.leave(settings, incident, "resolved", now, BY, told, link)
    alerts.forget(settings, incident)
    return left
