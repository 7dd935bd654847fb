"""What is shown of a running system: the worker's own figures under the published names."""

from __future__ import annotations

import json
import re
import shlex
import time
import urllib.request

import pytest
from typer.testing import CliRunner

from portcullis.api.access import MATRIX
from portcullis.api.board import idle_rules, line_of
from portcullis.api.keys import KeyFile
from portcullis.cli.main import app
from portcullis.domain.events import ProposalAnswered
from portcullis.domain.model import HOUR, Verdict
from portcullis.domain.plan import AccountPlan, Plan
from portcullis.domain.rules import RULES, max_contracts, symbol_blocks
from portcullis.store.inbox import leave_verdict
from portcullis.store.ledger import SqliteLedger
from portcullis.store.opening import open_inbox, open_reader
from tests.api.home import NOW, asked, settings_of
from tests.api.test_events import entry

MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z"


def propose(api, **order):
    body = {"account": "A", "instrument": "ES", "side": "buy", "size": 1, **order}
    request = urllib.request.Request(
        f"http://127.0.0.1:{api.settings.gate_port}/api/v1/proposals",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as reply:
        return json.load(reply)


def until(look):
    deadline = time.monotonic() + 10
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def test_the_line_of_an_approved_proposal_says_so():
    answered = ProposalAnswered("p1", "A", True, (), 2, "entry", "ACTIVE")
    assert line_of(answered) == "approved (entry); largest order now: 2"


def test_the_command_that_the_form_for_a_key_names_makes_one(api, tmp_path):
    (shown,) = re.findall("<code>portcullis (key create .*?)</code>", api.get("/signin").text)
    own = {"PORTCULLIS_HOME": str(tmp_path)}
    made = CliRunner().invoke(app, shlex.split(shown), env=own)
    assert made.exit_code == 0, made.output


def test_an_account_shows_what_is_left_and_the_largest_order(api):
    body = api.get("/api/v1/accounts/A").json()
    (limit,) = [row for row in body["distances"] if row["rule"] == "max_contracts"]
    assert (limit["limit"], limit["left"]) == ("2 minis", "2 minis")

    def agree():
        """The gate's own answer; a price that grows too old in between changes both."""
        largest = api.get("/api/v1/accounts/A").json()["largest"]["ES"]["buy"]
        return propose(api, size=9)["largest_allowed"] == largest

    until(agree)
    everything = api.get("/api/v1/accounts").json()
    assert [row["account"] for row in everything["accounts"]] == ["A", "B"]
    missing = api.get("/api/v1/accounts/C")
    assert (missing.status_code, missing.headers["content-type"]) == (
        404,
        "application/problem+json",
    )


def test_rules_are_all_there_with_the_accounts_that_have_them(api):
    rules = {row["rule"]: row for row in api.get("/api/v1/rules").json()["rules"]}
    assert set(rules) == {rule.NAME for rule in RULES}
    assert {row["account"] for row in rules["max_contracts"]["on"]} == {"A", "B"}
    assert all(row["does"] for row in rules.values())


def test_agents_are_counted_by_what_became_of_their_proposals(api):
    for size in (1, 1, 9):
        propose(api, agent="scalper", size=size)
    rows = {row["agent"]: row for row in api.get("/api/v1/agents").json()["agents"]}
    scalper = rows["scalper"]
    assert (scalper["proposals"], scalper["approved"], scalper["denied"]) == (3, 0, 3), (
        "the gate is shut: every one of them is denied"
    )


@pytest.mark.parametrize("passed", [True, False])
def test_a_drill_and_its_evidence_tell_the_same(api, passed):
    now = NOW()
    summary = f"the state came back: {passed}"
    inbox = open_inbox(api.settings)
    leave_verdict(inbox, Verdict("restore", passed, now, now + HOUR, summary, "run-7"), "test")
    inbox.close()

    def newest():
        rows = api.get("/api/v1/drills").json()["drills"]
        return rows[0] if rows and rows[0]["summary"] == summary else None

    drill = until(newest)
    assert (drill["drill"], drill["passed"], drill["run_id"]) == ("restore", passed, "run-7")

    def evidence():
        rows = api.get("/api/v1/evidence").json()["evidence"]
        return [row for row in rows if row["summary"] == summary]

    (row,) = until(evidence)
    assert row["state"] == ("passing" if passed else "failed")
    assert 3_500 < row["seconds_left"] <= 3_600


def test_the_health_family_has_its_published_names(api):
    health = api.get("/health", None).json()
    assert set(health) >= {
        "status", "mode", "uptime", "accounts_monitored", "venues", "database_accessible",
        "last_event", "version",
    }  # fmt: skip
    assert (health["status"], health["accounts_monitored"]) == ("degraded", 2)
    (venue,) = health["venues"].values()
    assert venue["connected"] is True
    assert re.fullmatch(MOMENT, venue["since"])
    assert re.fullmatch(MOMENT, health["last_event"])
    other = api.get("/api/health", None).json()
    assert set(other) >= {
        "healthy", "uptime", "lastMarketDataUpdate", "lastEventLogWrite", "lastSnapshotWrite",
        "executionQueueStatus", "memoryUsage", "errorRate", "timestamp",
    }  # fmt: skip
    assert (other["healthy"], other["executionQueueStatus"]) == (True, "IDLE")
    whole = api.get("/api/health/status", None).json()
    assert set(whole) >= set(health) | set(other)
    uptime = api.get("/api/health/uptime", None).json()
    assert re.fullmatch(r"\d+d \d+h \d+m", uptime["human"])


def test_the_health_family_changes_nothing(api):
    with open_reader(api.settings) as reader:
        before = [row.kind for row in reader.read()]
    paths = [path for method, path in MATRIX if method == "GET" and MATRIX[method, path] == "local"]
    for path in paths:
        assert api.get(path, None).status_code in (200, 404)
        assert api.ask("POST", path, json={}).status_code == 405
    with open_reader(api.settings) as reader:
        after = [row.kind for row in reader.read()][len(before) :]
    assert set(after) <= {"verdict_recorded", "time_passed", "quote", "reconciled"}


def test_a_ledger_that_a_restore_puts_in_its_place_is_the_one_that_is_shown(tmp_path):
    known = settings_of(tmp_path / "home")
    for folder, count in ((known.home_path, 5), (tmp_path / "other", 9)):
        folder.mkdir(exist_ok=True)
        ledger = SqliteLedger(folder)
        ledger.append([entry(number) for number in range(count)])
        ledger.close()
    with asked(known) as api:
        assert len(api.get("/logs").json()["events"]) == 5
        for each in known.home_path.glob("ledger.db*"):
            each.unlink()
        (tmp_path / "other" / "ledger.db").rename(known.ledger_path)
        assert len(api.get("/logs").json()["events"]) == 9


# --- pages for people who come by browser ---------------------------------------------------------

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.mark.parametrize("path", ["/accounts/nobody", "/nowhere", "/api/v1/alerts/none"])
def test_a_browser_gets_a_page_with_the_way_back_and_a_program_a_problem(api, path):
    page = api.get(path, headers=BROWSER)
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert 'href="/"' in page.text
    problem = api.get(path)
    assert (problem.status_code, problem.json()["status"]) == (404, 404)
    assert problem.headers["content-type"] == "application/problem+json"


def test_a_browser_without_a_key_is_led_to_the_form(api):
    reply = api.ask("GET", "/", None, local=False, headers=BROWSER, follow_redirects=False)
    assert (reply.status_code, reply.headers["location"]) == (303, "/signin")
    assert api.ask("GET", "/", None, local=False).status_code == 401


def test_what_is_given_in_an_address_is_escaped_on_the_page(api):
    page = api.get("/accounts/%3Cscript%3Ealert(1)%3C%2Fscript%3E", headers=BROWSER)
    assert "<script>alert" not in page.text


def test_who_shut_the_gate_is_told_to_programs_too(api):
    assert api.post("/api/v1/mode/observe", "operator", reason="a look").status_code == 200
    shut = api.get("/health").json()["shut"]
    assert (shut["by"].split(" (")[0], shut["why"]) == ("key operator", "a look")
    (row,) = [each for each in api.get("/ready").json()["checks"] if each["name"] == "mode"]
    assert row["status"] == "warn"
    assert row["observed"].startswith("OBSERVE_ONLY: shut by key operator (")
    assert row["observed"].endswith(": a look")
    assert "portcullis mode release" in row["remedy"]


@pytest.mark.parametrize("other", ['a={"x":1}', "a[b]=1", "flag", "t=a b", 'a="', "x=\xfc"])
def test_a_session_is_found_beside_the_cookies_of_other_programs(api, other):
    made = api.clients[True].post(
        "/signin", data={"key": api.keys["operator"]}, follow_redirects=False
    )
    token = made.cookies["portcullis_session"]
    api.clients[True].cookies.clear()
    for cookie in (f"{other}; portcullis_session={token}", f"portcullis_session={token}; {other}"):
        page = api.get("/", None, headers={"Cookie": cookie.encode("latin-1")}).text
        assert "operator, operator" in page


def test_no_reason_turns_around_what_stands_beside_it(api):
    lock = {"reason": "\u202edessap sah ti\u2066<b>", "seconds": 5}
    assert api.post("/api/v1/accounts/B/lock", "operator", **lock).status_code == 200
    page = until(lambda: [text for text in [api.get("/").text] if "dessap sah ti" in text])[0]
    assert not {"\u202e", "\u2066"} & set(page)
    assert "\ufffddessap sah ti\ufffd&lt;b&gt;" in page


def test_a_session_ends_on_the_page_too_when_its_key_is_revoked(tmp_path):
    with asked(settings_of(tmp_path)) as own:
        browser, file = own.clients[True], KeyFile(own.settings.home_path)
        browser.post("/signin", data={"key": own.keys["operator"]})
        assert "Sign out" in browser.get("/").text
        file.revoke(file.named_by(own.keys["operator"]).id, NOW())
        page = browser.get("/").text
        assert "Sign out" not in page
        assert ", None" not in page


@pytest.mark.parametrize("form", ["a=1&" * 9, "key=%FF%00&" * 3, "&" * 9, "=", "key"])
def test_no_form_is_an_error_of_ours(api, form):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    reply = api.clients[True].post("/signin", content=form, headers=headers)
    assert reply.status_code in (400, 401)


def test_the_rules_that_have_nothing_to_measure_are_told_with_their_settings():
    rules = (max_contracts.Params(2), symbol_blocks.Params(blocked=("NQ", "CL")))
    plan = Plan((AccountPlan("A", rules), AccountPlan("B", ())))
    assert idle_rules(plan, "A", {"max_contracts"}) == {"symbol_blocks": "blocked NQ; CL"}
    assert idle_rules(plan, "B", set()) == {}
