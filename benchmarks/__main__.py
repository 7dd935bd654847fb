"""Run every benchmark of this folder, or the ones named, each in a process of its own.

A benchmark is a module with `main()`, which prints a table: what was measured, our figure, the
reference taken in the same run, and the ratio of the two.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main(wanted: list[str]) -> int:
    """Run them in order of name; the answer is the number that failed."""
    names = sorted(path.stem for path in HERE.glob("*.py") if not path.stem.startswith("_"))
    if unknown := [name for name in wanted if name not in names]:
        print(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(names)}")
        return 2
    print(f"{platform.platform()}, Python {platform.python_version()}")
    failed = 0
    for name in wanted or names:
        print(f"\n== {name}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}"]
        failed += subprocess.run(command, check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
