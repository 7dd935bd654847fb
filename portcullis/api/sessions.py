"""Browser sessions: a person shows a key once, and the browser carries a cookie from then on.

In memory alone: a start of the API ends them all. What changes something needs the session's word
besides the cookie, which pages of other origins cannot know.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Mapping
from typing import NamedTuple

from portcullis.api.access import Caller
from portcullis.api.keys import Key, KeyFile
from portcullis.domain.bounds import forget_oldest
from portcullis.domain.model import HOUR

COOKIE = "portcullis_session"
WORD = "x-csrf-token"
LASTS = 8 * HOUR
SESSIONS_MAX = 1_000
READING = frozenset(("GET", "HEAD", "OPTIONS"))


class Session(NamedTuple):
    """Who signed in: by which key, until when (microseconds), and the word for changes."""

    key_id: str
    until: int
    word: str


class Sessions:
    """The sessions of this process."""

    def __init__(self, keys: KeyFile, now: Callable[[], int]) -> None:
        self._keys, self._now = keys, now
        self._by_token: dict[str, Session] = {}

    def begin(self, key: Key) -> str:
        """A new session of a key that holds; the token for the cookie."""
        token = secrets.token_urlsafe(32)
        until = min(self._now() + LASTS, key.expires_at)
        self._by_token[token] = Session(key.id, until, secrets.token_urlsafe(24))
        forget_oldest(self._by_token, SESSIONS_MAX)
        return token

    def end(self, headers: Mapping[str, str]) -> None:
        """Forget the session of a request, if it has one."""
        self._by_token.pop(_token(headers), None)

    def of(self, headers: Mapping[str, str]) -> Session | None:
        """The session of a request while it lasts."""
        session = self._by_token.get(_token(headers))
        return session if session is not None and session.until > self._now() else None

    def caller(self, headers: Mapping[str, str], method: str, caller: Caller) -> Caller:
        """The caller with the role of the session; as before where there is none, where its key
        was revoked, or where what changes something lacks the session's word.
        """
        session = self.of(headers)
        if session is None or not _is_meant(headers, method, session):
            return caller
        key = next((each for each in self._keys.all() if each.id == session.key_id), None)
        if key is None or key.state(self._now()) != "valid":
            return caller
        return caller._replace(name=key.name, key_id=key.id, role=key.role)


def _is_meant(headers: Mapping[str, str], method: str, session: Session) -> bool:
    """Whether a person on our own page meant it, and not a page of somebody else."""
    if method in READING:
        return True
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    return hmac.compare_digest(headers.get(WORD, "").encode(), session.word.encode())


def _token(headers: Mapping[str, str]) -> str:
    """The token of our cookie. A browser sends those of every other port of the host with it, and
    one that is oddly written must not hide ours, as the standard library's reader lets it.
    """
    for each in headers.get("cookie", "").split(";"):
        name, _, value = each.strip().partition("=")
        if name == COOKIE:
            return value
    return ""
