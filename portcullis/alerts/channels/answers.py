"""From what was seen during an attempt to what became of the message. Pure."""

from __future__ import annotations

import json
import math
from email.utils import parsedate_to_datetime
from typing import Any

from portcullis.alerts.channels.watching import Answer, Seen
from portcullis.alerts.message import Outcome
from portcullis.domain.model import MICRO

NO_WAIT_GIVEN = 30
LONGEST_WAIT = 24 * 3600
"""Seconds: what a service asks without saying how long, and the most that is believed."""

LATER = frozenset({408, 409, 423, 425})
"""Refusals over HTTP that may be different later."""

MAIL_DATA = 354
"""A mail server's word that it waits for the message itself."""

SLACK_LATER = frozenset(
    {"internal_error", "fatal_error", "service_unavailable", "request_timeout", "timeout"}
)
SILENT = "no answer in time"
NOT_HANDED = "the message was not handed over"


def outcome_of(seen: Seen, service: str) -> Outcome:
    """What became of the message at `service` (the scheme of its address)."""
    if seen.stated is not None:
        return seen.stated
    if seen.answers and not _ended_without_answer(seen):
        return _by_answer(seen, service)
    if seen.accepted:
        return Outcome("delivered")
    if seen.faults:
        return _by_fault(seen)
    if seen.late:
        in_hand = not seen.replies or seen.replies[-1] == MAIL_DATA
        return Outcome("unknown", SILENT) if in_hand else Outcome("failed", NOT_HANDED)
    if seen.replies and seen.replies[-1] >= 400:
        code = seen.replies[-1]
        return Outcome("refused" if code >= 500 else "failed", f"{code} at the greeting")
    return Outcome("failed", _said(seen) or "Apprise says no more than that it failed")


def wait_of(answer: Answer) -> int:
    """How long the service asks us to stay away, in microseconds."""
    seconds: float | None = _number(answer.retry_after)
    if seconds is None and answer.retry_after and answer.date:
        seconds = _between(answer.date, answer.retry_after)
    if seconds is None:
        parameters = _json(answer).get("parameters")
        given = parameters.get("retry_after") if isinstance(parameters, dict) else None
        seconds = _number(given if given is not None else _json(answer).get("retry_after"))
    if seconds is None:
        seconds = NO_WAIT_GIVEN
    return int(min(max(seconds, 1), LONGEST_WAIT) * MICRO)


def _ended_without_answer(seen: Seen) -> bool:
    """Whether the request after the last answer ended in a fault: that one decides."""
    return bool(seen.faults) and not seen.accepted


def _by_answer(seen: Seen, service: str) -> Outcome:
    answer = seen.answers[-1]
    if answer.status < 300 or seen.accepted:  # a plugin may know better what a status means
        return _accepted(answer, seen, service)
    return _refusal(answer.status, answer, service)


def _accepted(answer: Answer, seen: Seen, service: str) -> Outcome:
    """HTTP says yes; Telegram and Slack may still say no inside."""
    inside = _json(answer)
    if inside.get("ok") is False:
        return _refused_inside(inside, answer, service)
    if seen.late:
        return Outcome("unknown", f"{answer.status}, and the answer did not end in time")
    if not seen.accepted:
        return Outcome("failed", _one_line(f"an answer that is not the service's: {answer.body}"))
    return Outcome("delivered", receipt=_receipt(inside, service))


def _refused_inside(inside: dict[str, Any], answer: Answer, service: str) -> Outcome:
    words = _one_line(str(inside.get("description") or inside.get("error") or "ok: false"))
    code = inside.get("error_code")
    if isinstance(code, int):
        return _refusal(code, answer, service)
    if "ratelimited" in words or "rate_limited" in words:
        return Outcome("busy", words, wait=wait_of(answer))
    return Outcome("failed" if words in SLACK_LATER else "refused", words)


def _refusal(status: int, answer: Answer, service: str) -> Outcome:
    words = _one_line(f"{status} {_explanation(answer)}{_moved_to(answer)}".strip())
    if service in {"bbub", "bbubs"} and (status >= 500 or "already queued" in answer.body):
        # It answers 500 for messages that were sent, and may still be at work on the first attempt.
        return Outcome("unknown", words)
    if status == 429 or (status == 503 and answer.retry_after):
        return Outcome("busy", words, wait=wait_of(answer))
    if status < 500 and status not in LATER:
        return Outcome("refused", words)
    return Outcome("failed", words)


def _by_fault(seen: Seen) -> Outcome:
    fault = seen.faults[-1]
    if fault.kind == "mail":
        return Outcome("refused" if fault.code >= 500 else "failed", _one_line(fault.words))
    if fault.kind == "invalid":
        return Outcome("refused", _one_line(fault.words))
    if fault.kind == "unreachable":
        return Outcome("failed", _one_line(fault.words))
    words = SILENT if seen.late else fault.words
    if fault.by_mail and (not seen.replies or seen.replies[-1] != MAIL_DATA):
        return Outcome("failed", _one_line(f"{NOT_HANDED}: {words}"))
    return Outcome("unknown", _one_line(words))


def _receipt(inside: dict[str, Any], service: str) -> str:
    """What the service calls the message: chat and number, or channel and time."""
    if service == "tgram":
        result = inside.get("result")
        if isinstance(result, dict) and isinstance(result.get("chat"), dict):
            return f"{result['chat'].get('id')}:{result.get('message_id')}"
    if service == "slack" and inside.get("ts"):
        return f"{inside.get('channel', '')}:{inside['ts']}"
    if service in {"bbub", "bbubs"} and isinstance(inside.get("data"), dict):
        return str(inside["data"].get("guid") or "")
    return ""


def _explanation(answer: Answer) -> str:
    inside = _json(answer)
    for name in ("description", "error", "message"):
        value = inside.get(name)
        if isinstance(value, dict):
            value = value.get("message") or value.get("error")
        if isinstance(value, str) and value:
            return value
    return "" if answer.body.lstrip().startswith("<") else answer.body


def _moved_to(answer: Answer) -> str:
    """Where a group of Telegram went when it grew: what the address must say instead."""
    parameters = _json(answer).get("parameters")
    moved = parameters.get("migrate_to_chat_id") if isinstance(parameters, dict) else None
    return f"; its chat is {moved} now" if isinstance(moved, int) else ""


def _said(seen: Seen) -> str:
    return _one_line("; ".join(dict.fromkeys(seen.lines)))


def _json(answer: Answer) -> dict[str, Any]:
    try:
        read = json.loads(answer.body)
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def _number(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _between(start: str, end: str) -> float | None:
    """Seconds between two dates of HTTP, both by the server's clock."""
    try:
        return (parsedate_to_datetime(end) - parsedate_to_datetime(start)).total_seconds()
    except (TypeError, ValueError):
        return None


def _one_line(words: str) -> str:
    """Whole, since what is cut before its secrets are masked may end in half of one."""
    return " ".join(words.split())
