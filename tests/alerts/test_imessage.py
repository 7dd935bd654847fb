"""iMessage by this Mac: a program named imsg, real processes, no shell."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest

from portcullis.alerts.channels import describe, send
from portcullis.alerts.channels.imessage import BlueBubbles, MacMessages
from portcullis.alerts.message import Message, Outcome
from tests.alerts.sinks import BLUE, HttpSink, within

MESSAGE = Message("01HX", "critical", "Lost $(touch /tmp/x) `id`", 'body "quoted"; rm -rf .')

PROGRAM = """#!{python}
import json, os, pathlib, subprocess, sys, time
here = pathlib.Path(__file__).parent
(here / "arguments.json").write_text(json.dumps(sys.argv[1:]))
{body}
"""


@pytest.fixture
def imsg(tmp_path: Path) -> Path:
    return tmp_path / "imsg"


def program(path: Path, body: str) -> str:
    """An address that runs a program of this name which does so."""
    path.write_text(PROGRAM.format(python=sys.executable, body=body))
    path.chmod(0o700)
    return f"imsg://+15551234567?program={path}"


def test_the_text_goes_as_one_argument_whatever_is_in_it(imsg: Path) -> None:
    assert send(program(imsg, ""), MESSAGE) == Outcome("delivered")
    assert json.loads(imsg.with_name("arguments.json").read_text()) == [
        "send",
        "--to",
        "+15551234567",
        "--text",
        f"{MESSAGE.title}\n{MESSAGE.body}",
        "--service",
        "imessage",
    ]


def test_a_text_does_not_read_as_an_option(imsg: Path) -> None:
    send(program(imsg, ""), Message("1", "info", "", "--file=/etc/passwd"))
    assert '" --file=/etc/passwd"' in imsg.with_name("arguments.json").read_text()


def test_the_program_is_found_on_the_path(imsg: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(imsg, "")
    monkeypatch.setenv("PATH", str(imsg.parent), prepend=os.pathsep)
    assert send("imsg://you@example.com", MESSAGE) == Outcome("delivered")
    assert '"you@example.com"' in imsg.with_name("arguments.json").read_text()


def test_no_such_program_is_refused(imsg: Path) -> None:
    found = send(f"imsg://+15551234567?program={imsg}", MESSAGE)
    assert found == Outcome("refused", "the program imsg is not on this machine")


def test_a_missing_permission_is_refused_and_another_failure_unknown(imsg: Path) -> None:
    denied = "sys.exit('execution error: Not authorized to send Apple events (-1743)')"
    found = send(program(imsg, denied), MESSAGE)
    assert found.kind == "refused"
    assert "-1743" in found.detail
    found = send(program(imsg, "print('half way'); sys.exit(3)"), MESSAGE)
    assert found == Outcome("unknown", "imsg ended with 3: half way")


def test_a_program_that_hangs_ends_with_everything_it_started(imsg: Path) -> None:
    body = (
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "(here / 'child').write_text(str(child.pid))\n"
        "time.sleep(60)"
    )
    address = program(imsg, body)
    found = within(3, lambda: send(address, MESSAGE, within=1.0))
    assert found == Outcome("unknown", "imsg did not end within 1 s")
    child = int(imsg.with_name("child").read_text())
    assert ends_within(5, child)


def ends_within(seconds: float, pid: int) -> bool:
    """Whether a process ends in time; one that nobody has collected yet did end."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        threading.Event().wait(0.01)
    return False


# --- BlueBubbles ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rest", "chat", "method"),
    [
        ("+15551234567", "iMessage;-;+15551234567", "private-api"),
        ("you@example.com?chat=any", "any;-;you@example.com", "private-api"),
        ("+15551234567?method=apple-script", "iMessage;-;+15551234567", "apple-script"),
        ("iMessage%3B%2B%3Bchat123", "iMessage;+;chat123", "private-api"),
    ],
)
def test_the_server_is_told_which_chat_and_by_which_method(
    sink: HttpSink, rest: str, chat: str, method: str
) -> None:
    address = f"bbub://:{BLUE}@127.0.0.1:{sink.port}/{rest}"
    assert send(address, MESSAGE).kind == "delivered"
    (request,) = sink.received
    assert (request.json()["chatGuid"], request.json()["method"]) == (chat, method)


def test_a_repeat_while_the_server_is_at_work_is_not_taken_for_a_refusal(sink: HttpSink) -> None:
    sink.queued = True
    found = send(f"bbub://:{BLUE}@127.0.0.1:{sink.port}/+15551234567", MESSAGE)
    assert found.kind == "unknown"
    assert "already queued" in found.detail


@pytest.mark.parametrize("password", ["plain1234", "p@ss/w:rd?&", "ünïcode pass"])
def test_the_password_comes_back_from_the_address_and_is_never_shown(
    sink: HttpSink, password: str
) -> None:
    address = f"bbub://:{quote(password, safe='')}@127.0.0.1:{sink.port}/+15551234567"
    send(address, MESSAGE)
    assert sink.received[0].query == {"password": [password]}
    plugin = BlueBubbles(**BlueBubbles.parse_url(address))
    assert BlueBubbles(**BlueBubbles.parse_url(plugin.url())).password == password
    assert password not in plugin.url(privacy=True)
    assert quote(password, safe="") not in plugin.url(privacy=True)
    assert password not in describe(address).shown


def test_both_are_plugins_that_behave() -> None:
    for made in (
        BlueBubbles(**BlueBubbles.parse_url(f"bbubs://:{BLUE}@mac.local/+15551234567")),
        MacMessages(**MacMessages.parse_url("imsg://+15551234567")),
    ):
        assert len(made) == 1
        assert made.title_maxlen == 0
        assert made.url_identifier
        assert type(made)(**type(made).parse_url(made.url())).url() == made.url()
