"""What a person configures of alerts: `alerts.yaml`, and the addresses of the channels.

Addresses are secrets: they are in a file of their own that only its owner may read, a line
`name=address` each, and never in YAML. `alerts.yaml` may be left out: then there are the policy's
own terms, and what was subscribed by command.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
from yaml.nodes import Node

from portcullis.alerts.alert import SeverityTerms, Subscription, Terms
from portcullis.alerts.kinds import Topic
from portcullis.alerts.quiet_hours import NotHours, quiet_hours
from portcullis.config.reader import MISSING, Reader
from portcullis.config.settings import Settings
from portcullis.config.source import Faults, load
from portcullis.domain.judge import Severity
from portcullis.domain.model import MINUTE
from portcullis.domain.session import Window
from portcullis.domain.units import Count, Span, SpanOrZero
from portcullis.errors import ConfigError, StoreError, UsageError

FILE = "alerts.yaml"
CHANNEL_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
USER_NUMBER = re.compile(r"[0-9]{1,20}")
ALL = "all"
OWNER_ONLY = 0o077


class SubscriptionSettings(msgspec.Struct, frozen=True):
    """A row of `subscriptions`; see `portcullis.alerts.alert.Subscription`."""

    channel: str
    severity: Severity = "warning"
    topics: tuple[Topic, ...] | Literal["all"] = "all"
    accounts: Literal["all", "none"] | tuple[str, ...] = "none"
    after: SpanOrZero = 0
    quiet: str = ""


class SeveritySettings(msgspec.Struct, frozen=True):
    """How alerts of a severity are told; what is left out is as the policy has it."""

    window: SpanOrZero | None = None
    repeat: SpanOrZero | None = None
    most: Count | None = None
    acknowledged_for: SpanOrZero | None = None


class StormSettings(msgspec.Struct, frozen=True):
    """So many messages on one channel within a time, and the rest waits for a digest."""

    messages: Count = 8
    within: Span = 10 * MINUTE


class ChannelSettings(msgspec.Struct, frozen=True):
    """Terms of a channel: the least time between two messages, where not its service's own."""

    pace: SpanOrZero | None = None


class TelegramSettings(msgspec.Struct, frozen=True):
    """Who may answer: Telegram's number of a user, and what that user is called here."""

    operators: dict[str, str] = {}


class AlertSettings(msgspec.Struct, frozen=True):
    """`alerts.yaml` as a whole."""

    subscriptions: tuple[SubscriptionSettings, ...] = ()
    channels: dict[str, ChannelSettings] = {}
    critical: SeveritySettings = SeveritySettings()
    warning: SeveritySettings = SeveritySettings()
    info: SeveritySettings = SeveritySettings()
    storm: StormSettings = StormSettings()
    telegram: TelegramSettings = TelegramSettings()


class Configured(NamedTuple):
    """What the files amount to. `paces` in microseconds; `operators` by Telegram's user number."""

    terms: Terms
    paces: Mapping[str, int]
    operators: Mapping[int, str]


def read_alerts(folder: Path) -> Configured:
    """The policy of a folder's `alerts.yaml`; raises ConfigError with every fault."""
    path = folder / FILE
    if not path.exists():
        return Configured(Terms(), {}, {})
    faults = Faults()
    node = load(path, faults)
    reader = Reader(FILE, faults)
    found = reader.struct(AlertSettings, node, "") if node is not None else MISSING
    if found is MISSING:
        raise ConfigError(faults.texts() or (f"  {FILE}:1: file: cannot be read",))
    made = _configured(reader, node, found)
    if faults.found:
        raise ConfigError(faults.texts())
    return made


def _configured(reader: Reader, node: Node | None, found: AlertSettings) -> Configured:
    subscriptions = tuple(
        _subscription(reader, node, f"subscriptions[{n}]", row)
        for n, row in enumerate(found.subscriptions)
    )
    usual = Terms()
    terms = Terms(
        subscriptions,
        _severity(found.critical, usual.critical),
        _severity(found.warning, usual.warning),
        _severity(found.info, usual.info),
        found.storm.messages,
        found.storm.within,
    )
    operators = {}
    for number, name in found.telegram.operators.items():
        if USER_NUMBER.fullmatch(number):
            operators[int(number)] = name
        else:
            problem = "Telegram's number of the user, all digits"
            reader.fault(node, "telegram.operators", "no user", given=number, allowed=problem)
    paces = {name: each.pace for name, each in found.channels.items() if each.pace is not None}
    return Configured(terms, paces, operators)


