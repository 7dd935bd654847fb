"""`portcullis prove`: the real worker against a seeded world that fails in every way it can."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
import typer

from portcullis.cli.output import Form, FormOption, console, messages, show, table
from portcullis.errors import NotFound, UsageError
from portcullis.proof import campaign, mutants, shrink, story, swarm
from portcullis.proof.campaign import Ran
from portcullis.proof.occurrences import never


class VenueOfProof(StrEnum):
    """Behind what the worker is."""

    SIMULATED = "simulated"
    PROJECTX = "projectx"


INTERRUPTED = 130
SHOWN = 3
ENOUGH = 100
"""So many runs, of ten minutes at least, and everything that is demanded must have happened."""


def prove(
    seed: int = typer.Option(1, "--seed", help="the first seed"),
    seeds: int = typer.Option(20, "--seeds", min=1, help="how many, one after the other"),
    seconds: int = typer.Option(600, "--seconds", min=1, help="simulated, for each seed"),
    accounts: int = typer.Option(0, "--accounts", min=0, help="of each run; 0: as drawn"),
    jobs: int = typer.Option(0, "--jobs", min=0, help="processes; 0: one for each core"),
    venue: VenueOfProof = typer.Option(
        VenueOfProof.SIMULATED,
        "--venue",
        help="simulated, or projectx: the same behind a simulated gateway",
    ),
    file: Path | None = typer.Option(None, "--story", help="replay a story that was kept"),
    keep: Path = typer.Option(Path(), "--keep", help="folder for stories that failed"),
    shorten: bool = typer.Option(True, "--shrink/--no-shrink", help="make a failing story short"),
    audited: bool = typer.Option(
        True, "--audit/--no-audit", help="also judge every rule a second time, at every price"
    ),
    fail_fast: bool = typer.Option(
        True, "--fail-fast/--keep-going", help="end at the first seed that breaks something"
    ),
    plant: bool = typer.Option(False, "--mutants", help="plant known defects; each must be found"),
    output: Form = FormOption,
) -> None:
    """Run seeded days with faults and kills; check every invariant. Ends with 1 if one broke."""
    # What is asked to end by another program ends as at Ctrl-C: with what was shown so far.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    if plant and file is not None:
        raise UsageError(
            "--mutants plants defects in seeded runs, --story replays one story",
            remedy="give one of them",
        )
    if plant:
        _hunt(seeds, seconds, output)
        return
    _can_keep(keep)
    if file is not None:
        runs = [campaign.judge(_read(file), audited=audited)]
    else:
        wanted = campaign.run(
            seed, seeds, seconds, accounts or None, jobs, venue=venue.value, audited=audited
        )
        runs = _run(wanted, seeds, fail_fast=fail_fast)
    broken = [each for each in runs if each.violations]
    if broken and file is None and shorten:
        _keep(broken[0], swarm.draw(broken[0].seed, seconds, accounts or None, venue.value), keep)
    whole = _is_large(seeds, seconds, file) and len(runs) == seeds
    missing = never(campaign.seen_in(runs)) if whole else []
    asked = 1 if file is not None else seeds
    show(_body(runs, missing) | {"asked": asked}, output, _draw)
    if broken or missing:
        raise typer.Exit(1)
    if file is None and len(runs) < seeds:
        raise typer.Exit(INTERRUPTED)


def _can_keep(folder: Path) -> None:
    """A story that failed after hours must have a place to go."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"--keep {folder}: no folder for stories that fail: {error.strerror}",
            remedy="name a folder that can be written to",
        ) from error
    if not os.access(folder, os.W_OK):
        raise UsageError(
            f"--keep {folder}: the folder cannot be written to",
            remedy="name a folder that can be written to",
        )


def _is_large(seeds: int, seconds: int, file: Path | None) -> bool:
    return file is None and seeds >= ENOUGH and seconds >= 600


def _read(file: Path) -> story.Story:
    if not file.is_file():
        what = f"{file} is a folder" if file.is_dir() else f"there is no file {file}"
        raise NotFound(what, remedy="name a story that `prove` has kept")
    try:
        return story.read(file.read_bytes())
    except msgspec.MsgspecError as error:
        raise UsageError(
            f"{file}: this is no story: {error}",
            remedy="name a file that `portcullis prove` has written; a story is JSON",
        ) from error


