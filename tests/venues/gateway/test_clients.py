"""Clients that others wrote for the real gateway connect to the simulated one unchanged."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.venues.gateway.stage import KEY, USER, GatewayStage, on_stage

PROGRAMS = Path(__file__).parent / "clients"
ENVIRONMENTS = Path(__file__).parents[3] / ".peers"
PROJECT_X_PY = "project-x-py==4.4.1"


async def quoting(stage: GatewayStage) -> None:
    """A market that moves while the client is there."""
    while True:
        for bid in (100, 101):
            await stage.price(bid, bid + 1)
            await asyncio.sleep(0.05)


async def serve(python: str, program: str, seconds: float) -> str:
    """Let a program meet the gateway; what it printed."""
    async with on_stage() as stage:
        market = asyncio.ensure_future(quoting(stage))
        process = await asyncio.create_subprocess_exec(
            *(python, str(PROGRAMS / program), stage.url, USER, KEY),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(seconds):
                out, errors = await process.communicate()
        finally:
            market.cancel()
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert process.returncode == 0, errors.decode()[-2000:]
    return out.decode()


@pytest.mark.parametrize("program", ["with_signalrcore.py", "with_pysignalr.py"])
async def test_a_client_sees_its_fill(program):
    assert "filled" in await serve(sys.executable, program, 40)


def newer_python() -> str | None:
    """A Python that project-x-py runs on."""
    found = (shutil.which(f"python3.{minor}") for minor in (14, 13, 12))
    usable = (path for path in found if path)
    for path in usable:
        asked = subprocess.run([path, "--version"], capture_output=True, check=False)
        if asked.returncode == 0:
            return path
    return None


@pytest.mark.slow
def test_project_x_py_sees_its_fill():
    base = newer_python()
    if base is None:
        pytest.skip("project-x-py needs Python 3.12 or newer, and there is none")
    folder = ENVIRONMENTS / "project-x-py"
    python = folder / "bin" / "python"
    if not (folder / ".ready").exists():
        subprocess.run([base, "-m", "venv", folder], check=True)
        subprocess.run(
            [python, "-m", "pip", "install", "-q", PROJECT_X_PY], check=True, timeout=300
        )
        (folder / ".ready").touch()
    assert "filled" in asyncio.run(serve(str(python), "with_project_x_py.py", 60))
