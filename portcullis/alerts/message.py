"""What goes to a channel, and what became of it."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from portcullis.domain.judge import Severity


class Message(msgspec.Struct, frozen=True):
    """What is sent to one channel at once, in plain text.

    `alerts`: the ids of the alerts it tells of. `answerable`: whether a person may acknowledge it
    where the channel can carry an answer back. `changes`: the receipt of a delivered message that
    this one takes the place of.
    """

    message_id: str
    severity: Severity
    title: str
    body: str
    alerts: tuple[str, ...] = ()
    answerable: bool = False
    changes: str = ""


class KnownChannel(msgspec.Struct, frozen=True):
    """A channel as the sender publishes it: nothing of it lets anybody send. `fault`: why its
    address cannot be used; the rest is as in `Described`, and empty where there is a fault.
    """

    service: str = ""
    shown: str = ""
    pace: int = 0
    best_effort: bool = False
    fault: str = ""


class Channel(NamedTuple):
    """A channel that can be sent to; `pace` in microseconds."""

    address: str
    described: Described
    pace: int

    def published(self) -> KnownChannel:
        """As others may see it."""
        known = self.described
        return KnownChannel(known.service, known.shown, self.pace, known.best_effort)


class Outcome(msgspec.Struct, frozen=True):
    """What became of one attempt.

    - delivered: the service accepted it; `receipt` is what it calls the message, if it says so.
    - refused: it never will as it is (address, credential, size): no attempt is made again.
    - busy: it asks to come again in `wait` microseconds.
    - failed: it was not accepted and may be later.
    - unknown: nobody knows whether it was accepted: no answer in time.

    `detail` says why, without any secret.
    """

    kind: Literal["delivered", "refused", "busy", "failed", "unknown"]
    detail: str = ""
    receipt: str = ""
    wait: int = 0


class Described(msgspec.Struct, frozen=True):
    """What an address is. `shown` is the address without its secrets.

    `limit`: characters of the body; `pace`: least time between two messages in microseconds;
    `best_effort`: never the only way for what is critical; `two_way`: answers can come back.
    """

    service: str
    shown: str
    limit: int
    pace: int
    best_effort: bool = False
    two_way: bool = False
