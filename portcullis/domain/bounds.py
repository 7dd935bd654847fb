"""Keeping tables that only ever grow at their bound."""

from __future__ import annotations

from itertools import islice
from typing import Any, TypeVar

Key = TypeVar("Key")


def forget_oldest(table: dict[Key, Any], keep: int) -> None:
    """Cut a table that outgrew `keep` back to it, oldest entries first.

    Many at once and seldom: what was deleted before the first entry of a dict is passed again
    each time that entry is looked for.
    """
    if len(table) > keep + keep // 64:
        for key in list(islice(table, len(table) - keep)):
            del table[key]
