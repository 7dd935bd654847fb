"""Real damage to a running system: the gate falls, says why, and does not open by itself again.

`make damage` runs this and its neighbour alone; it takes forty minutes and writes
docs/damage.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from portcullis.domain.state import STATE_VERSION, State, freeze
from portcullis.ports import Snapshot
from portcullis.store.keys import load_key, load_verifier
from portcullis.store.note import Signer, snapshot_text
from portcullis.store.reading import LedgerReader
from portcullis.worker.recovery import recover
from tests.damage.conftest import STAYS_SECONDS, fell, stays_shut
from tests.damage.running import HEARTBEAT_LASTS, Running

pytestmark = pytest.mark.damage

Done = Callable[[Running], AbstractContextManager[None]]
Change = Callable[[State], None]

# --- the ledger's own rows ------------------------------------------------------------------------

EVENT = "SELECT * FROM events WHERE position = ?"
PUT_BACK = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
CUT_OUT = "DELETE FROM events WHERE position = ?"


@contextmanager
def a_row_deleted(system: Running) -> Iterator[None]:
    (row,) = system.ledger((EVENT, (60,)))
    system.ledger((CUT_OUT, (60,)))
    try:
        yield
    finally:
        system.ledger((PUT_BACK, tuple(row)))


@contextmanager
def times_swapped(system: Running) -> Iterator[None]:
    (first,), (second,) = system.ledger((EVENT, (60,))), system.ledger((EVENT, (90,)))
    change = "UPDATE events SET at = ? WHERE position = ?"
    system.ledger((change, (second[3], 60)), (change, (first[3], 90)))
    try:
        yield
    finally:
        system.ledger((change, (first[3], 60)), (change, (second[3], 90)))


@contextmanager
def a_byte_altered(system: Running) -> Iterator[None]:
    (row,) = system.ledger((EVENT, (70,)))
    change = "UPDATE events SET payload = ? WHERE position = 70"
    system.ledger((change, (row[7][:-1] + bytes([row[7][-1] ^ 1]),)))
    try:
        yield
    finally:
        system.ledger((change, (row[7],)))


@contextmanager
def a_number_given_twice(system: Running) -> Iterator[None]:
    (row,) = system.ledger((EVENT, (80,)))
    change = "UPDATE events SET seq = ? WHERE position = 80"
    system.ledger((change, (row[2] - 1,)))
    try:
        yield
    finally:
        system.ledger((change, (row[2],)))


@contextmanager
def a_checkpoint_altered(system: Running) -> Iterator[None]:
    (row,) = system.ledger(("SELECT position, root FROM head", ()))
    note = "portcullis/x\n5\nAAAA\nat 1\n\n\N{EM DASH} x AAAA\n"
    system.ledger(("INSERT INTO checkpoints VALUES (5, ?)", (note,)))
    assert row
    try:
        yield
    finally:
        system.ledger(("DELETE FROM checkpoints WHERE position = 5", ()))


class Damage(NamedTuple):
    """What is done to the files, which flow finds it, and what the gate says then."""

    evidence: str
    what: str
    done: Done
    says: str
    flow: str = "integrity"
    parameters: dict[str, Any] = {"full": True}  # noqa: RUF012 - nobody writes to it
    modes: tuple[str, ...] = ("OBSERVE_ONLY",)


@contextmanager
def an_equity_altered(system: Running) -> Iterator[None]:
    change = "UPDATE account_records SET equity = equity + ? WHERE account = 'DEMO-LOSS'"
    system.records(change, (1,))
    try:
        yield
    finally:
        system.records(change, (-1,))


@contextmanager
def a_record_too_early(system: Running) -> Iterator[None]:
    rows = system.records("SELECT * FROM account_records WHERE account = 'DEMO-SIZE'", ())
    later = (rows[0][0], "2099-01-01", *rows[0][2:])
    marks = ", ".join("?" * len(later))
    system.records(f"INSERT INTO account_records VALUES ({marks})", later)
    try:
        yield
    finally:
        system.records("DELETE FROM account_records WHERE trading_day = '2099-01-01'", ())


def with_state(
    change: Callable[[State], None],
) -> Callable[[Running], AbstractContextManager[None]]:
    """A folded state that somebody with the ledger's key altered and signed."""

    @contextmanager
    def done(system: Running) -> Iterator[None]:
        with LedgerReader(system.home) as reader:
            state = recover(reader).engine.state
            name = load_verifier(system.home / "ledger.pub").name
        change(state)
        snapshot = Snapshot(state.position, state.now, STATE_VERSION, freeze(state))
        key = Signer(name, load_key(system.home / "ledger.key"))
        row = (*snapshot, key.sign(snapshot_text(name, snapshot)))
        system.ledger(("INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?, ?, ?)", row))
        try:
            yield
        finally:
            system.ledger(("DELETE FROM snapshots WHERE position = ?", (state.position,)))

    return done


