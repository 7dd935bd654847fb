"""Drawing a story from a seed: which accounts, rules, days and faults come together.

Every seed takes its own mix (a swarm): a run with everything at once hides what single faults do.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from portcullis.domain.model import MICRO, MINUTE, SECOND, OrderType
from portcullis.domain.plan import AccountPlan, Plan, Requirement
from portcullis.domain.rules import RuleParams
from portcullis.domain.session import Calendar, CalendarDay
from portcullis.proof import (
    capital_drawn,
    faults_drawn,
    files_drawn,
    gateway_drawn,
    rules_drawn,
    story,
)
from portcullis.proof.story import AnyAct, Story
from portcullis.venues.simulated import Costs, Latency, Terms
from portcullis.venues.simulated.chance import chance

TICKERS = ("ES", "MES", "NQ", "MNQ")
# Starts shortly before something that a calendar gets wrong.
MOMENTS = {
    "a plain morning": datetime(2026, 3, 3, 15, 0, tzinfo=UTC),
    "a reset": datetime(2026, 3, 3, 22, 40, tzinfo=UTC),
    "the change to summer time": datetime(2026, 3, 8, 7, 30, tzinfo=UTC),
    "a reset after the change to summer time": datetime(2026, 3, 9, 21, 40, tzinfo=UTC),
    "the change to winter time": datetime(2026, 11, 1, 6, 30, tzinfo=UTC),
    "a reset after the change to winter time": datetime(2026, 11, 2, 22, 40, tzinfo=UTC),
    "Thanksgiving": datetime(2026, 11, 26, 17, 40, tzinfo=UTC),
    "Christmas": datetime(2026, 12, 24, 17, 55, tzinfo=UTC),
    "midnight in Chicago": datetime(2026, 6, 10, 4, 45, tzinfo=UTC),
    "a Friday's end": datetime(2026, 6, 12, 20, 30, tzinfo=UTC),
}
CALENDAR = Calendar(
    "America/Chicago",
    (
        CalendarDay("2026-11-26", "Thanksgiving", 12 * 60),
        CalendarDay("2026-11-27", "the day after", 12 * 60 + 15),
        CalendarDay("2026-12-24", "Christmas Eve", 12 * 60 + 15),
        CalendarDay("2026-12-25", "Christmas"),
    ),
)
DAY = 24 * 60 * MINUTE
DENSE = 30 * MINUTE
"""Up to this length accounts trade every few seconds; a longer story has as many acts, spread."""
REQUIRED = (Requirement("venue", True), Requirement("ledger"), Requirement("operations"))


VenueName = Literal["simulated", "projectx"]


def draw(
    seed: int, seconds: int, accounts: int | None = None, venue: VenueName = "simulated"
) -> Story:
    """The story of a seed, `seconds` long before its calm. With `projectx` the same story happens
    behind a gateway, which has its own moods.
    """
    drawn = _draw(seed, seconds, accounts)
    return drawn if venue == "simulated" else gateway_drawn.behind(drawn)


def _draw(seed: int, seconds: int, accounts: int | None) -> Story:
    lot = chance(seed, "swarm")
    count = accounts or lot.choice((1, 2, 3, 5, 8))
    plan = _plan(lot, count)
    lasting = seconds * SECOND
    tickers = TICKERS[: lot.randint(2, len(TICKERS))]
    acts = _trading(chance(seed, "trading"), plan, tickers, lasting)
    acts += faults_drawn.draw(chance(seed, "faults"), plan, tickers, lasting, spread(lasting))
    drawn = Story(
        seed=seed,
        mode=lot.choice(("safety", "liveness", "liveness")),
        start=int(lot.choice(list(MOMENTS.values())).timestamp()) * MICRO,
        lasting=lasting,
        plan=plan,
        tickers=tickers,
        pace=_pace(lot, lasting),
        wild=lot.choice((1, 4, 12)),
        terms=_terms(lot),
        latency=lot.choice((Latency(), Latency(20_000, 10_000), Latency(200_000, 400_000))),
        commit_takes=lot.choice((300, 4_000, 30_000, 400_000)),
        store="disk" if lot.random() < 0.2 else "memory",
        compare_every=lot.choice((5, 15, 60) if _is_dense(lasting) else (300, 1_200)) * SECOND,
        snapshot_every=lot.choice((50, 500, 100_000) if _is_dense(lasting) else (1_000, 4_000)),
        acts=tuple(sorted(acts, key=lambda act: act.at)),
    )
    drawn = capital_drawn.with_capital(drawn, spread(lasting))
    return files_drawn.with_other_files(drawn)


def _is_dense(lasting: int) -> bool:
    return lasting <= DENSE


def _pace(lot: random.Random, lasting: int) -> int:
    """Time between two prices: never as long as a price may be old before it counts as stale."""
    if _is_dense(lasting):
        return lot.choice((1, 2, 6)) * SECOND // 2
    return lot.choice((1, 5)) * SECOND if lasting <= DAY else 8 * SECOND


def spread(lasting: int) -> int:
    """How many times rarer things happen than in a dense story."""
    return 1 if _is_dense(lasting) else 1 + lasting // DENSE


def _terms(lot: random.Random) -> Terms:
    return Terms(
        seed=lot.randrange(1_000),
        costs=lot.choice((Costs(), Costs(0, 0), Costs(2_000_000, 1_000_000))),
        slippage=lot.choice((0, 0, 2)),
        liquidity=lot.choice((None, None, 3)),
        accounting=lot.choice(("average", "fifo")),
        deduplicates=lot.choice(("never", "window", "always")),
        window=MINUTE,
        cancel_oco_together=lot.random() < 0.5,
        cancel_brackets_when_flat=lot.random() < 0.5,
    )


def _plan(lot: random.Random, count: int) -> Plan:
    accounts = tuple(_account(lot, number) for number in range(count))
    return Plan(accounts, required=REQUIRED, commands_per_minute=lot.choice((20, 200)))


def _account(lot: random.Random, number: int) -> AccountPlan:
    zone, reset = lot.choice(
        (
            ("America/Chicago", 17 * 60),
            ("America/Chicago", 17 * 60),
            ("Europe/London", 22 * 60),
            ("America/New_York", 0),
        )
    )
    every_day = lot.random() < 0.5
    return AccountPlan(
        f"A{number:03}",
        tuple(_rules(lot)),
        zone=zone,
        reset_minute=reset,
        days=(0, 1, 2, 3, 4, 5, 6) if every_day else (0, 1, 2, 3, 4),
        calendar=None if every_day else CALENDAR,
    )


def _rules(lot: random.Random) -> list[RuleParams]:
    """A few rules together, seldom all, in the order of their codes."""
    wanted = lot.choice((1, 3, 5, 14))
    names = set(lot.sample(range(len(rules_drawn.DRAWN)), wanted))
    return [draw(lot) for number, draw in enumerate(rules_drawn.DRAWN) if number in names]


# --- what the traders and programs do ---------------------------------------------------------


def _trading(
    lot: random.Random, plan: Plan, tickers: tuple[str, ...], lasting: int
) -> list[AnyAct]:
    """People and programs trade in bursts, a few acts a minute per account."""
    acts: list[AnyAct] = []
    rarer = spread(lasting)
    for each in plan.accounts:
        at = lot.randrange(20 * SECOND)
        while at < lasting:
            ticker = lot.choice(tickers)
            acts.append(lot.choices(_HABITS, _WEIGHTS)[0](lot, at, each.account, ticker))
            pause = lot.choice((0, SECOND // 10, SECOND, 5 * SECOND, 20 * SECOND, 90 * SECOND))
            at += pause * (rarer if pause > SECOND else 1) + lot.randrange(SECOND)
    return acts


def _market_order(lot: random.Random, at: int, account: str, ticker: str) -> AnyAct:
    return story.Trade(at, account, ticker, lot.choice((1, -1)), lot.choice((1, 1, 2, 3, 7)))


def _resting_order(lot: random.Random, at: int, account: str, ticker: str) -> AnyAct:
    kind: OrderType = lot.choice(("limit", "limit", "stop", "stop_limit", "trailing"))
    side, size, distance = lot.choice((1, -1)), lot.randint(1, 3), lot.randint(2, 40)
    return story.Trade(at, account, ticker, side, size, kind, distance)


def _bracket(lot: random.Random, at: int, account: str, ticker: str) -> AnyAct:
    side, size = lot.choice((1, -1)), lot.randint(1, 3)
    stop, target = lot.randint(4, 30), lot.randint(4, 30)
    return story.Trade(at, account, ticker, side, size, "market", 0, stop, target)


def _close_out(lot: random.Random, at: int, account: str, ticker: str) -> AnyAct:
    return story.CloseOut(at, account, ticker)


def _proposal(lot: random.Random, at: int, account: str, ticker: str) -> AnyAct:
    side, size, again = lot.choice((1, -1)), lot.randint(1, 4), lot.choice((1, 1, 3))
    return story.Propose(at, account, ticker, side, size, lot.random() < 0.6, again)


_HABITS: list[Callable[[random.Random, int, str, str], AnyAct]] = [
    _market_order,
    _resting_order,
    _bracket,
    _close_out,
    _proposal,
]
_WEIGHTS = (5, 3, 2, 4, 4)
