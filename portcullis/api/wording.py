"""How figures and names are written on the page, to be read as a person says them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from markupsafe import Markup, escape

FLOORS = frozenset(("trailing_drawdown",))
"""Rules whose limit lies below what is measured."""

UNBOUNDED = 1_000_000
ENDS = {
    "person": "until a person releases it",
    "next_session": "until the next session",
    "config": "until the configuration allows it",
    "venue": "until the venue allows it",
}


class Standing(NamedTuple):
    """A limit in words: what is left of it, and how that comes about."""

    left: str
    of: str


def standing(row: Mapping[str, Any]) -> Standing:
    """How an account stands with a rule, from its distance."""
    measured, limit, left = row["measured"], row["limit"], row["left"]
    if not any(letter.isdigit() for letter in limit):  # a state and no amount
        return Standing(measured, f"{row['formula']}: {left}" if left else "")
    if row["rule"] in FLOORS:
        return Standing(f"{left} left", f"{measured}, floor {limit}")
    return Standing(f"{left} left", _of(measured, limit))


def _of(measured: str, limit: str) -> str:
    """`2 of 4 contracts`: what both are counted in is said once."""
    amount, _, unit = measured.partition(" ")
    whole = amount if unit == limit.partition(" ")[2] else measured
    return f"{whole} of {limit}"


def breakable(name: str) -> Markup:
    """A name that a narrow column may break between its words, and nowhere in them."""
    text = str(escape(name))
    return Markup(text.replace("_", "_<wbr>").replace(".", ".<wbr>"))  # noqa: S704 - escaped above


def size(contracts: int) -> str:
    """The size of an order; the worker names a million where nothing bounds it."""
    return "no limit" if contracts >= UNBOUNDED else str(contracts)


def coded(words: str) -> Markup:
    """Words with what stands between backticks as code."""
    parts = str(escape(words)).split("`")
    if len(parts) % 2 == 0:  # one of them has no other
        return escape(words)
    marked = (f"<code>{part}</code>" if n % 2 else part for n, part in enumerate(parts))
    return Markup("".join(marked))  # noqa: S704 - escaped above


def sentence(words: str) -> str:
    """What errors say, written as a sentence."""
    return f"{words[:1].upper()}{words[1:]}{'' if words.endswith('.') else '.'}"


def spaced(name: str) -> str:
    """The name of a rule or an event as words."""
    return name.replace("_", " ")


def ticker(instrument: str, account: Mapping[str, Any]) -> Markup:
    """An instrument as people call it, where the account's positions tell; else its whole name."""
    known = {row["instrument"]: row["ticker"] for row in account["positions"]}
    return breakable(known.get(instrument, instrument))


def ends(lock: Mapping[str, Any]) -> str:
    """What ends a lock that has no time."""
    return ENDS.get(lock["ends"], str(lock["ends"]))
