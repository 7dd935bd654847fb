"""Defects planted one by one in a copy of the package: each must be found, or the proof is hollow.

A mutant is a change of the source that leaves every line but one of thought in place. The first ten
are classics of this field, then defects that `prove` found here, then pools and strategies.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from portcullis.errors import Fatal

PACKAGE = Path(__file__).parent.parent


class Mutant(NamedTuple):
    """`old` stands exactly once in `file` (under the package) and becomes `new`.

    `first`: the seed to hunt from; for a rare one that a campaign found, the seed that found it.
    """

    name: str
    file: str
    old: str
    new: str
    first: int = 1


MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "skip the flush",
        "store/database.py",
        'synchronous: str = "FULL"',
        'synchronous: str = "OFF"',
    ),
    Mutant(
        "forget a lock on restart",
        "worker/recovery.py",
        '    folded, last_kind = 0, ""\n',
        "    for account in engine.world.accounts.values():\n"
        "        account.locks.clear()\n"
        '    folded, last_kind = 0, ""\n',
    ),
    Mutant(
        "drop the duplicate check",
        "domain/gate.py",
        "    if first == world.position:\n        return ()\n",
        "    if first <= world.position:\n        return ()\n",
    ),
    Mutant(
        "first breach wins",
        "domain/judge.py",
        "if self._is_new(account, breach)]\n            if standing:\n",
        "if self._is_new(account, breach)]\n                break\n            if standing:\n",
    ),
    Mutant(
        "an expiry ends another's lock",
        "domain/engine.py",
        'locks.end(account, locks.expired(account, now), "expired")',
        'locks.end(account, list(account.locks) if locks.expired(account, now) else [], "expired")',
    ),
    Mutant(
        "a fill counted twice",
        "domain/book.py",
        "    if known is not None and (known.voided or not fact.voided):\n        return False\n",
        "",
    ),
    Mutant(
        "a gate open on stale evidence",
        "domain/mode.py",
        "    if ended <= now:",
        "    if ended <= 0:",
    ),
    Mutant(
        "an opening order sent again after a time-out",
        "worker/procedures.py",
        "        except Retryable:\n            errand.recovered = True\n    placed",
        "        except Retryable:\n            await errand.ask(errand.venue.place_order(order))\n"
        "    placed",
    ),
    Mutant(
        "the tail of the ledger lost",
        "worker/recovery.py",
        "    for stored in ledger.read(after=start):\n",
        "    through = max(start, ledger.head().position - 2)\n"
        "    for stored in ledger.read(after=start, through=through):\n",
    ),
    Mutant(
        "the day rolls at midnight",
        "domain/session.py",
        "            end = instant(day, reset_minute, zone)\n",
        "            end = instant(day, DAY_MINUTES, zone)\n",
    ),
    Mutant(
        "found: a command of the start begun before it is durable",
        "worker/service.py",
        "        for issued, trace in left:\n",
        "        for issued, trace in list(unfinished(self.core.engine.state)):\n",
    ),
    Mutant(
        "found: the void of an old trade never seen",
        "worker/reconcile.py",
        "elif _gap(account, reported.balance):",
        "elif False:",
    ),
    Mutant(
        "found: a stop that the market has passed counts as cover",
        "domain/exposure.py",
        "    if (position.mark - order.stop_price) * order.side <= 0:\n        return False\n",
        "    if (position.mark - order.stop_price) * order.side <= 10_000:\n        return False\n",
    ),
    Mutant(
        "found: an entry approved though the venue forbids trading",
        "domain/gate.py",
        "    if account.can_trade is not True:\n",
        "    if account.can_trade is None and not account.reconciled_at:\n",
    ),
    Mutant(
        "found: a balance read before a fill moves the day's beginning",
        "domain/balance.py",
        "account.balance - book.realized_at(account, account.reported_at)",
        "account.balance - account.realized",
        first=3683,
    ),
    Mutant(
        "found: an older word on the account is believed",
        "domain/book.py",
        "    if fact.reported_at < account.reported_at:\n        return False\n",
        "",
        first=3009,
    ),
    Mutant(
        "found: a stale price counts as a position's best",
        "domain/book.py",
        "best = price if world.now - quote.quoted_at <= max_age else None",
        "best = price",
    ),
    Mutant(
        "found: a bracket's stop stays as large as it was",
        "domain/rules/trade_management.py",
        "    if size > 0 and stop.remaining != size:",
        "    if stop.parent is None and size > 0 and stop.remaining != size:",
    ),
    Mutant(
        "found: a deadline that moved is met where it was",
        "domain/deadlines.py",
        "            if self._armed.get(name) == when:\n"
        "                del self._armed[name]\n"
        "                due.append(name)\n",
        "            self._armed.pop(name, None)\n            due.append(name)\n",
        first=11,
    ),
    Mutant(
        "a paused strategy trades",
        "domain/strategies.py",
        '    "PAUSED": 0,\n',
        '    "PAUSED": 1,\n',
    ),
    Mutant(
        "an operator lets a strategy trade",
        "domain/requests.py",
        'if strategies.loosens(before, after) and request.role != "admin":',
        'if strategies.loosens(before, after) and request.role == "readonly":',
    ),
    Mutant(
        "probation without a limit",
        "domain/strategies.py",
        "    if size <= most:\n        return min(largest, most), ()\n",
        "    if size > 0:\n        return largest, ()\n",
    ),
    Mutant(
        "a spent allocation opens risk",
        "domain/capital.py",
        "    if allocated + result > 0:\n",
        "    if allocated + result > -allocated:\n",
    ),
    Mutant(
        "a void stays in the pool's book",
        "domain/capital.py",
        "        _add(pool, member, -known.net)\n",
        "",
    ),
    Mutant(
        "a void stays in the account's book",
        "domain/book.py",
        "            recount(account, fact.order_id, world.now)\n",
        "            _known(account, fact.trade_id)\n",
    ),
    Mutant(
        "a limit loosened in the session in which it was asked for",
        "domain/loosening.py",
        "or account.day.start >= asked.asked_at",
        "or account.day.start >= 0",
    ),
    Mutant(
        "a start that puts looser limits in force",
        "worker/rule_loading.py",
        "    merged = tightened(now, wanted)\n",
        "    merged = tightened(now, wanted) if by else wanted\n",
    ),
)


class Hunted(msgspec.Struct, frozen=True):
    """What became of a mutant: found by which checker at which seed, after how many seconds."""

    name: str
    found: bool
    seed: int
    took: float
    by: str


def hunt(mutant: Mutant, seeds: int, seconds: int) -> Hunted:
    """Run seeds on a copy with the defect in it until a checker finds it."""
    with tempfile.TemporaryDirectory(prefix="portcullis-mutant-") as folder:
        copy = Path(folder) / "portcullis"
        shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        plant(mutant, copy)
        started = time.perf_counter()
        command = [sys.executable, "-m", "portcullis", "prove", "-o", "json"]
        command += ["--seed", str(mutant.first), "--seeds", str(seeds)]
        command += ["--seconds", str(seconds), "--no-shrink"]
        done = subprocess.run(  # noqa: S603 - our own package, in a folder of our own
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": folder},
            capture_output=True,
            check=False,
        )
        took = time.perf_counter() - started
    try:
        body = json.loads(done.stdout)
    except json.JSONDecodeError:
        words = done.stderr.decode(errors="replace").strip().splitlines() or ["nothing said"]
        return Hunted(mutant.name, False, 0, took, f"did not run: {words[-1]}")
    broken = body["violations"]
    return Hunted(
        mutant.name,
        bool(broken),
        body["runs"][-1]["seed"] if broken else 0,
        took,
        broken[0] if broken else "",
    )


def hunt_all(seeds: int, seconds: int) -> Iterator[Hunted]:
    """Every mutant in turn."""
    for mutant in MUTANTS:
        yield hunt(mutant, seeds, seconds)


def plant(mutant: Mutant, copy: Path) -> None:
    """Put the defect into a copy of the package; raises Fatal where the source has moved on."""
    path = copy / mutant.file
    text = path.read_text()
    if text.count(mutant.old) != 1:
        raise Fatal(
            f"mutant {mutant.name!r}: what it changes stands {text.count(mutant.old)} times in "
            f"{mutant.file}",
            remedy="the source has changed: say anew what the mutant changes",
        )
    path.write_text(text.replace(mutant.old, mutant.new))
