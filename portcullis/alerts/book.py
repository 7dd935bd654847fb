"""What the policy of alerts remembers, and what it decides: messages to channels."""

from __future__ import annotations

from typing import Literal

import msgspec

from portcullis.alerts.alert import Alert, Silence, Subscription

Why = Literal["new", "reminder", "over", "digest"]


class Telling(msgspec.Struct, frozen=True):
    """One message to one channel: the alerts it tells of, the worst first, and why now."""

    channel: str
    why: Why
    alerts: tuple[Alert, ...]


class Book(msgspec.Struct):
    """Everything the policy remembers. `lately`: alerts by fingerprint that ended by themselves.
    `sent`: when each channel was last told of what is not critical, `storms`: until when a channel
    is spared.

    `changed`: ids of alerts that are not as they were when the book was last written down.
    """

    alerts: dict[str, Alert] = {}
    open: dict[str, str] = {}
    lately: dict[str, str] = {}
    silences: dict[str, Silence] = {}
    subscriptions: list[Subscription] = []
    sent: dict[str, list[int]] = {}
    storms: dict[str, int] = {}
    changed: dict[str, None] = {}


class Unknown(Exception):
    """There is no such alert or silence; the text names what there is."""
