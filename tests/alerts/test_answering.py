"""What an operator asks by a bot reaches the sender by the inbox, and is answered truly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from portcullis.alerts.answering import Answering
from portcullis.alerts.conversation import Action
from portcullis.alerts.message import Outcome
from portcullis.config.settings import Settings
from portcullis.domain.events import RulesLoaded
from portcullis.domain.model import HOUR, MINUTE
from portcullis.domain.plan import AccountPlan, Plan, encode_plan
from portcullis.errors import NotFound
from tests.alerts.harness import Desk
from tests.alerts.test_sender import FELL, failed

ACCOUNTS = ("50KTC-V2-12345678", "50KTC-V3-12345678", "OTHER-1234567")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    plan = Plan(tuple(AccountPlan(name, ()) for name in ACCOUNTS))
    made.open({"desk": "json://127.0.0.1:1/x"}, carry=lambda *_: Outcome("delivered"))
    made.write(RulesLoaded("d", encode_plan(plan)), FELL, failed("A"))
    made.sender.turn(0)
    yield made
    made.close()


@pytest.fixture
def answering(desk: Desk) -> Answering:
    return Answering(Settings(home=str(desk.home), gate_port=1))


def act(verb: Any, *alerts: str, key: str = "telegram-5-1", account: str = "") -> Action:
    return Action(
        verb=verb, by="anna", user=1, key=key, alerts=alerts, account=account, for_us=HOUR
    )


def names(desk: Desk) -> list[str]:
    return list(desk.sender.policy.book.alerts)


def taken_up(desk: Desk) -> None:
    """No worker answers within two seconds, and the sender takes up what waits."""
    real = desk.now
    desk.now = desk.sender._now = lambda: real() + MINUTE
    desk.sender.turn(0)


def test_every_alert_below_a_button_is_silenced(desk: Desk, answering: Answering) -> None:
    answering.handle(act("silence", *names(desk)))
    taken_up(desk)
    silences = desk.sender.policy.book.silences
    assert len({each.alert for each in silences.values()}) == 2
    assert all(each.by == "telegram:anna" for each in silences.values())


def test_an_update_that_is_replayed_asks_nothing_twice(desk: Desk, answering: Answering) -> None:
    for _ in range(3):
        answering.handle(act("acknowledge", *names(desk)))
    assert len(desk.waiting()) == 2
    taken_up(desk)
    alerts = desk.sender.policy.book.alerts.values()
    assert {(a.state, a.acknowledged_by) for a in alerts} == {("acknowledged", "telegram:anna")}


@pytest.mark.parametrize("verb", ["acknowledge", "silence"])
def test_an_alert_that_never_was_is_not_said_to_be_answered(
    desk: Desk, answering: Answering, verb: str
) -> None:
    with pytest.raises(NotFound, match="there is no alert nothing"):
        answering.handle(act(verb, names(desk)[0], "nothing"))
    assert desk.waiting() == []


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("NOBODY", "0 accounts are 'NOBODY'"),
        ("50...5678", "2 accounts are '50...5678'"),
        (".*", "0 accounts are"),
    ],
)
def test_a_lock_of_no_one_account_is_refused(answering: Answering, given: str, says: str) -> None:
    with pytest.raises(NotFound, match=says.replace("*", r"\*").replace("...", r"\.\.\.")):
        answering.handle(act("lock", account=given))


def test_without_a_worker_a_lock_is_asked_for_and_the_status_says_so(
    desk: Desk, answering: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portcullis.alerts.answering.ANSWER_SECONDS", 0.2)
    said = answering.handle(act("lock", account="OT...4567"))
    assert said == "OT...4567: asked; the worker has not answered"
    (request,) = [r for r in desk.inbox.waiting(9) if r.verb == "lock"]
    assert (request.by, request.role) == ("telegram:anna", "operator")
    assert answering.handle(act("status")).startswith("No worker answers")
    assert "Enforcement failed" in answering.handle(act("alerts"))
