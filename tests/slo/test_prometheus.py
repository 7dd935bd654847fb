"""A real Prometheus scrapes a real worker; the worker is stopped, and the right alert fires."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli_up.test_up import free_ports
from tests.worker.test_gate_server import running

ROOT = Path(__file__).parent.parent.parent
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("prometheus") is None, reason="Prometheus is not installed (apt install)"
    ),
]


def configured(folder: Path, gate: str) -> Path:
    """The shipped configuration for this gate, with a pause of a second."""
    shutil.copy(ROOT / "deployments/prometheus/rules.yaml", folder)
    found = yaml.safe_load((ROOT / "deployments/prometheus/prometheus.yml").read_text())
    found["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    (worker, _api) = found["scrape_configs"]
    worker["static_configs"] = [{"targets": [gate]}]
    found["scrape_configs"] = [worker]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(found))
    return path


def asked(port: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as reply:
        return json.loads(reply.read())["data"]


async def until(holds: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if await asyncio.to_thread(holds):
                return
        except OSError:
            pass
        assert time.monotonic() < deadline, "it did not come about"
        await asyncio.sleep(0.5)


def firing(port: int) -> set[str]:
    found = asked(port, "/api/v1/alerts")["alerts"]
    return {each["labels"]["alertname"] for each in found if each["state"] == "firing"}


async def test_a_worker_that_ends_fires_its_alert_and_no_other(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    home = tmp_path / "home"
    home.mkdir()
    async with running(home) as (url, _):
        config = configured(tmp_path, url.removeprefix("http://"))
        prometheus = await asyncio.create_subprocess_exec(
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await until(lambda: firing(port) >= {"PortcullisWatchdog"}, 60)
            query = "/api/v1/query?query=portcullis_accounts"
            await until(lambda: bool(asked(port, query)["result"]), 30)
            assert asked(port, query)["result"][0]["value"][1] == "1"
            assert "PortcullisWorkerAway" not in firing(port)
        except BaseException:
            prometheus.kill()
            raise
    try:
        await until(lambda: "PortcullisWorkerAway" in firing(port), 120)
        assert firing(port) <= {
            "PortcullisWatchdog", "PortcullisWorkerAway", "PortcullisEvidenceFailing",
        }  # fmt: skip
    finally:
        prometheus.terminate()
        await asyncio.wait_for(prometheus.wait(), 20)
