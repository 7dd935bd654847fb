"""One running worker for a module's tests, and the API over its home."""

from __future__ import annotations

import pytest

from tests.api.home import RunningWorker, asked, settings_of


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    running = RunningWorker(settings_of(tmp_path_factory.mktemp("home")))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def api(worker):
    with asked(worker.settings) as found:
        yield found
