"""That no test of this folder can reach a real service is itself tested."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest
import requests

from portcullis.alerts.channels import send
from portcullis.alerts.message import Message
from tests.alerts.conftest import Refusing
from tests.alerts.sinks import BOT, HOOK, TOKEN

MESSAGE = Message("01TEST", "info", "title", "body")


@pytest.mark.parametrize(
    ("address", "host"),
    [
        (f"tgram://{TOKEN}/4242", "api.telegram.org:443"),
        (f"slack://{HOOK}", "hooks.slack.com:443"),
        (f"slack://{BOT}/C0OPS", "slack.com:443"),
    ],
)
def test_a_real_address_ends_at_the_refusing_proxy(
    guard: Refusing, address: str, host: str
) -> None:
    outcome = send(address, MESSAGE, within=5)
    assert guard.asked[-1] == f"CONNECT {host}"
    assert outcome.kind == "failed"
    assert outcome.detail == "no connection (ProxyError)"


def test_mail_knows_no_proxy_and_does_not_get_out_either() -> None:
    outcome = send("mailtos://me:secretpw@example.com?to=you@example.com", MESSAGE, within=5)
    assert outcome.kind == "failed"
    assert "a test tried to reach example.com" in outcome.detail


def test_neither_names_nor_numbers_can_be_reached_without_a_proxy() -> None:
    with pytest.raises(ConnectionRefusedError, match="a test tried to reach"):
        socket.create_connection(("192.0.2.1", 9), 1)
    with pytest.raises(ConnectionRefusedError, match="a test tried to reach"):
        socket.getaddrinfo("example.com", 443)
    with pytest.raises(requests.ConnectionError):
        requests.get("http://example.com/", timeout=1, proxies={"http": "", "no_proxy": "*"})


@pytest.mark.parametrize(
    "attempt",
    ["socket.create_connection(('192.0.2.1', 9), 1)", "smtplib.SMTP('mx.example.com', 25)"],
)
def test_a_process_that_a_test_starts_does_not_get_out_either(attempt: str) -> None:
    program = f"import smtplib, socket; {attempt}"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode != 0
    assert "ConnectionRefusedError: a test tried to reach" in done.stderr
