"""One list of orders, every engine's answer to each, whether it is right, and how long it took.

Ours in this process, the peers in environments of their own under `.peers`, each in the state the
case asks for by its own means. What a peer has no means for is left out of its state; where it then
approves, the table says "not checked". Nothing is filled in by hand.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks._orders import CASES
from benchmarks._our_decisions import decide
from benchmarks.peers import PEERS, SCRIPTS, environment

Row = dict[str, Any]
CALLS = 300
SLOW_CALLS = 30
RUN_SECONDS = 300
WIDTH = 23
ENGINES = (
    ("nautilus", "margin", CALLS, "Nautilus, margin"),
    ("nautilus", "cash", CALLS, "Nautilus, cash"),
    ("freqtrade", "", SLOW_CALLS, "freqtrade"),
)


def main() -> None:
    found: dict[str, list[Row]] = {"Portcullis": [decide(case, CALLS) for case in CASES]}
    for peer, kind, calls, title in ENGINES:
        rows = _peer(peer, kind, calls)
        if rows is not None:
            found[title] = rows
    _table(found)
    _summary(found)


def _peer(peer: str, kind: str, calls: int) -> list[Row] | None:
    python = environment(peer, PEERS[peer])
    if python is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        cases = Path(folder) / "cases.json"
        cases.write_text(json.dumps(CASES))
        words = [
            python,
            SCRIPTS / f"decide_{peer}.py",
            cases,
            str(calls),
            *([kind] if kind else []),
        ]
        try:
            done = subprocess.run(
                words,
                capture_output=True,
                text=True,
                check=False,
                cwd=folder,
                timeout=RUN_SECONDS,
            )
        except subprocess.TimeoutExpired:
            print(f"{peer} did not end within {RUN_SECONDS} s", file=sys.stderr)
            return None
    if done.returncode:
        print(f"{peer} failed: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    answer = json.loads(done.stdout.splitlines()[-1])
    print(f"{peer} {answer['version']} {kind}".rstrip())
    rows: list[Row] = answer["rows"]
    return rows


def _verdict(case: Row, row: Row) -> tuple[str, str]:
    """A mark (+ right, ! lets through, x denies wrongly, blank cannot be asked) and a word."""
    verdict = row["verdict"]
    if verdict == "-":
        return " ", "cannot be asked"
    if verdict == case["right"]:
        return "+", verdict
    if verdict == "deny":
        return "x", "deny"
    return "!", "not checked" if row.get("missing") else "approve"


def _table(found: dict[str, list[Row]]) -> None:
    print(f"\n{'order':<40}{'right':<9}" + "".join(f"{title:<{WIDTH}}" for title in found))
    for number, case in enumerate(CASES):
        cells = []
        for rows in found.values():
            mark, word = _verdict(case, rows[number])
            took = rows[number]["us"]
            time = "" if took is None else f"{took:9.1f}" if took < 1_000 else f"{took:9,.0f}"
            cells.append(f"{mark} {word:<11}{time}".ljust(WIDTH))
        print(f"{case['name']:<40}{case['right']:<9}" + "".join(cells).rstrip())
    print("\n+ right   ! lets through what it should not   x denies what it should not   median us")


def _summary(found: dict[str, list[Row]]) -> None:
    def line(name: str, figure: Callable[[list[Row]], object]) -> None:
        cells = "".join(f"{figure(rows)!s:<{WIDTH}}" for rows in found.values())
        print(f"{name:<49}{cells}".rstrip())

    def marked(mark: str) -> Callable[[list[Row]], int]:
        return lambda rows: sum(
            _verdict(case, row)[0] == mark for case, row in zip(CASES, rows, strict=True)
        )

    def took(verdict: str) -> Callable[[list[Row]], str]:
        return lambda rows: (
            f"{median(r['us'] for r in rows if r['verdict'] == verdict and r['us']):,.1f} us"
        )

    print()
    line(f"right, of {len(CASES)}", marked("+"))
    line("lets through what it should not", marked("!"))
    line("denies what it should not", marked("x"))
    line("cannot be asked", marked(" "))
    line("an approval takes (median of the cases)", took("approve"))
    line("a denial takes", took("deny"))


if __name__ == "__main__":
    main()
