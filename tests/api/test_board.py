"""What the board makes of alerts: of very many, and of a file that cannot be read."""

from __future__ import annotations

import pytest

from portcullis.api.board import ALERTS_SHOWN, gather
from portcullis.api.here import make_here
from portcullis.domain.events import AlertRaised
from tests.alerts.harness import Desk
from tests.api.home import asked, settings_of
from tests.api.test_glance import FINE

SEEN = {**FINE, "evidence": [], "accounts": []}


def raised(kind, account):
    return AlertRaised(kind, "critical", account, f"{account} needs a look", "look")


@pytest.fixture
def home(tmp_path):
    """A sender's file with an enforcement that failed, and more alerts after it than are listed."""
    known = settings_of(tmp_path)
    desk = Desk(known.home_path)
    desk.open({})
    desk.write(raised("enforcement_failed", "OLD"))
    desk.write(*(raised("clock_stepped", f"A{n}") for n in range(ALERTS_SHOWN + 5)))
    desk.turn_until(lambda: len(desk.reader().alerts()) == ALERTS_SHOWN + 6)
    desk.close()
    return known


def test_a_failed_enforcement_is_said_however_many_alerts_came_after_it(home):
    body = gather(make_here(home), SEEN)
    assert "OLD" in body["glance"].means
    assert len(body["alerts"]) == ALERTS_SHOWN
    with asked(home) as api:
        assert "And 6 more" in api.get("/").text


def test_alerts_that_cannot_be_read_are_no_good_news(home):
    (home.home_path / "alerts.db").write_bytes(b"no database" * 500)
    for left in home.home_path.glob("alerts.db-*"):
        left.unlink()
    found = gather(make_here(home), SEEN)["glance"]
    assert found.tone == "warn"
    assert "is not known" in found.means
    assert next(tile for tile in found.tiles if tile.name == "Alerts").tone == "bad"
    with asked(home) as api:
        page = api.get("/").text
    assert "Alerts cannot be read" in page
    assert "Channels cannot be read" in page
    assert "No alert is open" not in page
    assert "Nobody is told" not in page


@pytest.mark.parametrize("name", ["alerts.db", "ledger.db"])
def test_a_file_that_cannot_be_read_hides_no_other_figures(home, name):
    (home.home_path / name).write_bytes(b"no database" * 500)
    for left in home.home_path.glob(f"{name}-*"):
        left.unlink()
    with asked(home) as api:
        figures = api.get("/metrics")
        assert (figures.status_code, "portcullis_disk_free_ratio" in figures.text) == (200, True)
        assert ("portcullis_alerts_open" in figures.text) is (name != "alerts.db")
        assert api.get("/slos").status_code == 200
