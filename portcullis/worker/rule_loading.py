"""Putting rules in force: what is stricter at once, what is looser when its time has come."""

from __future__ import annotations

import asyncio

from portcullis.domain.events import LooseningDropped, LooseningHeld, RulesLoaded
from portcullis.domain.loosening import loosened, tightened
from portcullis.domain.plan import Plan, decode_plan, digest, encode_plan
from portcullis.domain.plan_difference import differences
from portcullis.worker.core import Core

UNCHANGED = "nothing changed"
LOOK_EVERY = 1.0
"""Seconds between two looks at whether something that waits has come of age."""


def load(core: Core, wanted: Plan, by: str, reason: str) -> str:
    """Put a plan in force between two events; says what changed and what did not.

    `by`: the administrator who asks, whose looser settings wait; empty: nobody, and they are left
    out until somebody does. The first plan of a ledger has nothing to be looser than.
    """
    world = core.engine.world
    if not world.plan:
        return _enter(core, Plan(()), wanted)
    now, name = decode_plan(world.plan), digest(encode_plan(wanted))
    asked = world.system.loosening
    if asked is not None and asked.digest != name:
        core.enter(LooseningDropped(asked.digest, "the files say something else by now"))
    merged = tightened(now, wanted)
    told = [] if merged == now else [_enter(core, now, merged)]
    held = differences(merged, wanted)
    if held:
        told.append(_hold(core, wanted, name, held, by, reason))
    return "; ".join(told) or UNCHANGED


def _enter(core: Core, before: Plan, after: Plan) -> str:
    data, changes = encode_plan(after), differences(before, after)
    core.enter(RulesLoaded(digest(data), data, changes))
    return "; ".join(changes) or "loaded"


def _hold(core: Core, wanted: Plan, name: str, held: tuple[str, ...], by: str, reason: str) -> str:
    """Let the looser settings wait, or say that nobody has asked for them."""
    asked, told = core.engine.world.system.loosening, "; ".join(held)
    if asked is not None:
        return f"still waits, asked for by {asked.by}: {told}"
    if not by:
        return f"looser, and left out until `portcullis config reload` asks for it: {told}"
    core.enter(LooseningHeld(name, encode_plan(wanted), by, reason, held))
    return f"looser, and waits for the account's next session or an approver: {told}"


async def loosen_when_due(core: Core) -> None:
    """Put in force what waited, account by account, as its time comes."""
    while True:
        take_up(core)
        await asyncio.sleep(LOOK_EVERY)


def take_up(core: Core) -> None:
    """Enter the plan that results, where what waits has partly or wholly come of age."""
    now = core.engine.plan
    after = loosened(now, core.engine.world)
    if after != now:
        _enter(core, now, after)
