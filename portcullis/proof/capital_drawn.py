"""Pools and strategies of a story: drawn apart, so that the rest of a seed stays as it was."""

from __future__ import annotations

import random
from typing import get_args

import msgspec

from portcullis.domain.model import MICRO, SECOND, StrategyState
from portcullis.domain.plan import Plan, PoolPlan, StrategyPlan
from portcullis.proof.story import AnyAct, MoveStrategy, Propose, Story
from portcullis.venues.simulated.chance import chance

STATES: tuple[StrategyState, ...] = get_args(StrategyState)
NAMES = ("breakout", "reversal", "carry")
UNKNOWN = "nobody's"
EVERY = 90 * SECOND
"""Mean time between two requests to move a strategy, in a dense story."""
SPARE = 1_000 * MICRO


def with_capital(story: Story, rarer: int) -> Story:
    """The same story, in two of three seeds with pools and strategies and moves of them."""
    lot = chance(story.seed, "capital")
    if lot.random() < 1 / 3:
        return story
    strategies = _strategies(lot, story.plan)
    plan = msgspec.structs.replace(story.plan, pools=_pools(lot, story.plan), strategies=strategies)
    names = [each.strategy for each in strategies]
    acts: list[AnyAct] = [_named(lot, act, names) for act in story.acts]
    acts += _moves(lot, names, story.lasting, rarer)
    ordered = tuple(sorted(acts, key=lambda act: act.at))
    return msgspec.structs.replace(story, plan=plan, acts=ordered)


def _pools(lot: random.Random, plan: Plan) -> tuple[PoolPlan, ...]:
    """One or two pools, and sometimes an account outside; parts that a bad hour can spend."""
    given: tuple[dict[str, int], dict[str, int]] = ({}, {})
    for each in plan.accounts:
        amount = lot.choice((200, 500, 2_000, 50_000)) * MICRO
        if lot.random() < 0.9:
            given[lot.random() < 0.3][each.account] = amount
    return tuple(
        PoolPlan(f"pool-{number}", "USD", sum(parts.values()) + SPARE, parts)
        for number, parts in enumerate(given)
        if parts
    )


def _strategies(lot: random.Random, plan: Plan) -> tuple[StrategyPlan, ...]:
    accounts = [each.account for each in plan.accounts]
    return tuple(
        StrategyPlan(
            name,
            tuple(sorted(lot.sample(accounts, lot.randint(1, len(accounts))))),
            starts=lot.choice(STATES[:4]),
            probation_contracts=lot.randint(1, 3),
        )
        for name in NAMES[: lot.randint(1, len(NAMES))]
    )


def _named(lot: random.Random, act: AnyAct, names: list[str]) -> AnyAct:
    """Most programs say which strategy they trade; a few name one that does not exist."""
    if not isinstance(act, Propose) or lot.random() < 0.3:
        return act
    name = UNKNOWN if lot.random() < 0.05 else lot.choice(names)
    return msgspec.structs.replace(act, strategy=name)


def _moves(lot: random.Random, names: list[str], lasting: int, rarer: int) -> list[MoveStrategy]:
    found = []
    at = lot.randrange(EVERY)
    while at < lasting:
        to: StrategyState = lot.choice(("PROBATION", "ACTIVE", "ACTIVE", "PAUSED", "DRAFT"))
        if lot.random() < 0.03:
            to = "RETIRED"
        admin, twice = lot.random() < 0.8, lot.random() < 0.2
        found.append(MoveStrategy(at, lot.choice(names), to, admin, twice))
        at += lot.randrange(2 * EVERY * rarer)
    return found
