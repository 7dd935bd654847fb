"""Addresses: Apprise URLs with exactly one recipient, judged before anything is sent."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from typing import Any

import msgspec
from apprise import AppriseAsset, NotifyFormat
from apprise.manager_plugins import NotificationManager
from apprise.plugins import url_to_dict
from apprise.plugins.base import NotifyBase

from portcullis.alerts.channels.imessage import BlueBubbles, MacMessages
from portcullis.alerts.channels.secrets import redact
from portcullis.alerts.channels.watching import listening
from portcullis.alerts.message import Described
from portcullis.domain.model import MICRO
from portcullis.errors import UsageError

CONNECT_SECONDS = 4.0
READ_SECONDS = 10.0
READ_OURS_SECONDS = 16.0
"""The same for every service, except that Messages on a Mac takes longer than any other."""

TITLE_ROOM = 257
"""Characters kept of the body for a title and a line end, where the service has no titles."""

SECOND_CHAT = 1_050_000
GROUP_CHAT = 3_000_000
"""Telegram: a message a second to one chat, twenty a minute to a group. In microseconds."""

MAIL = MICRO
"""Of mail: Apprise's own 5.5 s are a guess for all servers."""

LOCAL = frozenset({"macosx", "windows", "dbus", "glib", "qt", "kde", "gnome", "syslog"})
"""Seen only by who sits at this machine."""

MAIL_SCHEMES = frozenset({"mailto", "mailtos"})
WHERE_RECIPIENTS_ARE = (
    *("targets", "cc", "bcc", "channels", "channel_ids", "rooms", "users", "groups", "topics"),
    *("devices", "target_phones", "target_groups", "subreddits"),
)
"""Attributes of plugins. Apprise's own count takes a batch for one."""

PLAIN_HTTP = frozenset({"json", "jsons", "form", "forms", "xml", "xmls"})
OURS = (BlueBubbles, MacMessages)
SLACK_ID = re.compile(r"#?[CGD][A-Z0-9]{8,}")
EXAMPLES = "tgram://BOT:TOKEN/CHAT, slack://A/B/C, mailtos://USER:PASSWORD@HOST?to=PERSON"

