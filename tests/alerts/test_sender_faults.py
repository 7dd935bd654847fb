"""The sender beside a store that fails, a clock that moves, files that are faulty, and a flood."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from portcullis.alerts.alert import Signal, Subscription
from portcullis.alerts.book import Book
from portcullis.alerts.channels import describe
from portcullis.alerts.message import Channel, Message, Outcome
from portcullis.alerts.outbox import INTERRUPTED
from portcullis.alerts.policy import ENDED_MAX, LOOK_EVERY, Policy
from portcullis.domain.events import (
    ModeChanged,
    RequestAnswered,
    RequestReceived,
    WorkerStarted,
)
from portcullis.domain.model import HOUR, MINUTE, SECOND
from portcullis.errors import StoreError
from portcullis.store import database
from tests.alerts.harness import AT_ONCE, Desk
from tests.alerts.sinks import http_sink
from tests.alerts.test_sender import FELL, failed, json_to

NOWHERE = "json://127.0.0.1:1/x"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.close()


@pytest.fixture
def moved(desk: Desk) -> list[int]:
    """How far the machine's clock is off, in microseconds."""
    off, real = [0], desk.now
    desk.now = lambda: real() + off[0]
    return off


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Another program writes into the sender's file and does not come to an end."""
    other = database.DRIVER.connect(home / "alerts.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)


# --- a store that takes nothing for a while -------------------------------------------------------


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("kind", ["delivered", "failed"])
def test_how_an_attempt_ended_is_noted_once_the_store_takes_it(desk, kind) -> None:
    calls: list[Message] = []

    def carry(address: str, message: Message) -> Outcome:
        calls.append(message)
        return Outcome(kind if len(calls) == 1 else "delivered")

    desk.open({"desk": NOWHERE}, carry=carry)
    desk.write(FELL)
    desk.sender.turn(0)
    with locked(desk.home):
        assert "locked" in desk.sender.turn(0.5)
    desk.turn_until(lambda: desk.outbox.by_number(1).state == "delivered")
    assert len(calls) == (1 if kind == "delivered" else 2)


@pytest.mark.usefixtures("impatient")
def test_nothing_is_lost_or_repeated_by_a_store_that_takes_nothing_for_a_while(desk, sink) -> None:
    desk.open({"desk": json_to(sink)})
    desk.sender.turn(0)
    with locked(desk.home):
        for number in range(3):
            desk.write(failed(f"A{number}"))
            assert "locked" in desk.sender.turn(0)
        verdict = desk.sender.verdict("alerts.db: locked")
        assert not verdict.passed
    desk.turn_until(lambda: len(desk.outbox.receipts("x")) == 0 and len(sink.received) == 3)
    for _ in range(3):
        desk.sender.turn(0.01)
    assert len(sink.received) == 3


@pytest.mark.usefixtures("impatient")
def test_what_is_to_be_sent_again_is_so_although_the_store_failed_meanwhile(desk) -> None:
    outcomes = [Outcome("refused", "no")]
    desk.open(
        {"desk": NOWHERE}, carry=lambda *_: outcomes.pop() if outcomes else Outcome("delivered")
    )
    desk.write(FELL)
    desk.turn_until(lambda: desk.outbox.by_number(1) and desk.outbox.by_number(1).state == "dead")
    (alert,) = [a for a in desk.sender.policy.book.alerts.values() if a.kind == "gate_fell"]
    desk.ask("redeliver", at=desk.now() - MINUTE, alert=alert.id)
    with locked(desk.home):
        desk.sender._looked_at = 0
        assert "locked" in desk.sender.turn(0)
    desk.turn_until(lambda: desk.outbox.by_number(1).state == "delivered")


# --- a clock that moves ---------------------------------------------------------------------------


@pytest.mark.parametrize("restarted", [False, True])
def test_a_clock_that_is_set_back_by_hours_holds_nothing_up(desk, sink, moved, restarted) -> None:
    sink.behave("broken")
    moved[0] = 3 * HOUR
    desk.open({"desk": json_to(sink)}, pace=50_000)
    desk.write(FELL)
    desk.turn_until(lambda: len(sink.received) == 1)
    desk.turn_until(lambda: not desk.couriers.busy)
    moved[0] = 0
    sink.behave("ok")
    if restarted:
        desk.end()
        desk.open({"desk": json_to(sink)}, pace=50_000)
    desk.turn_until(lambda: len(sink.received) == 2, 5)
    desk.write(failed("A"))
    name = desk.ask("alert_test", at=desk.now() - MINUTE, channel="desk")
    desk.turn_until(lambda: name in desk.sender.kept.applied, 5)
    desk.turn_until(lambda: len(sink.received) == 4, 5)
    desk.turn_until(lambda: not desk.couriers.busy)
    assert desk.sender.verdict("").passed


def test_a_request_of_a_clock_that_was_ahead_is_taken_up(desk, sink) -> None:
    desk.open({"desk": json_to(sink)})
    desk.ask("alert_test", at=desk.now() + 5 * HOUR, channel="desk")
    desk.turn_until(lambda: len(sink.received) == 1, 5)


def test_silences_reminders_and_acknowledgements_last_as_long_as_they_would_have(
    desk, moved
) -> None:
    desk.open({"desk": NOWHERE}, carry=lambda *_: Outcome("delivered"))
    desk.ask("silence", at=desk.now() - MINUTE, kind="breach", for_us=HOUR)
    desk.write(FELL)
    desk.turn_until(lambda: bool(desk.sender.policy.book.silences))
    policy = desk.sender.policy
    (alert,) = policy.book.alerts.values()
    policy.acknowledge(alert.id, "anna", "", desk.now())
    moved[0] = -3 * HOUR
    desk.sender.turn(0)
    (silence,) = policy.book.silences.values()
    assert abs(silence.end - desk.now() - HOUR) < MINUTE
    assert abs(desk.now() - alert.acknowledged_at) < MINUTE


@pytest.mark.parametrize("step", [8 * HOUR, -8 * HOUR])
def test_a_worker_is_silent_when_nothing_came_and_not_when_the_clock_moved(
    desk, moved, step
) -> None:
    desk.open({"desk": NOWHERE}, carry=lambda *_: Outcome("delivered"))
    desk.write(WorkerStarted("1", 1, clean=True))
    desk.sender.turn(0)
    moved[0] = step
    desk.sender.turn(0)
    assert desk.sender.policy.book.alerts == {}
    for _ in range(13):
        moved[0] += 5 * SECOND
        desk.sender.turn(0)
    assert [a.kind for a in desk.sender.policy.book.alerts.values()] == ["worker_silent"]


# --- channels and terms that cannot be read -------------------------------------------------------


def test_before_the_channels_are_known_nothing_is_given_up(desk, sink) -> None:
    desk.open({"desk": json_to(sink)})
    desk.sender._known, desk.sender._channels = None, {}
    desk.write(FELL)
    desk.sender.turn(0)
    assert desk.outbox.by_number(1).state == "waiting"
    address = json_to(sink)
    desk.sender.use_channels({}, {"desk": "it is no URL"})
    desk.sender.turn(0)
    assert desk.outbox.by_number(1).state == "waiting"
    desk.sender.use_channels({"desk": Channel(address, describe(address), 0)})
    desk.turn_until(lambda: len(sink.received) == 1)


def test_what_waits_for_a_channel_that_is_taken_away_is_given_up_and_told_elsewhere(desk) -> None:
    with http_sink() as bad, http_sink() as good:
        bad.behave("broken")
        desk.open({"bad": json_to(bad), "good": json_to(good)})
        desk.write(FELL)
        desk.turn_until(lambda: len(bad.received) == 1 and len(good.received) == 1)
        desk.turn_until(lambda: not desk.couriers.busy)
        address = json_to(good)
        desk.sender.use_channels({"good": Channel(address, describe(address), 0)})
        desk.turn_until(lambda: len(good.received) == 2)
        assert "channel bad has no address" in good.received[1].json()["message"]
        assert good.received[1].json()["title"].startswith("[CRITICAL]")
        assert desk.outbox.late("critical", desk.now() + HOUR) == 0


def test_the_terms_last_in_force_stay_so_over_a_restart(desk, sink) -> None:
    address = json_to(sink)
    terms = msgspec.structs.replace(AT_ONCE, subscriptions=(Subscription("desk", "critical"),))
    desk.open({"desk": address}, terms)
    desk.sender.turn(0)
    desk.end()
    desk.open({"desk": address}, terms)
    desk.sender.policy.terms = desk.outbox.load().terms
    desk.write(FELL)
    desk.turn_until(lambda: len(sink.received) == 1)


# --- floods ---------------------------------------------------------------------------------------


def test_an_acknowledgement_is_heard_behind_a_thousand_verdicts_that_no_worker_takes(
    desk, sink
) -> None:
    desk.open({"desk": json_to(sink)})
    desk.write(FELL)
    desk.turn_until(lambda: len(sink.received) == 1)
    for number in range(600):
        desk.inbox.ask(f"v{number}", "verdict", "a check", "operator", b"", desk.now())
    (alert,) = desk.sender.policy.book.alerts.values()
    desk.ask("acknowledge", at=desk.now() - MINUTE, alert=alert.id)
    desk.turn_until(lambda: alert.state == "acknowledged", 5)


def test_a_full_inbox_does_not_end_the_sender(desk, sink, monkeypatch) -> None:
    monkeypatch.setattr("portcullis.store.inbox.WAITING_MOST", 0)
    desk.open({"desk": json_to(sink)})
    desk.write(FELL)
    assert "wait for the worker already" in desk.sender.turn(0)
    desk.sender.turn(0.5)
    assert len(sink.received) == 1


def test_a_name_with_wildcards_sends_nothing_again_and_shows_nothing(desk) -> None:
    desk.open({"desk": NOWHERE}, carry=lambda *_: Outcome("refused", "no"))
    desk.write(ModeChanged("ACTIVE", "SHUTDOWN", "x"))
    desk.turn_until(lambda: desk.outbox.by_number(1) and desk.outbox.by_number(1).state == "dead")
    name = desk.ask("redeliver", at=desk.now() - MINUTE, alert="%")
    desk.turn_until(lambda: name in desk.sender.kept.applied)
    assert desk.outbox.by_number(1).state == "dead"
    with desk.reader() as store:
        assert store.deliveries("%") == store.deliveries("________") == []


def test_what_is_over_but_kept_back_hides_no_open_alert_from_the_list(desk) -> None:
    desk.open({"desk": NOWHERE}, carry=lambda *_: Outcome("delivered"))
    desk.write(FELL)
    desk.sender.turn(0)
    book = desk.sender.policy.book
    (alert,) = book.alerts.values()
    for number in range(20):
        later = msgspec.structs.replace(
            alert, id=f"over{number}", first_at=alert.first_at + 1, state="resolved", due={"x": 1}
        )
        book.alerts[later.id] = later
        book.changed[later.id] = None
    desk.outbox.commit(desk.sender.kept, (), desk.now())
    with desk.reader() as store:
        assert [a.id for a in store.alerts(limit=15)] == [alert.id]


def test_what_was_on_its_way_at_a_kill_says_so(desk) -> None:
    desk.open({"desk": NOWHERE}, carry=lambda *_: Outcome("failed", "x"))
    desk.write(FELL)
    desk.sender.turn(0)
    desk.outbox.begin([1])
    assert desk.outbox.load().book.alerts
    assert desk.outbox.by_number(1).detail == INTERRUPTED


# --- a file that is lost or damaged ---------------------------------------------------------------


def test_what_was_subscribed_by_request_outlives_the_senders_file(desk, sink, moved) -> None:
    desk.write(
        RequestReceived("r1", "subscribe", "anna", "operator", "x", None, {"channel": "desk"}),
        RequestAnswered("r1", "done", "recorded"),
        RequestReceived("r2", "subscribe", "bert", "readonly", "x", None, {"channel": "other"}),
        RequestAnswered("r2", "refused", "a reader may look"),
    )
    moved[0] = 3 * HOUR
    desk.write(WorkerStarted("1", 1, clean=True))
    sender = desk.open({"desk": json_to(sink)}, msgspec.structs.replace(AT_ONCE, subscriptions=()))
    sender.use_terms(AT_ONCE)
    sender.turn(0)
    assert [each.channel for each in sender.policy.book.subscriptions] == ["desk"]
    desk.write(FELL)
    desk.turn_until(lambda: len(sink.received) == 1)


def test_a_request_whose_answer_comes_after_a_restart_is_carried_out(desk) -> None:
    desk.open({"desk": NOWHERE}, carry=lambda *_: Outcome("delivered"))
    desk.write(FELL)
    desk.sender.turn(0)
    (alert,) = desk.sender.policy.book.alerts
    given = {"alert": alert}
    desk.write(RequestReceived("r1", "acknowledge", "anna", "operator", "mine", None, given))
    desk.sender._committed_at = 0
    desk.sender.turn(0)
    desk.end()
    desk.write(RequestAnswered("r1", "done", "recorded"))
    desk.open({"desk": NOWHERE}, carry=lambda *_: Outcome("delivered")).turn(0)
    assert desk.sender.policy.book.alerts[alert].acknowledged_by == "anna"


def test_a_file_that_cannot_be_read_is_said_with_what_to_do(desk) -> None:
    desk.open({"desk": NOWHERE}).turn(0)
    desk.end()
    other = database.DRIVER.connect(desk.home / "alerts.db", isolation_level=None)
    other.execute("INSERT OR REPLACE INTO memory (name, body) VALUES ('kept', x'ff00')")
    other.close()
    with pytest.raises(StoreError, match="what is kept cannot be read") as refused:
        desk.open({"desk": NOWHERE})
    assert "move the file away" in refused.value.remedy
    with desk.reader() as store, pytest.raises(StoreError, match="cannot be read"):
        store.kept()
    desk.outbox.close()


# --- many at once ---------------------------------------------------------------------------------


def test_alerts_that_are_over_leave_the_book_however_many_wait_to_be_told() -> None:
    subject = Policy(Book(), AT_ONCE)
    for number in range(3 * ENDED_MAX):
        subject.take(Signal(kind="near_limit", at=number, subject=str(number)), number)
    assert len(subject.book.alerts) <= ENDED_MAX + LOOK_EVERY
