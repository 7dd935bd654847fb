"""Async tests in virtual time."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any

from portcullis.virtual_time import VirtualLoop, run


def virtual(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Make an async test run in virtual time."""

    @functools.wraps(test)
    def in_virtual_time(*args, **kwargs) -> None:
        run(test(*args, **kwargs), VirtualLoop())

    return in_virtual_time
