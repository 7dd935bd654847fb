"""One attempt: one plugin, one recipient, in the thread that calls, with an end."""

from __future__ import annotations

import html
from typing import Any

import msgspec
from apprise import NotifyFormat, NotifyType

from portcullis.alerts.channels.addresses import (
    TITLE_ROOM,
    Prepared,
    has_no_title,
    limit_of,
    prepared,
    scheme_of,
)
from portcullis.alerts.channels.answers import outcome_of
from portcullis.alerts.channels.secrets import redact
from portcullis.alerts.channels.watching import watching
from portcullis.alerts.message import Message, Outcome
from portcullis.domain.judge import Severity
from portcullis.errors import UsageError

KINDS: dict[Severity, Any] = {
    "critical": NotifyType.FAILURE,
    "warning": NotifyType.WARNING,
    "info": NotifyType.INFO,
}
"""What Apprise calls our severities; some services colour by it."""


def attempt(address: str, message: Message, within: float) -> Outcome:
    """See `portcullis.alerts.channels.send`."""
    try:
        ready = prepared(address)
    except UsageError as wrong:
        return Outcome("refused", str(wrong))
    outcome = _attempt(ready, message, within)
    return msgspec.structs.replace(outcome, detail=redact(outcome.detail, address, ready.shown))


def _attempt(ready: Prepared, message: Message, within: float) -> Outcome:
    plugin = ready.plugin
    service = scheme_of(plugin)
    plugin.socket_connect_timeout = min(plugin.socket_connect_timeout, within)
    plugin.socket_read_timeout = min(plugin.socket_read_timeout, within)
    if service == "tgram" and message.severity == "info":
        plugin.silent = True  # it arrives without a sound
    if hasattr(plugin, "message_id"):
        plugin.message_id = message.message_id
    title, body = _fitted(plugin, message)
    if not body.strip():
        return Outcome("refused", "the message is empty")
    with watching(within) as watch:
        try:
            accepted = plugin.notify(
                title=title,
                body=body,
                notify_type=KINDS[message.severity],
                body_format=NotifyFormat.TEXT,
            )
        except Exception as problem:  # noqa: BLE001  (a plugin may raise anything)
            accepted = False
            watch.lines.append(f"{service}:// could not send: {type(problem).__name__}")
    return outcome_of(watch.seen(accepted=bool(accepted)), service)


def _fitted(plugin: Any, message: Message) -> tuple[str, str]:
    """Title and body as the plugin must get them: plain text, escaped where the service reads tags.

    The caller renders to the limit. What is too long all the same is cut here, with a mark: Apprise
    would send it in pieces, or whole for the service to refuse.
    """
    body = message.body or message.title
    if has_no_title(plugin):
        text = f"{message.title}\n{body}" if message.title else body
        title, text = "", _cut(text, plugin.body_maxlen)
    else:
        title = _cut(message.title, min(plugin.title_maxlen, TITLE_ROOM))
        text = _cut(body, limit_of(plugin))
    return title, html.escape(text, quote=False) if _reads_tags(plugin) else text


def _reads_tags(plugin: Any) -> bool:
    """Telegram is sent HTML; Slack reads & < > everywhere (Apprise escapes its titles only)."""
    service = scheme_of(plugin)
    return service == "tgram" or (service == "slack" and not plugin.workflow_path)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
