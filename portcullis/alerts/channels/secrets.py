"""What nobody may read: the secrets of an address, and the loggers that would print them."""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote, unquote

from portcullis.alerts.readable import MASK, SECRETS, seen

SHORT = 4
"""Characters; what is shorter is masked only where it stands alone."""

REASON_MAX = 300
"""Characters of a reason."""

QUIET = ("urllib3", "requests", "apprise", "httpx", "httpcore", "smtplib", "charset_normalizer")
"""Loggers that print addresses: below WARNING they say nothing, whatever the root's level."""

HARMLESS = frozenset(
    ("yes", "no", "true", "false", "on", "off", "text", "html", "insecure", "starttls", "ssl")
)
_SEPARATORS = re.compile(r"[/@?&=#:,;\s]+")


def redact(text: str, address: str, shown: str = "") -> str:
    """The text with every secret of `address` masked; `shown` is what of it may be read.

    Without `shown` every part of the address counts as a secret.
    """
    for form in SECRETS:
        text = form.sub(MASK, text)
    pattern = _pattern(address, shown)
    return pattern.sub(MASK, text) if pattern else text


def cleaned(reason: str, address: str, shown: str = "") -> str:
    """A reason as it may be kept and read: without secrets, and only then cut to its length."""
    words = seen(redact(reason, address, shown))
    return words if len(words) <= REASON_MAX else words[: REASON_MAX - 1] + "…"


def quiet_loggers() -> None:
    """Keep those who print addresses silent: their level and, for Apprise, the way to the root."""
    for name in QUIET:
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, logging.WARNING))
    apprise = logging.getLogger("apprise")
    apprise.propagate = False
    if not apprise.handlers:
        apprise.addHandler(logging.NullHandler())  # else the last resort writes to stderr


@lru_cache(maxsize=256)
def _pattern(address: str, shown: str) -> re.Pattern[str] | None:
    found = sorted(_secrets_of(address, shown), key=lambda word: (-len(word), word))
    if not found:
        return None
    return re.compile("|".join(map(_alone_if_short, found)), re.IGNORECASE)


def _secrets_of(address: str, shown: str) -> frozenset[str]:
    """Parts of the address that are not in `shown`, in every writing they may come back in."""
    _, scheme, rest = address.partition("://")
    rest = rest if scheme else address
    parts = set(_words(rest)) | set(_userinfo(rest))
    known = set(_words(shown)) | HARMLESS | _option_names(rest)
    return frozenset(
        written
        for part in parts
        if part not in known and unquote(part) not in known
        for written in _writings(part)
        if len(written) > 1
    )


def _words(text: str) -> Iterable[str]:
    return (word for word in _SEPARATORS.split(text) if word)


def _userinfo(rest: str) -> Iterable[str]:
    """What stands before the host: as a whole, as a password with separators in it, as Basic."""
    before, at, _ = rest.partition("?")[0].rpartition("@")
    if not at:
        return
    yield before
    _, colon, password = before.partition(":")
    if colon and password:
        yield password
    yield base64.b64encode(unquote(before).encode()).decode()


def _option_names(rest: str) -> set[str]:
    """Names of options (`to`, `smtp`); those of headers are kept, their values are not."""
    query = rest.partition("?")[2]
    return {pair.partition("=")[0].lstrip("+-:") for pair in query.split("&")}


def _writings(part: str) -> Iterable[str]:
    plain = unquote(part)
    return {part, plain, quote(plain), quote(plain, safe="")}


def _alone_if_short(word: str) -> str:
    escaped = re.escape(word)
    return rf"(?<!\w){escaped}(?!\w)" if len(word) < SHORT else escaped
