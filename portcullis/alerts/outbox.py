"""Alerts and their deliveries in `<home>/alerts.db`: written by the sender alone. Who else
looks does so by `portcullis.alerts.alert_reader`.

What the policy decides and how far the ledger was read are committed together, so that a kill at
any moment neither loses a message nor plans it twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from portcullis.alerts.alert import Alert, Terms
from portcullis.alerts.asked import Again, Request
from portcullis.alerts.book import Book
from portcullis.alerts.memory import Memory
from portcullis.alerts.message import KnownChannel, Outcome
from portcullis.alerts.retries import Next
from portcullis.domain.judge import Severity
from portcullis.domain.model import DAY, MINUTE
from portcullis.errors import StoreError
from portcullis.store.database import ALERTS_FILE, Tuning, driver_of
from portcullis.store.place import ALERTS, SqliteFile

Kind = TypeVar("Kind")

KEPT = 90 * DAY
LATELY = 500
"""So many alerts that are over are remembered, so that one can be acknowledged late."""

CHANGE = "change"
"""Why a delivery is made that changes a message which was delivered before."""

REPLACED = "a later message tells of the same"
INTERRUPTED = "the sender ended during the attempt; nobody knows whether it was accepted"

DELIVERY = (
    "number, channel, why, severity, alerts, title, body, state, attempts, created_at, due_at, "
    "ended_at, detail, receipt"
)
TELLS_OF = "instr(' ' || alerts || ' ', ' ' || ? || ' ') > 0"


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

    `asked`: requests of which the ledger has not said yet whether they were taken. `applied`:
    those that were carried out, each with why it was refused, if it was. `offsets`:
    how far each bot was listened to. `terms`: those last in force. `at`: when that was.
    `channels`: those there are, for whoever must not read their addresses.
    """

    progress: Progress | None = None
    memory: Memory = msgspec.field(default_factory=Memory)
    book: Book = msgspec.field(default_factory=Book)
    terms: Terms = Terms()
    at: int = 0
    asked: dict[str, Request] = {}
    applied: dict[str, str] = {}
    offsets: dict[str, int] = {}
    channels: dict[str, KnownChannel] = {}


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
        kept = decoded(self._place, row[0], Kept) if row else Kept()
        alerts = [decoded(self._place, body, Alert) for (body,) in bodies]
        kept.book.alerts = {alert.id: alert for alert in alerts}
        return kept

    def commit(
        self,
        kept: Kept,
        planned: Sequence[Planned],
        now: int,
        again: Sequence[Again] = (),
    ) -> None:
        """Everything of a turn, or nothing of it. `again`: what was given up and waits again."""
        changed = [kept.book.alerts[name] for name in kept.book.changed if name in kept.book.alerts]
        with self._writing():
            for alert in changed:
                self._keep(alert)
            for each in planned:
                since = self._replace_waiting(each, now)
                self._driver.execute(
                    "INSERT INTO deliveries (channel, why, severity, alerts, title, body, state, "
                    "attempts, created_at, due_at, detail, receipt) "
                    "VALUES (?, ?, ?, ?, ?, ?, 'waiting', 0, ?, ?, '', ?)",
                    (
                        *(each.channel, each.why, each.severity, " ".join(each.alerts)),
                        *(each.title, each.body, since, each.due_at, each.receipt),
                    ),
                )
            without = msgspec.structs.replace(kept.book, alerts={}, changed={})
            body = msgspec.msgpack.encode(msgspec.structs.replace(kept, book=without))
            self._driver.execute(
                "INSERT INTO memory (name, body) VALUES ('kept', ?) "
                "ON CONFLICT (name) DO UPDATE SET body = excluded.body",
                (body,),
            )
            for wanted in again:
                self._let_wait(wanted, now)
        kept.book.changed.clear()

    def _replace_waiting(self, planned: Planned, now: int) -> int:
        """What failed or waits for long gives way to a later message that tells of the same. After
        an outage nobody reads twelve reminders, nor that something fell after that it is over.

        Since when the new one is waited for: a reminder is as late as what it takes the place of.
        """
        if planned.why == CHANGE:
            return now
        waiting = self._driver.execute(
            "SELECT number, alerts, created_at FROM deliveries "
            "WHERE channel = ? AND state = 'waiting' "
            "AND (attempts > 0 OR created_at < ?) AND why <> ?",
            (planned.channel, now - MINUTE, CHANGE),
        ).fetchall()
        told = set(planned.alerts)
        replaced = [row for row in waiting if told.issuperset(row[1].split())]
        self._driver.executemany(
            "UPDATE deliveries SET state = 'replaced', ended_at = ?, detail = ? WHERE number = ?",
            [(now, REPLACED, number) for number, _, _ in replaced],
        )
        return now if planned.why == "over" else min((row[2] for row in replaced), default=now)

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
            f"SELECT {DELIVERY} FROM deliveries WHERE channel = ? AND due_at <= ? "
            "AND state = 'waiting' "
            "ORDER BY (severity = 'critical') DESC, due_at, number LIMIT 1",
            channel,
            now,
        )
        return None if row is None else delivery_of(row)

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
        row = self._one(f"SELECT {DELIVERY} FROM deliveries WHERE number = ?", number)
        return None if row is None else delivery_of(row)

    def _let_wait(self, wanted: Again, now: int) -> None:
        waits = (
            "UPDATE deliveries SET state = 'waiting', due_at = ?, created_at = ?, "
            "ended_at = NULL WHERE state = 'dead' AND "
        )
        if wanted.delivery is not None:
            self._driver.execute(f"{waits} number = ?", (now, now, wanted.delivery))
            return
        self._driver.execute(
            f"{waits} (channel = ? OR ? IS NULL) AND {TELLS_OF}",
            (now, now, wanted.channel, wanted.channel, wanted.alert),
        )

    def receipts(self, alert: str) -> list[Delivery]:
        """Delivered messages that tell of an alert and that their service has a name for."""
        found = self._driver.execute(
            f"SELECT {DELIVERY} FROM deliveries WHERE state = 'delivered' AND receipt <> '' "
            f"AND why <> 'change' AND {TELLS_OF} ORDER BY number",
            (alert,),
        )
        return [delivery_of(row) for row in found.fetchall()]

    def late(self, severity: Severity, since: int) -> int:
        """Deliveries of a severity that have waited since before a moment."""
        row = self._one(
            "SELECT count(*) FROM deliveries WHERE state IN ('waiting', 'sending') "
            "AND severity = ? AND created_at < ?",
            severity,
            since,
        )
        return int(row[0])

    def reached_nobody(self, alerts: Collection[str], since: int) -> list[str]:
        """Those of the alerts whose critical messages since then were given up on every channel."""
        with self._place.explained():
            found = self._driver.execute(
                "SELECT state, alerts FROM deliveries WHERE severity = 'critical' "
                "AND created_at > ? ORDER BY number",
                (since,),
            ).fetchall()
        dead = {name for state, names in found if state == "dead" for name in names.split()}
        others = {
            name
            for state, names in found
            if state not in ("dead", "replaced")
            for name in names.split()
        }
        return [name for name in alerts if name in dead and name not in others]

    def drop_gone(self, channels: Collection[str], now: int) -> dict[str, Severity]:
        """Give up what waits for other channels than these: the worst of it by channel."""
        with self._writing():
            found = self._driver.execute(
                "SELECT channel, max(severity = 'critical') FROM deliveries "
                "WHERE state = 'waiting' GROUP BY channel ORDER BY channel"
            ).fetchall()
            gone: dict[str, Severity] = {
                channel: "critical" if is_critical else "warning"
                for channel, is_critical in found
                if channel not in channels
            }
            self._driver.executemany(
                "UPDATE deliveries SET state = 'dead', ended_at = ?, "
                "detail = 'there is no such channel any more' WHERE state = 'waiting' "
                "AND channel = ?",
                [(now, channel) for channel in gone],
            )
        return gone

    def set_back(self, now: int) -> None:
        """The clock went back to `now`: nothing waits for the time that it showed before."""
        with self._writing():
            self._driver.execute(
                "UPDATE deliveries SET due_at = min(due_at, ?), created_at = min(created_at, ?) "
                "WHERE state IN ('waiting', 'sending')",
                (now, now),
            )

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


def decoded(place: SqliteFile, body: bytes, kind: type[Kind]) -> Kind:
    """What was kept as bytes. Raises StoreError."""
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StoreError(
            f"{place}: what is kept cannot be read: {error}",
            remedy="move the file away: the sender begins anew, and what waited in it is lost",
        ) from error


def _row_state(alert: Alert) -> str:
    """`untold`: over, and somebody is still to be told; it must be remembered like an open one."""
    return "untold" if alert.due and not alert.is_open else alert.state


def delivery_of(row: Any) -> Delivery:
    """A row of `DELIVERY` columns."""
    found = Delivery._make(row)
    return found._replace(alerts=tuple(str(row[4]).split()))
