"""API keys: shown once, kept as digests in `<home>/api_keys.json`, for its owner alone.

A key is `pck_<id>_<secret>_<checksum>`: the first part is for scanners of secrets, the id finds
the row, the secret has 256 random bits, the checksum tells a slip of the pen from a wrong key
without a look at the file. A random key of that length needs no slow hash.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import msgspec

from portcullis.domain.model import DAY, HOUR
from portcullis.errors import NotFound, StoreError, StoreLocked, UsageError
from portcullis.store.database import explained
from portcullis.store.lock import WriterLock

Role = Literal["readonly", "operator", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
"""From the least to the most."""

FILE = "api_keys.json"
LOCK_FILE = "api_keys.lock"
KEYS_MAX = 1_000
NAME_MAX = 64
LASTS = 90 * DAY
LASTS_MAX = 366 * DAY
SHORT = 14 * DAY
OVERLAP_MAX = 30 * DAY
KEPT = 90 * DAY
LOCK_SECONDS = 5.0
LOCK_PAUSE = 0.02
ID_LENGTH, SECRET_LENGTH = 8, 43  # 43 of 62 signs: 256 bits

_SIGNS = string.ascii_letters + string.digits
_FORM = re.compile(r"(pck_([A-Za-z0-9]{8})_[A-Za-z0-9]{43})_([0-9a-f]{8})")
_NAME = re.compile(r"[\w .@+-]{1,64}")


class Key(msgspec.Struct, frozen=True):
    """A key as it is kept. Times in microseconds; `revoked_at` is 0 while it was not revoked.

    `replaces` is the id of the key whose place it took by rotation.
    """

    id: str
    name: str
    role: Role
    digest: str
    created_at: int
    expires_at: int
    created_by: str = ""
    revoked_at: int = 0
    replaces: str = ""

    def state(self, now: int) -> str:
        if self.revoked_at:
            return "revoked"
        return "expired" if self.expires_at <= now else "valid"


class Made(NamedTuple):
    """A new key: what is kept, and the text that is shown this one time."""

    key: Key
    text: str


class Standing(NamedTuple):
    """Keys that hold; of these the ones that are to be replaced, what ends first before the others;
    and those that hold no more.
    """

    valid: tuple[Key, ...]
    ending: tuple[Key, ...]
    ended: tuple[Key, ...]


def standing(keys: Iterable[Key], now: int) -> Standing:
    """How keys stand. One with a successor, or made for `SHORT` at most, is meant to end."""
    known = tuple(keys)
    valid = tuple(key for key in known if key.state(now) == "valid")
    replaced = {key.replaces for key in valid}
    ending = (
        key for key in valid if key.id not in replaced and key.expires_at - key.created_at > SHORT
    )
    first = tuple(sorted(ending, key=lambda key: key.expires_at))
    return Standing(valid, first, tuple(key for key in known if key.state(now) != "valid"))


class KeyFile:
    """The keys of a home. Any process may change them, one at a time; each sees changes at once."""

    def __init__(self, home: Path) -> None:
        self.path, self._lock = home / FILE, home / LOCK_FILE
        self._stamp: tuple[int, int, int] | None = None
        self._keys: dict[str, Key] = {}

    def all(self) -> list[Key]:
        """Every key, also those that hold no more; the oldest first."""
        return list(self._read().values())

    def named_by(self, text: str) -> Key | None:
        """The key that a text is, whether it holds or not; None where it is none."""
        form = _FORM.fullmatch(text)
        if form is None or _checksum(form[1]) != form[3]:
            return None
        found = self._read().get(form[2])
        if found is None or not hmac.compare_digest(found.digest, _digest(text)):
            return None
        return found

    def create(self, name: str, role: Role, now: int, *, lasts: int = LASTS, by: str = "") -> Made:
        """A new key. Raises UsageError for a name or time that is none, or too many keys."""
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"a key cannot be named {name[:NAME_MAX]!r}",
                remedy=f"give 1 to {NAME_MAX} letters, digits, spaces or . @ + - _",
            )
        if not HOUR <= lasts <= LASTS_MAX:
            raise UsageError(
                "a key lasts an hour at least and a year at most", remedy="give it as 90d"
            )
        with self._changing(now) as keys:
            made = _make(name, role, now, now + lasts, by)
            keys[made.key.id] = made.key
        return made

    def rotate(self, key_id: str, now: int, *, overlap: int = DAY, by: str = "") -> Made:
        """A new key in place of another, which holds for `overlap` more. Raises NotFound."""
        if not 0 <= overlap <= OVERLAP_MAX:
            raise UsageError("two keys overlap for 30 days at most", remedy="give it as 1d")
        with self._changing(now) as keys:
            old = _existing(keys, key_id)
            if old.state(now) != "valid":
                raise UsageError(
                    f"key {key_id} is {old.state(now)}", remedy="make one with `key create`"
                )
            lasts = min(LASTS_MAX, max(HOUR, old.expires_at - old.created_at))
            made = _make(old.name, old.role, now, now + lasts, by, replaces=old.id)
            ends = min(old.expires_at, now + overlap)
            keys[old.id] = msgspec.structs.replace(old, expires_at=ends)
            keys[made.key.id] = made.key
        return made

    def revoke(self, key_id: str, now: int) -> Key:
        """End a key at once. Raises NotFound; one that is revoked stays so."""
        with self._changing(now) as keys:
            old = _existing(keys, key_id)
            if not old.revoked_at:
                old = keys[old.id] = msgspec.structs.replace(old, revoked_at=now)
        return old

    def _read(self) -> dict[str, Key]:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            self._keys, self._stamp = {}, None
            return self._keys
        stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
        if stamp != self._stamp:
            with explained(self.path):
                data = self.path.read_bytes()
            try:
                keys = msgspec.json.decode(data, type=list[Key])
            except msgspec.MsgspecError as error:
                raise StoreError(
                    f"{self.path}: this is no file of keys: {error}",
                    remedy="put it back from a backup, or remove it and make new keys",
                ) from error
            self._keys, self._stamp = {key.id: key for key in keys}, stamp
        return self._keys

    @contextmanager
    def _changing(self, now: int) -> Iterator[dict[str, Key]]:
        """The keys, to be changed: what is left of them replaces the file whole."""
        with _held(self._lock):
            keys = {i: key for i, key in self._read().items() if not _is_forgotten(key, now)}
            yield keys
            if len(keys) > KEYS_MAX:
                raise UsageError(
                    f"there are {KEYS_MAX} keys already", remedy="revoke those nobody uses"
                )
            _write(self.path, msgspec.json.format(msgspec.json.encode([*keys.values()])))


def signing_id(now: int) -> str:
    """A request's id that says when it was made, in milliseconds, and is one of its own."""
    return f"{now // 1_000:012x}{secrets.token_hex(10)}"


