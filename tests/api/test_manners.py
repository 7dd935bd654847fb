"""The process over real sockets: what is slow, endless, malformed or at its end."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time

import pytest

from portcullis.api.keys import KeyFile
from portcullis.api.serving import ADDRESS_CONNECTIONS_MAX
from portcullis.domain.events import DataFault
from portcullis.ports import Entry
from portcullis.store.ledger import SqliteLedger
from tests.api.home import NOW, settings_of

STREAMED = 20_000


class Process:
    """`portcullis api` on a home."""

    def __init__(self, settings, **more):
        self.settings = settings
        self.log = settings.home_path / "said.txt"
        self.key = KeyFile(settings.home_path).create("test", "admin", NOW()).text
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("PORTCULLIS_")},
            "PORTCULLIS_HOME": settings.home,
            "PORTCULLIS_GATE_PORT": str(settings.gate_port),
            "PORTCULLIS_API_PORT": str(settings.api_port),
            "PORTCULLIS_API_RATE": str(settings.api_rate),
            **more,
        }
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "portcullis", "api"],
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def wait(self):
        deadline = time.monotonic() + 30
        while "listens" not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return self

    def connect(self):
        found = socket.create_connection(("127.0.0.1", self.settings.api_port), timeout=20)
        found.settimeout(20)
        return found

    def say(self, text: bytes) -> bytes:
        """Everything that is answered to raw bytes until the other side hangs up."""
        with self.connect() as line:
            line.sendall(text)
            return everything(line)

    def get(self, path, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.settings.api_port, timeout=20)
        with contextlib.closing(connection):
            connection.request(
                "GET", path, headers={"Authorization": f"Bearer {self.key}", **headers}
            )
            reply = connection.getresponse()
            return reply.status, reply.read()

    def end(self, number=signal.SIGTERM, seconds=30):
        self.process.send_signal(number)
        return self.process.wait(seconds)


def everything(line: socket.socket) -> bytes:
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := line.recv(65_536):
            found += piece
    return found


@contextlib.contextmanager
def running(settings, **more):
    started = Process(settings, **more)
    try:
        yield started.wait()
    finally:
        started.process.kill()
        started.process.wait(10)


@pytest.fixture(scope="module")
def api(worker):
    with running(worker.settings) as found:
        yield found


HEAD = "Host: 127.0.0.1\r\nConnection: close\r\n"


def post(path, *lines, key):
    said = "\r\n".join((f"POST {path} HTTP/1.1", f"Authorization: Bearer {key}", *lines))
    return f"{said}\r\n{HEAD}\r\n".encode()


def test_a_body_of_ten_gigabytes_is_refused_before_it_comes(api):
    said = post(
        "/api/v1/halt", "Content-Type: application/json", f"Content-Length: {10**10}", key=api.key
    )
    began = time.monotonic()
    answer = api.say(said + b"x" * 100)
    assert answer.startswith(b"HTTP/1.1 413")
    assert time.monotonic() - began < 2


def test_a_body_without_a_length_is_cut_where_it_is_too_long(api):
    said = post(
        "/api/v1/halt", "Content-Type: application/json", "Transfer-Encoding: chunked", key=api.key
    )
    piece = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    with api.connect() as line:
        line.sendall(said)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(1_000):
                line.sendall(piece)
        assert everything(line)[:12] in (b"HTTP/1.1 413", b"")
    lines = (api.settings.home_path / "logs" / "api.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["status"] == 413


def test_who_never_ends_a_request_is_let_go_of(api):
    """Nothing at all, headers line by line, and a body that never comes: all at once."""
    unending = post(
        "/api/v1/halt", "Content-Type: application/json", "Content-Length: 50", key=api.key
    )
    began = time.monotonic()
    with api.connect() as silent, api.connect() as slow, api.connect() as bodiless:
        slow.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        bodiless.sendall(unending + b"{")
        for _ in range(3):
            slow.sendall(b"X-More: 1\r\n")
        assert api.get("/healthz")[0] == 200, "others are served meanwhile"
        assert everything(slow) == b""
        assert everything(silent) == b""
        assert everything(bodiless).startswith(b"HTTP/1.1 408")
    assert 8 < time.monotonic() - began < 18


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/logs?account=%FF", 400),
        ("/logs?account=%00", 400),
        ("/%C3%28", 400),
        ("/logs?account=\xff", 400),
        ("/logs?" + "&".join(["kind=quote"] * 10_000), 414),
        ("/logs?" + "&".join(["kind=quote"] * 300), 400),
        ("/logs?" + "&".join(["kind=quote"] * 30), 422),
        ("/logs?nonsense=1", 422),
        ("/logs?account=A&account=B", 422),
        ("/logs?limit=1001", 422),
        ("/logs?cursor=%27%20OR%201=1", 422),
        ("/logs?account=A%27%20OR%20%271%27=%271", 200),
        ("/logs?trace=%22;DROP%20TABLE%20events;--", 200),
        ("/../../etc/passwd", 404),
        ("/%2e%2e/%2e%2e/etc/passwd", 404),
        ("/api/v1/accounts/..%2f..%2fetc%2fpasswd", 404),
        ("/api/v1/alerts/..%2f..%2fledger.db", 404),
        ("/api/v1/requests/..%2f..%2fledger.db", 404),
    ],
)  # fmt: skip
def test_what_is_malformed_or_hostile_is_refused_cheaply(api, path, status):
    began = time.monotonic()
    said = f"GET {path} HTTP/1.1\r\nAuthorization: Bearer {api.key}\r\n{HEAD}\r\n"
    head, _, body = api.say(said.encode("latin-1")).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status}".encode()), head + body
    assert time.monotonic() - began < 3
    if status == 200:
        assert json.loads(body)["events"] == []
    elif b"problem+json" in head:
        assert json.loads(body)["status"] == status


@pytest.mark.parametrize(
    "said", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nX\r\n\r\n", b"\x16\x03\x01\x00"]
)
def test_what_is_no_http_at_all_is_told_so(api, said):
    answer = api.say(said + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"problem+json" in answer


def test_made_up_methods_make_no_rows_of_figures(api):
    for number in range(3):
        said = api.say(f"ZORK{number} /healthz HTTP/1.1\r\n{HEAD}\r\n".encode())
        assert said.startswith(b"HTTP/1.1 405")
    _, figures = api.get("/metrics")
    assert b"ZORK" not in figures
    assert b'method="_OTHER"' in figures


def test_one_address_cannot_take_every_connection(api):
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(api.connect()) for _ in range(ADDRESS_CONNECTIONS_MAX + 5)]
        assert everything(held[-1]) == b""
        held[0].close()
        deadline = time.monotonic() + 5
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if api.get("/healthz")[0] == 200:
                    break
            assert time.monotonic() < deadline


def test_another_name_and_another_page_are_turned_away(api):
    assert api.get("/health", Host="evil.example")[0] == 400
    assert api.get("/health", Host="evil.example:4200")[0] == 400
    assert api.get("/health", Origin="https://evil.example")[0] == 403
    assert api.get("/health", Host="localhost")[0] == 200


def test_no_answer_lets_pages_of_others_read_it(api):
    connection = http.client.HTTPConnection("127.0.0.1", api.settings.api_port, timeout=20)
    with contextlib.closing(connection):
        connection.request("GET", "/health")
        names = {name.lower() for name, _ in connection.getresponse().getheaders()}
    assert not {name for name in names if name.startswith("access-control")}
    assert {"content-security-policy", "x-content-type-options", "x-request-id"} <= names
    assert "server" not in names


@pytest.fixture
def long_ledger(tmp_path):
    """So many events that no buffer of a socket holds their export."""
    settings = settings_of(tmp_path)
    ledger = SqliteLedger(settings.home_path)
    for _ in range(STREAMED // 2_000):
        ledger.append([Entry("system", NOW(), "T", DataFault("A", None, "x" * 900))] * 2_000)
    ledger.close()
    return settings


def begin_export(api, line):
    said = f"GET /api/v1/events/export HTTP/1.1\r\nAuthorization: Bearer {api.key}\r\n{HEAD}\r\n"
    line.sendall(said.encode())
    assert line.recv(15, socket.MSG_WAITALL) == b"HTTP/1.1 200 OK"


def test_told_to_stop_it_lets_an_open_stream_come_to_its_end(long_ledger):
    with running(long_ledger) as api, api.connect() as line:
        begin_export(api, line)
        api.process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            api.process.wait(1)
        with pytest.raises(ConnectionRefusedError):
            api.connect()
        rest = everything(line)
        assert api.process.wait(30) == 0
    assert rest.endswith(b"0\r\n\r\n")
    assert rest.count(b'"position":') == STREAMED
    assert "Traceback" not in api.log.read_text()


@pytest.mark.slow
def test_a_stream_that_nobody_reads_does_not_keep_it(long_ledger):
    with running(long_ledger) as api, api.connect() as line:
        begin_export(api, line)
        began = time.monotonic()
        assert api.end(seconds=30) == 0
        assert time.monotonic() - began < 30
        assert not everything(line).endswith(b"0\r\n\r\n"), "it must not look whole"


def test_an_idle_process_ends_at_once_and_cleanly(tmp_path):
    with running(settings_of(tmp_path)) as api:
        assert api.get("/health")[0] == 503
        with api.connect():
            began = time.monotonic()
            assert api.end() == 0
            assert time.monotonic() - began < 25, "a drain takes up to 30 s"


def test_a_taken_port_is_named(api):
    second = Process(api.settings)
    assert second.process.wait(30) == 1
    assert "PORTCULLIS_API_PORT" in second.log.read_text()


def test_another_address_needs_tls(tmp_path):
    refused = Process(settings_of(tmp_path), PORTCULLIS_API_HOST="0.0.0.0")
    assert refused.process.wait(30) == 2
    assert "in clear" in refused.log.read_text()


def test_with_tls_nothing_goes_in_clear(tmp_path):
    certificate, key = self_signed(tmp_path)
    files = {"PORTCULLIS_API_CERTIFICATE": certificate, "PORTCULLIS_API_CERTIFICATE_KEY": key}
    with running(settings_of(tmp_path / "home"), **files) as api:
        trusted = ssl.create_default_context(cafile=certificate)
        connection = http.client.HTTPSConnection(
            "localhost", api.settings.api_port, context=trusted, timeout=20
        )
        with contextlib.closing(connection):
            connection.request("GET", "/healthz")
            alive = connection.getresponse()
            assert (alive.status, bool(alive.read())) == (200, True)
            connection.request("GET", "/metrics?part=api")
            measured = connection.getresponse().read().decode()
        (ends,) = re.findall(r"^portcullis_certificate_expiry_\w+ (\S+)$", measured, re.MULTILINE)
        assert abs(float(ends) - time.time() - 86_400) < 600
        assert b"200" not in api.say(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")


def self_signed(folder):
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.fromtimestamp(time.time(), UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return str(certificate_file), str(key_file)
