"""Is there a second copy, and would it come back? Each in a process of its own: packing, verifying
and folding must not hold up the warm one's other flows.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import msgspec

from checks.verdicts import Finding, Grade
from portcullis.config.settings import Settings, as_environment
from portcullis.errors import NotFound, StoreError

RUN_SECONDS_MAX = 1_500.0
PROBLEM_MAX = 300
DIFFERS = 1


def back_up(settings: Settings, _now: int) -> Finding:
    """Make a backup. Raises StoreError where it cannot be made."""
    body = _run(settings, "create", "--new-only")  # the daily drill verifies everything
    how = "encrypted" if body["encrypted"] else "not encrypted"
    summary = (
        f"{body['name']}: {body['event']} events, {body['size_mb']} MB, {how}, read back, "
        f"in {body['took_s']:.1f} s"
    )
    rows = [{"what": key, "says": body[key]} for key in ("name", "event", "size_mb", "encrypted")]
    rows += [{"what": "deleted", "says": name} for name in body["removed"]]
    return Finding(Grade.PASS, summary, rows)


def drill(settings: Settings, now: int) -> Finding:
    """Restore the newest backup beside the live store; where there is none yet, make one first."""
    try:
        body = _run(settings, "drill")
    except NotFound:  # none yet, or none of this past; one that is damaged is no reason for another
        back_up(settings, now)
        body = _run(settings, "drill")
    rows = [{"what": key, "says": value} for key, value in body.items()]
    if not body["same_state"]:
        return Finding(Grade.FAIL, f"{body['name']} folds to another state than the ledger", rows)
    summary = (
        f"{body['name']}: {body['events']} events restored to the same state; "
        f"RTO {body['rto_s']:.2f} s, RPO {body['rpo_s']:.0f} s"
    )
    if body["problems"]:
        return Finding(Grade.WARN, f"{summary}; not used: {body['problems'][0]}", rows)
    if not body["holds_key"]:
        summary += "; it holds no key of the ledger: keep ledger.key elsewhere, or encrypt"
        return Finding(Grade.WARN, summary, rows)
    return Finding(Grade.PASS, summary, rows)


def _run(settings: Settings, verb: str, *options: str) -> Any:
    return run_portcullis(settings, ("backup", verb, *options))


def run_portcullis(settings: Settings, words: Sequence[str]) -> Any:
    """What a command of ours says, as data. Raises NotFound, StoreError."""
    ended = subprocess.run(  # noqa: S603 - our own interpreter and our own module
        [sys.executable, "-m", "portcullis", *words, "-o", "json"],
        capture_output=True,
        timeout=RUN_SECONDS_MAX,
        check=False,
        env={**os.environ, **as_environment(settings)},
    )
    if ended.returncode in (0, DIFFERS) and ended.stdout.strip():
        return msgspec.json.decode(ended.stdout)
    problem = ended.stderr.decode(errors="replace").strip()[-PROBLEM_MAX:]
    if ended.returncode == NotFound.exit_code:
        raise NotFound(problem, remedy="make one: `portcullis backup create`")
    raise StoreError(
        problem or f"{' '.join(words)} ended with {ended.returncode}",
        remedy=f"run `portcullis {' '.join(words)}`",
    )
