"""The machine: Python and SQLite, the home and its secrets, room on the disk, the configuration."""

from __future__ import annotations

import shutil
import stat
import sys
from pathlib import Path

from pysqlite3 import dbapi2

from portcullis.config.settings import Settings
from portcullis.doctor.row import Row, checked
from portcullis.domain.money import duration
from portcullis.domain.plan import Plan
from portcullis.store.database import check_sqlite
from portcullis.venues.projectx import host
from portcullis.wiring import KEY_FILE, configured_plan, dead_man, is_default

ROOM_WARN, ROOM_FAIL = 5 * 2**30, 2**29
SECRET_FILES = ("administrator.key", "ledger.key", "venue.token", KEY_FILE)


def examine(settings: Settings) -> list[Row]:
    """Every row that needs no network."""
    return [
        checked("Python", _python),
        checked("SQLite", _sqlite),
        checked("home", lambda: _home(settings.home_path)),
        checked("disk", lambda: _disk(settings.home_path)),
        checked("secrets", lambda: _secrets(settings.home_path)),
        checked("configuration", lambda: _configuration(settings)),
        checked("host", lambda: _host(settings)),
        checked("dead-man's ping", lambda: _dead_man(settings)),
    ]


def _python() -> Row:
    return Row("Python", "ok", ".".join(map(str, sys.version_info[:3])))


def _sqlite() -> Row:
    check_sqlite(dbapi2.sqlite_version_info)
    return Row("SQLite", "ok", dbapi2.sqlite_version)


def _home(home: Path) -> Row:
    if not home.exists():
        return Row("home", "warn", f"{home} is not there yet", "it is made at the first start")
    mode = stat.S_IMODE(home.stat().st_mode)
    if mode & 0o077:
        return Row("home", "warn", f"{home} can be read by others ({mode:o})", f"chmod 700 {home}")
    return Row("home", "ok", str(home))


def _disk(home: Path) -> Row:
    there = next(path for path in (home, *home.parents) if path.exists())
    free = shutil.disk_usage(there).free
    says = f"{free / 2**30:.1f} GB free"
    if free < ROOM_FAIL:
        return Row("disk", "fail", says, "make room: a ledger that cannot grow stops the worker")
    if free < ROOM_WARN:
        return Row("disk", "warn", says, "make room soon")
    return Row("disk", "ok", says)


def _secrets(home: Path) -> Row:
    there = [home / name for name in SECRET_FILES if (home / name).exists()]
    if not there:
        return Row("secrets", "skip", "none in the home yet")
    open_ones = [path for path in there if stat.S_IMODE(path.stat().st_mode) & 0o077]
    if open_ones and sys.platform != "win32":
        names = " ".join(map(str, open_ones))
        return Row("secrets", "fail", f"others can read {names}", f"chmod 600 {names}")
    return Row("secrets", "ok", f"{len(there)} files that only their owner reads")


def _configuration(settings: Settings) -> Row:
    plan: Plan = configured_plan(settings)
    says = f"{len(plan.accounts)} accounts, {len(plan.required)} kinds of evidence required"
    is_demonstration = is_default(settings) or not settings.config_path.exists()
    if settings.venue == "projectx" and not settings.simulate and is_demonstration:
        return Row(
            "configuration",
            "fail",
            "the files are those of the demonstration",
            f"write your accounts into {settings.config_path / 'accounts.yaml'}",
        )
    return Row("configuration", "ok", says)


def _dead_man(settings: Settings) -> Row:
    """Whether the addresses can be understood; nothing is sent, or a watcher would be misled."""
    name, terms = "dead-man's ping", dead_man(settings)
    if terms is None:
        remedy = "set PORTCULLIS_DEAD_MAN, or nobody hears it when this machine dies"
        return Row(name, "warn", "nothing outside this machine is pinged", remedy)
    shown = ", ".join(f"{each.form} at {each.shown}" for each in terms.targets)
    says = f"{shown}, every {duration(terms.every)}; not tried from here"
    if any(each.shown.startswith("http://") for each in terms.targets):
        return Row(name, "warn", says, "use https: whoever sees the address can ping in our place")
    return Row(name, "ok", says)


def _host(settings: Settings) -> Row:
    """Whether the venue's policy lets this machine enforce."""
    if settings.venue != "projectx" or settings.simulate:
        return Row("host", "skip", "the simulated venue runs anywhere")
    found = host.host()
    if found.kind == "own":
        return Row("host", "ok", found.looks_like)
    if settings.own_device:
        return Row("host", "ok", f"{found.looks_like}; you stated that it is your own device")
    if found.kind == "rented":
        return Row(
            "host",
            "fail",
            f"looks like {found.looks_like}; {host.POLICY}",
            "run the worker on your own device, or state with PORTCULLIS_OWN_DEVICE=true that "
            "this is it",
        )
    return Row(
        "host", "warn", f"{found.looks_like}; {host.POLICY}", "make sure that this device is yours"
    )