def _subscription(
    reader: Reader, node: Node | None, key: str, row: SubscriptionSettings
) -> Subscription:
    if not CHANNEL_NAME.fullmatch(row.channel):
        allowed = "small letters, digits, - and _"
        reader.fault(
            node, f"{key}.channel", "no channel's name", given=row.channel, allowed=allowed
        )
    quiet: Window | None = None
    if row.quiet:
        try:
            quiet = quiet_hours(row.quiet)
        except NotHours as error:
            reader.fault(node, f"{key}.quiet", str(error))
    topics = _list_or(reader, node, f"{key}.topics", row.topics, {ALL: ()})
    accounts = _list_or(reader, node, f"{key}.accounts", row.accounts, {ALL: None, "none": ()})
    return Subscription(row.channel, row.severity, topics, accounts, row.after, quiet)


def _list_or(reader: Reader, node: Node | None, key: str, given: Any, words: dict[str, Any]) -> Any:
    """A list as it is, a word as what it stands for; one name alone is neither."""
    if not isinstance(given, str) or given in words:
        return words[given] if isinstance(given, str) else given
    reader.fault(node, key, "no list", given=given, allowed=f"{', '.join(words)}, or a list")
    return ()


def _severity(given: SeveritySettings, usual: SeverityTerms) -> SeverityTerms:
    changed: dict[str, Any] = {
        name: value
        for name in given.__struct_fields__
        if (value := getattr(given, name)) is not None
    }
    return msgspec.structs.replace(usual, **changed)


# --- addresses ------------------------------------------------------------------------------------


def read_addresses(settings: Settings) -> dict[str, str]:
    """The address of each channel; empty where no channel is connected.

    Raises ConfigError for a file that others may read or that has a line which is none; the error
    shows no address.
    """
    path = settings.channels_path
    if not path.exists():
        return {}
    faults: list[str] = []
    if os.name == "posix" and path.stat().st_mode & OWNER_ONLY:
        faults.append(f"  {path}: others may read it; chmod 600 {path}")
    found: dict[str, str] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError((f"  {path}: cannot be read: {error}",)) from error
    for number, line in enumerate(lines, start=1):
        name, separator, address = line.strip().partition("=")
        if not line.strip() or line.startswith("#"):
            continue
        if not separator or not CHANNEL_NAME.fullmatch(name.strip()) or not address.strip():
            faults.append(f"  {path}:{number}: no channel; a line is name=address")
        elif name.strip() in found:
            faults.append(f"  {path}:{number}: channel {name.strip()} is given twice")
        else:
            found[name.strip()] = address.strip()
    if faults:
        raise ConfigError(tuple(faults))
    return found


def keep_address(settings: Settings, name: str, address: str | None) -> None:
    """Keep the address of a channel, or (None) forget it. Raises UsageError, StoreError."""
    if not CHANNEL_NAME.fullmatch(name):
        raise UsageError(
            f"{name[:40]!r} is no name for a channel",
            remedy="use 1 to 32 small letters, digits, - and _, beginning with a letter",
        )
    addresses = read_addresses(settings)
    addresses.pop(name, None)
    if address is not None:
        addresses[name] = address
    path = settings.channels_path
    text = "".join(f"{each}={where}\n" for each, where in sorted(addresses.items()))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.chmod(0o600)
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())  # an empty file after a power cut would be no channel at all
        draft.replace(path)
    except OSError as error:
        raise StoreError(
            f"{path}: {error.strerror}", remedy="let this user write the file's folder"
        ) from error


def stamp(settings: Settings) -> tuple[int, ...]:
    """Changes whenever one of the files does."""
    found = []
    for path in (settings.config_path / FILE, settings.channels_path):
        try:
            state = path.stat()
        except OSError:
            found += [0, 0]
        else:
            # Who may read it is a change as well.
            found += [state.st_mtime_ns, state.st_ctime_ns, state.st_ino, state.st_size]
    return tuple(found)
