"""The bearer token of the simulated venue, shared through a file of the home."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path


def token_in(home: Path) -> str:
    """The venue's token, kept in `home`/venue.token; made on first use, readable by its owner.

    Venue and worker may both come here first: the file appears whole or not at all, and once.
    """
    path = home / "venue.token"
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        fresh = home / f".venue.token.{os.getpid()}"
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32))
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)
        fresh.unlink()
    return path.read_text(encoding="ascii").strip()
