"""`portcullis ship`: the shipper, a process of its own that the worker knows nothing of."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

from portcullis import wiring
from portcullis.backup import shipper
from portcullis.backup.packing import recipients_of
from portcullis.backup.target import Target
from portcullis.cli import context
from portcullis.clock import SystemClock
from portcullis.config.settings import Settings
from portcullis.domain.model import Verdict
from portcullis.store.inbox import leave_verdict
from portcullis.store.opening import open_inbox

Leave = Callable[[Verdict], object]
IsStopping = Callable[[float], bool]


def ship() -> None:
    """Run the shipper in the foreground: what is new goes to the backup target at once."""
    settings = context.settings()
    wiring.prepare_home(settings)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    carry_out = _receive_log if settings.store_url else _ship_pieces
    carry_out(settings, lambda verdict: leave(settings, verdict), stopping.wait)


def leave(settings: Settings, verdict: Verdict) -> None:
    """Into the inbox that is there now: a restore in place puts another one in its place."""
    inbox = open_inbox(settings)
    try:
        leave_verdict(inbox, verdict, "shipper")
    finally:
        inbox.close()


def _ship_pieces(settings: Settings, leave: Leave, is_stopping: IsStopping) -> None:
    recipients = recipients_of(settings.backup_recipients)
    home, target = settings.home_path, Target(settings.backup_address)
    ships = shipper.Shipper(home, target, recipients, SystemClock().now)
    shipper.run(ships, home, settings.ship_every, leave, is_stopping, _say)


def _receive_log(settings: Settings, leave: Leave, is_stopping: IsStopping) -> None:
    from portcullis.backup import wal  # it needs the server's driver

    receiver = wal.Receiver(settings, Target(settings.backup_address), SystemClock().now)
    wal.run(receiver, settings.home_path, leave, is_stopping, _say)


def _say(text: str) -> None:
    print(text, flush=True)
