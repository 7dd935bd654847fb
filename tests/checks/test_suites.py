"""The runner of suites and the grading, on a small file: bounds, other files, digests."""

from pathlib import Path

import pytest

from checks.suites import running
from checks.suites.expectations import between, findings, present
from checks.suites.outcomes import SAMPLES, Outcome, graded
from checks.suites.running import Suite, digest_of, validate
from checks.verdicts import Grade
from portcullis.errors import StoreError
from portcullis.store.database import DRIVER

pytestmark = pytest.mark.filterwarnings("ignore")
ROWS = "SELECT id, amount FROM sums WHERE id <= (SELECT last FROM bounds)"


def suite(*expectations, rows=ROWS):
    return Suite("test.sums", rows, ("id",), lambda: list(expectations))


def at_most(limit=100, severity="critical"):
    return between("amount.small", "amounts are small", "amount", None, limit, severity)


def write(path, *statements):
    connection = DRIVER.connect(str(path))
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.fixture
def path(tmp_path) -> Path:
    found = tmp_path / "sums.db"
    many = ", ".join(f"({n}, {n})" for n in range(1, 201))
    write(
        found, "CREATE TABLE sums (id INTEGER, amount INTEGER)", f"INSERT INTO sums VALUES {many}"
    )
    return found


def test_only_rows_within_the_bounds_are_judged(path):
    (held,) = validate(path, suite(at_most()), {"last": 100})
    assert held.passed
    (failed,) = validate(path, suite(at_most()), {"last": 150})
    assert failed.unexpected == 50
    assert len(failed.samples) == SAMPLES
    assert failed.samples[0]["id"] == 101


def test_findings_are_bounded_and_name_their_rows(path):
    bad = findings("amount.odd", "no amount is odd", "SELECT id, amount FROM b WHERE amount % 2")
    (found,) = validate(path, suite(bad), {"last": 200})
    assert found.unexpected == 51
    assert found.samples == [{"id": n, "amount": n} for n in (1, 3, 5, 7, 9)]


def test_another_file_is_asked_by_its_name(path, tmp_path):
    other = tmp_path / "other.db"
    write(other, "CREATE TABLE totals (total INTEGER)", "INSERT INTO totals VALUES (5050)")
    query = (
        "SELECT total, (SELECT sum(amount) FROM b) AS found FROM other.totals WHERE total <> found"
    )
    equal = findings("amount.total", "amounts give the total", query)
    (held,) = validate(path, suite(equal), {"last": 100}, {"other": other})
    assert held.passed
    (failed,) = validate(path, suite(equal), {"last": 101}, {"other": other})
    assert failed.samples == [{"total": 5050, "found": 5151}]


def test_nothing_can_be_written(path, tmp_path):
    other = tmp_path / "other.db"
    write(other, "CREATE TABLE totals (total INTEGER)")
    with running._connections(path, {"last": 1}, {"other": other}) as connect:
        connection = connect()
        for statement in ("DELETE FROM sums", "DELETE FROM other.totals"):
            with pytest.raises(DRIVER.OperationalError, match="readonly"):
                connection.execute(statement)


def test_what_raises_says_so_and_the_rest_is_judged(path):
    broken = findings("no.table", "there is one", "SELECT * FROM nowhere")
    first, second = validate(path, suite(broken, at_most()), {"last": 100})
    by_name = {each.check: each for each in (first, second)}
    assert not by_name["no.table"].could_run
    assert "nowhere" in by_name["no.table"].says
    assert by_name["amount.small"].passed


def test_a_file_that_is_not_there_is_a_store_error(tmp_path):
    with pytest.raises(StoreError, match="no such file"):
        validate(tmp_path / "nothing.db", suite(at_most()), {"last": 1})


def test_the_digest_changes_with_what_is_asked_and_with_nothing_else(path):
    before = digest_of(suite(at_most()))
    validate(path, suite(at_most()), {"last": 7})
    assert digest_of(suite(at_most())) == before
    others = [
        suite(at_most(101)),
        suite(at_most(severity="warning")),
        suite(at_most(), rows=f"{ROWS} AND id > 1"),
        suite(at_most(), present("id.present", "every row has one", "id")),
    ]
    assert len({before, *map(digest_of, others)}) == 5


def made(severity, passed=True, could_run=True):
    return Outcome(f"a.{severity}", severity, passed, could_run, 1, "says", [])


@pytest.mark.parametrize(
    ("outcomes", "grade"),
    [
        ([made("critical"), made("warning")], Grade.PASS),
        ([made("critical", passed=False), made("warning", passed=False)], Grade.FAIL),
        ([made("critical"), made("warning", passed=False)], Grade.WARN),
        ([made("critical"), made("info", passed=False)], Grade.PASS),
        ([made("critical", passed=False, could_run=False)], Grade.ERROR),
        ([made("warning", passed=False, could_run=False)], Grade.ERROR),
        ([made("critical", passed=False), made("critical", False, False)], Grade.FAIL),
        ([], Grade.ERROR),
    ],
)
def test_severities_become_a_grade_in_one_place(outcomes, grade):
    assert graded("3 rows", outcomes).grade is grade


def test_what_is_missing_fails_and_what_is_late_is_stale():
    assert graded("x", [made("critical")], missing=["nothing from ES"]).grade is Grade.FAIL
    assert graded("x", [made("critical")], stale=["no record"]).grade is Grade.STALE
    assert graded("x", [made("critical")], "", ["a"], ["b"]).summary == "x: a; b"


def test_a_summary_names_some_and_says_how_many_more():
    failed = [made("critical", passed=False)._replace(check=f"c{n}") for n in range(20)]
    assert graded("x", failed).summary.endswith("c7 (1 row); and 12 more")
