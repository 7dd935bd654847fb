"""`portcullis up` on a server: real processes, and a server that crashes below them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psutil
import pytest

from portcullis.store.keys import load_verifier
from portcullis.store.opening import open_reader, place_of
from portcullis.store.verify import verify_place
from portcullis.worker.replay import replay
from tests.cli_up.test_up import Up


@contextlib.contextmanager
def up(settings, folder, **others: str) -> Iterator[Up]:
    started = Up(folder, PORTCULLIS_STORE_URL=settings.store_url, **others)
    try:
        yield started
    finally:
        family = started.family() if started.process.poll() is None else []
        for each in (started.process, *family):
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        started.process.wait(10)


def test_the_worker_comes_back_when_its_server_does(settings, server, tmp_path) -> None:
    """Its server crashes: it ends with the reason, is started again, and goes on."""
    with up(settings, tmp_path, PORTCULLIS_OPERATIONS="false") as running:
        running.wait_for("connected and compared", 40)
        server.stop("immediate")
        running.wait_for("waiting for the store", 40)
        server.start()
        running.wait_for("SHUT, SHUTDOWN: the fail-safe: the worker ended by", 60)
        assert "recovered" in running.text()
        assert running.health()["mode"] == "SHUTDOWN"  # until a person says why it may go on
        code, alive = running.stop()
        assert (code, alive) == (0, [])
    public = load_verifier(running.home / "ledger.pub")
    assert verify_place(place_of(settings), public).ok
    with open_reader(settings) as reader:
        assert replay(reader).agrees


@pytest.mark.slow
def test_the_gate_opens_with_every_evidence(settings, tmp_path) -> None:
    """The suites, a backup by the server's programs, a drill of it, and its log being shipped."""
    with up(settings, tmp_path) as running:
        running.wait_for("| OPEN:")
        assert running.health()["lacking"] == []
        running.stop()
