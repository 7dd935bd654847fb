"""A check in a process of its own: what takes long must not hold up a warm one's other flows."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from checks.verdicts import Finding
from portcullis.config.settings import Settings, as_environment, read_settings
from portcullis.errors import PortcullisError, StoreError

RUN_SECONDS_MAX = 1_800.0
PROBLEM_MAX = 300
FULL = "--full"


def check_apart(settings: Settings, module: str, *, full: bool = False) -> Finding:
    """What `python -m MODULE [--full]` finds. Raises StoreError with what it said last."""
    ended = subprocess.run(  # noqa: S603 - our own interpreter and our own module
        [sys.executable, "-m", module, *([FULL] if full else [])],
        capture_output=True,
        timeout=RUN_SECONDS_MAX,
        check=False,
        cwd=Path(__file__).parent.parent,
        env={**os.environ, **as_environment(settings)},
    )
    if ended.returncode:
        problem = ended.stderr.decode(errors="replace").strip()[-PROBLEM_MAX:]
        raise StoreError(problem, remedy="look at the ledger: `portcullis ledger verify`")
    return msgspec.json.decode(ended.stdout, type=Finding)


def run_here(check: Callable[[Settings, bool], Finding]) -> int:
    """The other side of it: the finding as JSON on the standard output, and the exit code."""
    try:
        found = check(read_settings(), FULL in sys.argv[1:])
    except PortcullisError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.buffer.write(msgspec.json.encode(found))
    return 0
