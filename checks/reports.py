"""What is kept of each verdict for people: a page and the same as data, newest and failures.

Under `reports` of the operations side: `<name>.html` and `<name>.json` are the newest; in `failed`
is the first page of each time that a verdict stopped holding the gate, `FAILURES_KEPT` per name.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from checks.page import Report, page_of
from checks.verdicts import MEANS, Finding, Kind
from checks.worker_health import replace_file
from portcullis.config.settings import Settings
from portcullis.domain.model import MICRO

FAILED = "failed"
FAILURES_KEPT = 20
ROWS_MAX = 200
TEXT_MAX = 300
DEPTH_MAX = 4


def keep(settings: Settings, kind: Kind, found: Finding, now: int, run_id: str, link: str) -> Path:
    """Write the page and the data of a verdict, and answer where the page is.

    Raises OSError where that cannot be written.
    """
    folder = settings.reports_path
    path = folder / f"{kind.name}.html"
    report = report_of(kind, found, now, run_id, link, path)
    page = page_of(report).encode()
    if not found.grade.holds and holds_or_is_missing(path.with_suffix(".json")):
        stamp = datetime.fromtimestamp(now / MICRO, tz=UTC).strftime("%Y%m%dT%H%M%SZ")
        replace_file(folder / FAILED / f"{kind.name}-{stamp}.html", page)
        for old in sorted((folder / FAILED).glob(f"{kind.name}-*Z.html"))[:-FAILURES_KEPT]:
            old.unlink(missing_ok=True)
    replace_file(path, page)
    replace_file(path.with_suffix(".json"), msgspec.json.encode(report))
    return path


def report_of(kind: Kind, found: Finding, now: int, run_id: str, link: str, path: Path) -> Report:
    """A finding in full, as it is kept."""
    means = MEANS[found.grade]
    return Report(
        kind.name,
        found.grade.value,
        means.says,
        means.gate,
        _short(found.summary),
        now,
        now + kind.lasts,
        found.suite,
        run_id,
        link,
        "" if found.grade.holds else kind.remedy,
        [{str(k): bounded(v) for k, v in row.items()} for row in found.rows[:ROWS_MAX]],
        max(0, len(found.rows) - ROWS_MAX),
        str(path),
    )


def bounded(value: Any, depth: int = DEPTH_MAX) -> Any:
    """A value as it may stand on a page: long texts cut, bytes as hex, the rest as text."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return float(value)  # numpy's are floats too, and cannot be written
    if depth and isinstance(value, dict):
        return {str(k)[:TEXT_MAX]: bounded(v, depth - 1) for k, v in value.items()}
    if depth and isinstance(value, list | tuple):
        return [bounded(each, depth - 1) for each in value[:ROWS_MAX]]
    return _short(value.hex() if isinstance(value, bytes) else str(value))


def _short(text: str) -> str:
    return text if len(text) <= TEXT_MAX else f"{text[:TEXT_MAX]} ..."


def holds_or_is_missing(path: Path) -> bool:
    """Whether the newest report held the gate; one that cannot be read counts as one that did."""
    try:
        return bool(msgspec.json.decode(path.read_bytes(), type=Report).gate == "held")
    except (OSError, msgspec.MsgspecError):
        return True