def break_a_sum(state: State) -> None:
    pool = next(iter(state.pools.values()))
    pool.result += 1_000_000


def move_a_strategy(state: State) -> None:
    next(iter(state.strategies.values())).state = "RETIRED"


ROWS = [
    Damage("event_log", "a row of the ledger deleted", a_row_deleted, "event 60 is missing"),
    Damage("event_log", "the times of two events swapped", times_swapped, "at position 60"),
    Damage("event_log", "one byte of an event altered", a_byte_altered, "at position 70"),
    Damage("event_log", "an event given a number twice", a_number_given_twice, "at position 80"),
    Damage("event_log", "a checkpoint altered", a_checkpoint_altered, "at 5 was altered"),
    Damage(
        "ledger_rows", "a row of the ledger deleted", a_row_deleted, "rows.all_there", "ledger_rows"
    ),
    Damage(
        "ledger_rows", "the times of two events swapped", times_swapped, "time.in_order",
        "ledger_rows",
    ),
    Damage(
        "ledger_rows", "an event given a number twice", a_number_given_twice, "stream_seq",
        "ledger_rows",
    ),
    Damage("snapshot", "the sum of a daily record broken", an_equity_altered, "equity.sum",
           "snapshot"),
    Damage("snapshot", "a record of a day to come", a_record_too_early, "snapshot: failed",
           "snapshot"),
    Damage(
        "capital", "the sum of a pool broken, and signed with the ledger's own key",
        with_state(break_a_sum), "capital.", "capital", {}, ("SHUTDOWN",),
    ),
    Damage(
        "strategies", "a strategy moved without a word, and signed with the ledger's own key",
        with_state(move_a_strategy), "strategies.", "strategies", {},
    ),
]  # fmt: skip


@pytest.mark.parametrize("damage", ROWS, ids=[f"{d.evidence}: {d.what}" for d in ROWS])
def test_damaged_rows(system: Running, damage: Damage):
    began = time.monotonic()
    with damage.done(system):
        assert system.run(damage.flow, **damage.parameters) in ("Fail", "Error", "Stale")
        fell(
            system, damage.evidence, damage.what, says=damage.says, began=began,
            modes=damage.modes,
        )  # fmt: skip
    assert system.run(damage.flow, **damage.parameters) in ("Pass", "Warn")
    stays_shut(system)
    system.release()


# --- market data ----------------------------------------------------------------------------------


def test_a_feed_that_stops(system: Running):
    began = time.monotonic()
    system.venue("rates", event={"drop": 0.0})
    system.venue("fault", where="event", kind="drop", on="quote", count=1_000_000)
    system.venue("fault", where="call", kind="reject", on="quotes", count=1_000_000)
    try:
        fell(
            system, "market_data", "the feed of quotes stopped", says="market_data: failed",
            began=began, seconds=240,
        )  # fmt: skip
    finally:
        system.venue("heal")
    stays_shut(system)
    time.sleep(STAYS_SECONDS)
    system.run("market_data_quality")
    system.release()


