"""What may be asked about alerts: which arguments a request takes, and what is wrong with it.

The worker records such a request and changes nothing by it: the sender reads it in the ledger.
None of them loosens, so an operator may ask for all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from portcullis.domain.model import DAY
from portcullis.domain.money import duration

RECORDED = "recorded; the sender takes it up"
SEVERITIES = ("critical", "warning", "info")
NAME_MAX = 64
LIST_MAX = 512
TEXT_MAX = 2_000
NUMBER_MAX = 2**53
SILENCE_MAX = 30 * DAY
AHEAD_MAX = 366 * DAY
"""As far ahead as a silence may begin."""

AFTER_MAX = DAY
"""As long as a subscription may wait for somebody else to acknowledge."""

Check = Callable[[Any, int], str]
"""What is allowed instead of a value at a time (microseconds); empty when the value is."""


class Takes(NamedTuple):
    """The arguments of a verb: each with its check, which are required, and of which one is."""

    arguments: Mapping[str, Check]
    required: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()


def wrong(verb: str, given: Mapping[str, Any], now: int) -> str:
    """What is wrong with a request about alerts, and how it is mended; empty when nothing is.

    An argument that is None counts as not given.
    """
    takes = VERBS[verb]
    there = {name: value for name, value in given.items() if value is not None}
    for name, value in there.items():
        check = takes.arguments.get(name)
        if check is None:
            known = ", ".join(takes.arguments)
            return f"{verb} takes no argument {name[:NAME_MAX]!r}; known are {known}"
        allowed = check(value, now)
        if allowed:
            return f"{name}: {_shown(value)} is not allowed; give {allowed}"
    for name in takes.required:
        if name not in there:
            return f"{name} is missing; give {takes.arguments[name](None, now)}"
    if takes.one_of and not any(name in there for name in takes.one_of):
        return f"{verb} of what? name at least one of {', '.join(takes.one_of)}"
    return ""


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= NAME_MAX else f"{text[:NAME_MAX]}... ({len(text)} characters)"


def _matching(pattern: str, allowed: str) -> Check:
    fits = re.compile(pattern).fullmatch
    return lambda value, _: "" if isinstance(value, str) and fits(value) else allowed


def _printed(most: int) -> Check:
    def check(value: Any, _now: int) -> str:
        is_one = isinstance(value, str) and value.isprintable() and value == value.strip()
        fits = is_one and 0 < len(value) <= most
        return "" if fits else f"1 to {most} characters that can be printed"

    return check


def _text(value: Any, _now: int) -> str:
    fits = isinstance(value, str) and len(value) <= TEXT_MAX and "\0" not in value
    return "" if fits else f"a text of at most {TEXT_MAX} characters"


def _one_of(*allowed: str) -> Check:
    return lambda value, _: "" if value in allowed else f"one of {', '.join(allowed)}"


def _span(least: int, most: int) -> Check:
    """A time span; `least` and `most` in microseconds, both allowed."""

    def check(value: Any, _now: int) -> str:
        fits = _is_whole(value) and least <= value <= most
        return "" if fits else f"whole microseconds from {least} to {most} ({duration(most)})"

    return check


def _begins(value: Any, now: int) -> str:
    """A time that a silence may begin at; one that is past begins at once."""
    if _is_whole(value) and 0 <= value <= now + AHEAD_MAX:
        return ""
    return f"whole microseconds since 1970 UTC, no more than {duration(AHEAD_MAX)} ahead"


def _number(value: Any, _now: int) -> str:
    fits = _is_whole(value) and 0 < value <= NUMBER_MAX
    return "" if fits else f"a whole number from 1 to {NUMBER_MAX}"


def _yes_or_no(value: Any, _now: int) -> str:
    return "" if isinstance(value, bool) else "true or false"


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_KIND = _matching(r"[a-z][a-z0-9_]{0,63}", "a kind of alert, as docs/runbooks lists them")
_NAME = _printed(NAME_MAX)
_NAMES = _printed(LIST_MAX)
_SEVERITY = _one_of(*SEVERITIES)
_SUBSCRIPTION: dict[str, Check] = {
    "channel": _NAME,
    "severity": _SEVERITY,
    "topics": _NAMES,
    "accounts": _NAMES,
    "quiet": _NAMES,
    "after_us": _span(0, AFTER_MAX),
}

VERBS: dict[str, Takes] = {
    "acknowledge": Takes({"alert": _NAME, "over": _yes_or_no}, required=("alert",)),
    "silence": Takes(
        {
            "alert": _NAME,
            "topic": _NAME,
            "account": _NAME,
            "kind": _KIND,
            "for_us": _span(1, SILENCE_MAX),
            "start_at": _begins,
            "critical": _yes_or_no,
        },
        required=("for_us",),
        one_of=("alert", "topic", "account", "kind"),
    ),
    "unsilence": Takes({"silence": _NAME}, required=("silence",)),
    "redeliver": Takes(
        {"alert": _NAME, "channel": _NAME, "delivery": _number}, one_of=("alert", "delivery")
    ),
    "subscribe": Takes(_SUBSCRIPTION, required=("channel",)),
    "unsubscribe": Takes(_SUBSCRIPTION, required=("channel",)),
    "alert": Takes(
        {
            "kind": _KIND,
            "state": _one_of("firing", "resolved"),
            "subject": _NAMES,
            "account": _NAME,
            "severity": _SEVERITY,
            "message": _text,
            "cause": _text,
            "action": _text,
            "link": _text,
        },
        required=("kind", "state"),
    ),
    "alert_test": Takes({"channel": _NAME}, required=("channel",)),
}
"""The verbs about alerts, and what each takes."""