_SCHEME = re.compile(r"^\s*([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_loading = threading.Lock()


def described(address: str) -> Described:
    """See `portcullis.alerts.channels.describe`."""
    plugin = plugin_of(address)
    scheme = scheme_of(plugin)
    return Described(
        service=str(plugin.service_name),
        shown=shown(plugin),
        limit=limit_of(plugin),
        pace=_pace(plugin, scheme),
        best_effort=isinstance(plugin, OURS) or scheme in LOCAL,
        two_way=scheme == "tgram",
    )


def plugin_of(address: str) -> NotifyBase:
    """One plugin for one attempt at one recipient: no retry, no throttle, no picture, no redirect.

    Raises UsageError.
    """
    with listening() as heard:
        plugin = _made(address)
    if any("dropped" in line.lower() for line in heard.lines):
        raise _wrong(address, "a recipient in the address is none that this service knows")
    _one_recipient(plugin, scheme_of(plugin), address)
    return _tamed(plugin)


def _made(address: str) -> NotifyBase:
    parts = _parsed(address)
    scheme = str(parts["schema"]).lower()
    _refuse_templates(parts, address)
    parts["format"] = NotifyFormat.HTML.value if scheme == "tgram" else NotifyFormat.TEXT.value
    for option in ("overflow", "retry", "wait", "optional"):
        parts.pop(option, None)
    parts["asset"] = AppriseAsset(app_id="Portcullis", app_desc="Portcullis", app_url="")
    try:
        plugin = _manager()[scheme](**parts)
    except (TypeError, ValueError, AttributeError, KeyError) as problem:
        raise _wrong(address, f"{scheme}:// is not complete: {problem}") from None
    if not plugin.enabled:
        raise _wrong(address, f"{scheme}:// cannot be used on this machine")
    return plugin


def limit_of(plugin: NotifyBase) -> int:
    """Characters of the body; where title and body share them, room is left for the title."""
    shares = has_no_title(plugin) or plugin.overflow_amalgamate_title
    return int(plugin.body_maxlen) - (TITLE_ROOM if shares else 0)


def scheme_of(plugin: NotifyBase) -> str:
    return str(plugin.schema).lower()


def has_no_title(plugin: NotifyBase) -> bool:
    return bool(plugin.title_maxlen <= 0)


def shown(plugin: NotifyBase) -> str:
    """Who is reached by which service; nothing that lets anybody else do the same.

    Built of the parts that are known to be no secret. What Apprise shows leaves the first and last
    letters of secrets, the values of headers, and topics that are as good as passwords.
    """
    scheme = scheme_of(plugin)
    port = f":{plugin.port}" if plugin.port else ""
    if scheme == "tgram":
        chat, topic = plugin.targets[0]
        return f"tgram://…/{chat}" + (f":{topic}" if topic else "")
    if scheme == "slack":
        channel = getattr(plugin, "channels", [None])[0]
        return f"slack://…/{channel}" if channel else "slack://…"
    if scheme in MAIL_SCHEMES:
        return f"{scheme}://{plugin.smtp_host}{port}?to={plugin.targets[0][1]}"
    if scheme in PLAIN_HTTP:
        return f"{scheme}://{plugin.host}{port}/…"
    if isinstance(plugin, OURS):
        return str(plugin.url(privacy=True))
    return f"{scheme}://…"


def _parsed(address: object) -> dict[str, Any]:
    """The parts of the address, by the plugin that its scheme names."""
    if not isinstance(address, str):
        raise UsageError(
            f"an address is text, not {type(address).__name__}",
            remedy=f"give it as one URL: {EXAMPLES}",
        )
    address = address.strip()
    if not address:
        raise UsageError("the address is empty", remedy=f"give one URL: {EXAMPLES}")
    match = _SCHEME.match(address)
    if match is None:
        raise UsageError(
            "the address is no URL: it does not begin with a service and ://",
            remedy=f"give one URL: {EXAMPLES}",
        )
    scheme = match[1].lower()
    if scheme not in _manager() and scheme not in {"http", "https"}:
        raise UsageError(
            f"no service is known as {scheme}://",
            remedy="see docs/alerts_channels.md, or Apprise's list of services, for its name",
        )
    if "," in address.partition("?")[0] or re.search(r"\s\S+://", address):
        raise _several(address)
    try:
        parts = url_to_dict(address)
    except Exception as problem:  # noqa: BLE001  (a plugin may raise anything at what it is given)
        raise _wrong(address, f"{scheme}:// cannot be read ({type(problem).__name__})") from None
    if not parts and scheme in {"http", "https"}:
        own = "jsons" if scheme == "https" else "json"
        raise _wrong(
            address,
            f"no service knows this {scheme}:// address as its own",
            remedy=f"for a webhook of your own write {own}:// in place of {scheme}://",
        )
    if not parts:
        raise _wrong(address, f"{scheme}:// is not complete, or has a part in the wrong place")
    return dict(parts)


def _manager() -> NotificationManager:
    """Apprise's plugins, ours among them."""
    manager = NotificationManager()
    with _loading:
        for ours in OURS:
            if ours.protocol not in manager:
                manager.add(ours)
    return manager


def _refuse_templates(parts: Mapping[str, Any], address: str) -> None:
    for option in ("template", "attach"):
        if parts.get("qsd", {}).get(option):
            raise _wrong(address, f"the option `{option}` is not used here: messages are text")


def _one_recipient(plugin: NotifyBase, scheme: str, address: str) -> None:
    """Exactly one: an answer must say what became of the message for everybody it went to."""
    plugin.retry = 0  # Apprise counts every retry as a recipient
    counts = [
        len(some)
        for some in (getattr(plugin, name, None) for name in WHERE_RECIPIENTS_ARE)
        if isinstance(some, list | tuple | set | dict)
    ]
    copied = sum(counts) > 1 if scheme in MAIL_SCHEMES else max(counts, default=0) > 1
    if copied or len(plugin) > 1:
        raise _several(address)
    if scheme == "tgram" and not plugin.targets:
        raise UsageError(
            "the Telegram address names no chat",
            remedy="end it with the chat's number: tgram://BOT:TOKEN/CHAT",
        )
    if scheme == "slack" and SLACK_ID.fullmatch(getattr(plugin, "channels", [""])[0] or ""):
        raise UsageError(
            "the Slack address gives a channel's id as if it were its name",
            remedy="put a plus before the id: slack://xoxb-.../+C0123456789",
        )
    if len(plugin) < 1 or (scheme in MAIL_SCHEMES and not plugin.targets):
        raise _wrong(address, f"{scheme}:// names nobody to send to")


def _tamed(plugin: NotifyBase) -> NotifyBase:
    """Without what the outbox does itself, and with short waits."""
    plugin.request_rate_per_sec = 0
    plugin.throttle = _no_throttle  # some sleep by it as long as a service asks
    plugin.redirects = False  # a redirected POST becomes a GET, and its 200 means nothing
    mail = hasattr(plugin, "smtp_host")  # knows one time-out for everything
    plugin.socket_connect_timeout = READ_SECONDS if mail else CONNECT_SECONDS
    plugin.socket_read_timeout = READ_OURS_SECONDS if isinstance(plugin, OURS) else READ_SECONDS
    for option in ("include_image", "include_footer", "use_blocks", "detect_owner"):
        if hasattr(plugin, option):
            setattr(plugin, option, False)
    return plugin


def _no_throttle(*_: Any, **__: Any) -> None:
    """The outbox keeps the pace."""


def _pace(plugin: NotifyBase, scheme: str) -> int:
    """Least time between two messages in microseconds."""
    if scheme == "tgram":
        chat = plugin.targets[0][0]
        return GROUP_CHAT if str(chat).startswith(("-", "@")) else SECOND_CHAT
    if scheme in MAIL_SCHEMES:
        return MAIL
    return int(type(plugin).request_rate_per_sec * MICRO)


def _several(address: str) -> UsageError:
    return _wrong(
        address,
        "the address names several recipients",
        remedy="make a channel for each of them: one address, one recipient",
    )


def _wrong(address: str, words: str, *, remedy: str = "") -> UsageError:
    return UsageError(
        redact(words, address),
        remedy=remedy or "mend the address; docs/alerts_channels.md shows one for each service",
    )


class Prepared(msgspec.Struct, frozen=True):
    """A plugin with what of its address may be read."""

    plugin: Any
    shown: str


def prepared(address: str) -> Prepared:
    """What an attempt needs. Raises UsageError."""
    plugin = plugin_of(address)
    return Prepared(plugin, shown(plugin))
