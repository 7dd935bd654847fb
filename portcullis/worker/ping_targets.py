"""Where the dead-man's ping goes: addresses of watchers outside this machine, and what each takes.

An address is a secret: whoever has it can say that all is well. `shown` is what may be printed.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple
from urllib.parse import SplitResult, quote, urlencode, urlsplit

from portcullis.errors import UsageError

TARGETS_MAX = 4
LINE_MAX = 200
"""Characters of the line that goes into an address."""

HOSTED = "hc-ping.com"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
FORMS = (
    "give https://HOST/UUID (healthchecks), https://HOST/api/push/TOKEN (Uptime Kuma), or an "
    "address with {status} or {message} in it"
)


class Report(NamedTuple):
    """What is told: why all is not well (empty: it is), one line of it, and the whole text."""

    failing: str
    line: str
    body: str


class Request(NamedTuple):
    """What is sent to a target; without a body it is a GET."""

    url: str
    body: bytes | None


class Target(NamedTuple):
    """One watcher outside."""

    form: Literal["healthchecks", "kuma", "template"]
    url: str
    shown: str

    def request(self, report: Report, took_ms: int | None) -> Request | None:
        """What tells this target; None where it knows silence only. `took_ms`: the last ping."""
        status = "down" if report.failing else "up"
        line = report.line[:LINE_MAX]
        if self.form == "healthchecks":
            ending = "/fail" if report.failing else ""
            return Request(f"{self.url}{ending}", report.body.encode())
        if self.form == "kuma":
            figures = {"status": status, "msg": line, "ping": "" if took_ms is None else took_ms}
            return Request(f"{self.url}?{urlencode(figures)}", None)
        if report.failing and "{status}" not in self.url:
            return None
        url = self.url.replace("{status}", status)
        return Request(url.replace("{message}", quote(line, safe="")), None)

    def fault(self, status: int, answer: str) -> str:
        """Why an answer is no acceptance; empty when it is one."""
        if not 200 <= status < 300:
            return f"it answered {status}"
        if self.form == "healthchecks" and answer.startswith("OK ("):
            return f"it answered {answer[:LINE_MAX]!r}"  # 200, although no such check is there
        if self.form == "kuma" and '"ok":false' in answer.replace(" ", ""):
            return "it answered that it did not take the push"
        return ""


def targets(text: str) -> tuple[Target, ...]:
    """The targets of a setting. Raises UsageError, which does not repeat any address."""
    found = [_target(part, number) for number, part in enumerate(_parts(text), start=1)]
    if len(found) > TARGETS_MAX:
        raise UsageError(
            f"PORTCULLIS_DEAD_MAN names {len(found)} addresses",
            remedy=f"name {TARGETS_MAX} at most",
        )
    return tuple(found)


def _parts(text: str) -> list[str]:
    return [part for part in re.split(r"[\s,]+", text) if part]


def _target(text: str, number: int) -> Target:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = SplitResult("", "", "", "", ""), None, None
    if parts.scheme not in ("http", "https") or not host:
        raise _refused(number, "is no address of the web")
    if parts.username is not None or parts.password is not None:
        raise _refused(number, "has a user in it, which is not sent")
    if not text.isascii() or not text.isprintable():
        raise _refused(number, "has characters that an address cannot have")
    name = f"[{host}]" if ":" in host else host
    shown = f"{parts.scheme}://{name}{f':{port}' if port else ''}/..."
    if "{status}" in text or "{message}" in text:
        return Target("template", text, shown)
    path = parts.path.rstrip("/")
    bare = f"{parts.scheme}://{parts.netloc}{path}"
    if "/api/push/" in path:
        return Target("kuma", bare, shown)
    if _UUID.fullmatch(path.rpartition("/")[2]) or (host == HOSTED and path):
        return Target("healthchecks", bare, shown)
    raise _refused(number, "is of no form that is known")


def _refused(number: int, what: str) -> UsageError:
    return UsageError(f"PORTCULLIS_DEAD_MAN: address {number} {what}", remedy=FORMS)
