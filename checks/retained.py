"""What is old leaves: segments into the archive, logs from the disk; and how large is the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from checks.backups import run_portcullis
from checks.verdicts import Finding, Grade
from portcullis.config.settings import Settings
from portcullis.domain.model import DAY, MICRO

LOGS_KEPT = 30 * DAY
MB = 1e6


def retain(settings: Settings, now: int) -> Finding:
    """Archive, retire, clear; figures of what is there. Raises StoreError where it cannot."""
    body = run_portcullis(settings, ("archive", "create", "--retire"))
    rows: list[dict[str, Any]] = [
        {"what": "segments archived now", "says": len(body["segments"])},
        {"what": "archive holds events up to", "says": body["through"]},
        {"what": "ledger", "says": body["retired"]},
        {"what": "old logs removed", "says": forget_logs(settings.home_path / "logs", now)},
    ]
    rows += sizes(settings)
    summary = f"{len(body['segments'])} segments archived, up to event {body['through']}; "
    return Finding(Grade.PASS, summary + str(body["retired"]), rows)


def forget_logs(folder: Path, now: int) -> int:
    """Remove what was not written to for thirty days; how many files went."""
    old = [
        path
        for path in (folder.iterdir() if folder.is_dir() else ())
        if path.is_file() and path.stat().st_mtime * MICRO < now - LOGS_KEPT
    ]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def sizes(settings: Settings) -> list[dict[str, Any]]:
    """Megabytes of the databases and folders of the home."""
    home = settings.home_path
    found = {
        "ledger": _size(home, "ledger.db*"),
        "inbox": _size(home, "inbox.db*"),
        "Prefect's database": _size(home / "prefect", "prefect.db*"),
        "logs": _size(home / "logs", "*"),
        "snapshots": _size(home / "snapshots", "*"),
        "operations": _size(home / "operations", "**/*"),
    }
    return [{"what": f"{name} MB", "says": round(size / MB, 2)} for name, size in found.items()]


def _size(folder: Path, pattern: str) -> int:
    return sum(path.stat().st_size for path in folder.glob(pattern) if path.is_file())
