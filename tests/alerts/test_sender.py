"""The sender on a real ledger and real sockets: nothing is lost, nothing holds up anything else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from portcullis.alerts.alert import SeverityTerms, Subscription, Terms
from portcullis.alerts.message import Message, Outcome
from portcullis.alerts.shown import as_shown
from portcullis.domain.events import (
    AlertRaised,
    LedgerRestored,
    ModeChanged,
    RequestAnswered,
    RequestReceived,
    RulesLoaded,
)
from portcullis.domain.model import HOUR, MINUTE, SECOND, Verdict
from portcullis.domain.plan import AccountPlan, Plan, encode_plan
from portcullis.store.ledger import SqliteLedger
from portcullis.store.reading import LedgerReader
from tests.alerts.harness import AT_ONCE, Desk
from tests.alerts.sinks import HttpSink, addresses, http_sink

FELL = ModeChanged("ACTIVE", "OBSERVE_ONLY", "evidence is missing", ("backup: failed: x",))
OPEN = ModeChanged("OBSERVE_ONLY", "ACTIVE", "mended", by="anna")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.close()


def json_to(sink: HttpSink, path: str = "/hook") -> str:
    return f"json://127.0.0.1:{sink.port}{path}"


def failed(account: str) -> AlertRaised:
    return AlertRaised("enforcement_failed", "critical", account, f"{account} is not flat", "now")


def test_an_alert_keeps_the_signed_head_that_was_the_newest_when_it_was_raised(desk, sink) -> None:
    desk.open({"desk": json_to(sink)})
    desk.write(FELL)
    desk.turn_until(lambda: len(sink.received) == 1)
    head = desk.ledger.head()
    desk.write(FELL)
    desk.sender.turn(0)
    with desk.reader() as store:
        (alert,) = store.alerts()
    assert (alert.count, head.position) == (2, 1)
    assert as_shown(alert)["checkpoint"] == {"position": 1, "root": head.root.hex()}
    with LedgerReader(desk.home) as reader:
        assert reader.head() != head


def test_what_the_ledger_says_arrives_once_with_what_a_person_needs(desk, sink) -> None:
    desk.open({"desk": json_to(sink)})
    desk.write(FELL)
    desk.turn_until(lambda: len(sink.received) == 1)
    body = sink.received[0].json()
    assert body["title"] == "[CRITICAL] The gate is shut"
    for part in ("backup: failed: x", "Do: mend what lacks", "docs/runbooks/gate_fell.md",
                 "Ends: a person releases", "Ledger: 1 "):  # fmt: skip
        assert part in body["message"]
    desk.write(OPEN)
    desk.sender.turn(0)
    with desk.reader() as store:
        assert [alert.kind for alert in store.alerts()] == []
        (alert,) = [a for a in store.alerts(everything=True) if a.kind == "gate_fell"]
        (delivery,) = store.deliveries(alert.id)
        assert (delivery.state, delivery.attempts) == ("delivered", 1)


def test_a_sender_that_is_started_again_neither_repeats_nor_forgets(desk, sink) -> None:
    desk.open({"desk": json_to(sink)})
    desk.write(FELL)
    desk.turn_until(lambda: len(sink.received) == 1)
    desk.turn_until(lambda: not desk.couriers.busy)
    desk.end()
    desk.write(failed("A"))
    desk.open({"desk": json_to(sink)})
    desk.turn_until(lambda: len(sink.received) == 2)
    for _ in range(5):
        desk.sender.turn(0.01)
    assert len(sink.received) == 2
    assert "A is not flat" in sink.received[1].json()["message"]


def test_an_accounts_id_leaves_masked(desk, sink) -> None:
    plan = Plan((AccountPlan("50KTC-V2-12345678", ()),))
    desk.open({"desk": json_to(sink)})
    desk.write(RulesLoaded("d", encode_plan(plan)), failed("50KTC-V2-12345678"))
    desk.turn_until(lambda: len(sink.received) == 1)
    text = sink.received[0].body.decode()
    assert "50...5678" in text
    assert "12345678" not in text


def test_a_service_that_refuses_is_a_dead_letter_that_another_channel_tells_of(desk) -> None:
    with http_sink() as bad, http_sink() as good:
        bad.behave("refused")
        desk.open({"bad": json_to(bad), "good": json_to(good)})
        desk.write(FELL)
        desk.turn_until(lambda: len(good.received) == 2)
        assert len(bad.received) == 1
        second = good.received[1].json()
        assert second["title"] == "[CRITICAL] An alert could not be delivered"
        assert "channel bad: refused" in second["message"]
        with desk.reader() as store:
            (dead,) = store.dead()
            assert dead.channel == "bad"
        bad.behave("ok")
        desk.ask("redeliver", at=desk.now() - MINUTE, alert=dead.alerts[0])
        desk.turn_until(lambda: len(bad.received) == 2)
        desk.turn_until(lambda: not desk.couriers.busy)
        with desk.reader() as store:
            assert store.dead() == []


def test_a_busy_service_is_left_alone_for_as_long_as_it_asks(desk, sink) -> None:
    sink.behave("busy", retry_after=2)
    desk.open({"desk": json_to(sink)})
    desk.write(FELL)
    desk.turn_until(lambda: len(sink.received) == 1)
    sink.behave("ok")
    began = time.monotonic()
    desk.turn_until(lambda: len(sink.received) == 2)
    assert time.monotonic() - began > 1.5


@pytest.mark.parametrize("mode", ["broken", "drop"])
def test_a_service_that_fails_is_tried_again(desk, sink, mode) -> None:
    sink.behave(mode)
    desk.open({"desk": json_to(sink)})
    desk.write(FELL)
    desk.turn_until(lambda: len(sink.received) == 1)
    sink.behave("ok")
    desk.turn_until(lambda: len(sink.received) == 2)
    desk.turn_until(lambda: not desk.couriers.busy)
    with desk.reader() as store:
        (alert,) = store.alerts()
        (delivery,) = store.deliveries(alert.id)
        assert (delivery.state, delivery.attempts) == ("delivered", 2)


def test_twelve_channels_that_hang_delay_no_other(desk) -> None:
    with http_sink() as hanging, http_sink() as good:
        hanging.behave("hang")
        channels = {f"hang{n}": json_to(hanging, f"/h{n}") for n in range(12)}
        channels |= {f"good{n}": json_to(good, f"/g{n}") for n in range(3)}
        desk.open(channels)
        desk.write(FELL)
        began = time.monotonic()
        desk.turn_until(lambda: len(good.received) == 3)
        assert time.monotonic() - began < 2.0
        desk.write(failed("A"))
        began = time.monotonic()
        desk.turn_until(lambda: len(good.received) == 6)
        assert time.monotonic() - began < 2.0


def test_a_transport_that_never_comes_back_is_unknown_and_replaced(desk, monkeypatch) -> None:
    import threading

    from portcullis.alerts import couriers

    monkeypatch.setattr(couriers, "HANGS_AFTER", 0.2)
    gate, calls = threading.Event(), []

    def carry(address: str, message: Message) -> Outcome:
        calls.append(message.message_id)
        if len(calls) == 1:
            gate.wait()
        return Outcome("delivered")

    desk.open({"desk": "json://127.0.0.1:1/x"}, carry=carry)
    desk.write(FELL)
    desk.turn_until(lambda: len(calls) == 2)
    desk.turn_until(lambda: not desk.couriers.busy)
    assert calls[0] == calls[1]
    gate.set()


def test_a_transport_that_raises_costs_an_attempt_and_nothing_more(desk) -> None:
    calls = []

    def carry(address: str, message: Message) -> Outcome:
        calls.append(message)
        if len(calls) == 1:
            raise ValueError("a defect")
        return Outcome("delivered")

    desk.open({"desk": "json://127.0.0.1:1/x"}, carry=carry)
    desk.write(FELL)
    desk.turn_until(lambda: len(calls) == 2)
    desk.turn_until(lambda: not desk.couriers.busy)
    assert calls[0] == calls[1]
    with desk.reader() as store:
        (alert,) = store.alerts()
        assert [(d.state, d.attempts) for d in store.deliveries(alert.id)] == [("delivered", 2)]


def test_a_request_counts_when_the_worker_recorded_it(desk, sink) -> None:
    desk.open({"desk": json_to(sink)})
    desk.write(FELL)
    desk.turn_until(lambda: len(sink.received) == 1)
    with desk.reader() as store:
        (alert,) = store.alerts()
    request = RequestReceived("r1", "acknowledge", "anna", "operator", "mine", None,
                              {"alert": alert.id})  # fmt: skip
    desk.write(request)
    desk.sender.turn(0)
    assert desk.sender.policy.book.alerts[alert.id].state == "firing"
    desk.write(RequestAnswered("r1", "done", "recorded"))
    desk.sender.turn(0)
    found = desk.sender.policy.book.alerts[alert.id]
    assert (found.state, found.acknowledged_by, found.note) == ("acknowledged", "anna", "mine")


def test_a_request_that_the_worker_refused_does_nothing(desk, sink) -> None:
    desk.open({"desk": json_to(sink)})
    request = RequestReceived("r1", "alert_test", "anna", "readonly", "x", None,
                              {"channel": "desk"})  # fmt: skip
    desk.write(request, RequestAnswered("r1", "refused", "a reader may look"))
    for _ in range(3):
        desk.sender.turn(0)
    assert sink.received == []


def test_while_no_worker_takes_requests_up_the_sender_does_and_once(desk, sink) -> None:
    desk.open({"desk": json_to(sink)})
    name = desk.ask(
        "alert", at=desk.now() - MINUTE, kind="worker_silent", state="firing", message="no gate"
    )
    desk.turn_until(lambda: len(sink.received) == 1)
    assert "no gate" in sink.received[0].json()["message"]
    desk.write(
        RequestReceived(name, "alert", "heartbeat", "operator", "x", None,
                        {"kind": "worker_silent", "state": "firing"}),
        RequestAnswered(name, "done", "recorded"),
    )  # fmt: skip
    for _ in range(3):
        desk.sender.turn(0)
    (alert,) = desk.sender.policy.book.alerts.values()
    assert alert.count == 1


def test_an_older_ledger_is_not_told_as_news_but_a_shut_gate_is(desk, sink) -> None:
    real, desk.now = desk.now, lambda: real() - 3 * HOUR
    desk.write(*(failed(f"A{n}") for n in range(5)), FELL)
    desk.now = real
    desk.open({"desk": json_to(sink)})
    desk.write(failed("NEW"))
    desk.turn_until(lambda: len(sink.received) >= 2)
    titles = sorted(each.json()["title"] for each in sink.received)
    assert titles == ["[CRITICAL] Enforcement failed NEW", "[CRITICAL] The gate is shut"]


def test_after_a_restore_in_place_it_goes_on_behind_what_came_back(desk, sink, tmp_path) -> None:
    desk.open({"desk": json_to(sink)})
    desk.write(*(failed(f"A{n}") for n in range(8)))
    desk.turn_until(lambda: len(sink.received) == 1)
    assert desk.sender.kept.progress.position == 8
    desk.end()
    desk.ledger.close()
    for path in desk.home.glob("ledger*"):
        path.unlink()
    desk.ledger = SqliteLedger(desk.home)
    ledger_id = desk.ledger.ledger_id
    desk.write(*(failed(f"A{n}") for n in range(3)), LedgerRestored("b", 3, "anna", "why"))
    desk.write(failed("AFTER"))
    outbox_progress = desk.open({"desk": json_to(sink)}).kept.progress
    assert outbox_progress.ledger != ledger_id  # a ledger made anew stands for the restored one
    desk.sender.kept.progress = msgspec.structs.replace(outbox_progress, ledger=ledger_id)
    before = len(sink.received)

    def told() -> str:
        return " ".join(str(each.json()) for each in sink.received[before:])

    # In which messages they come depends on when the first was given up by the end.
    desk.turn_until(lambda: "AFTER" in told() and "from b up to event 3" in told())


def test_a_channel_without_an_address_is_told_of_elsewhere(desk, sink) -> None:
    terms = msgspec.structs.replace(
        AT_ONCE,
        subscriptions=(
            Subscription("desk", "info", (), None),
            Subscription("gone", "info", (), None),
        ),
    )
    desk.open({"desk": json_to(sink)}, terms)
    desk.write(FELL)
    desk.turn_until(lambda: len(sink.received) == 2)
    assert "channel gone has no address" in sink.received[1].json()["message"]


def test_it_vouches_for_itself_and_not_while_what_is_critical_waits(desk, sink) -> None:
    sink.behave("broken")
    shift = [0]
    real = desk.now
    desk.now = lambda: real() + shift[0]
    desk.open({"desk": json_to(sink)})
    desk.sender.turn(0)
    desk.write(FELL)
    desk.turn_until(lambda: len(sink.received) == 1)
    shift[0] = 2 * MINUTE
    desk.sender.turn(0.2)
    left = desk.inbox.waiting(100)
    verdicts = [msgspec.msgpack.decode(request.body, type=Verdict) for request in left]
    assert [(v.name, v.passed) for v in verdicts] == [("alerts", True), ("alerts", False)]
    assert "1 critical messages have waited" in verdicts[1].summary
    assert verdicts[0].expires_at - verdicts[0].checked_at == 60 * SECOND


def test_a_channels_pace_is_kept(desk, sink) -> None:
    desk.open({"desk": json_to(sink)}, pace=300_000)
    began = time.monotonic()
    for number in range(4):
        desk.write(AlertRaised("clock_stepped", "critical", f"A{number}", "x", "y"))
        desk.sender.turn(0)
    desk.turn_until(lambda: len(sink.received) == 4)
    assert time.monotonic() - began > 0.85


def test_telegram_shows_who_has_seen_an_alert(desk, sink) -> None:
    desk.open({"phone": addresses(sink)["telegram"]})
    desk.write(FELL)
    desk.turn_until(lambda: len(sink.those("sendMessage")) == 1)
    desk.turn_until(lambda: not desk.couriers.busy)
    (alert,) = desk.sender.policy.book.alerts.values()
    desk.ask("acknowledge", at=desk.now() - MINUTE, alert=alert.id)
    desk.turn_until(lambda: len(sink.those("editMessageText")) == 1)
    assert "Acknowledged by anna" in sink.those("editMessageText")[0].body.decode()


def test_windows_and_reminders_are_those_of_the_terms(desk, sink) -> None:
    terms = Terms(critical=SeverityTerms(0, 300_000, 3))
    desk.open({"desk": json_to(sink)}, terms)
    desk.write(FELL)
    desk.turn_until(lambda: len(sink.received) == 3)
    assert [each.json()["title"] for each in sink.received] == [
        "[CRITICAL] The gate is shut",
        "[STILL CRITICAL] The gate is shut",
        "[STILL CRITICAL] The gate is shut",
    ]
