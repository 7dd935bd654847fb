"""The ledger's file, ports, Prefect, backups and settings, as a doctor finds them."""

from __future__ import annotations

import http.server
import json
import socket
import threading

import pytest

from portcullis.backup.make import make
from portcullis.backup.packing import new_identity
from portcullis.backup.target import Target
from portcullis.config.settings import Settings
from portcullis.doctor import services
from portcullis.doctor.row import Row
from portcullis.domain.model import HOUR
from portcullis.store.ledger import SqliteLedger

NOW = 1_780_000_000_000_000


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "home"
    home.mkdir()
    return Settings(
        home=str(home),
        gate_port=free_port(),
        venue_port=free_port(),
        prefect_port=free_port(),
        api_port=free_port(),
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def with_(settings: Settings, **more) -> Settings:
    fields = {name: getattr(settings, name) for name in settings.__struct_fields__}
    return Settings(**fields | more)


def rows(settings: Settings, now: int = NOW) -> dict[str, Row]:
    return {row.name: row for row in services.examine(settings, now)}


def test_a_new_home_has_nothing_that_fails(settings):
    found = rows(settings)
    assert {row.state for row in found.values()} <= {"ok", "skip", "warn"}
    assert found["ledger"].state == "skip"
    assert found["Prefect"].state == "skip"


def test_a_ledger_is_whole_or_its_row_says_what_is_not(settings):
    ledger = SqliteLedger(settings.home_path)
    ledger.close()
    assert rows(settings)["ledger"].state == "ok"
    (settings.home_path / "ledger.pub").write_text("portcullis/x+00000000+AAAA\n")
    assert rows(settings)["ledger"].state == "fail"
    settings.ledger_path.write_bytes(b"no database")
    found = rows(settings)["ledger"]
    assert (found.state, "ledger.db" in found.says) == ("fail", True)


def test_a_port_that_another_program_holds_names_the_program_and_the_variable(settings):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        found = rows(with_(settings, gate_port=other.getsockname()[1]))["ports"]
    assert found.state == "fail"
    assert "PORTCULLIS_GATE_PORT" in found.says
    assert rows(settings)["ports"].state == "ok"


@pytest.mark.parametrize(("said", "state"), [("installed", "ok"), ("2.0.0", "warn")])
def test_prefect_of_another_version(settings, said, state):
    from importlib.metadata import version

    class Version(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(
                json.dumps(version("prefect") if said == "installed" else said).encode()
            )

        def log_message(self, *_):
            """Silent."""

    server = http.server.HTTPServer(("127.0.0.1", settings.prefect_port), Version)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        assert rows(settings)["Prefect"].state == state
    finally:
        server.shutdown()
        server.server_close()
    assert rows(with_(settings, operations=False))["Prefect"].state == "skip"


@pytest.mark.parametrize("file", [".env", "home/settings.env"])
def test_a_secret_in_a_file_of_settings_is_named_and_not_shown(settings, tmp_path, file):
    (tmp_path / file).write_text("PORTCULLIS_PROJECTX_KEY=hush\nPORTCULLIS_PRODUCTS=MES\n")
    found = rows(settings)["plain secrets"]
    assert (found.state, "PORTCULLIS_PROJECTX_KEY" in found.says) == ("warn", True)
    assert "hush" not in str(found)
    assert "MES" not in str(found)


def test_backups_where_they_should_be(settings, tmp_path):
    SqliteLedger(settings.home_path).close()
    assert "outlive" in rows(settings)["backups"].says
    target = str(tmp_path / "elsewhere")
    plain = with_(settings, backup_target=target)
    assert "not encrypted" in rows(plain)["backups"].says
    _, public = new_identity()
    sealed = with_(plain, backup_recipients=public)
    assert (rows(sealed)["backups"].state, "none yet" in rows(sealed)["backups"].says) == (
        "ok",
        True,
    )
    make(settings.home_path, settings.config_path, Target(target), (public,), NOW)
    assert rows(sealed)["backups"].state == "ok"
    late = rows(sealed, NOW + 3 * HOUR)["backups"]
    assert (late.state, "3 h" in late.says) == ("warn", True)
    assert not (tmp_path / "elsewhere" / services.PROBE).exists()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"backup_target": "file"}, "cannot"),
        ({"backup_recipients": "age1nonsense"}, "no public key"),
    ],
)
def test_backups_that_cannot_be_made(settings, tmp_path, more, says):
    (tmp_path / "file").write_text("no folder")
    found = rows(with_(settings, **more))["backups"]
    assert (found.state, says in found.says) == ("fail", True)
    assert found.remedy
