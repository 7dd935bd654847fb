"""An alert as a person reads it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcullis.alerts.alert import Signal, alert_of
from portcullis.alerts.book import Telling
from portcullis.alerts.message import Outcome
from portcullis.alerts.retries import GIVEN_UP_AFTER, PAUSE_MAX, after
from portcullis.alerts.words import CUT, masked, masked_in, text_of
from portcullis.domain.model import HOUR, MINUTE, SECOND

NOW = 1_764_500_000 * SECOND
BREACH = Signal(
    kind="breach", at=NOW, account="50KTC-V2-12345678", subject="max_contracts",
    message="max_contracts: 6 contracts on 50KTC-V2-12345678", cause="rule RULE-001",
    formula="4 + 2", measured="6 contracts", limit="4 contracts", flat="not confirmed",
    until="locked until a person releases it", trace="t-1", position=17,
)  # fmt: skip


def text(*signals: Signal, why: Any = "new", limit: int = 4000, **changes: Any):
    alerts = tuple(alert_of(each) for each in signals)
    for alert in alerts:
        for name, value in changes.items():
            setattr(alert, name, value)
    return text_of(Telling("phone", why, alerts), limit, "Ledger: 20 abcdef")


def test_one_alert_says_everything_a_person_needs() -> None:
    found = text(BREACH)
    assert found.title == "[WARNING] A limit was broken 50...5678"
    assert found.body.splitlines() == [
        "max_contracts: 6 contracts on 50...5678",
        "Account: 50...5678",
        "Why: rule RULE-001",
        "How: 4 + 2",
        "Measured: 6 contracts",
        "Limit: 4 contracts",
        "Flat: not confirmed",
        "Ends: locked until a person releases it",
        "Do: look at `portcullis account show ACCOUNT`; a lock ends as it says",
        "Since: 2025-11-30 10:53:20 UTC",
        f"Alert: {alert_of(BREACH).id}",
        "Event: 17 t-1",
        "Read: docs/runbooks/breach.md",
        "Ledger: 20 abcdef",
    ]


@pytest.mark.parametrize(
    ("why", "state", "title"),
    [
        ("new", "firing", "[WARNING] A limit was broken 50...5678"),
        ("new", "resolved", "[WARNING, over] A limit was broken 50...5678"),
        ("over", "resolved", "[OVER] A limit was broken 50...5678"),
        ("reminder", "firing", "[STILL WARNING] A limit was broken 50...5678"),
        ("digest", "resolved", "[DIGEST of 1] A limit was broken 50...5678"),
    ],
)
def test_the_title_says_why_it_comes_now(why: str, state: str, title: str) -> None:
    assert text(BREACH, why=why, state=state).title == title


def test_many_alerts_are_a_list_that_ends_with_how_many_more() -> None:
    many = [Signal(kind="breach", at=NOW, account=f"A{n}", subject="r") for n in range(40)]
    found = text(*many, limit=100_000)
    assert found.title == "[WARNING] A limit was broken A0 and 39 more"
    assert found.body.count("\n- ") == 29
    assert "and 10 more: portcullis alert list" in found.body


@given(st.integers(0, 3000), st.integers(1, 50))
def test_a_body_keeps_to_its_limit_and_says_that_it_was_cut(limit: int, count: int) -> None:
    many = [Signal(kind="breach", at=NOW, account=f"A{n}", subject="r") for n in range(count)]
    found = text(*many, limit=limit)
    assert len(found.body) <= max(limit, len(CUT))
    whole = text(*many, limit=10**9)
    assert found.body == whole.body or found.body.endswith(CUT) or "…" in found.body


@given(st.lists(st.text("ABC-0123456789", min_size=8, max_size=20), max_size=5), st.text())
def test_no_account_leaves_unmasked(accounts: list[str], around: str) -> None:
    shown = masked_in(around + " ".join(accounts), accounts)
    for account in accounts:
        if account not in around and account not in masked(account):
            assert f" {account} " not in f" {shown} "


# --- what follows from an attempt -----------------------------------------------------------------


def then(
    outcome: Outcome, attempts: int = 1, age: int = 0, severity: Any = "critical", **more: Any
):
    return after(
        outcome, attempts=attempts, created_at=NOW - age, now=NOW, severity=severity, **more
    )


@pytest.mark.parametrize(
    ("outcome", "state", "pause"),
    [
        (Outcome("delivered"), "delivered", None),
        (Outcome("refused", "404"), "dead", None),
        (Outcome("busy", wait=90 * SECOND), "waiting", 90 * SECOND),
        (Outcome("failed"), "waiting", 2 * SECOND),
        (Outcome("unknown"), "waiting", 2 * SECOND),
    ],
)
def test_what_follows_from_an_outcome(outcome: Outcome, state: str, pause: int | None) -> None:
    found = then(outcome)
    assert found.state == state
    if pause is not None:
        assert found.due_at == NOW + pause


def test_pauses_grow_to_five_minutes_and_spread() -> None:
    pauses = [then(Outcome("failed"), attempts=n).due_at - NOW for n in range(1, 12)]
    assert pauses[:4] == [2 * SECOND, 4 * SECOND, 8 * SECOND, 16 * SECOND]
    assert pauses[-1] == PAUSE_MAX
    spread = {then(Outcome("failed"), attempts=9, number=n).due_at for n in range(100)}
    assert len(spread) == 100
    assert max(spread) - NOW < PAUSE_MAX * 1.2


def test_it_is_given_up_after_its_time_and_critical_last() -> None:
    assert GIVEN_UP_AFTER["critical"] > GIVEN_UP_AFTER["warning"] > GIVEN_UP_AFTER["info"]
    for severity, lasts in GIVEN_UP_AFTER.items():
        assert then(Outcome("failed"), 9, lasts - 10 * MINUTE, severity).state == "waiting"
        assert then(Outcome("failed"), 9, lasts, severity).state == "dead"


def test_an_unknown_outcome_of_a_best_effort_service_is_tried_once_more() -> None:
    assert then(Outcome("unknown"), 1, best_effort=True).state == "waiting"
    assert then(Outcome("unknown"), 2, best_effort=True).state == "dead"
    assert then(Outcome("unknown"), 2, age=HOUR).state == "waiting"