def signing_time(request_id: str) -> int:
    """When a request with such an id was made, in microseconds."""
    return int(request_id[:12], 16) * 1_000


def _make(name: str, role: Role, now: int, until: int, by: str, replaces: str = "") -> Made:
    key_id, secret = (_random(length) for length in (ID_LENGTH, SECRET_LENGTH))
    body = f"pck_{key_id}_{secret}"
    text = f"{body}_{_checksum(body)}"
    return Made(Key(key_id, name, role, _digest(text), now, until, by, replaces=replaces), text)


def _random(length: int) -> str:
    return "".join(secrets.choice(_SIGNS) for _ in range(length))


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _is_forgotten(key: Key, now: int) -> bool:
    ended = key.revoked_at or key.expires_at
    return ended < now - KEPT


def _existing(keys: dict[str, Key], key_id: str) -> Key:
    if key_id not in keys:
        raise NotFound(f"there is no key {key_id[:16]!r}", remedy="see `portcullis key list`")
    return keys[key_id]


def _write(path: Path, data: bytes) -> None:
    """Replace the file whole; from the beginning nobody else may read it."""
    fresh = path.with_suffix(".new")
    with explained(path):
        fresh.unlink(missing_ok=True)
        fresh.touch(mode=0o600)
        fresh.write_bytes(data)
        fresh.replace(path)


def _held(path: Path) -> WriterLock:
    """The lock of the file, waited for a little: each holds it for some milliseconds."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            return WriterLock(path)
        except StoreLocked:
            if time.monotonic() > deadline:
                raise
        time.sleep(LOCK_PAUSE)
