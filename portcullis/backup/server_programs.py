"""PostgreSQL's own programs, which make and check backups of a server: called, not rewritten."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from portcullis.errors import StoreError
from portcullis.store.postgres.address import Address

RUN_SECONDS_MAX = 3_600.0
PROBLEM_MAX = 400
_DEBIAN = "/usr/lib/postgresql/{major}/bin"


def program(name: str, major: int) -> str:
    """The program of a server's version, or the one on the path. Raises StoreError."""
    beside = Path(_DEBIAN.format(major=major)) / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise StoreError(
            f"{name} of PostgreSQL {major} is not installed here",
            remedy=f"install PostgreSQL's programs (Debian: apt-get install postgresql-{major})",
        )
    return found


def connecting(address: Address) -> tuple[str, dict[str, str]]:
    """What a program is given to connect with: an address without its password, and the variables
    that hold it. A password on a command line could be read by everybody on the machine.
    """
    given = dict(address.parameters)
    password = given.pop("password", None)
    given.pop("dbname", None)
    told = " ".join(f"{name}='{_quoted(value)}'" for name, value in sorted(given.items()))
    return told, {**os.environ, **({"PGPASSWORD": password} if password else {})}


def call(
    words: Sequence[object], environment: Mapping[str, str] | None = None, cwd: Path | None = None
) -> str:
    """Run a program to its end; what it said. Raises StoreError with that where it failed."""
    try:
        ended = subprocess.run(  # noqa: S603 - a program of the server's own
            [str(word) for word in words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=RUN_SECONDS_MAX,
            check=False,
            env=environment,
            cwd=cwd,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired as error:
        raise StoreError(
            f"{_name(words)} did not end within {RUN_SECONDS_MAX:.0f} s",
            remedy="look at the server and at the disk that it writes to",
        ) from error
    if ended.returncode:
        problem = " ".join(ended.stdout.split())[-PROBLEM_MAX:]
        raise StoreError(f"{_name(words)}: {problem}", remedy=_remedy(problem))
    return ended.stdout


def _name(words: Sequence[object]) -> str:
    """The server's program, which another may lower its rights for."""
    names = [Path(str(word)).name for word in words]
    return next((name for name in names if name.startswith("pg_")), names[0])


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


def _remedy(problem: str) -> str:
    if "replication" in problem or "no pg_hba.conf entry" in problem:
        return (
            "let the role replicate: ALTER ROLE ... REPLICATION, and a line `replication` for it "
            "in the server's pg_hba.conf"
        )
    if "space" in problem:
        return "free space where backups are made and kept"
    return "see docs/postgres.md, and the server's log"
