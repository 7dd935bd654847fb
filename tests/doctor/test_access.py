"""Keys that end, the certificate, and the collector, as a doctor finds them."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from typer.testing import CliRunner

from portcullis.api.keys import KeyFile, standing
from portcullis.cli.main import app
from portcullis.clock import SystemClock
from portcullis.config.collector import collector
from portcullis.config.settings import Settings
from portcullis.doctor.access import Keys, examine
from portcullis.doctor.row import Row
from portcullis.domain.model import DAY, HOUR
from tests.api.home import settings_of
from tests.api.test_manners import running, self_signed

NOW = 1_780_000_000_000_000
NAMES = (x509.DNSName("gate.example"), x509.DNSName("*.lan.example"))


def rows(settings: Settings, now: int = NOW) -> dict[str, Row]:
    file = KeyFile(settings.home_path)

    def keys() -> Keys:
        found = standing(file.all(), now)
        return Keys(file.path, settings.request_log_path, found.valid, found.ending, found.ended)

    found = examine(settings, keys, lambda: collector(settings), now)
    return {row.name: row for row in found}


def keys_row(home: Path, now: int = NOW, **more) -> Row:
    return rows(Settings(home=str(home), **more), now)["API keys"]


# --- keys -----------------------------------------------------------------------------------------


def test_without_a_key_only_this_machine_gets_in(tmp_path):
    assert keys_row(tmp_path).state == "skip"
    outside = keys_row(tmp_path, api_host="192.0.2.1")
    assert (outside.state, "key create" in outside.remedy) == ("warn", True)


@pytest.mark.parametrize(
    ("later", "state", "says"),
    [
        (0, "ok", "1 hold; the first ends in 90 days"),
        (75 * DAY, "ok", "15 days"),
        (77 * DAY, "warn", "ends: board ("),
        (89 * DAY + 12 * HOUR, "warn", "in 12 h 00 min"),
        (91 * DAY, "warn", "none of 1 holds any more"),
    ],
)
def test_a_key_is_told_of_two_weeks_before_it_ends(tmp_path, later, state, says):
    made = KeyFile(tmp_path).create("board", "readonly", NOW)
    row = keys_row(tmp_path, NOW + later)
    assert (row.state, says in row.says) == (state, True), row
    if "ends:" in row.says:
        assert row.remedy == f"portcullis key rotate {made.key.id}"


def test_what_is_replaced_or_was_made_for_a_short_time_is_meant_to_end(tmp_path):
    file = KeyFile(tmp_path)
    old = file.create("board", "readonly", NOW).key
    file.create("visitor", "readonly", NOW + 80 * DAY, lasts=3 * DAY)
    file.rotate(old.id, NOW + 80 * DAY, overlap=2 * DAY)
    assert keys_row(tmp_path, NOW + 80 * DAY).state == "ok"


def test_a_file_of_keys_that_others_can_read(tmp_path):
    KeyFile(tmp_path).create("board", "readonly", NOW)
    (tmp_path / "api_keys.json").chmod(0o644)
    row = keys_row(tmp_path)
    assert (row.state, "chmod 600" in row.remedy) == ("fail", True)
    (tmp_path / "api_keys.json").write_text("[")
    (tmp_path / "api_keys.json").chmod(0o600)
    assert keys_row(tmp_path).state == "fail"


def test_a_key_that_has_ended_and_is_still_sent_is_named(tmp_path):
    file = KeyFile(tmp_path)
    gone, other = (file.create(name, "readonly", NOW).key for name in ("board", "phone"))
    file.create("new", "readonly", NOW + 50 * DAY)
    file.revoke(gone.id, NOW + DAY)
    log = Settings(home=str(tmp_path)).request_log_path
    log.parent.mkdir()
    lines = [{"key": gone.id, "role": "readonly"}, {"key": other.id, "role": None}]
    log.write_text("torn\n" + "".join(json.dumps(line) + "\n" for line in lines))
    assert keys_row(tmp_path, NOW + 2 * DAY).state == "ok", "it was sent while it held"
    with log.open("a") as file_:
        file_.write(json.dumps({"key": gone.id, "role": None, "status": 401}) + "\n")
    row = keys_row(tmp_path, NOW + 2 * DAY)
    assert (row.state, f"board ({gone.id})" in row.says) == ("warn", True)
    assert "phone" not in row.says


def test_a_revoked_key_that_the_real_api_refuses_is_counted_and_found(tmp_path):
    settings = settings_of(tmp_path)
    with running(settings) as api:
        gone = KeyFile(tmp_path).create("board", "readonly", SystemClock().now())
        KeyFile(tmp_path).revoke(gone.key.id, SystemClock().now())
        assert api.get("/api/v1/locks", Authorization=f"Bearer {gone.text}")[0] == 401
        assert b"portcullis_api_ended_keys_used_total 1.0" in api.get("/metrics?part=api")[1]
        assert api.end() == 0
    row = keys_row(tmp_path, SystemClock().now())
    assert (row.state, f"board ({gone.key.id})" in row.says) == ("warn", True), row


# --- the certificate ------------------------------------------------------------------------------


class Made:
    """A certificate and its key on the disk; `begins` and `ends` in days from now."""

    def __init__(self, folder: Path, begins: float, ends: float, names=NAMES) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        at = datetime.fromtimestamp(NOW / 1e6, UTC)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gate")])
        built = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(at + timedelta(days=begins))
            .not_valid_after(at + timedelta(days=ends))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        self.pem = built.public_bytes(serialization.Encoding.PEM)
        self.certificate, self.key_file = folder / "certificate.pem", folder / "key.pem"
        self.certificate.write_bytes(self.pem)
        self.write_key(serialization.NoEncryption())

    def write_key(self, encryption: serialization.KeySerializationEncryption) -> None:
        form = serialization.PrivateFormat.PKCS8
        self.key_file.write_bytes(
            self.key.private_bytes(serialization.Encoding.PEM, form, encryption)
        )
        self.key_file.chmod(0o600)

    def row(self, **more) -> Row:
        terms = {
            "api_certificate": str(self.certificate),
            "api_certificate_key": str(self.key_file),
            "api_port": free_port(),
        }
        home = str(self.certificate.parent)
        return rows(Settings(home=home, **{**terms, **more}))["certificate"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("begins", "ends", "state", "says"),
    [
        (-1, 90, "ok", "for gate.example, *.lan.example; it ends in 90 days"),
        (-1, 14.1, "ok", "14 days"),
        (-1, 13.9, "warn", "it ends in 13 days"),
        (-9, -1, "fail", "it ended 24 h 00 min ago"),
        (3, 90, "fail", "it holds in 3 days only"),
    ],
)
def test_a_certificate_is_told_of_before_it_ends(tmp_path, begins, ends, state, says):
    row = Made(tmp_path, begins, ends).row()
    assert (row.state, says in row.says) == (state, True), row
    assert bool(row.remedy) is (state != "ok")


def test_a_chain_holds_no_longer_than_its_shortest(tmp_path):
    (tmp_path / "other").mkdir()
    between = Made(tmp_path / "other", -1, 5).pem
    made = Made(tmp_path, -1, 90)
    made.certificate.write_bytes(made.pem + between)
    assert "ends in 5 days" in made.row().says


def test_what_is_no_certificate_or_not_its_key_is_said(tmp_path):
    (tmp_path / "other").mkdir()
    made, other = Made(tmp_path, -1, 90), Made(tmp_path / "other", -1, 90)
    gone = str(tmp_path / "gone.pem")
    for more, says in (
        ({"api_certificate_key": str(other.key_file)}, "is not the key of"),
        ({"api_certificate_key": str(made.certificate)}, "no key in PEM form"),
        ({"api_certificate": str(made.key_file)}, "no certificate in PEM form"),
        ({"api_certificate": gone}, "No such file"),
        ({"api_certificate_key": ""}, "needs a certificate and its key"),
    ):
        row = made.row(**more)
        assert (row.state, says in row.says, bool(row.remedy)) == ("fail", True, True), row
    made.write_key(serialization.BestAvailableEncryption(b"x"))
    assert "encrypted" in made.row().says
    made.write_key(serialization.NoEncryption())
    made.key_file.chmod(0o640)
    assert (made.row().state, "chmod 600" in made.row().remedy) == ("fail", True)


@pytest.mark.parametrize(
    ("names", "host", "missing"),
    [
        ("gate.example", "0.0.0.0", ""),
        ("GATE.example, a.lan.example", "127.0.0.1", ""),
        ("a.b.lan.example", "127.0.0.1", "a.b.lan.example"),
        ("lan.example", "127.0.0.1", "lan.example"),
        ("", "192.0.2.1", "192.0.2.1"),
    ],
)
def test_names_that_the_api_is_called_by_must_be_in_it(tmp_path, names, host, missing):
    row = Made(tmp_path, -1, 90).row(api_names=names, api_host=host)
    assert row.state == ("warn" if missing else "ok")
    assert f"not for {missing}" in row.says if missing else "not for" not in row.says


def test_without_one_only_loopback_is_served(tmp_path):
    home = str(tmp_path)
    assert rows(Settings(home=home))["certificate"].state == "skip"
    row = rows(Settings(home=home, api_host="0.0.0.0"))["certificate"]
    assert (row.state, "in clear" in row.says) == ("fail", True)


def test_an_api_that_still_serves_the_one_before_is_found(tmp_path):
    certificate, key = self_signed(tmp_path)
    files = {"api_certificate": certificate, "api_certificate_key": key}
    settings = settings_of(tmp_path / "home", **files)
    environment = {f"PORTCULLIS_{name.upper()}": path for name, path in files.items()}
    Path(key).chmod(0o600)
    with running(settings, **environment):
        now = SystemClock().now()
        assert "still serves" not in rows(settings, now)["certificate"].says
        at = time.time() - NOW / 1e6
        Made(tmp_path, at / 86_400 - 1, at / 86_400 + 60)
        row = rows(settings, now)["certificate"]
    assert (row.state, "still serves the one before" in row.says) == ("warn", True), row


# --- traces ---------------------------------------------------------------------------------------


def test_a_collector_answers_is_away_or_is_none(tmp_path):
    def row(url: str) -> Row:
        return rows(Settings(home=str(tmp_path), otlp_url=url))["traces"]

    assert row("").state == "skip"
    assert row("nonsense").state == "fail"
    assert row(f"http://127.0.0.1:{free_port()}").state == "warn"
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as door:
        assert row(f"http://127.0.0.1:{door.getsockname()[1]}").state == "ok"


def test_the_command_shows_all_three(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PORTCULLIS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PORTCULLIS_API_PORT", str(free_port()))
    said = CliRunner().invoke(app, ["doctor", "--offline", "-o", "json"]).stdout
    names = {row["name"] for row in json.loads(said)["rows"]}
    assert {"API keys", "certificate", "traces"} <= names
