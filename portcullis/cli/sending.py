"""`portcullis send`: the sender of alerts, a process that the worker knows nothing of."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from portcullis import wiring
from portcullis.cli import context
from portcullis.cli.shipping import leave
from portcullis.clock import SystemClock
from portcullis.config.settings import Settings
from portcullis.domain.alert_requests import VERBS
from portcullis.domain.model import Verdict
from portcullis.errors import PortcullisError, UsageError
from portcullis.ports import InboxRequest
from portcullis.store.inbox import WAITING_MOST
from portcullis.store.opening import has_ledger, open_inbox, open_reader

if TYPE_CHECKING:
    from portcullis.alerts.message import Channel
    from portcullis.alerts.sender import Sender
    from portcullis.alerts.telegram_poller import Poller

TURN_SECONDS = 0.1
CONFIGURE_EVERY = 2.0
FIRST_LOOK_SECONDS = 0.2
DRAIN_SECONDS = 5.0


def send() -> None:
    """Run the sender in the foreground: alerts go to the channels that are connected."""
    settings = context.settings()
    wiring.prepare_home(settings)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    while not has_ledger(settings):
        if stopping.wait(FIRST_LOOK_SECONDS):
            return
    _run(settings, stopping)
    # A transport that hangs must not keep the process: what it carries waits again at the start.
    os._exit(0)


def _run(settings: Settings, stopping: threading.Event) -> None:
    from portcullis.alerts.carrying import Carrier
    from portcullis.alerts.couriers import Couriers
    from portcullis.alerts.following import Following
    from portcullis.alerts.outbox import Outbox
    from portcullis.alerts.sender import Sender

    outbox = Outbox(settings.home_path)
    following = Following(lambda: open_reader(settings))
    files = Files(settings)
    couriers = Couriers(Carrier(lambda: bool(files.operators)).carry)
    sender = Sender(outbox, following, Around(settings), couriers, SystemClock().now)
    told = None
    while not stopping.is_set():
        problem = sender.turn(TURN_SECONDS, files.put_in_force(sender))
        if problem != told:
            if problem or told:
                _say(problem or "alerts are sent again")
            told = problem
    deadline = time.monotonic() + DRAIN_SECONDS
    while couriers.busy and time.monotonic() < deadline:
        with suppress(PortcullisError):  # what cannot be noted now waits again at the start
            sender.settle(TURN_SECONDS)
    files.stop_listening()
    following.close()
    outbox.close()


class Around:
    """The inbox that is there now: a restore in place puts another one in its place."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def waiting(self) -> Sequence[InboxRequest]:
        inbox = open_inbox(self._settings)
        try:
            return inbox.waiting(WAITING_MOST, tuple(VERBS))
        finally:
            inbox.close()

    def leave(self, verdict: Verdict) -> None:
        leave(self._settings, verdict)


class Files:
    """The files of a person, read again when they changed; faulty ones change nothing."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stamp: tuple[int, ...] | None = None
        self._looked_at = 0.0
        self._fault = ""
        self.operators: Mapping[int, str] = {}
        self._paces: Mapping[str, int] = {}
        self._channels: Mapping[str, Channel] = {}
        self._pollers: list[Poller] = []

    def put_in_force(self, sender: Sender) -> str:
        """Configure the sender anew where something changed; what is wrong with the files."""
        from portcullis.alerts.configured import stamp

        if time.monotonic() - self._looked_at < CONFIGURE_EVERY and self._stamp is not None:
            return self._fault
        self._looked_at = time.monotonic()
        found = stamp(self._settings)
        if found == self._stamp:
            return self._fault
        self._stamp = found
        faults = [*self._read_terms(sender), *self._read_channels(sender)]
        self._listen(sender, self._channels)
        self._fault = "; ".join(faults)
        if not self._fault:
            names = ", ".join(self._channels) or "none; see `portcullis alert connect`"
            _say(f"channels: {names}")
        return self._fault

    def _read_terms(self, sender: Sender) -> list[str]:
        from portcullis.alerts.configured import read_alerts

        try:
            configured = read_alerts(self._settings.config_path)
        except PortcullisError as error:
            return [str(error)]
        sender.use_terms(configured.terms)
        self.operators, self._paces = configured.operators, configured.paces
        return []

    def _read_channels(self, sender: Sender) -> list[str]:
        from portcullis.alerts.configured import read_addresses

        try:
            addresses = read_addresses(self._settings)
        except PortcullisError as error:
            return [str(error)]
        self._channels, faults = _channels(addresses, self._paces)
        sender.use_channels(self._channels, faults)
        return [f"channel {name}: {fault}" for name, fault in faults.items()]

    def _listen(self, sender: Sender, channels: Mapping[str, Channel]) -> None:
        """One poller for each bot, where anybody may answer it."""
        from portcullis.alerts.answering import Answering
        from portcullis.alerts.telegram import bot_of
        from portcullis.alerts.telegram_poller import Poller

        self.stop_listening()
        two_way = [each.address for each in channels.values() if each.described.two_way]
        bots = {bot.name: bot for address in two_way if (bot := bot_of(address)) is not None}
        for name, bot in bots.items() if self.operators else ():
            poller = Poller(
                bot,
                self.operators,
                SystemClock(),
                handle=Answering(self._settings).handle,
                offset=sender.kept.offsets.get(name, 0),
                keep_offset=partial(sender.keep_offset, name),
                refused=lambda what: _say(f"refused: {what}"),
            )
            poller.start()
            self._pollers.append(poller)

    def stop_listening(self) -> None:
        for poller in self._pollers:
            poller.stop()
        self._pollers.clear()


def _channels(
    addresses: Mapping[str, str], paces: Mapping[str, int]
) -> tuple[dict[str, Channel], dict[str, str]]:
    """The channels whose address can be used, and what is wrong with the others."""
    from portcullis.alerts.channels import describe
    from portcullis.alerts.message import Channel

    found, faults = {}, {}
    for name, address in addresses.items():
        try:
            described = describe(address)
        except UsageError as error:
            faults[name] = str(error)
            continue
        found[name] = Channel(address, described, paces.get(name, described.pace))
    return found, faults


def _say(text: str) -> None:
    print(text, flush=True)
