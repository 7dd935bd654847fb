"""A sender on a real ledger, a real inbox and real sockets."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from portcullis.alerts.alert import SeverityTerms, Subscription, Terms
from portcullis.alerts.alert_reader import AlertReader
from portcullis.alerts.carrying import Carrier
from portcullis.alerts.channels import describe
from portcullis.alerts.couriers import Couriers, Send
from portcullis.alerts.following import Following
from portcullis.alerts.message import Channel
from portcullis.alerts.outbox import Outbox
from portcullis.alerts.sender import Sender
from portcullis.clock import SystemClock
from portcullis.domain.alert_requests import VERBS
from portcullis.domain.events import Event, stream_of
from portcullis.domain.model import Verdict
from portcullis.ports import Entry
from portcullis.store.inbox import WAITING_MOST, SqliteInbox, leave_verdict
from portcullis.store.ledger import SqliteLedger
from portcullis.store.reading import LedgerReader
from portcullis.worker.requests import Asked

TURN_SECONDS = 0.02
AT_ONCE = Terms(
    critical=SeverityTerms(),
    warning=SeverityTerms(0),
    info=SeverityTerms(0),
    storm_messages=100_000,
)
"""Nothing waits for a window, so that a test need not."""


def told_of_everything(*channels: str) -> tuple[Subscription, ...]:
    return tuple(Subscription(name, "info", (), None) for name in channels)


class Desk:
    """A home with a ledger that a test writes, and a sender that it turns."""

    def __init__(self, home: Path, now: Callable[[], int] | None = None) -> None:
        self.home, self.now = home, now or SystemClock().now
        self.ledger = SqliteLedger(home)
        self.inbox = SqliteInbox(home)
        self.asked = 0
        self.sender: Sender | None = None

    def open(
        self,
        addresses: Mapping[str, str],
        terms: Terms = AT_ONCE,
        *,
        carry: Send | None = None,
        pace: int = 0,
    ) -> Sender:
        """Start a sender whose channels are told of everything."""
        self.outbox = Outbox(self.home)
        self.following = Following(lambda: LedgerReader(self.home))
        self.couriers = Couriers(carry or Carrier(lambda: True).carry)
        sender = Sender(self.outbox, self.following, self, self.couriers, self.now)
        channels = {name: Channel(a, describe(a), pace) for name, a in addresses.items()}
        if not terms.subscriptions:
            terms = msgspec.structs.replace(terms, subscriptions=told_of_everything(*addresses))
        sender.use_terms(terms)
        sender.use_channels(channels)
        self.sender = sender
        return sender

    def end(self) -> None:
        if self.sender is not None:
            self.following.close()
            self.outbox.close()
            self.sender = None

    def close(self) -> None:
        self.end()
        self.inbox.close()
        self.ledger.close()

    def write(self, *events: Event) -> None:
        at = self.now()
        self.ledger.append([Entry(stream_of(event), at, "trace", event) for event in events])

    def ask(self, verb: str, reason: str = "a test", *, at: int | None = None, **more: Any) -> str:
        """Put a request into the inbox, as a command or a flow does."""
        self.asked += 1
        name = f"request-{self.asked}"
        body = msgspec.msgpack.encode(Asked(reason, None, more))
        self.inbox.ask(name, verb, "anna", "operator", body, self.now() if at is None else at)
        return name

    def turn_until(self, holds: Callable[[], bool], seconds: float = 20.0) -> None:
        """Turn the sender until something holds."""
        assert self.sender is not None
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, "it did not come about"
            problem = self.sender.turn(TURN_SECONDS)
            assert not problem, problem

    def reader(self) -> AlertReader:
        return AlertReader(self.home)

    # --- what the sender needs besides the ledger ---------------------------------------------

    def waiting(self) -> Any:
        return self.inbox.waiting(WAITING_MOST, tuple(VERBS))

    def leave(self, verdict: Verdict) -> None:
        leave_verdict(self.inbox, verdict, "sender")
