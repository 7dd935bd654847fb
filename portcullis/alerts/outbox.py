"""Alerts and their deliveries in `<home>/alerts.db`: written by the sender alone, read by anybody.

What the policy decides and how far the ledger was read are committed together, so that a kill at
any moment neither loses a message nor plans it twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import msgspec

from portcullis.alerts.alert import Alert
from portcullis.alerts.book import Book
from portcullis.alerts.memory import Memory
from portcullis.alerts.message import Outcome
from portcullis.alerts.retries import Next
from portcullis.domain.judge import Severity
from portcullis.domain.model import DAY
from portcullis.store.database import ALERTS_FILE, Tuning, driver_of
from portcullis.store.place import ALERTS, SqliteFile

KEPT = 90 * DAY
LATELY = 500
"""So many alerts that are over are remembered, so that one can be acknowledged late."""

INTERRUPTED = "the sender ended during the attempt; nobody knows whether it was accepted"

_DELIVERY = (
    "number, channel, why, severity, alerts, title, body, state, attempts, created_at, due_at, "
    "ended_at, detail, receipt"
)


class Progress(msgspec.Struct, frozen=True):
    """How far a ledger was read: up to the event at `position`, whose hash is `hash`."""

    ledger: str
    position: int
    hash: bytes = b""


class Delivery(NamedTuple):
    """A message to one channel. `alerts`: ids; times in microseconds; `ended_at` None: not yet."""

    number: int
    channel: str
    why: str
    severity: Severity
    alerts: tuple[str, ...]
    title: str
    body: str
    state: str
    attempts: int
    created_at: int
    due_at: int
    ended_at: int | None
    detail: str
    receipt: str


class Planned(NamedTuple):
    """A message that is to be delivered from `due_at` on; `receipt` names one that it changes."""

    channel: str
    why: str
    severity: Severity
    alerts: tuple[str, ...]
    title: str
    body: str
    due_at: int
    receipt: str = ""


class Kept(msgspec.Struct):
    """What is remembered between two turns of the sender, besides alerts and deliveries.

    `applied`: requests that were carried out, each with why it was refused, if it was. `offsets`:
    how far each bot was listened to.
    """

    progress: Progress | None = None
    memory: Memory = msgspec.field(default_factory=Memory)
    book: Book = msgspec.field(default_factory=Book)
    applied: dict[str, str] = {}
    offsets: dict[str, int] = {}


class Outbox:
    """The sender's own hold on the file; one process has it at a time."""

    def __init__(self, home: Path, tuning: Tuning | None = None) -> None:
        """Open it, making it where there is none. StoreLocked where another sender has it."""
        self._place = SqliteFile(home / ALERTS_FILE, ALERTS, tuning)
        with ExitStack() as opening, self._place.explained():
            self._driver = driver_of(opening.enter_context(self._place.writer()))
            self._open = opening.pop_all()

    def close(self) -> None:
        self._open.close()

    # --- what is remembered -----------------------------------------------------------------------

    def load(self) -> Kept:
        """As it was after the last commit; what was being sent then waits again."""
        with self._writing():
            self._driver.execute(
                "UPDATE deliveries SET state = 'waiting', detail = ? WHERE state = 'sending'",
                (INTERRUPTED,),
            )
            row = self._one("SELECT body FROM memory WHERE name = 'kept'")
            bodies = self._driver.execute(
                "SELECT body FROM alerts WHERE state <> 'resolved' OR id IN "
                "(SELECT id FROM alerts ORDER BY first_at DESC LIMIT ?) ORDER BY first_at, id",
                (LATELY,),
            ).fetchall()
        kept = msgspec.msgpack.decode(row[0], type=Kept) if row else Kept()
        alerts = [msgspec.msgpack.decode(body, type=Alert) for (body,) in bodies]
        kept.book.alerts = {alert.id: alert for alert in alerts}
        return kept

    def commit(self, kept: Kept, planned: Sequence[Planned], now: int) -> None:
        """Everything of a turn, or nothing of it."""
        changed = [kept.book.alerts[name] for name in kept.book.changed if name in kept.book.alerts]
        with self._writing():
            for alert in changed:
                self._keep(alert)
            for each in planned:
                self._driver.execute(
                    "INSERT INTO deliveries (channel, why, severity, alerts, title, body, state, "
                    "attempts, created_at, due_at, detail, receipt) "
                    "VALUES (?, ?, ?, ?, ?, ?, 'waiting', 0, ?, ?, '', ?)",
                    (
                        *(each.channel, each.why, each.severity, " ".join(each.alerts)),
                        *(each.title, each.body, now, each.due_at, each.receipt),
                    ),
                )
            without = msgspec.structs.replace(kept.book, alerts={}, changed={})
            body = msgspec.msgpack.encode(msgspec.structs.replace(kept, book=without))
            self._driver.execute(
                "INSERT INTO memory (name, body) VALUES ('kept', ?) "
                "ON CONFLICT (name) DO UPDATE SET body = excluded.body",
                (body,),
            )
        kept.book.changed.clear()

    def _keep(self, alert: Alert) -> None:
        self._driver.execute(
            "INSERT INTO alerts (id, kind, severity, topic, account, state, first_at, body) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
            "severity = excluded.severity, state = excluded.state, body = excluded.body",
            (
                *(alert.id, alert.kind, alert.severity, alert.topic, alert.account),
                *(_row_state(alert), alert.first_at, msgspec.msgpack.encode(alert)),
            ),
        )

    # --- deliveries -------------------------------------------------------------------------------

    def next_of(self, channel: str, now: int) -> Delivery | None:
        """What is due on a channel: what is critical first, then in the order of its time."""
        row = self._one(
            f"SELECT {_DELIVERY} FROM deliveries WHERE channel = ? AND due_at <= ? "
            "AND state = 'waiting' "
            "ORDER BY (severity = 'critical') DESC, due_at, number LIMIT 1",
            channel,
            now,
        )
        return None if row is None else _delivery(row)

    def next_due(self) -> int | None:
        """When the next delivery is due, None where none waits."""
        found = self._one("SELECT min(due_at) FROM deliveries WHERE state = 'waiting'")
        return None if found is None else found[0]

    def begin(self, numbers: Sequence[int]) -> None:
        """An attempt of each begins."""
        with self._writing():
            self._driver.executemany(
                "UPDATE deliveries SET state = 'sending', attempts = attempts + 1 WHERE number = ?",
                [(number,) for number in numbers],
            )

    def ended(self, ends: Sequence[tuple[int, Outcome, Next]], now: int) -> None:
        """How attempts ended, and what follows. What was delivered stays so."""
        with self._writing():
            for number, outcome, then in ends:
                self._driver.execute(
                    "UPDATE deliveries SET state = ?, due_at = ?, ended_at = ?, detail = ?, "
                    "receipt = CASE ? WHEN '' THEN receipt ELSE ? END "
                    "WHERE number = ? AND state <> 'delivered'",
                    (
                        *(then.state, then.due_at, None if then.state == "waiting" else now),
                        *(outcome.detail, outcome.receipt, outcome.receipt, number),
                    ),
                )

    def by_number(self, number: int) -> Delivery | None:
        row = self._one(f"SELECT {_DELIVERY} FROM deliveries WHERE number = ?", number)
        return None if row is None else _delivery(row)

    def redeliver(self, alert: str, channel: str | None, now: int) -> int:
        """Let what was given up of an alert wait again; how many deliveries."""
        with self._writing():
            found = self._driver.execute(
                "UPDATE deliveries SET state = 'waiting', due_at = ?, created_at = ?, "
                "ended_at = NULL WHERE state = 'dead' AND (channel = ? OR ? IS NULL) "
                "AND (' ' || alerts || ' ') LIKE ?",
                (now, now, channel, channel, f"% {alert} %"),
            )
            return int(found.rowcount)

    def receipts(self, alert: str) -> list[Delivery]:
        """Delivered messages that tell of an alert and that their service has a name for."""
        found = self._driver.execute(
            f"SELECT {_DELIVERY} FROM deliveries WHERE state = 'delivered' AND receipt <> '' "
            "AND why <> 'change' AND (' ' || alerts || ' ') LIKE ? ORDER BY number",
            (f"% {alert} %",),
        )
        return [_delivery(row) for row in found.fetchall()]

    def late(self, severity: Severity, since: int) -> int:
        """Deliveries of a severity that have waited since before a moment."""
        row = self._one(
            "SELECT count(*) FROM deliveries WHERE state IN ('waiting', 'sending') "
            "AND severity = ? AND created_at < ?",
            severity,
            since,
        )
        return int(row[0])

    def drop_gone(self, channels: Sequence[str], now: int) -> int:
        """Give up what waits for channels that are no longer there."""
        marks = ", ".join("?" * len(channels))
        with self._writing():
            found = self._driver.execute(
                "UPDATE deliveries SET state = 'dead', ended_at = ?, "
                "detail = 'there is no such channel any more' WHERE state = 'waiting' "
                f"AND channel NOT IN ({marks})",
                (now, *channels),
            )
            return int(found.rowcount)

    def forget(self, now: int) -> None:
        """Drop what ended longer ago than it is kept."""
        with self._writing():
            self._driver.execute("DELETE FROM deliveries WHERE ended_at < ?", (now - KEPT,))
            self._driver.execute(
                "DELETE FROM alerts WHERE state = 'resolved' AND first_at < ?", (now - KEPT,)
            )

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._place.explained(), self._place.transaction(self._driver):
            yield

    def _one(self, statement: str, *values: object) -> Any:
        with self._place.explained():
            return self._driver.execute(statement, values).fetchone()


