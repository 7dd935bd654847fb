"""A story behind a gateway: in which dialect it speaks, and what it does to its clients."""

from __future__ import annotations

import random
from typing import get_args

import msgspec

from portcullis.domain.model import HOUR, MINUTE, SECOND
from portcullis.proof.story import Hinder, Mood, Story, Unsettle
from portcullis.venues.simulated import Fault
from portcullis.venues.simulated.chance import chance
from portcullis.venues.simulated_gateway.terms import GatewayTerms

ANSWERS = ("HTTP 429", "HTTP 502", "HTTP 401", "HTML")
"""What comes instead of an answer: over the limit, maintenance, a spoilt token, a proxy."""

MOODS = get_args(Mood)
EVERY = 300 * SECOND
"""Mean time between two moods of a gateway that has them."""


def behind(story: Story) -> Story:
    """The same story with a gateway between the worker and the venue."""
    lot = chance(story.seed, "gateway")
    terms = GatewayTerms(
        token_life=lot.choice((5 * MINUTE, HOUR, 24 * HOUR)),
        window=lot.choice(("sliding", "fixed")),
        brackets=lot.choice(("auto_oco", "auto_oco", "position")),
        has_query=lot.random() < 0.7,
        duplicate_tags=lot.choice(("accepted", "refused")),
        wrapped=lot.random() < 0.7,
        nulls=lot.choice(("omitted", "kept")),
        batches=lot.random() < 0.5,
        partial_quotes=lot.random() < 0.7,
        digits=lot.choice((6, 7)),
    )
    moods = lot.sample(MOODS, lot.randint(0, len(MOODS)))
    unsettled: list[Unsettle] = []
    at = lot.randrange(2 * EVERY)
    while moods and at < story.lasting:
        unsettled.append(Unsettle(at, lot.choice(moods)))
        at += lot.randrange(2 * EVERY)
    odd = _odd_answers(lot, story.lasting)
    acts = sorted((*story.acts, *unsettled, *odd), key=lambda act: act.at)
    return msgspec.structs.replace(story, gateway=terms, acts=tuple(acts))


def _odd_answers(lot: random.Random, lasting: int) -> list[Hinder]:
    """Some answers that are none, a few in a row."""
    wanted = lot.sample(ANSWERS, lot.randint(0, len(ANSWERS)))
    found: list[Hinder] = []
    at = lot.randrange(EVERY)
    while wanted and at < lasting:
        fault = Fault("call", "reject", count=lot.randint(1, 6), code=lot.choice(wanted))
        found.append(Hinder(at, fault))
        at += lot.randrange(EVERY)
    return found
