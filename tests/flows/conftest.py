"""A real Prefect server for the session, with the environment that `portcullis up` gives it."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import pytest

from portcullis.config.files import read_configuration
from portcullis.config.orchestrator import prefect_environment
from portcullis.config.settings import Settings, as_environment
from portcullis.domain.events import decode
from portcullis.ports import Entry
from portcullis.staging import demonstrate
from portcullis.store.ledger import SqliteLedger
from portcullis.wiring import defaults_folder

# Before any test imports Prefect: its import makes this folder, and must not need a person's home.
os.environ.setdefault("PREFECT_HOME", tempfile.mkdtemp(prefix="portcullis-prefect-"))

ROOT = Path(__file__).parent.parent.parent
START_SECONDS = 120


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def demonstrated_home(tmp_path_factory):
    """A home with the whole demonstration in its ledger, its gate away."""
    home = tmp_path_factory.mktemp("flows") / "home"
    home.mkdir()
    plan = read_configuration(defaults_folder()).plan
    source = demonstrate(7, msgspec.structs.replace(plan, required=()))
    ledger = SqliteLedger(home)
    ledger.append([Entry(r.stream, r.at, r.trace, decode(r.payload)) for r in source.read()])
    ledger.close()
    return home


@pytest.fixture(scope="session")
def operations(demonstrated_home):
    """Settings of a running server; Prefect's client in this process talks to it."""
    settings = Settings(
        home=str(demonstrated_home), prefect_port=free_port(), gate_port=free_port()
    )
    theirs = {**as_environment(settings), **prefect_environment(settings)}
    theirs["PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS"] = "1"
    (demonstrated_home / "prefect").mkdir()
    kept = dict(os.environ)
    os.environ.update(theirs)
    server = subprocess.Popen(
        [sys.executable, "-m", "tasks.server"], cwd=ROOT, stdout=subprocess.DEVNULL
    )
    try:
        _wait_for(settings, server)
        yield settings
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)
        os.environ.clear()
        os.environ.update(kept)


def _wait_for(settings, server):
    from tasks.operating import server_answers

    deadline = time.monotonic() + START_SECONDS
    while not server_answers(settings):
        assert server.poll() is None, "the server ended"
        assert time.monotonic() < deadline, "the server does not answer"
        time.sleep(0.2)


@pytest.fixture
def quick(operations):
    """Without the thread that would hold every run back for a second at its end."""
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        temporary_settings,
    )

    address = os.environ["PREFECT_API_URL"]
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None, PREFECT_API_URL: address}):
        yield operations
