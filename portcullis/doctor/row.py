"""A row of the doctor's findings, and checks that never end the examination."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec

from portcullis.errors import PortcullisError

State = Literal["ok", "warn", "fail", "skip"]


class Row(msgspec.Struct, frozen=True):
    """What was looked at, how it is, and what a person can do about it."""

    name: str
    state: State
    says: str
    remedy: str = ""


def failed(name: str, error: Exception) -> Row:
    """A check that ended with an error; one that nobody expected is a failure too."""
    if isinstance(error, PortcullisError):
        return Row(name, "fail", str(error), error.remedy)
    return Row(name, "fail", f"{type(error).__name__}: {error}", "this is a defect: report it")


def checked(name: str, check: Callable[[], Row]) -> Row:
    """A check's row."""
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - the other rows are still wanted
        return failed(name, error)


async def asked(name: str, check: Callable[[], Awaitable[list[Row]]]) -> list[Row]:
    """The rows of a check that asks somebody."""
    try:
        return await check()
    except Exception as error:  # noqa: BLE001 - the other rows are still wanted
        return [failed(name, error)]
