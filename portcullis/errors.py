"""Errors, sorted by what must happen next. Breaches, denials and verdicts are values, never errors.

    PortcullisError
    ├── ConfigError       the configuration is wrong: do not start; lists every fault found
    ├── UsageError        the request is wrong: refuse it, change nothing
    │   └── NotFound      what was asked for does not exist
    ├── Retryable         a passing condition: back off, look, then try again
    │   ├── VenueUnreachable   nothing was sent
    │   │   └── OverBudget     the venue's limit of requests leaves no room
    │   └── VenueTimeout       the outcome is unknown: look before sending anything again
    ├── VenueRefused      the venue said no: record it, do not loop
    ├── Unsafe            an assumption broke: OBSERVE_ONLY, a person must look
    └── Fatal             going on would lie: stop now
        ├── StoreError         the store cannot be read, written or trusted
        │   ├── StoreLocked    another worker holds it
        │   ├── StoreTooNew    written by a newer version
        │   ├── StoreAway      its server cannot be reached now
        │   └── LedgerBroken   the chain does not hold; says where
        └── PortTaken          another process listens where we must

Every error carries a `remedy`: what a person can do about it, in one sentence.
"""

from __future__ import annotations


class PortcullisError(Exception):
    """Base of all errors raised on purpose; `exit_code` is what the command line ends with."""

    exit_code = 1

    def __init__(self, message: str, *, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


class ConfigError(PortcullisError):
    """Every fault of a configuration, found in one pass."""

    exit_code = 2

    def __init__(self, faults: tuple[str, ...]) -> None:
        noun = "fault" if len(faults) == 1 else "faults"
        super().__init__(
            f"{len(faults)} {noun} in the configuration:\n" + "\n".join(faults),
            remedy="mend the lines named above; nothing was started and nothing was changed",
        )
        self.faults = faults


class UsageError(PortcullisError):
    """The request is wrong: it is refused and nothing changes."""

    exit_code = 2


class NotFound(UsageError):
    """What was asked for does not exist."""

    exit_code = 5


class Retryable(PortcullisError):
    """A passing condition."""


class VenueUnreachable(Retryable):
    """The request did not reach the venue: nothing was sent."""


class OverBudget(VenueUnreachable):
    """Nothing was sent, since the venue's limit of requests leaves no room now."""


class VenueTimeout(Retryable):
    """No answer came: the request may have been carried out. Look before sending again."""


class VenueRefused(PortcullisError):
    """The venue said no. `code` is the venue's own word for why."""

    def __init__(self, code: str, message: str, *, remedy: str) -> None:
        super().__init__(f"{code}: {message}", remedy=remedy)
        self.code = code


class Unsafe(PortcullisError):
    """An assumption broke; the system falls to OBSERVE_ONLY."""


class Fatal(PortcullisError):
    """Going on would lie; the process stops."""


class StoreError(Fatal):
    """The store cannot be read, written or trusted."""


class StoreLocked(StoreError):
    """Another worker holds the store."""

    exit_code = 6


class StoreAway(StoreError):
    """The store's server cannot be reached; what was under way is not known to be durable."""


class StoreTooNew(StoreError):
    """The store was written by a newer version."""


class LedgerBroken(StoreError):
    """The chain does not hold. `position` is the first event that fails."""

    def __init__(self, message: str, *, position: int, remedy: str) -> None:
        super().__init__(message, remedy=remedy)
        self.position = position


class PortTaken(Fatal):
    """Another process listens on an address we need."""
