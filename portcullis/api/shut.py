"""Why the gate is shut, and by whom: the change of the mode that shut it, however often the worker
has started since. A start only finds a gate as it was left.
"""

from __future__ import annotations

import threading
from typing import NamedTuple

from portcullis.domain import mode
from portcullis.domain.events import ModeChanged, decode
from portcullis.domain.money import duration
from portcullis.store.reading import EventFilter, LedgerReader

LOOKED_AT = 500_000
"""So many events back it is looked for when this process starts."""

CHANGES = EventFilter("system", ("mode_changed",))


class Shut(NamedTuple):
    """What shut the gate: when (microseconds), by which event, by whom if by a person, and why."""

    at: int
    position: int
    by: str
    why: str
    evidence: tuple[str, ...] = ()

    def told(self, now: int) -> str:
        """In a sentence."""
        who = f" by {self.by}" if self.by else ""
        lacked = f": {'; '.join(self.evidence)}" if self.evidence else ""
        return f"shut{who} {duration(max(0, now - self.at))} ago: {self.why}{lacked}"


def shuts(event: ModeChanged) -> bool:
    """Whether a change shuts the gate, and is not a start that finds it shut."""
    if event.after == "ACTIVE":
        return False
    if event.after == "STARTING":
        return event.why != mode.STARTED
    return bool(event.by or event.evidence) or event.before != "STARTING"


class Shutting:
    """The change that shut the gate, looked for once and then followed; safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ledger, self._position = "", 0
        self._found: Shut | None = None

    def look(self, reader: LedgerReader) -> Shut | None:
        """None while the gate is not shut, or where nothing but a start ever shut it."""
        with self._lock:
            head = reader.head().position
            if reader.ledger_id != self._ledger or head < self._position:
                self._ledger, self._position, self._found = reader.ledger_id, 0, None
            after = max(self._position, head - LOOKED_AT)
            for row in reader.events(CHANGES, after=after, through=head, newest_first=True):
                event = decode(row.payload)
                assert isinstance(event, ModeChanged)
                if event.after == "ACTIVE" or shuts(event):
                    self._found = None
                    if event.after != "ACTIVE":
                        self._found = Shut(
                            row.at, row.position, event.by, event.why, event.evidence
                        )
                    break
            self._position = head
            return self._found
