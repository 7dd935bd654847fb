"""Alerts of the operations side: an incident is told once in the inbox, and once that it is over.

They wait there until a worker records them; the sender reads them meanwhile, so that this works
while the worker is dead. What is open is remembered in the home: `operations/incidents`.
"""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import Literal

import msgspec

from checks.worker_health import replace_file
from portcullis.config.settings import Settings
from portcullis.domain.alert_requests import LIST_MAX, TEXT_MAX
from portcullis.store.opening import open_inbox
from portcullis.worker.requests import Asked

FOLDER = "incidents"


class Incident(msgspec.Struct, frozen=True):
    """One thing that went wrong: since when (us), and what names this time of it.

    `told`: whether it was left in the inbox; before that it may still be nothing.
    """

    kind: str
    subject: str
    name: str
    since: int
    told: bool = False

    def request_id(self, state: str) -> str:
        """The same for the same incident, so that to tell it again changes nothing."""
        parts = ("alert", self.kind, self.subject, self.name, state)
        return "-".join(part for part in parts if part)


def known(settings: Settings, kind: str, subject: str = "") -> Incident | None:
    """The open incident of a kind and subject. A file that cannot be read is none."""
    return _read(_path(settings, kind, subject))


def every(settings: Settings, kind: str) -> list[Incident]:
    """The open incidents of a kind, by their files' names."""
    found = [_read(path) for path in sorted(_folder(settings).glob(f"{kind}.*json"))]
    return [each for each in found if each is not None and each.kind == kind]


def keep(settings: Settings, incident: Incident) -> Incident:
    """Remember it as open."""
    data = msgspec.json.encode(incident)
    replace_file(_path(settings, incident.kind, incident.subject), data)
    return incident


def forget(settings: Settings, incident: Incident) -> None:
    """It is over; another one that took its place meanwhile stays."""
    if known(settings, incident.kind, incident.subject) == incident:
        _path(settings, incident.kind, incident.subject).unlink(missing_ok=True)


def leave(
    settings: Settings,
    incident: Incident,
    state: Literal["firing", "resolved"],
    now: int,
    by: str,
    message: str,
    link: str = "",
) -> str:
    """Put it into the inbox; the answer is its request id. Raises StoreError, and UsageError when
    too many requests wait there.
    """
    arguments: dict[str, str | int | float | bool | None] = {
        "kind": incident.kind,
        "state": state,
        "message": message[:TEXT_MAX],
    }
    if incident.subject:
        arguments["subject"] = incident.subject[:LIST_MAX]
    if link:
        arguments["link"] = link[:TEXT_MAX]
    request_id = incident.request_id(state)
    body = msgspec.msgpack.encode(Asked(f"seen by {by}", None, arguments))
    # The inbox that is there now: a restore in place puts another one in its place.
    with closing(open_inbox(settings)) as inbox:
        inbox.ask(request_id, "alert", by, "operator", body, now)
    return request_id


def _folder(settings: Settings) -> Path:
    return settings.operations_path / FOLDER


def _path(settings: Settings, kind: str, subject: str) -> Path:
    plain = re.sub(r"[^a-z0-9_-]+", "-", subject.lower())
    return _folder(settings) / ".".join(part for part in (kind, plain, "json") if part)


def _read(path: Path) -> Incident | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Incident)
    except (OSError, msgspec.MsgspecError):
        return None