def test_quotes_that_stay_crossed(system: Running):
    began = time.monotonic()
    quote = system.venue("status")["quotes"][0]
    for number in range(12):
        ask = 29_000 + number  # the same again would be no news
        crossed = {"bid": ask + 1_000, "ask": ask, "last": ask}
        at = time.time_ns() // 1000
        system.venue("quote", instrument=quote["instrument"], quoted_at=at, **crossed)
        time.sleep(0.03)  # a stream passes on the newest of what comes at once
    assert system.run("market_data_quality") == "Fail"
    damage = "an instrument's quotes stayed crossed"
    fell(system, "market_data", damage, says="crossed", began=began)
    stays_shut(system)
    deadline = time.monotonic() + 400  # the suite's window of five minutes must move past them
    while system.run("market_data_quality") not in ("Pass", "Warn"):
        assert time.monotonic() < deadline
        time.sleep(STAYS_SECONDS)
    system.release()


def lacks(what: str) -> Callable[[dict[str, Any]], bool]:
    """Whether that is among what the gate lacks."""
    return lambda health: any(each.startswith(what) for each in health["lacking"])


# --- the venue, and processes that hang -----------------------------------------------------------


def test_a_venue_that_hangs(system: Running):
    began = time.monotonic()
    with system.stopped("portcullis", "venue"):
        # Its quotes stop as well: whichever of the two is judged first lets the gate fall.
        fell(system, "venue", "the venue hangs", says="venue: expired|market_data: ", began=began)
        system.until(lacks("venue: expired"), "the venue lacking", 60)
    stays_shut(system)
    system.release()


def test_accounts_that_cannot_be_compared(system: Running):
    began = time.monotonic()
    system.venue("fault", where="call", kind="reject", on="accounts", count=1_000_000)
    system.venue("fault", where="call", kind="reject", on="positions", count=1_000_000)
    try:
        fell(system, "venue", "the venue refuses every comparison", says="venue: ", began=began)
    finally:
        system.venue("heal")
    stays_shut(system)
    system.release()


def test_a_scheduled_side_that_hangs(system: Running):
    began = time.monotonic()
    what = f"the scheduled side hangs (its verdict lasts {HEARTBEAT_LASTS} here)"
    with system.stopped("flows"):
        fell(system, "operations", what, says="operations: expired", began=began)
    stays_shut(system)
    system.release()


def test_a_worker_that_hangs(system: Running):
    began = time.monotonic()
    with system.stopped("portcullis", "worker"):
        time.sleep(75)
        assert system.run("heartbeat") in ("Fail", "Error")
    says = "operations|venue|clock"
    fell(system, "operations", "the worker hangs for 75 s", says=says, began=began)
    stays_shut(system)
    system.run("heartbeat")
    system.release()


def test_a_shipper_that_hangs(system: Running):
    began = time.monotonic()
    with system.stopped("portcullis", "ship"):
        fell(system, "shipped", "the shipper hangs", says="shipped: expired", began=began)
    stays_shut(system)
    system.release()


# --- backups --------------------------------------------------------------------------------------


@contextmanager
def in_the_way(folder: Path) -> Iterator[None]:
    """A file where a folder should be."""
    aside = folder.with_name(folder.name + "-aside")
    folder.rename(aside)
    folder.write_text("in the way")
    try:
        yield
    finally:
        folder.unlink()
        aside.rename(folder)


def test_a_target_that_is_gone(system: Running):
    began = time.monotonic()
    with in_the_way(system.backups):
        assert system.run("backup") == "Error"
        fell(system, "backup", "the backup target removed", says="backup: failed", began=began)
    assert system.run("backup") == "Pass"
    stays_shut(system)
    system.release()


def test_shipments_that_cannot_be_written(system: Running):
    began = time.monotonic()
    with in_the_way(system.backups / "shipments"):
        fell(
            system, "shipped", "the folder of shipments removed", says="shipped: failed",
            began=began,
        )  # fmt: skip
    stays_shut(system)
    system.release()


def test_a_damaged_newest_backup(system: Running):
    system.run("backup")
    newest = max(system.backups.glob("*.backup"))
    data = newest.read_bytes()
    began = time.monotonic()
    newest.write_bytes(data[:-40] + bytes([data[-40] ^ 1]) + data[-39:])
    try:
        assert system.run("restore_drill") in ("Fail", "Error")
        fell(
            system, "restore", "one bit of the newest backup flipped", says="restore: failed",
            began=began,
        )  # fmt: skip
    finally:
        newest.write_bytes(data)
    assert system.run("restore_drill") in ("Pass", "Warn")
    stays_shut(system)
    system.release()
