"""The page of a verdict: what it shows, that nothing on it runs, and how much is kept."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from checks import reports
from checks.page import Report, page_of
from checks.suites.outcomes import Outcome, graded
from checks.verdicts import LEDGER_ROWS, MEANS, Finding, Grade, Kind, verdict_of
from portcullis.clock import SystemClock
from portcullis.domain.model import HOUR, SECOND

ROOT = Path(__file__).parent.parent.parent
NOW = 1_800_000_000_000_000
HELD = Outcome("position.unique", "critical", True, True, 0, "no position is there twice", [])
BROKEN = Outcome("kind.known", "critical", False, True, 2, "known kinds", [{"position": 7}])
EVIL = "<script>alert('x')</script>\"'><img src=x onerror=alert(1)>"


def kept(settings, found, now=NOW, kind=LEDGER_ROWS):
    return reports.keep(settings, kind, found, now, "run-1", "http://127.0.0.1:4210/runs/1")


class Tags(HTMLParser):
    """Every tag of a page with its attributes, and its text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


def test_a_page_shows_what_failed_with_its_rows_and_what_to_do(settings):
    path = kept(settings, graded("10 rows", [HELD, BROKEN], "ab" * 32))
    text = " ".join(Tags(path.read_text()).text)
    for word in ("FAIL", "kind.known", "position 7", "position.unique", "ab" * 32, "What to do"):
        assert word in text
    assert "portcullis ledger verify" in text
    assert "http://127.0.0.1:4210/runs/1" in text


def test_a_page_fetches_and_runs_nothing(settings):
    page = kept(settings, graded("10 rows", [HELD, BROKEN])).read_text()
    found = Tags(page)
    assert {tag for tag, _ in found.tags} & {"script", "link", "img", "iframe"} == set()
    assert not re.search(r"url\(|@import", page)
    (policy,) = [a for _, a in found.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policy["content"]


@given(st.text(max_size=40).map(lambda text: EVIL + text))
def test_whatever_a_row_says_is_text_on_the_page(evil):
    bad = Outcome(evil, evil, False, False, 1, evil, [{evil: evil}])
    plain = [{evil: evil, "n": 1}]
    for rows in ([bad._asdict()], plain):
        report = Report(
            evil, evil, evil, evil, evil, NOW, NOW, evil, evil, "javascript:alert(1)", evil, rows,
            0, evil,
        )  # fmt: skip
        tags = Tags(page_of(report)).tags
        assert {tag for tag, _ in tags} & {"script", "img", "a"} == set()
        assert [attrs for _, attrs in tags if any(name.startswith("on") for name in attrs)] == []


def test_the_newest_is_kept_and_the_first_of_each_time_it_failed(settings):
    good, bad = graded("x", [HELD]), graded("x", [BROKEN])
    for n, found in enumerate((good, bad, bad, good, bad)):
        path = kept(settings, found, NOW + n * HOUR)
    failed = sorted((settings.reports_path / "failed").iterdir())
    assert len(failed) == 2
    assert path.name == "ledger_rows.html"
    assert json.loads(path.with_suffix(".json").read_text())["grade"] == "FAIL"


def test_old_failures_are_forgotten(settings):
    for n in range(50):
        found = graded("x", [BROKEN if n % 2 else HELD])
        kept(settings, found, NOW + n * SECOND)
    assert len(list((settings.reports_path / "failed").iterdir())) == reports.FAILURES_KEPT


def test_a_page_is_bounded_whatever_a_check_found(settings):
    rows = [{"what": "x" * 10_000, "n": n, "data": b"\xff" * 10_000} for n in range(10_000)]
    path = kept(settings, Finding(Grade.FAIL, "y" * 10_000, rows))
    assert path.stat().st_size < 300_000
    assert "9,800 rows are left out" in path.read_text() or "9800 rows" in path.read_text()


def test_a_torn_report_counts_as_one_that_held(settings):
    kept(settings, graded("x", [BROKEN]))
    (settings.reports_path / "ledger_rows.json").write_text("{")
    kept(settings, graded("x", [BROKEN]), NOW + HOUR)
    assert len(list((settings.reports_path / "failed").iterdir())) == 2


def test_what_grades_mean_is_the_documents_table():
    text = (ROOT / "docs/operations.md").read_text()
    rows = re.findall(r"^\| ([A-Z]+) \| (.+?) \| (.+?) \|$", text, re.MULTILINE)
    assert rows == [(grade.value, *meaning) for grade, meaning in MEANS.items()]
    assert set(MEANS) == set(Grade)
    assert {grade for grade in Grade if grade.holds} == {
        grade for grade, meaning in MEANS.items() if meaning.gate == "held"
    }


def test_a_verdict_that_does_not_hold_says_where_its_report_is():
    failed = verdict_of(LEDGER_ROWS, Finding(Grade.FAIL, "x" * 1_000, []), NOW, "r")
    assert failed.summary.endswith("(portcullis evidence show ledger_rows)")
    assert len(failed.summary) <= 400
    held = verdict_of(LEDGER_ROWS, Finding(Grade.PASS, "x", [], "ab" * 32), NOW, "r")
    assert held.summary == "PASS: x (suite abababababab)"


@pytest.fixture
def shown(settings, monkeypatch):
    """`portcullis evidence ...` in the home of `settings`."""
    from portcullis.cli.main import app

    monkeypatch.setenv("PORTCULLIS_HOME", settings.home)
    monkeypatch.setenv("COLUMNS", "160")
    return lambda *words: CliRunner().invoke(app, ["evidence", "show", *words])


def test_the_command_shows_the_same_with_the_path_of_the_page(settings, shown):
    path = kept(settings, graded("10 rows", [HELD, BROKEN], "ab" * 32), SystemClock().now())
    result = shown("ledger_rows")
    assert result.exit_code == 0
    for word in ("FAIL", "kind.known", "position 7", "1 of 2 checks hold", "next:"):
        assert word in result.stdout
    assert str(path) in result.stdout.replace("\n", "")
    assert "STALE" not in result.stdout
    body = json.loads(shown("ledger_rows", "-o", "json").stdout)
    assert body["rows"][1]["samples"] == [{"position": 7}]


def test_a_report_whose_time_is_over_is_called_stale(settings, shown):
    kept(settings, Finding(Grade.PASS, "x", [{"what": "a", "says": "b"}]), kind=Kind("x", -NOW))
    result = shown("x")
    assert "STALE" in result.stdout
    assert "what" in result.stdout


def test_an_unknown_or_torn_report_ends_with_a_remedy(settings, shown):
    kept(settings, graded("x", [HELD]))
    missing = shown("nothing")
    assert missing.exit_code != 0
    assert "ledger_rows" in str(getattr(missing.exception, "remedy", missing.output))
    (settings.reports_path / "ledger_rows.json").write_text("{")
    assert shown("ledger_rows").exit_code != 0


def test_a_report_is_read_as_it_was_written(settings):
    path = kept(settings, graded("x", [BROKEN]))
    found = msgspec.json.decode(path.with_suffix(".json").read_bytes(), type=Report)
    assert found.page == str(path)
    assert found.rows[0]["samples"] == [{"position": 7}]


def test_a_number_of_numpys_can_be_written():
    import numpy as np

    found = reports.bounded({"gap": np.float64(1.5), "rows": np.int64(2)})
    assert msgspec.json.decode(msgspec.json.encode(found)) == {"gap": 1.5, "rows": "2"}
