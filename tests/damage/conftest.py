"""One running system for all cases, and the table of what was seen."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.damage.running import Running, small_disk

TABLE = Path(__file__).parent.parent.parent / "docs" / "damage.md"
STAYS_SECONDS = 5.0


class Seen(NamedTuple):
    """A line of the table."""

    evidence: str
    damage: str
    seconds: float
    mode: str
    says: str


SEEN: list[Seen] = []


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with small_disk(tmp_path_factory.mktemp("damage") / "disk") as disk:
        running = Running(disk)
        try:
            running.up.wait_for("| OPEN:")
            yield running
            write_table()
        finally:
            running.end()


@pytest.fixture(autouse=True)
def open_before(system: Running) -> None:
    """Every case begins with an open gate, whatever the one before it left."""
    health = system.health()
    if health is None or health["mode"] != "ACTIVE":
        system.judge_again()
        system.release()
    system.opened()


def fell(
    system: Running,
    evidence: str,
    damage: str,
    *,
    says: str,
    modes: tuple[str, ...] = ("OBSERVE_ONLY",),
    seconds: float = 120.0,
    began: float | None = None,
) -> None:
    """Wait for the gate to fall for this reason, and note how long it took and what it said."""
    began = time.monotonic() if began is None else began
    system.until(lambda health: health["mode"] in modes, f"{damage}: a fall", seconds)
    took = time.monotonic() - began
    health = system.health()
    assert health is not None
    told = health["why"]
    assert re.search(says, told), f"{damage}: it says {told!r}, and not {says!r}"
    SEEN.append(Seen(evidence, damage, took, health["mode"], told))


def stays_shut(system: Running) -> None:
    """Mended evidence alone opens nothing."""
    deadline = time.monotonic() + STAYS_SECONDS
    while time.monotonic() < deadline:
        health = system.health()
        assert health is None or health["mode"] != "ACTIVE", "it opened by itself"
        time.sleep(0.2)


def write_table() -> None:
    if os.environ.get("WRITE_DAMAGE") != "1":
        return
    rows = [
        f"| `{s.evidence}` | {s.damage} | {s.seconds:.1f} s | {s.mode} | {_cell(s.says)} |"
        for s in SEEN
    ]
    kept = TABLE.read_text().partition("| evidence |")[0]
    head = "| evidence | what was done | gate shut after | mode | it says |\n" + "|---" * 5 + "|\n"
    TABLE.write_text(kept + head + "\n".join(rows) + "\n")


def _cell(text: str) -> str:
    text = re.sub(r"\(run [0-9a-f-]{36}\)", "(run ...)", text)
    text = re.sub(r"/\S*/(disk/)?home", "~/.portcullis", text)
    shown = text if len(text) <= 230 else text[:227] + "..."
    return shown.replace("|", "\\|").replace("\n", " ")
