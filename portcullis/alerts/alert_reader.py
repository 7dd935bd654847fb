"""A look at `<home>/alerts.db` from any process: alerts, their deliveries, what came of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, Self

from portcullis.alerts.alert import Alert
from portcullis.alerts.outbox import (
    DELIVERY,
    TELLS_OF,
    Delivery,
    Kept,
    decoded,
    delivery_of,
)
from portcullis.domain.judge import Severity
from portcullis.store.database import ALERTS_FILE
from portcullis.store.place import ALERTS, SqliteFile


class ChannelFigures(NamedTuple):
    """What became of a channel's messages; times in microseconds, None where there was none."""

    channel: str
    delivered: int
    waiting: int
    dead: int
    last_success: int | None
    last_failure: int | None
    last_detail: str
    oldest_waiting: int | None

    @property
    def failing(self) -> bool:
        """Whether messages wait of a channel whose last attempt was no success."""
        return self.waiting > 0 and (self.last_failure or 0) > (self.last_success or 0)


def is_begun(home: Path) -> bool:
    """Whether a sender has begun its file there. Raises StoreError where it cannot be read."""
    place = SqliteFile(home / ALERTS_FILE, ALERTS)
    if not place.path.exists():
        return False
    with place.explained(), place.reader().connect() as connection:
        return place.revision(connection) is not None


class AlertReader:
    """A look at alerts and deliveries from another process."""

    def __init__(self, home: Path) -> None:
        """Raises StoreError where there is no such file yet."""
        self._place = SqliteFile(home / ALERTS_FILE, ALERTS)
        with ExitStack() as opening, self._place.explained():
            self._connection = opening.enter_context(self._place.reader().connect())
            self._open = opening.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def alerts(self, *, everything: bool = False, limit: int = 200) -> list[Alert]:
        """Open alerts, or all of them; the newest first."""
        where = "" if everything else "WHERE state IN ('firing', 'acknowledged') "
        rows = self._rows(
            f"SELECT body FROM alerts {where}ORDER BY first_at DESC, id LIMIT ?", limit
        )
        return [decoded(self._place, row[0], Alert) for row in rows]

    def tests(self, limit: int = 20) -> list[Alert]:
        """The newest tests that somebody asked for."""
        rows = self._rows(
            "SELECT body FROM alerts WHERE kind = 'test' ORDER BY first_at DESC, id LIMIT ?", limit
        )
        return [decoded(self._place, row[0], Alert) for row in rows]

    def alert(self, name: str) -> Alert | None:
        """One alert by its id."""
        rows = self._rows("SELECT body FROM alerts WHERE id = ?", name)
        return decoded(self._place, rows[0][0], Alert) if rows else None

    def deliveries(self, alert: str) -> list[Delivery]:
        """Every message that tells of an alert."""
        rows = self._rows(
            f"SELECT {DELIVERY} FROM deliveries WHERE {TELLS_OF} ORDER BY number", alert
        )
        return [delivery_of(row) for row in rows]

    def dead(self, limit: int = 200) -> list[Delivery]:
        """What was given up, the newest first."""
        rows = self._rows(
            f"SELECT {DELIVERY} FROM deliveries WHERE state = 'dead' ORDER BY number DESC LIMIT ?",
            limit,
        )
        return [delivery_of(row) for row in rows]

    def found(
        self,
        *,
        state: str | None = None,
        channel: str | None = None,
        alert: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Delivery]:
        """Messages that match, the newest first; what is None does not narrow."""
        wanted: list[tuple[str, object]] = [
            (clause, value)
            for clause, value in (
                ("state = ?", state),
                ("channel = ?", channel),
                (TELLS_OF, alert),
                ("number < ?", before),
            )
            if value is not None
        ]
        where = " AND ".join(clause for clause, _ in wanted) or "1"
        rows = self._rows(
            f"SELECT {DELIVERY} FROM deliveries WHERE {where} ORDER BY number DESC LIMIT ?",
            *(value for _, value in wanted),
            limit,
        )
        return [delivery_of(row) for row in rows]

    def delivery(self, number: int) -> Delivery | None:
        """One message by its number."""
        rows = self._rows(f"SELECT {DELIVERY} FROM deliveries WHERE number = ?", number)
        return delivery_of(rows[0]) if rows else None

    def kept(self) -> Kept:
        """Subscriptions and silences, and how far the ledger was read."""
        rows = self._rows("SELECT body FROM memory WHERE name = 'kept'")
        return decoded(self._place, rows[0][0], Kept) if rows else Kept()

    def delivered_until(self) -> int:
        """When the newest message was delivered (microseconds), 0 where none was."""
        rows = self._rows("SELECT max(ended_at) FROM deliveries WHERE state = 'delivered'")
        return int(rows[0][0] or 0)

    def delivered_since(self, moment: int) -> list[tuple[Severity, int, int]]:
        """Deliveries that ended after a moment: severity, when made and when accepted."""
        rows = self._rows(
            "SELECT severity, created_at, ended_at FROM deliveries "
            "WHERE state = 'delivered' AND ended_at > ? ORDER BY ended_at LIMIT 10000",
            moment,
        )
        return [(row[0], row[1], row[2]) for row in rows]

    def oldest_waiting(self, now: int) -> dict[Severity, int]:
        """How long the oldest message of each severity has waited (microseconds)."""
        rows = self._rows(
            "SELECT severity, min(created_at) FROM deliveries "
            "WHERE state IN ('waiting', 'sending') GROUP BY severity"
        )
        return {row[0]: max(0, now - row[1]) for row in rows}

    def figures(self) -> dict[str, ChannelFigures]:
        """What became of each channel's messages."""
        rows = self._rows(
            "SELECT channel, sum(state = 'delivered'), sum(state IN ('waiting', 'sending')), "
            "sum(state = 'dead'), max(CASE state WHEN 'delivered' THEN ended_at END), "
            "max(CASE WHEN detail <> '' THEN coalesce(ended_at, created_at) END), '', "
            "min(CASE WHEN state IN ('waiting', 'sending') THEN created_at END) "
            "FROM deliveries GROUP BY channel"
        )
        found = {row[0]: ChannelFigures._make(row) for row in rows}
        for channel, figures in found.items():
            said = self._rows(
                "SELECT detail FROM deliveries WHERE channel = ? AND detail <> '' "
                "ORDER BY number DESC LIMIT 1",
                channel,
            )
            found[channel] = figures._replace(last_detail=said[0][0] if said else "")
        return found

    def _rows(self, statement: str, *values: object) -> Sequence[Any]:
        with self._place.explained():
            return self._connection.exec_driver_sql(statement, tuple(values)).all()
