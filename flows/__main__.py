"""`python -m flows`: the operations process, from the root of a checkout."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from portcullis.config.orchestrator import prefect_environment
from portcullis.config.settings import read_settings
from portcullis.errors import PortcullisError


def say(text: str) -> None:
    """One line for whoever looks."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Run until told to stop; 1 with a sentence and a remedy when that cannot be."""
    settings = read_settings()
    root = Path(__file__).resolve().parent.parent
    os.environ.update(prefect_environment(settings))
    os.environ["FLOWS_ROOT"] = str(root)
    os.environ["PYTHONPATH"] = os.pathsep.join(
        part for part in (str(root), os.environ.get("PYTHONPATH", "")) if part
    )
    from tasks.operating import operate  # only now: Prefect reads its environment when imported

    try:
        asyncio.run(operate(settings, root, say))
    except PortcullisError as error:
        say(f"{error}\nremedy: {error.remedy}")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
