"""Explaining events of a real ledger: in words, as data, and with an answer to every mistake."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from portcullis.cli.explain import as_values, draw
from portcullis.cli.main import app
from portcullis.cli.output import console
from portcullis.config.files import read_configuration
from portcullis.domain.events import FACT_KINDS, BreachFound, CommandIssued, LockSet, decode
from portcullis.errors import NotFound, UsageError
from portcullis.ports import Entry
from portcullis.staging import demonstrate
from portcullis.store.ledger import SqliteLedger
from portcullis.store.memory import MemoryLedger
from portcullis.wiring import defaults_folder
from portcullis.worker.explain import explain


@pytest.fixture(scope="module")
def ledger() -> MemoryLedger:
    plan = read_configuration(defaults_folder()).plan
    return demonstrate(7, msgspec.structs.replace(plan, required=()))


@pytest.fixture
def home(tmp_path, ledger) -> dict[str, str]:
    """A home whose ledger on disk holds the demonstration."""
    kept = SqliteLedger(tmp_path)
    kept.append([Entry(r.stream, r.at, r.trace, decode(r.payload)) for r in ledger.read()])
    kept.close()
    return {"PORTCULLIS_HOME": str(tmp_path), "NO_COLOR": "1", "COLUMNS": "200"}


def positions(ledger, kind: type) -> list[tuple[int, Any]]:
    found = ((row.position, decode(row.payload)) for row in ledger.read())
    return [(position, event) for position, event in found if isinstance(event, kind)]


def test_every_decision_is_explained_by_its_fact_and_derived_again(ledger):
    decisions = [row for row in ledger.read() if row.kind not in FACT_KINDS]
    assert len(decisions) > 50
    for row in decisions:
        found = explain(ledger, row.position)
        assert found.agrees
        assert found.fact.position < row.position
        assert found.fact.kind in FACT_KINDS
        assert row in found.decisions
        assert [each["account"] for each in found.accounts] == (
            [row.stream.removeprefix("account/")] if row.stream != "system" else []
        )
        draw(as_values(found))


def test_every_command_and_every_breach_says_what_it_has_to_do_with_the_other(ledger):
    for position, event in positions(ledger, CommandIssued):
        (account,) = explain(ledger, position).accounts
        (own,) = [c for c in account["why"]["commands"] if c["key"] == event.key]
        assert own["rules"] == list(event.rules)
        assert " at event " in own["outcome"]
        answered = {b["rule"] for b in account["why"]["breaches"]}
        assert set(event.rules) - {"gate"} <= answered
    for position, event in positions(ledger, BreachFound):
        (account,) = explain(ledger, position).accounts
        rows = [b for b in account["why"]["breaches"] if b["rule"] == event.rule]
        assert rows
        assert all(row["answered"] or row["locks"] for row in rows)
        assert any(row["message"] == event.reason.message for row in rows)


def test_what_was_known_is_what_was_before_and_the_figures_are_those_of_the_decision(ledger):
    """A loss limit: the realized loss stood under its limit before the fact, and at it after."""
    rows = [p for p, e in positions(ledger, BreachFound) if e.rule == "daily_realized_loss"]
    (account,) = explain(ledger, rows[0]).accounts
    (figure,) = [r for r in account["rules"] if r["rule"] == "daily_realized_loss"]
    assert amount(figure["before"]) < amount(figure["limit"]) <= amount(figure["measured"])
    assert not account["before"]["locked"]
    assert amount(account["before"]["realized"]) == -amount(figure["before"])
    breach = next(b for b in account["why"]["breaches"] if b["rule"] == "daily_realized_loss")
    assert (breach["measured"], breach["limit"]) == (figure["measured"], figure["limit"])
    assert breach["answered"].startswith("Flatten ")
    assert breach["locks"]


def amount(text: str) -> float:
    return float(text.removesuffix(" USD").replace(",", ""))


def test_locks_set_are_named_with_the_breach_that_set_them(ledger):
    for position, event in positions(ledger, LockSet):
        (account,) = explain(ledger, position).accounts
        assert event.lock.id in [row["id"] for row in account["why"]["locks"]]
        assert event.lock.id not in [row["id"] for row in account["before"]["locks"]]


def test_a_fact_says_what_it_led_to(ledger):
    position, _ = positions(ledger, BreachFound)[0]
    fact = explain(ledger, position).fact.position
    found = explain(ledger, fact)
    assert found.event == found.fact
    assert position in [row.position for row in found.decisions]
    quiet = next(p for p in range(fact - 1, 0, -1) if not explain(ledger, p).decisions)
    with console.capture() as drawn:
        console.print(draw(as_values(explain(ledger, quiet))))
    assert "the fact led to no decision" in drawn.get()


def test_the_command_prints_for_people_and_for_programs(home, ledger):
    position, event = positions(ledger, CommandIssued)[0]
    text = CliRunner().invoke(app, ["explain", str(position)], env=home)
    assert text.exit_code == 0, text.exception
    for words in ("What happened", "Known just before", "the rules at that moment", event.key):
        assert words in text.output
    data = CliRunner().invoke(app, ["explain", str(position), "-o", "json"], env=home)
    body = json.loads(data.stdout)
    assert body["event"]["position"] == position
    assert body["derived_again"] == "equal"
    assert body["accounts"][0]["why"]["commands"][0]["key"] == event.key


@pytest.mark.parametrize(
    ("given", "kind", "says"),
    [
        ("99999999", NotFound, "the ledger ends at"),
        ("0", UsageError, "1 or more"),
        ("soon", UsageError, "is not a ledger position"),
        ("1.5", UsageError, "is not a ledger position"),
    ],
)
def test_a_mistake_is_answered_with_a_remedy(home, given, kind, says):
    answer = CliRunner().invoke(app, ["explain", given], env=home)
    assert type(answer.exception) is kind
    assert says in str(answer.exception)
    assert "event list" in answer.exception.remedy
