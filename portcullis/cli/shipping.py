"""`portcullis ship`: the shipper, a process of its own that the worker knows nothing of."""

from __future__ import annotations

import signal
import threading

from portcullis import wiring
from portcullis.backup import shipper
from portcullis.backup.packing import recipients_of
from portcullis.backup.target import Target
from portcullis.cli import context
from portcullis.clock import SystemClock
from portcullis.store.inbox import leave_verdict
from portcullis.store.opening import open_inbox


def ship() -> None:
    """Run the shipper in the foreground: every second what is new goes to the backup target."""
    settings = context.settings()
    recipients = recipients_of(settings.backup_recipients)
    home = wiring.prepare_home(settings)
    stopping = threading.Event()
    ships = shipper.Shipper(home, Target(settings.backup_address), recipients, SystemClock().now)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    inbox = open_inbox(settings)
    try:
        shipper.run(
            ships,
            home,
            settings.ship_every,
            lambda verdict: leave_verdict(inbox, verdict, "shipper"),
            stopping.wait,
            lambda text: print(text, flush=True),
        )
    finally:
        inbox.close()
