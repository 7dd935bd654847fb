"""Channels that take nothing: who is told that nobody is reached, and what is read afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from portcullis.alerts.alert import SeverityTerms
from portcullis.alerts.message import Message, Outcome
from portcullis.domain.events import ModeChanged
from portcullis.domain.model import MINUTE
from tests.alerts.harness import AT_ONCE, Desk
from tests.alerts.test_sender import FELL, failed
from tests.alerts.test_sender_faults import NOWHERE


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.close()


# --- nobody is reached ----------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [("phone",), ("phone", "mail")])
def test_it_does_not_vouch_while_what_is_critical_was_refused_everywhere(desk, channels) -> None:
    desk.open(dict.fromkeys(channels, NOWHERE), carry=lambda *_: Outcome("refused", "no"))
    desk.write(FELL)
    desk.turn_until(lambda: not desk.sender.verdict("").passed)
    for _ in range(5):
        desk.sender.turn(0.05)
    assert "reached nobody" in desk.sender.verdict("").summary
    for alert in list(desk.sender.policy.book.alerts.values()):
        desk.sender.policy.acknowledge(alert.id, "anna", "", desk.now())
    assert desk.sender.verdict("").passed


def test_one_channel_that_took_it_is_enough(desk) -> None:
    answers = {"json://127.0.0.1:1/good": "delivered", "json://127.0.0.1:1/bad": "refused"}
    desk.open(
        {"good": "json://127.0.0.1:1/good", "bad": "json://127.0.0.1:1/bad"},
        carry=lambda address, _: Outcome(answers[address]),
    )
    desk.write(FELL)
    desk.turn_until(lambda: bool(desk.outbox.by_number(3)))
    desk.turn_until(lambda: not desk.couriers.busy)
    assert desk.sender.verdict("").passed


# --- an outage ------------------------------------------------------------------------------------


def test_after_an_outage_the_last_word_is_read_and_not_all_that_was_tried(desk) -> None:
    moved, real = [0], desk.now
    desk.now = lambda: real() + moved[0]
    taken: list[Message] = []
    is_out = [True]

    def carry(_address: str, message: Message) -> Outcome:
        if is_out[0]:
            return Outcome("failed", "no way out")
        taken.append(message)
        return Outcome("delivered")

    terms = msgspec.structs.replace(AT_ONCE, critical=SeverityTerms(0, 15 * MINUTE, 12))
    desk.open({"desk": NOWHERE}, terms, carry=carry)
    desk.write(FELL, failed("A"))
    for _ in range(8):
        desk.sender.turn(0.02)
        assert desk.sender.verdict("").passed == (moved[0] == 0)  # also just after a reminder
        moved[0] += 15 * MINUTE
    desk.write(ModeChanged("OBSERVE_ONLY", "ACTIVE", "mended", by="anna"))
    desk.sender.turn(0.02)
    moved[0] += MINUTE
    desk.sender.turn(0.02)
    is_out[0] = False
    for _ in range(8):
        moved[0] += MINUTE
        desk.sender.turn(0.05)
    titles = sorted(message.title for message in taken)
    assert titles == [
        "[INFO] The gate was opened",
        "[OVER] The gate is shut",
        "[STILL CRITICAL] Enforcement failed A",
    ]
