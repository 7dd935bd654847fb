"""The JSON form of the SignalR hub protocol: records, handshake, messages. No I/O.

Source: the hub and transport protocol documents of ASP.NET Core. A message is JSON text and the
byte 0x1E; a frame of the socket may hold several messages, or a part of one.
"""

from __future__ import annotations

from typing import Any

import msgspec

from portcullis.errors import VenueUnreachable

END = b"\x1e"
BUFFER_MAX = 16 * 1024 * 1024
HANDSHAKE = b'{"protocol":"json","version":1}' + END
PING = b'{"type":6}' + END


class Invocation(msgspec.Struct, frozen=True, tag_field="type", tag=1, omit_defaults=True):
    """A call: ours with an id that its completion names, the server's without."""

    target: str
    arguments: list[msgspec.Raw] = []
    invocation_id: str | None = msgspec.field(default=None, name="invocationId")


class StreamItem(msgspec.Struct, frozen=True, tag_field="type", tag=2):
    """Of a stream that nobody here opens."""


class Completion(msgspec.Struct, frozen=True, tag_field="type", tag=3):
    """The answer to a call; with `error` it was refused."""

    invocation_id: str = msgspec.field(name="invocationId")
    error: str | None = None


class StreamInvocation(msgspec.Struct, frozen=True, tag_field="type", tag=4):
    """Clients' only."""


class CancelInvocation(msgspec.Struct, frozen=True, tag_field="type", tag=5):
    """Clients' only."""


class Ping(msgspec.Struct, frozen=True, tag_field="type", tag=6):
    """A sign of life."""


class Close(msgspec.Struct, frozen=True, tag_field="type", tag=7):
    """The server ends the connection."""

    error: str | None = None
    allow_reconnect: bool = msgspec.field(default=False, name="allowReconnect")


class Ack(msgspec.Struct, frozen=True, tag_field="type", tag=8):
    """Of resumable connections, which are not asked for."""


class Sequence(msgspec.Struct, frozen=True, tag_field="type", tag=9):
    """Of resumable connections, which are not asked for."""


Message = (
    Invocation
    | StreamItem
    | Completion
    | StreamInvocation
    | CancelInvocation
    | Ping
    | Close
    | Ack
    | Sequence
)


class _Handshake(msgspec.Struct, frozen=True):
    error: str | None = None


_messages = msgspec.json.Decoder(Message)


class Records:
    """The records of a connection, whatever frames they came in."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, frame: bytes) -> list[bytes]:
        """The records that are whole now; raises VenueUnreachable when one grows without end."""
        *whole, self._rest = (self._rest + frame).split(END)
        if len(self._rest) > BUFFER_MAX:
            raise VenueUnreachable(
                f"a message of the hub has more than {BUFFER_MAX} bytes and no end",
                remedy="the connection is made anew; is something between us and the venue?",
            )
        return whole


def shake(record: bytes) -> None:
    """Take the server's answer to the handshake; raises VenueUnreachable when it is none."""
    try:
        answer = msgspec.json.decode(record, type=_Handshake)
    except msgspec.MsgspecError as error:
        raise _not_understood(record) from error
    if answer.error is not None:
        raise VenueUnreachable(
            f"the hub refused the handshake: {answer.error}",
            remedy="the connection is made anew; if this stays, the protocol has changed",
        )


def message_of(record: bytes) -> Message:
    """The message of a record; raises VenueUnreachable when it is none."""
    try:
        message: Message = _messages.decode(record)
    except msgspec.MsgspecError as error:
        raise _not_understood(record) from error
    return message


def call(number: int, target: str, *arguments: Any) -> bytes:
    """A call as a record; the hub answers it with a completion of this number."""
    body = {
        "type": 1,
        "invocationId": str(number),
        "target": target,
        "arguments": list(arguments),
    }
    return msgspec.json.encode(body) + END


def _not_understood(record: bytes) -> VenueUnreachable:
    shown = record[:80].decode(errors="replace")
    return VenueUnreachable(
        f"the hub said what is no message of its protocol: {shown!r}",
        remedy="is a proxy between us and the venue? the connection is made anew",
    )
