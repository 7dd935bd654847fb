"""Seeded chance. Each purpose draws from a source of its own, so that none shifts another."""

from __future__ import annotations

import random


def chance(seed: int, purpose: str) -> random.Random:
    """A source that depends on the seed and the purpose only, whatever PYTHONHASHSEED is."""
    return random.Random(f"{seed}/{purpose}")  # noqa: S311 - repeatable on purpose, no secret
