"""The head of the page: what it says in each state, who shut the gate, and how figures read."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcullis.api.glance import glance
from portcullis.api.shut import Shut, Shutting
from portcullis.api.wording import breakable, coded, sentence, size, standing, ticker
from portcullis.domain.events import DataFault, ModeChanged
from portcullis.ports import Entry
from portcullis.store.ledger import SqliteLedger
from portcullis.store.reading import LedgerReader

ACCOUNT = {
    "account": "A", "locked": False, "partly_locked": False, "enforcing": [], "cannot_judge": {},
    "positions": [], "distances": [],
}  # fmt: skip
FINE = {
    "live": True, "gate_open": True, "mode": "ACTIVE", "venues": {"x": True}, "lacking": [],
    "accounts": [ACCOUNT], "evidence": [{"required": True}],
}  # fmt: skip
SHUT = Shut(1, 7, "anna", "a look")
FAILED = {
    "kind": "enforcement_failed", "account": "A", "severity": "CRITICAL", "acknowledged": True,
}  # fmt: skip


def head(alerts=(), shut=None, **changed):
    return glance({**FINE, **changed}, shut, alerts)


def tiles(found):
    return {tile.name: (tile.value, tile.tone) for tile in found.tiles}


def test_all_well():
    found = head()
    assert (found.title, found.tone, found.step) == ("Gate OPEN", "good", None)
    assert found.means == "Orders within the limits pass, and every limit is enforced."
    assert {tone for _, tone in tiles(found).values()} == {"good"}


@pytest.mark.parametrize(
    ("changed", "title", "tone", "says"),
    [
        ({"live": False, "gate_open": False}, "NOT PROTECTED", "bad", "portcullis up"),
        ({"venues": {"x": False}, "gate_open": False}, "NOT PROTECTED", "bad", "portcullis doctor"),
        ({"mode": "STARTING", "gate_open": False}, "Gate SHUT", "warn", "Wait"),
        ({"mode": "OBSERVE_ONLY", "gate_open": False}, "Gate SHUT", "warn", "mode release"),
        ({"mode": "SHUTDOWN", "gate_open": False}, "Gate SHUT", "bad", "mode release"),
        (
            {"mode": "OBSERVE_ONLY", "gate_open": False, "lacking": ["backup: failed: x"]},
            "Gate SHUT",
            "warn",
            "evidence show backup",
        ),
    ],
)
def test_what_is_wrong_and_what_to_do_next(changed, title, tone, says):
    found = head(shut=SHUT, **changed)
    assert (found.title, found.tone, found.shut) == (title, tone, SHUT)
    assert says in f"{found.step.says} {found.step.command}"


@pytest.mark.parametrize("gate_open", [True, False])
@pytest.mark.parametrize(
    "changed",
    [
        {"live": False},
        {"venues": {}},
        {"venues": {"x": True, "y": False}},
        {"accounts": [{**ACCOUNT, "cannot_judge": {"trailing_drawdown": "no price"}}]},
        {"accounts": [{**ACCOUNT, "enforcing": ["flatten-1"]}]},
        {"worker": {"role": "observe"}},
        {"alerts": [FAILED]},
    ],
)
def test_it_never_says_that_every_limit_is_enforced_where_one_is_not(changed, gate_open):
    found = head(**{"gate_open": gate_open, **changed})
    assert "every limit is enforced" not in found.means
    assert tiles(found)["Protection"][0] != "armed"


def test_an_account_that_could_not_be_flattened_is_said_though_the_gate_is_open():
    """Also when somebody has acknowledged it: it is over when the venue confirms."""
    found = head(alerts=[FAILED])
    assert (found.title, found.tone) == ("NOT PROTECTED", "bad")
    assert "on A was not confirmed" in found.means
    assert found.step.command == "portcullis account show A"


def test_the_nearest_limit_is_that_of_an_account_that_may_still_trade():
    def account(name, used, *, locked):
        rows = [{"rule": "max_contracts", "used": used}]
        return {**ACCOUNT, "account": name, "locked": locked, "distances": rows}

    found = head(accounts=[account("A", 130, locked=True), account("B", 75, locked=False)])
    assert tiles(found)["Nearest limit"] == ("75 % used", "warn")
    assert tiles(found)["Accounts"] == ("1 locked", "bad")
    full = head(accounts=[account("B", 100, locked=False)])
    assert tiles(full)["Nearest limit"] == ("reached", "bad")


def test_alerts_that_somebody_has_seen_are_not_new():
    def alert(severity, seen):
        return {"severity": severity, "acknowledged": seen, "kind": "gate_fell"}

    seen, warning = alert("CRITICAL", True), alert("WARNING", False)
    assert tiles(head([seen]))["Alerts"] == ("none new", "good")
    assert tiles(head([seen, warning]))["Alerts"] == ("1 open", "warn")
    assert tiles(head([warning, alert("CRITICAL", False)]))["Alerts"] == ("1 critical", "bad")


# --- who shut the gate ----------------------------------------------------------------------------

STARTS = [
    ModeChanged("OBSERVE_ONLY", "STARTING", "the worker started"),
    ModeChanged("STARTING", "OBSERVE_ONLY", "all start-up evidence is in"),
]
BY_ANNA = ModeChanged("ACTIVE", "OBSERVE_ONLY", "a look", (), "anna")
FELL = ModeChanged("ACTIVE", "OBSERVE_ONLY", "evidence is missing", ("backup: x",))
TRIPPED = ModeChanged("OBSERVE_ONLY", "SHUTDOWN", "the fail-safe", ("ledger: x",))
SILENT = ModeChanged("ACTIVE", "STARTING", "the worker was silent for 5 min")
OPENED = ModeChanged("OBSERVE_ONLY", "ACTIVE", "done", (), "anna")
NOISE = DataFault("x", None, "y")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([], None),
        ([BY_ANNA], BY_ANNA),
        ([BY_ANNA, *STARTS, *STARTS], BY_ANNA),
        ([FELL, *STARTS], FELL),
        ([BY_ANNA, TRIPPED], TRIPPED),
        ([SILENT, STARTS[1]], SILENT),
        ([BY_ANNA, OPENED], None),
        ([BY_ANNA, OPENED, *STARTS], None),
        ([BY_ANNA, OPENED, FELL], FELL),
    ],
)
@pytest.mark.parametrize("pieces", [1, 3])
def test_who_shut_the_gate_is_known_however_often_the_worker_started(
    tmp_path, changes, expected, pieces
):
    """The same whether it is looked for once, or followed as the ledger grows."""
    ledger, looking = SqliteLedger(tmp_path), Shutting()
    events = [NOISE, *itertools.chain.from_iterable((change, NOISE) for change in changes)]
    step = -(-len(events) // pieces)
    for start in range(0, len(events), step):
        part = events[start : start + step]
        ledger.append([Entry("system", start + n, "t", event) for n, event in enumerate(part)])
        with LedgerReader(tmp_path) as reader:
            found = looking.look(reader)
    ledger.close()
    if expected is None:
        assert found is None
    else:
        assert (found.by, found.why, found.evidence) == (
            expected.by, expected.why, expected.evidence,
        )  # fmt: skip


def test_it_is_told_in_a_sentence():
    assert SHUT.told(5_000_001) == "shut by anna 5 s ago: a look"
    fell = Shut(0, 1, "", "evidence is missing", ("a: b", "c: d"))
    assert fell.told(60_000_000) == "shut 1 min ago: evidence is missing: a: b; c: d"


# --- words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "measured", "limit", "left", "expected"),
    [
        ("auth_loss_guard", "may trade", "may trade", "", ("may trade", "")),
        ("session_block_outside", "open", "open", "3 h", ("open", "how: 3 h")),
        ("max_contracts", "2 contracts", "4 contracts", "2 contracts",
         ("2 contracts left", "2 of 4 contracts")),
        ("daily_realized_loss", "1,063.72 USD", "2,000.00 USD", "936.28 USD",
         ("936.28 USD left", "1,063.72 of 2,000.00 USD")),
        ("trailing_drawdown", "50,000.00 USD", "49,500.00 USD", "500.00 USD",
         ("500.00 USD left", "50,000.00 USD, floor 49,500.00 USD")),
        ("no_stop_loss_grace", "5 s", "1 min", "55 s", ("55 s left", "5 s of 1 min")),
    ],
)  # fmt: skip
def test_a_limit_reads_as_a_person_says_it(rule, measured, limit, left, expected):
    row = {"rule": rule, "measured": measured, "limit": limit, "left": left, "formula": "how"}
    assert standing(row) == expected


@given(st.text())
def test_what_is_written_into_the_page_is_escaped(text):
    for written in (breakable(text), coded(text)):
        plain = written.replace("<wbr>", "").replace("<code>", "").replace("</code>", "")
        assert "<" not in plain
        assert ">" not in plain


def test_names_break_between_words_and_code_is_marked():
    assert breakable("a_b.c") == "a_<wbr>b.<wbr>c"
    assert coded("see `x y`, then") == "see <code>x y</code>, then"
    assert coded("a ` alone") == "a ` alone"
    assert sentence("there is none") == "There is none."
    assert (size(0), size(999_999), size(10**6)) == ("0", "999999", "no limit")
    held = {"positions": [{"instrument": "CON.F.US.MES.Z26", "ticker": "MES"}]}
    assert ticker("CON.F.US.MES.Z26", held) == "MES"
    assert ticker("CON.F", held) == "CON.<wbr>F"