def _run(wanted: Iterator[Ran], seeds: int, *, fail_fast: bool) -> list[Ran]:
    """All runs; a failing seed ends the campaign, where the next thing to do is to look at it."""
    runs: list[Ran] = []
    try:
        for each in wanted:
            runs.append(each)
            _progress(runs, seeds)
            if _ending.is_set():
                _end()
            if each.violations and fail_fast:
                break
    except KeyboardInterrupt:
        messages.print(f"stopped after {len(runs)} of {seeds} seeds")
        if not runs:
            raise typer.Exit(INTERRUPTED) from None
    return runs


_ending = threading.Event()
"""An interrupt that comes in the middle of a library's own cleaning up is swallowed there."""


def _end(*_: object) -> None:
    _ending.set()
    raise KeyboardInterrupt


def _progress(runs: list[Ran], seeds: int) -> None:
    """One line a run: a campaign may take days, and what it has shown so far should be seen."""
    ran = runs[-1]
    deaths = sum(count for what, count in ran.seen.items() if what.startswith("ended by "))
    days = sum(each.account_days for each in runs)
    messages.print(
        f"{len(runs)} of {seeds}: seed {ran.seed}, {ran.accounts} accounts, "
        f"{ran.simulated / 3600:.1f} h, {ran.events:,} events, {deaths} deaths, "
        f"{'BROKEN' if ran.violations else 'holds'}, {ran.took:.0f} s; "
        f"{days:,.1f} account-days so far",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    for what in ran.violations[:SHOWN]:
        messages.print(f"  seed {ran.seed}: {what}", markup=False, highlight=False, soft_wrap=True)


def _keep(ran: Ran, whole: story.Story, folder: Path) -> None:
    """Make the failing seed short, and keep it as a story that one command replays."""
    checker = ran.violations[0].partition(":")[0]
    messages.print(f"seed {ran.seed} failed: {ran.violations[0]}", markup=False)
    messages.print("looking for a shorter story …", markup=False)
    short = shrink.shrink(whole, checker)
    path = folder / f"story-{checker}-{ran.seed}.json"
    path.write_bytes(story.write(short))
    messages.print(story.told(short), markup=False)
    messages.print(f"replay: portcullis prove --story {path}", markup=False)


def _hunt(seeds: int, seconds: int, output: Form) -> None:
    """Plant every mutant in turn; ends with 1 when one is not found."""
    hunted: list[mutants.Hunted] = []
    for each in mutants.hunt_all(seeds, seconds):
        hunted.append(each)
        if output is not Form.JSON:
            seen = f"seed {each.seed}: {each.by}" if each.found else f"NOT FOUND {each.by}"
            console.print(f"{each.took:7.1f} s  {each.name}: {seen}", markup=False)
    lost = [each.name for each in hunted if not each.found]
    show(
        {"mutants": [msgspec.to_builtins(each) for each in hunted], "not_found": lost},
        output,
        lambda _: console.print(
            f"{len(hunted) - len(lost)} of {len(hunted)} planted defects found", markup=False
        ),
    )
    if lost:
        raise typer.Exit(1)


def _body(runs: list[Ran], missing: list[str]) -> dict[str, Any]:
    return {
        "runs": [msgspec.to_builtins(each) for each in runs],
        "account_days": round(sum(each.account_days for each in runs), 2),
        "simulated_s": round(sum(each.simulated for each in runs)),
        "worked_s": round(sum(each.took for each in runs), 1),
        "events": sum(each.events for each in runs),
        "violations": [what for each in runs for what in each.violations],
        "never_happened": missing,
        "seen": dict(sorted(campaign.seen_in(runs).items())),
    }


def _draw(body: dict[str, Any]) -> None:
    first, last = body["runs"][0]["seed"], body["runs"][-1]["seed"]
    speed = body["simulated_s"] / max(0.001, body["worked_s"])
    rows = (
        ("seeds", f"{first} to {last}"),
        ("simulated", f"{body['simulated_s'] / 3600:.1f} h, {body['account_days']} account-days"),
        ("speed", f"{speed:.0f} simulated seconds per second of one core, checks included"),
        ("events", f"{body['events']:,}"),
        ("things that happened", f"{sum(body['seen'].values()):,} of {len(body['seen'])} kinds"),
        ("violations", str(len(body["violations"]))),
    )
    console.print(table("", ("what", "figure"), rows))
    for what in body["violations"][:20]:
        console.print(what, markup=False)
    for what in body["never_happened"]:
        console.print(f"never happened, so nothing is proved about it: {what}", markup=False)
    if len(body["runs"]) < body["asked"]:
        console.print(f"ended after {len(body['runs'])} of {body['asked']} seeds", markup=False)
    if not body["violations"] and not body["never_happened"]:
        console.print("no invariant was broken in them", markup=False)
