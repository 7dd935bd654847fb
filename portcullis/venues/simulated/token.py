"""The bearer token of the simulated venue, shared through a file of the home."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path


def token_in(home: Path) -> str:
    """The venue's token, kept in `home`/venue.token; made on first use, readable by its owner."""
    path = home / "venue.token"
    with contextlib.suppress(FileExistsError):
        home.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32))
    return path.read_text(encoding="ascii").strip()
