"""From an event that is durable to a message that a service on this machine has accepted.

The real sender (`portcullis send`) beside a ledger that is written here, one event after the other;
what is critical has no window. The reference in the same run: one durable commit of such an event,
and one POST of such a message by the library that the sender uses.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests

from portcullis.clock import SystemClock
from portcullis.domain.events import AlertRaised, stream_of
from portcullis.ports import Entry
from portcullis.store.ledger import SqliteLedger

EVENTS = 400
PAUSE_SECONDS = 0.05
CONFIGURATION = """
subscriptions: [{channel: desk, severity: info, accounts: all}]
channels: {desk: {pace: 0 s}}
critical: {window: 0 s, repeat: 0 s}
"""


class Service:
    """Accepts everything, and notes when."""

    def __init__(self) -> None:
        self.bodies: list[tuple[float, str]] = []
        self.arrived = threading.Condition()
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()
                with service.arrived:
                    service.bodies.append((time.perf_counter(), body))
                    service.arrived.notify_all()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def when(self, mark: str) -> float:
        """When the message with these words arrived."""
        with self.arrived:
            while True:
                for at, body in reversed(self.bodies):
                    if mark in body:
                        return at
                if not self.arrived.wait(30):
                    raise TimeoutError(f"no message says {mark!r}")


def main() -> None:
    service = Service()
    with tempfile.TemporaryDirectory(dir=".") as folder:
        home = Path(folder)
        (home / "config").mkdir()
        (home / "config" / "alerts.yaml").write_text(CONFIGURATION)
        addresses = home / "channels.env"
        addresses.write_text(f"desk=json://127.0.0.1:{service.port}/hook\n")
        addresses.chmod(0o600)
        ledger = SqliteLedger(home)
        own = {k: v for k, v in os.environ.items() if not k.startswith("PORTCULLIS_")}
        command = [sys.executable, "-m", "portcullis", "send"]
        sender = subprocess.Popen(command, env={**own, "PORTCULLIS_HOME": str(home)},
                                  stdout=subprocess.DEVNULL)  # fmt: skip
        try:
            commits, whole = _measure(ledger, service)
        finally:
            sender.terminate()
            sender.wait(20)
            ledger.close()
    posts = _posts(service)
    print("| | p50 | p99 | longest |\n|---|---|---|---|")
    for name, times in (
        ("durable commit of one event", commits),
        ("one POST to the same service", posts),
        ("event durable to message accepted", whole),
    ):
        print(f"| {name} | {_ms(times, 50)} | {_ms(times, 99)} | {max(times) * 1e3:.1f} ms |")
    ratio = statistics.median(whole) / (statistics.median(posts) + 3 * statistics.median(commits))
    print(f"{len(whole)} events; the median is {ratio:.1f} times a POST and three commits")


def _measure(ledger: SqliteLedger, service: Service) -> tuple[list[float], list[float]]:
    commits, whole = [], []
    for number in range(EVENTS):
        event = AlertRaised(
            "enforcement_failed", "critical", f"A{number}", f"mark {number}.", "by hand"
        )
        entry = Entry(stream_of(event), SystemClock().now(), "t", event)
        began = time.perf_counter()
        ledger.append([entry])
        durable = time.perf_counter()
        arrived = service.when(f"mark {number}.")
        if number >= 5:  # the first loads what later ones find loaded
            commits.append(durable - began)
            whole.append(arrived - durable)
        time.sleep(PAUSE_SECONDS * (number % 7) / 7)
    return commits, whole


def _posts(service: Service) -> list[float]:
    times, body = [], service.bodies[-1][1].encode()
    for number in range(200):
        began = time.perf_counter()
        requests.post(f"http://127.0.0.1:{service.port}/x", data=body, timeout=5)
        if number >= 5:
            times.append(time.perf_counter() - began)
    return times


def _ms(times: list[float], percent: int) -> str:
    return f"{statistics.quantiles(times, n=100, method='inclusive')[percent - 1] * 1e3:.1f} ms"


if __name__ == "__main__":
    main()
