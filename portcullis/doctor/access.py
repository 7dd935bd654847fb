"""How the API is reached: keys that end, the certificate, and where its traces go."""

from __future__ import annotations

import socket
import ssl
import stat
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

import msgspec

from portcullis.config.certificate import (
    EVERYWHERE,
    LOOPBACK,
    Certificate,
    names_called,
    read_certificate,
)
from portcullis.config.settings import Settings
from portcullis.doctor.row import Row, checked
from portcullis.domain.model import DAY
from portcullis.domain.money import duration

NOTICE = 14 * DAY
"""So long before it ends a person wants to know."""

RENEW = "renew it, then restart the API"
LOG_BYTES = 2**20
ANSWER_SECONDS = 2.0


class Key(Protocol):
    """What is looked at of a key; `expires_at` in microseconds."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def expires_at(self) -> int: ...


class Keys(NamedTuple):
    """The keys of the API: those that hold, of these the ones to be replaced with what ends first
    before the others, and those that hold no more. `file` is where they are kept, `log` where
    requests are.
    """

    file: Path
    log: Path
    valid: Sequence[Key]
    ending: Sequence[Key]
    ended: Sequence[Key]


def examine(
    settings: Settings, keys: Callable[[], Keys], collector: Callable[[], str], now: int
) -> list[Row]:
    """The rows of keys, certificate and traces. `collector` gives the address of traces, if any."""
    return [
        checked("API keys", lambda: _keys(settings, keys(), now)),
        checked("certificate", lambda: _certificate(settings, now)),
        checked("traces", lambda: _traces(collector())),
    ]


def _keys(settings: Settings, keys: Keys, now: int) -> Row:
    name = "API keys"
    if not keys.valid and not keys.ended:
        if settings.api_host not in LOOPBACK:
            remedy = "portcullis key create --name NAME --role ROLE"
            return Row(name, "warn", "there is none: nobody gets in from elsewhere", remedy)
        return Row(name, "skip", "there is none; `portcullis key create` makes one")
    mode = stat.S_IMODE(keys.file.stat().st_mode)
    if mode & 0o077 and sys.platform != "win32":
        says = f"{keys.file} can be read by others ({mode:o})"
        return Row(name, "fail", says, f"chmod 600 {keys.file}")
    used = _used_lately(keys.log, {key.id for key in keys.ended})
    if used:
        last = ", ".join(_named(key) for key in keys.ended if key.id in used)
        remedy = "give whoever sends it another: portcullis key create, or key rotate in time"
        return Row(name, "warn", f"holds no more and is still sent: {last}", remedy)
    soon = [key for key in keys.ending if key.expires_at - now < NOTICE]
    if soon:
        ends = ", ".join(f"{_named(key)} in {_in_days(key.expires_at - now)}" for key in soon)
        return Row(name, "warn", f"ends: {ends}", f"portcullis key rotate {soon[0].id}")
    if not keys.valid:
        remedy = "portcullis key create --name NAME --role ROLE"
        return Row(name, "warn", f"none of {len(keys.ended)} holds any more", remedy)
    first = min(key.expires_at for key in keys.valid)
    says = f"{len(keys.valid)} hold; the first ends in {_in_days(first - now)}"
    return Row(name, "ok", says)


def _in_days(span: int) -> str:
    return f"{span // DAY} days" if span >= 2 * DAY else duration(span)


def _named(key: Key) -> str:
    return f"{key.name} ({key.id})"


class _Line(msgspec.Struct):
    """What is read of a line of the request log: a key without a role is one that was refused."""

    key: str = ""
    role: str | None = ""


def _used_lately(log: Path, ids: set[str]) -> set[str]:
    """Which of these keys were refused, as far as the end of the request log tells."""
    if not ids or not log.is_file():
        return set()
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LOG_BYTES))
        lines = file.read(LOG_BYTES).splitlines()
    return {line.key for line in _read(lines) if line.role is None} & ids


def _read(lines: Iterable[bytes]) -> Iterable[_Line]:
    for line in lines:
        try:
            yield msgspec.json.decode(line, type=_Line)
        except msgspec.MsgspecError:
            continue  # the first one may be cut


def _certificate(settings: Settings, now: int) -> Row:
    name, held = "certificate", read_certificate(settings)
    if held is None:
        if settings.api_host not in LOOPBACK:
            says = f"there is none, and keys would go to {settings.api_host} in clear"
            remedy = "set PORTCULLIS_API_CERTIFICATE and PORTCULLIS_API_CERTIFICATE_KEY"
            return Row(name, "fail", says, remedy)
        return Row(name, "skip", "the API speaks plainly, on loopback alone")
    if held.begins_at > now:
        says = f"it holds in {_in_days(held.begins_at - now)} only"
        return Row(name, "fail", says, "is the machine's clock right? or name the one before")
    if held.expires_at <= now:
        return Row(name, "fail", f"it ended {_in_days(now - held.expires_at)} ago", RENEW)
    return _holding(settings, held, now)


def _holding(settings: Settings, held: Certificate, now: int) -> Row:
    """Of a certificate that holds now."""
    name, key_file = "certificate", Path(settings.api_certificate_key).expanduser()
    mode = stat.S_IMODE(key_file.stat().st_mode)
    if mode & 0o077 and sys.platform != "win32":
        says = f"others can read its key {key_file} ({mode:o})"
        return Row(name, "fail", says, f"chmod 600 {key_file}")
    says = f"for {', '.join(held.names) or 'no name'}; it ends in {_in_days(held.expires_at - now)}"
    missing = [each for each in names_called(settings) if not held.is_for(each)]
    if missing:
        remedy = "have one made for every name that the API is called by"
        return Row(name, "warn", f"not for {', '.join(missing)}, but {says}", remedy)
    if held.expires_at - now < NOTICE:
        return Row(name, "warn", says, RENEW)
    if _serves_another(settings, held):
        return Row(name, "warn", f"{says}; the API still serves the one before", "restart the API")
    return Row(name, "ok", says)


def _serves_another(settings: Settings, held: Certificate) -> bool:
    """Whether the API that runs, if one does, has read another certificate at its start."""
    host = LOOPBACK[0] if settings.api_host in EVERYWHERE else settings.api_host
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, settings.api_port), ANSWER_SECONDS) as line,
            context.wrap_socket(line) as secured,
        ):
            return secured.getpeercert(binary_form=True) != held.der
    except OSError:
        return False


def _traces(collector: str) -> Row:
    if not collector:
        return Row("traces", "skip", "go to no collector; PORTCULLIS_OTLP_URL names one")
    address = urlsplit(collector)
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        socket.create_connection((address.hostname or "", port), ANSWER_SECONDS).close()
    except OSError as error:
        says = f"nobody answers at {collector}: {error.strerror or error}"
        return Row("traces", "warn", says, "start the collector; until then spans are lost")
    return Row("traces", "ok", f"{collector} answers")
