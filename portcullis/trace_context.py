"""W3C trace context: adopting a trace, making one, and handing it on to whoever is asked.

A trace is a request with everything that comes of it, in whatever process; a span is one step.
Spans are plain values: who wants them recorded is told of each when it ends (api/spans.py).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal, NamedTuple

PARENT, STATE = "traceparent", "tracestate"
STATE_MAX, MEMBERS_MAX = 512, 32
"""Of `tracestate`: signs as a whole, and systems that left something. Longer ones are left out."""

_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_KEY = r"[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13}"
_MEMBER = re.compile(rf"({_KEY})=[ -+\--<>-~]{{0,255}}[!-+\--<>-~]")


class TraceContext(NamedTuple):
    """Which trace and which step of it: 32 and 16 hexadecimal signs. `sampled`: whether spans are
    recorded; `state`: what other systems left in the trace.
    """

    trace_id: str
    span_id: str
    sampled: bool
    state: str = ""

    @property
    def parent(self) -> str:
        """As `traceparent` has it."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"

    @property
    def headers(self) -> dict[str, str]:
        """To be sent to whoever is asked."""
        return {PARENT: self.parent, **({STATE: self.state} if self.state else {})}


class Span(NamedTuple):
    """A step that has ended. `parent`: the span it belongs to, empty at the beginning of a trace;
    times in microseconds; `fault`: why it failed, empty where it did not.
    """

    name: str
    kind: Literal["server", "client"]
    context: TraceContext
    parent: str
    began: int
    ended: int
    attributes: Mapping[str, str | int]
    fault: str = ""


Record = Callable[[Span], None]


class Active(NamedTuple):
    """The trace under way: `record` hears of its steps, `notes` is what its log will say."""

    context: TraceContext
    record: Record
    now: Callable[[], int]
    notes: dict[str, str]


class Step(NamedTuple):
    """A step under way: the headers that hand the trace on, and what will be said of the step."""

    headers: Mapping[str, str]
    attributes: dict[str, str | int]


_active: ContextVar[Active | None] = ContextVar("trace", default=None)


def adopted(parents: Sequence[str], states: Sequence[str] = ()) -> TraceContext | None:
    """What a request's headers say, each given as often as it came; None where they say nothing
    that is valid. A state that is not valid is left out.
    """
    if len(parents) != 1:
        return None
    form = _PARENT.fullmatch(parents[0].strip())
    if form is None:
        return None
    version, trace, span, flags, more = form.groups()
    is_version = version != "ff" and not (version == "00" and more)
    if not (is_version and int(trace, 16) and int(span, 16)):
        return None
    return TraceContext(trace, span, bool(int(flags, 16) & 1), _state(states))


def begun(*, sampled: bool) -> TraceContext:
    """A trace of its own."""
    return TraceContext(secrets.token_hex(16), span_id(), sampled)


def span_id() -> str:
    return secrets.token_hex(8)


@contextmanager
def under_way(active: Active) -> Iterator[None]:
    """What is asked of others in here belongs to the trace."""
    token = _active.set(active)
    try:
        yield
    finally:
        _active.reset(token)


def current() -> TraceContext | None:
    """The trace that is under way, if any."""
    active = _active.get()
    return None if active is None else active.context


def note(name: str, text: str) -> None:
    """Have the log of the request say more."""
    active = _active.get()
    if active is not None:
        active.notes[name] = text


@contextmanager
def asking(name: str, **attributes: str | int) -> Iterator[Step]:
    """A step that asks somebody else; one without headers where no trace is under way."""
    active = _active.get()
    if active is None:
        yield Step({}, {})
        return
    context = active.context._replace(span_id=span_id())
    step, began, fault = Step(context.headers, attributes), active.now(), ""
    try:
        yield step
    except BaseException as error:
        fault = type(error).__name__
        raise
    finally:
        said: dict[str, Any] = step.attributes
        span = Span(
            name, "client", context, active.context.span_id, began, active.now(), said, fault
        )
        active.record(span)


def _state(texts: Sequence[str]) -> str:
    """The members of every header in their order; empty where one is none or they are too many."""
    members = [member.strip(" \t") for text in texts for member in text.split(",")]
    members = [member for member in members if member]
    forms = [_MEMBER.fullmatch(member) for member in members]
    names = {form[1] for form in forms if form is not None}
    if len(names) != len(members) or len(members) > MEMBERS_MAX:
        return ""
    whole = ",".join(members)
    return whole if len(whole) <= STATE_MAX else ""
