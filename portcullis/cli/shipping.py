"""`portcullis ship`: the shipper, a process of its own that the worker knows nothing of."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

from portcullis import wiring
from portcullis.backup import shipper
from portcullis.backup.packing import recipients_of
from portcullis.backup.target import Target
from portcullis.cli import context
from portcullis.clock import SystemClock
from portcullis.domain.model import Verdict
from portcullis.store.inbox import SqliteInbox, leave_verdict


def ship() -> None:
    """Run the shipper in the foreground: every second what is new goes to the backup target."""
    settings = context.settings()
    recipients = recipients_of(settings.backup_recipients)
    home = wiring.prepare_home(settings)
    stopping = threading.Event()
    ships = shipper.Shipper(home, Target(settings.backup_address), recipients, SystemClock().now)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    shipper.run(
        ships,
        home,
        settings.ship_every,
        lambda verdict: leave(home, verdict),
        stopping.wait,
        lambda text: print(text, flush=True),
    )


def leave(home: Path, verdict: Verdict) -> None:
    """Into the inbox that is there now: a restore in place puts another one in its place."""
    inbox = SqliteInbox(home)
    try:
        leave_verdict(inbox, verdict, "shipper")
    finally:
        inbox.close()
