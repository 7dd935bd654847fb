"""Memory of a process that lives for weeks: what it no longer uses goes back to the system.

Validations leave cycles behind that the collector takes long to look at, and the allocator keeps
what was freed between what was not. Left alone that is some megabytes a minute for the first hour.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import sys

EVERY_SECONDS = 60.0


async def keep_small() -> None:
    """Give back once a minute, for ever. What is there after the first minute is never looked at
    again: modules and their tables, nearly all of the objects there are.
    """
    await asyncio.sleep(EVERY_SECONDS)
    gc.collect()
    gc.freeze()
    while True:
        await asyncio.to_thread(give_back)
        await asyncio.sleep(EVERY_SECONDS)


def give_back() -> None:
    """Collect what nothing refers to, and return free pages where the C library can."""
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; musl has none
        if trim is not None:
            trim(0)
