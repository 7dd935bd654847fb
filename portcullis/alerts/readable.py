"""Text of others as it may be shown to a person and leave the machine. Pure.

What checks, flows and services say is shown as they say it, but for what no reader can see (it may
change what the rest looks like, or drive a terminal) and for what is known to be a secret.
"""

from __future__ import annotations

import re

MASK = "***"
SECRETS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        r"(?<=bot)\d+:[\w-]{10,}",
        r"(?<=hooks\.slack\.com/)[\w/-]+",
        r"\bxox[a-z]-[\w-]+",
        r"\bxapp-[\w-]+",
        r"(?<=password=)[^&\s'\"]+",
        r"(?<=bearer )[\w.~+/=-]+",
        r"(?<=basic )[\w+/=-]{6,}",
    )
)
_MORE_SECRETS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        r"(?<=://)[^/\s@'\"]+(?=@)",
        r"(?<=token=)[^&\s'\"]+",
        r"(?<=secret=)[^&\s'\"]+",
        r"(?<=api_key=)[^&\s'\"]+",
        r"(?<=apikey=)[^&\s'\"]+",
        r"\btgrams?://[^\s'\"]+",
    )
)
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
UNSEEN = "�"


def readable(text: str) -> str:
    """The text with its secrets masked and with `UNSEEN` for each character that shows as none."""
    for form in (*SECRETS, *_MORE_SECRETS):
        text = form.sub(MASK, text)
    return seen(text)


def seen(text: str) -> str:
    """The text with `UNSEEN` for each character that shows as none; lines and tabs stay."""
    return _UNSEEN.sub(UNSEEN, text.replace("\r\n", "\n"))
