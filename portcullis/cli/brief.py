"""What an event says, in one line for a person: money, times (UTC), sides as people write them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from portcullis.domain.model import MICRO
from portcullis.domain.money import duration, money

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WIDTH = 140
LEFT_OUT = ("kind", "account")


def brief(payload: dict[str, Any]) -> str:
    """The payload of an event as plain values, on one line; a breach is its message."""
    reason = payload.get("reason")
    if isinstance(reason, dict):
        return f"{payload.get('rule', '')}: {reason['message']}"
    text = ", ".join(_pairs(payload))
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"


def _pairs(payload: dict[str, Any]) -> list[str]:
    currency = payload.get("currency", "")
    return [
        f"{name} {_word(name, value, currency)}"
        for name, value in payload.items()
        if name not in LEFT_OUT and value not in ("", None) and not _is_never(name, value)
    ]


def _is_never(name: str, value: Any) -> bool:
    """A time of zero: what it is the time of has not happened."""
    return _FORMS.get(name) is _moment and value == 0


def _word(name: str, value: Any, currency: str) -> str:
    form = _FORMS.get(name)
    if form is not None and isinstance(value, int):
        return form(value, currency)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return " ".join(
            _word(key, each, currency) for key, each in value.items() if each not in ("", None)
        )
    if isinstance(value, list | tuple):
        return "; ".join(_word("", each, currency) for each in value) or "none"
    return str(value)


def _money(value: int, currency: str) -> str:
    return money(value, currency).rstrip()


def _moment(value: int, _: str) -> str:
    return f"{EPOCH + timedelta(microseconds=value):%m-%d %H:%M:%S.%f}"[:-3]


def _ticks(value: int, _: str) -> str:
    return f"{value} ticks"


def _average(value: int, _: str) -> str:
    return f"{value / MICRO:.6f}".rstrip("0").rstrip(".") + " ticks"


def _span(value: int, _: str) -> str:
    return f"-{duration(-value)}" if value < 0 else duration(value)


def _side(value: int, _: str) -> str:
    return "buy" if value > 0 else "sell"


_FORMS: dict[str, Callable[[int, str], str]] = {
    **dict.fromkeys(("balance", "realized", "gross", "fees", "commission"), _money),
    **dict.fromkeys(("bid", "ask", "last", "price", "limit_price", "stop_price", "trail"), _ticks),
    **dict.fromkeys(("as_of", "until", "checked_at", "expires_at"), _moment),
    **dict.fromkeys(("quoted_at", "reported_at", "opened_at", "executed_at", "set_at"), _moment),
    **dict.fromkeys(("detected_at", "durable_at", "sent_at", "confirmed_at"), _moment),
    "average": _average,
    "by": _span,
    "side": _side,
    "tick_value": _money,
}