def _row_state(alert: Alert) -> str:
    """`untold`: over, and somebody is still to be told; it must be remembered like an open one."""
    return "untold" if alert.due and not alert.is_open else alert.state


def _delivery(row: Any) -> Delivery:
    found = Delivery._make(row)
    return found._replace(alerts=tuple(str(row[4]).split()))


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
        where = "" if everything else "WHERE state <> 'resolved' "
        rows = self._rows(
            f"SELECT body FROM alerts {where}ORDER BY first_at DESC, id LIMIT ?", limit
        )
        found = [msgspec.msgpack.decode(row[0], type=Alert) for row in rows]
        return [alert for alert in found if everything or alert.is_open]

    def alert(self, name: str) -> Alert | None:
        """One alert by its id."""
        rows = self._rows("SELECT body FROM alerts WHERE id = ?", name)
        return msgspec.msgpack.decode(rows[0][0], type=Alert) if rows else None

    def deliveries(self, alert: str) -> list[Delivery]:
        """Every message that tells of an alert."""
        rows = self._rows(
            f"SELECT {_DELIVERY} FROM deliveries WHERE (' ' || alerts || ' ') LIKE ? "
            "ORDER BY number",
            f"% {alert} %",
        )
        return [_delivery(row) for row in rows]

    def dead(self, limit: int = 200) -> list[Delivery]:
        """What was given up, the newest first."""
        rows = self._rows(
            f"SELECT {_DELIVERY} FROM deliveries WHERE state = 'dead' ORDER BY number DESC LIMIT ?",
            limit,
        )
        return [_delivery(row) for row in rows]

    def kept(self) -> Kept:
        """Subscriptions and silences, and how far the ledger was read."""
        rows = self._rows("SELECT body FROM memory WHERE name = 'kept'")
        return msgspec.msgpack.decode(rows[0][0], type=Kept) if rows else Kept()

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
