"""Making a failing story short: whatever can be left out while it still fails the same way, is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from portcullis.domain.model import SECOND
from portcullis.proof.checkers import violations
from portcullis.proof.play import play
from portcullis.proof.story import AnyAct, Story

TRIES = 300
Part = TypeVar("Part")


def shrink(story: Story, checker: str, tries: int = TRIES) -> Story:
    """The shortest story found, within so many runs, that the same checker still rejects."""
    search = _Search(checker, tries)
    for _ in range(2):
        story = _end_early(story, search)
        story = _with_acts(story, search)
        story = _with_accounts(story, search)
        story = _with_fewer_rules(story, search)
    return story


class _Search:
    def __init__(self, checker: str, tries: int) -> None:
        self._start = f"{checker}:"
        self._left = tries

    def fails(self, story: Story) -> bool:
        """Whether a story still fails as the first one did; no more when the tries are used up."""
        if self._left == 0:
            return False
        self._left -= 1
        return any(found.startswith(self._start) for found in violations(play(story)))


def _end_early(story: Story, search: _Search) -> Story:
    """Cut the end, by halves and then less."""
    cut = story.lasting // 2
    while cut >= 10 * SECOND:
        lasting = story.lasting - cut
        acts = tuple(act for act in story.acts if act.at < lasting)
        shorter = msgspec.structs.replace(story, lasting=lasting, acts=acts)
        if lasting > 0 and search.fails(shorter):
            story = shorter
        else:
            cut //= 2
    return story


def _with_acts(story: Story, search: _Search) -> Story:
    def made(acts: Sequence[AnyAct]) -> Story:
        return msgspec.structs.replace(story, acts=tuple(acts))

    return made(_fewest(story.acts, lambda acts: search.fails(made(acts))))


def _with_accounts(story: Story, search: _Search) -> Story:
    """Leave accounts out, with everything that is done to them."""

    def made(accounts: Sequence[object]) -> Story:
        names = {each.account for each in accounts}  # type: ignore[attr-defined]
        acts = tuple(a for a in story.acts if (getattr(a, "account", None) or "") in ("", *names))
        plan = msgspec.structs.replace(story.plan, accounts=tuple(accounts))
        return msgspec.structs.replace(story, plan=plan, acts=acts)

    kept = _fewest(story.plan.accounts, lambda rest: bool(rest) and search.fails(made(rest)))
    return made(kept) if len(kept) < len(story.plan.accounts) else story


def _with_fewer_rules(story: Story, search: _Search) -> Story:
    for number in range(len(story.plan.accounts)):
        story = _with_fewer_rules_of(story, number, search)
    return story


def _with_fewer_rules_of(story: Story, number: int, search: _Search) -> Story:
    def made(rules: Sequence[object]) -> Story:
        accounts = list(story.plan.accounts)
        accounts[number] = msgspec.structs.replace(accounts[number], rules=tuple(rules))
        plan = msgspec.structs.replace(story.plan, accounts=tuple(accounts))
        return msgspec.structs.replace(story, plan=plan)

    rules = story.plan.accounts[number].rules
    return made(_fewest(rules, lambda rest: search.fails(made(rest))))


def _fewest(parts: Sequence[Part], fails: Callable[[Sequence[Part]], bool]) -> Sequence[Part]:
    """Leave out runs of parts, large ones first, as long as it still fails (delta debugging)."""
    size = len(parts) // 2
    while size >= 1:
        start = 0
        while start < len(parts):
            rest = [*parts[:start], *parts[start + size :]]
            if fails(rest):
                parts = rest
            else:
                start += size
        size //= 2
    return parts
