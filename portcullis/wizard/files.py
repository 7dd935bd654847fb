"""Putting a configuration and its secrets in place: all of it, judged, or nothing."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from portcullis.config.files import FILES, read_configuration
from portcullis.config.settings import HOME_SETTINGS, PREFIX
from portcullis.errors import UsageError


def refuse_existing(folder: Path, *, replace: bool) -> None:
    """Raises UsageError where there is a configuration already and `replace` was not asked for."""
    if folder.exists() and not replace:
        raise UsageError(
            f"{folder} is there already", remedy="look at it, or replace it with --replace"
        )


def write_configuration(
    folder: Path, defaults: Path, accounts: str, *, replace: bool
) -> Path | None:
    """Write every file of a configuration, and answer where the one before it was put.

    The new one is judged as a whole before it takes the place. Raises ConfigError with its faults,
    UsageError where there is one already and `replace` was not asked for.
    """
    refuse_existing(folder, replace=replace)
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".config-") as made:
        fresh = Path(made) / "config"
        fresh.mkdir()
        for name in FILES:
            shutil.copyfile(defaults / name, fresh / name)
        (fresh / "accounts.yaml").write_text(accounts, encoding="utf-8")
        read_configuration(fresh)
        before = _set_aside(folder) if folder.exists() else None
        fresh.rename(folder)
    return before


def _set_aside(folder: Path) -> Path:
    """Move a configuration away; nothing that a person wrote is lost."""
    number = 1
    while (aside := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    return folder.rename(aside)


def write_secret(home: Path, name: str, secret: str) -> Path:
    """Keep a secret in the home, readable by its owner alone; the file appears whole."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    path, fresh = home / name, home / f".{name}.{os.getpid()}"
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(secret + "\n")
    fresh.replace(path)
    return path


def write_settings(home: Path, values: Mapping[str, str]) -> Path:
    """Keep settings in the home, where every process of it finds them."""
    path = home / HOME_SETTINGS
    ours = {f"{PREFIX}{name.upper()}": value for name, value in values.items()}
    lines = ["# Settings of this home; the environment and a .env come first. docs/settings.md"]
    if path.exists():
        # What somebody else put there stays: a role, a bound, a note.
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        lines = [line for line in lines if line.partition("=")[0].strip() not in ours]
    lines += [f"{name}={value}" for name, value in ours.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
