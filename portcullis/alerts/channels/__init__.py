"""Channels: what an address is, and one message to one address. Apprise does the sending.

`describe` and `send` are the whole of it for the sender and the command line. Apprise is loaded at
the first call, since it belongs to the `operations` extra and takes half a second.
"""

from __future__ import annotations

from portcullis.alerts.message import Described, Message, Outcome
from portcullis.errors import UsageError

SEND_WITHIN = 18.0
"""Seconds that one attempt may last, whatever the other side does."""


def describe(address: str) -> Described:
    """What an address is. Nothing is sent and nobody is asked.

    Raises UsageError for an address that is malformed, of an unknown service, or has more than one
    recipient; it says what, and never a secret.
    """
    _require_apprise()
    from portcullis.alerts.channels.addresses import described

    return described(address)


def send(address: str, message: Message, *, within: float = SEND_WITHIN) -> Outcome:
    """Send one message to one address and say what became of it; lasts `within` seconds at most.

    Never raises for what a service or a network does, nor for an address that is wrong: that is
    `refused`. To be called from one thread for each channel.
    """
    _require_apprise()
    from portcullis.alerts.channels.sending import attempt

    return attempt(address, message, within)


def _require_apprise() -> None:
    try:
        import apprise  # noqa: F401
    except ModuleNotFoundError:
        raise UsageError(
            "alerts cannot be sent here: Apprise is not installed",
            remedy="install portcullis with the extra `operations`",
        ) from None
