"""Two peers beside our gate, each in an environment of its own: NautilusTrader's RiskEngine and
freqtrade's entry gate. The environments are made on first use under `.peers` (a few minutes).

They check far less than fourteen rules; what each of them lets through: `benchmarks/decisions.py`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from benchmarks.gate import main as our_gate

ROOT = Path(__file__).parent.parent
SCRIPTS = Path(__file__).parent / "peers_scripts"
INSTALL_SECONDS = 300
PEERS = {"nautilus": "nautilus-trader==1.221.0", "freqtrade": "freqtrade==2026.9"}


def main() -> None:
    our_gate()
    for name, requirement in PEERS.items():
        python = environment(name, requirement)
        if python is not None:
            _run(name, python)


def environment(name: str, requirement: str) -> Path | None:
    """The Python of a peer's own environment, made where missing; None when it cannot be."""
    folder = ROOT / ".peers" / name
    python = folder / "bin" / "python"
    if (folder / ".ready").exists():
        return python
    print(f"installing {requirement} into .peers/{name}", flush=True)
    venv.create(folder, with_pip=True)
    try:
        done = subprocess.run(
            [python, "-m", "pip", "install", "-q", requirement],
            capture_output=True,
            text=True,
            check=False,
            timeout=INSTALL_SECONDS,
        )
    except subprocess.TimeoutExpired:
        print(f"{name} could not be installed within {INSTALL_SECONDS} s")
        return None
    if done.returncode:
        print(f"{name} could not be installed: {done.stderr.strip().splitlines()[-1:]}")
        return None
    (folder / ".ready").touch()
    return python


def _run(name: str, python: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        size = ["20000"] if name == "nautilus" else []
        done = subprocess.run(
            [python, SCRIPTS / f"run_{name}.py", *size, "--json", answer],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
        )
        if done.returncode:
            print(f"{name} failed: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
            return
        found = json.loads(answer.read_text())
    print(f"{name} {found['version']}, us                                  p50      p99")
    for row in found["rows"]:
        p50 = row["p50_ns"] / 1000 if "p50_ns" in row else row["p50_us"]
        p99 = row["p99_ns"] / 1000 if "p99_ns" in row else row["p99_us"]
        more = "".join(f" {k} {row[k]}" for k in ("closed_trades", "added_locks") if k in row)
        print(f"  {row['case'] + more:<52} {p50:9.2f} {p99:8.2f}")


if __name__ == "__main__":
    main()
