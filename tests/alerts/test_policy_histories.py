"""What holds of the policy for any history."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from portcullis.alerts.alert import Silence
from portcullis.domain.model import MINUTE
from tests.alerts.test_policy import NOW, policy, signal, told

KINDS = ("gate_fell", "shutdown", "evidence_lacking", "breach", "worker_crashed", "rules_loaded")
steps = st.lists(
    st.tuples(
        st.sampled_from(("firing", "resolved", "acknowledge", "silence", "wait")),
        st.sampled_from(KINDS),
        st.sampled_from(("", "x", "y")),
        st.integers(0, 40 * MINUTE),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(steps)
def test_nothing_critical_is_withheld_and_nobody_is_told_of_what_was_seen(history: Any) -> None:
    """Whatever happens: a critical alert that no silence covers is told within its turn, a seen
    one not again, and no alert more often than its terms say.
    """
    subject, now = policy(), NOW
    for act, kind, subject_name, wait in history:
        now += wait
        open_before = {a.id for a in subject.book.alerts.values() if a.state == "acknowledged"}
        for telling in subject.due(now):
            assert telling.why in ("over", "digest", "reminder", "new")
            for alert in telling.alerts:
                assert alert.id not in open_before or alert.state != "acknowledged"
        if act in ("firing", "resolved"):
            subject.take(signal(kind, now, subject=subject_name, state=act), now)
        elif act == "acknowledge":
            for alert in list(subject.book.alerts.values()):
                subject.acknowledge(alert.id, "anna", "", now)
        elif act == "silence":
            subject.silence(
                Silence(id=str(now), start=now, end=now + wait, by="a", reason="r", kind=kind)
            )
    subject.due(now)
    for alert in subject.book.alerts.values():
        terms = subject.terms.of(alert.severity)
        if alert.severity == "critical" and alert.state == "firing":
            assert alert.told.get("phone") is not None
        for each in alert.told.values():
            assert each.times <= terms.most + 2


@settings(max_examples=100, deadline=None)
@given(steps)
def test_the_same_history_gives_the_same_messages(history: Any) -> None:
    def play() -> list[Any]:
        subject, now, found = policy(), NOW, []
        for act, kind, name, wait in history:
            now += wait
            found += told(subject.due(now))
            if act in ("firing", "resolved"):
                subject.take(signal(kind, now, subject=name, state=act), now)
        return found + sorted(subject.book.alerts)

    assert play() == play()
