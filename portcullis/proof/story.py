"""A story: everything one simulated run depends on, as data.

The same story gives the same run in any process. A story is drawn from a seed (`swarm`), can be
written to a file, made shorter (`shrink`) and read by a person (`told`).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from portcullis.domain.model import MINUTE, SECOND, OrderType, StrategyState
from portcullis.domain.plan import AccountPlan, Plan
from portcullis.venues.simulated import Fault, Latency, Terms
from portcullis.venues.simulated_gateway.terms import GatewayTerms

Ending = Literal["kill", "power", "stop"]
Mood = Literal["end_tokens", "log_out", "close_hubs", "starve"]


class Act(msgspec.Struct, frozen=True, tag_field="act", tag=str.lower):
    """Something that is done to the system, `at` microseconds after the start."""

    at: int


class Trade(Act, frozen=True):
    """A person sends an order on the venue's own screen; distances in ticks from the price.

    `distance` is that of a limit or stop price, on the far side of the market when positive.
    """

    account: str
    ticker: str
    side: int
    size: int
    type: OrderType = "market"
    distance: int = 0
    stop_loss: int | None = None
    take_profit: int | None = None


class CloseOut(Act, frozen=True):
    """A person closes a position and cancels its orders on the venue's own screen."""

    account: str
    ticker: str


class Propose(Act, frozen=True):
    """A program asks the gate; `submit` lets the worker send the order.

    `again` is how often it asks, each time under the same id, as after an answer that got lost.
    """

    account: str
    ticker: str
    side: int
    size: int
    submit: bool = False
    again: int = 1
    strategy: str = ""


class Ask(Act, frozen=True):
    """A person asks through the inbox. `twice`: the request is stored twice."""

    verb: str
    account: str | None = None
    admin: bool = False
    twice: bool = False
    for_us: int | None = None


class Write(Act, frozen=True):
    """Somebody writes other accounts into the configuration, which nothing reads until it is asked
    to. `asked`: an administrator has it read a second later; `signalled`: a signal does.
    """

    accounts: tuple[AccountPlan, ...]
    asked: bool = False
    signalled: bool = False


class MoveStrategy(Act, frozen=True, tag="move_strategy"):
    """A person asks for another state of a strategy. `twice`: the request is stored twice."""

    strategy: str
    to: StrategyState
    admin: bool = False
    twice: bool = False


class Jump(Act, frozen=True):
    """The price of an instrument moves by so many ticks at once."""

    ticker: str
    ticks: int


class Silence(Act, frozen=True):
    """Prices of an instrument, or verdicts of a check, stop coming for a while."""

    of: str
    lasting: int


class Fail(Act, frozen=True):
    """A check finds a fault: its next verdict does not pass."""

    name: str


class Forbid(Act, frozen=True):
    """The venue forbids an account to trade, and allows it again after a while."""

    account: str
    lasting: int


class Bust(Act, frozen=True):
    """The venue voids the newest trade of an account."""

    account: str


class Hinder(Act, frozen=True):
    """Arm a fault of the venue's calls or of its stream."""

    fault: Fault


class Halt(Act, frozen=True):
    """An instrument does not trade for a while."""

    ticker: str
    lasting: int


class RefuseClose(Act, frozen=True):
    """The venue refuses to close positions of an account for a while."""

    account: str
    lasting: int


class Cut(Act, frozen=True):
    """The connection to the venue breaks."""


class Unsettle(Act, frozen=True):
    """The gateway ends every token, logs everybody out, says goodbye, or sends no pings."""

    how: Mood


class StepClock(Act, frozen=True):
    """The machine's wall clock is set, and set right again after a while."""

    by: int
    lasting: int


class End(Act, frozen=True):
    """The worker's process ends: killed, with the power, or asked to stop; then comes back.

    `commit` decides what becomes of the commit on its way: lost, or durable without a word.
    """

    how: Ending
    down: int
    commit: Literal["lost", "durable"] = "lost"


class DiskFails(Act, frozen=True):
    """Commits fail for a while: full, or the sync fails."""

    lasting: int


AnyAct = (
    Trade
    | CloseOut
    | Propose
    | Ask
    | Write
    | MoveStrategy
    | Jump
    | Silence
    | Fail
    | Forbid
    | Bust
    | Hinder
    | Halt
    | RefuseClose
    | Cut
    | Unsettle
    | StepClock
    | End
    | DiskFails
)


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """One run. Times in microseconds; `pace` lies between two prices, `wild` is their largest step.

    `mode`: a liveness run ends with `calm` without any fault, and then progress is demanded; a
    safety run ends as abruptly as it went on. With `gateway` the venue is reached through the
    adapter to the ProjectX Gateway and a simulated one. `store`: the ledger in memory, or the real
    one on a disk that forgets what was not synced.
    """

    seed: int
    mode: Literal["safety", "liveness"]
    start: int
    lasting: int
    plan: Plan
    tickers: tuple[str, ...]
    pace: int = SECOND
    wild: int = 4
    terms: Terms = Terms()
    gateway: GatewayTerms | None = None
    latency: Latency = Latency()
    commit_takes: int = 4_000
    store: Literal["memory", "disk"] = "memory"
    compare_every: int = 30 * SECOND
    snapshot_every: int = 500
    calm: int = 5 * MINUTE
    acts: tuple[AnyAct, ...] = ()


def write(story: Story) -> bytes:
    """The story as JSON."""
    return msgspec.json.format(msgspec.json.encode(story), indent=1)


def read(data: bytes) -> Story:
    """The story of its JSON; raises msgspec.MsgspecError when it is none."""
    return msgspec.json.decode(data, type=Story)


def told(story: Story) -> str:
    """The story in lines for a person: what the accounts are bound to, and what happens when."""
    length = f"{story.lasting / SECOND:.0f} s"
    lines = [f"seed {story.seed}, {story.mode}, {length}, ledger in {story.store}"]
    for account in story.plan.accounts:
        names = ", ".join(str(rule.__struct_config__.tag) for rule in account.rules)
        lines.append(f"  {account.account}: {names or 'no rules'}")
    lines += [f"  {act.at / SECOND:>10.3f} s  {_act(act)}" for act in story.acts]
    return "\n".join(lines)


def _act(act: AnyAct) -> str:
    fields = msgspec.structs.asdict(act)
    fields.pop("at")
    fields.pop("accounts", None)  # too long for a line; the story as a file has them
    words = ", ".join(f"{name} {value}" for name, value in fields.items() if value is not None)
    return f"{act.__struct_config__.tag} {words}"
