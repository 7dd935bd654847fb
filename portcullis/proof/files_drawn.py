"""Other limits in the files of a story: drawn apart, so that the rest of a seed stays as it was."""

from __future__ import annotations

import random

import msgspec

from portcullis.domain.model import SECOND
from portcullis.domain.plan import AccountPlan
from portcullis.domain.rules import RuleParams
from portcullis.proof.rules_drawn import DRAWN
from portcullis.proof.story import AnyAct, Ask, Story, Write
from portcullis.venues.simulated.chance import chance


def with_other_files(story: Story) -> Story:
    """The same story, in every third seed with limits that change in the files under way."""
    lot = chance(story.seed, "files")
    if lot.random() < 2 / 3:
        return story
    acts: list[AnyAct] = [*story.acts]
    accounts = story.plan.accounts
    for _ in range(lot.randint(1, 4)):
        at = lot.randrange(story.lasting)
        accounts = tuple(_other(lot, each) for each in accounts)
        acts.append(Write(at, accounts, lot.random() < 0.6, lot.random() < 0.2))
        if lot.random() < 0.2:
            acts.append(Ask(at + lot.randrange(60 * SECOND), "withdraw"))
    ordered = tuple(sorted(acts, key=lambda act: act.at))
    return msgspec.structs.replace(story, acts=ordered)


def _other(lot: random.Random, account: AccountPlan) -> AccountPlan:
    """Each rule stays, has other limits, or comes or goes."""
    known = {type(each): each for each in account.rules}
    rules: list[RuleParams] = []
    for draw in DRAWN:
        new = draw(lot)
        old = known.get(type(new))
        if old is None:
            rules += [new] if lot.random() < 0.1 else []
        elif lot.random() < 0.9:
            rules.append(new if lot.random() < 0.5 else old)
    return msgspec.structs.replace(account, rules=tuple(rules))
