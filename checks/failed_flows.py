"""Flows that crash, take too long or raise: one alert for each flow until a run of it is good."""

from __future__ import annotations

import msgspec

from checks import alerts
from checks.alerts import Incident
from portcullis.config.settings import Settings

KIND, BY = "flow_failed", "ended_badly"


def failed(settings: Settings, flow: str, run: str, how: str, now: int, link: str = "") -> str:
    """A run of a flow ended badly; the answer is the request's id, empty where its alert is open
    already: another failure is the same incident and tells nothing new. Raises as `alerts.leave`.
    """
    incident = alerts.known(settings, KIND, flow)
    if incident is None:
        incident = alerts.keep(settings, Incident(KIND, flow, run, now))
    if incident.told:
        return ""
    left = alerts.leave(settings, incident, "firing", now, BY, f"{flow}: {how}", link)
    alerts.keep(settings, msgspec.structs.replace(incident, told=True))
    return left


def open_failures(settings: Settings) -> list[Incident]:
    """Flows whose last failure was told and is not over."""
    return alerts.every(settings, KIND)


def mended(settings: Settings, incident: Incident, how: str, now: int, link: str = "") -> str:
    """A later run of it was good; the answer is the request's id. Raises as `alerts.leave`."""
    told = f"{incident.subject} runs again: {how}"
    left = alerts.leave(settings, incident, "resolved", now, BY, told, link)
    alerts.forget(settings, incident)
    return left
