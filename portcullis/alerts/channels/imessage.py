"""iMessage as plugins of Apprise: through a BlueBubbles server, or by this Mac's own Messages.

Best effort, both. Apple offers no interface: an answer says that Messages took the text, not that
it left, and either way may send and then report a failure. What is not a clear answer is `unknown`.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote, unquote

import requests
from apprise.plugins.base import NotifyBase

from portcullis.alerts.channels.watching import state
from portcullis.alerts.message import Outcome

HANDLE = re.compile(r"\+?[0-9]{5,15}|[^@\s/;]+@[^@\s/;]+\.[^@\s/;]+")
"""Whom Apple knows: a telephone number or a mail address."""

CHAT = re.compile(r"(iMessage|SMS|RCS|any);[+-];[^\s/]+", re.IGNORECASE)
METHODS = ("private-api", "apple-script")
SERVICES = ("imessage", "sms", "auto")
LIMIT = 8000
"""Characters; Messages takes more, a person does not read more."""

NOT_ALLOWED = ("-1743", "not authorized", "not authorised", "permission")


class BlueBubbles(NotifyBase):  # type: ignore[misc]
    """`bbub://:PASSWORD@HOST:PORT/RECIPIENT`, `bbubs://` over TLS.

    RECIPIENT is a number, a mail address or a whole chat (its semicolons as %3B, a plus as %2B).
    Options: `method` (private-api, the default, or apple-script) and `chat` (what stands before the
    recipient: iMessage, the default, or `any`, as macOS 26 wants it).
    """

    service_name = "iMessage by BlueBubbles"
    service_url = "https://bluebubbles.app/"
    setup_url = "docs/alerts_channels.md"
    protocol = "bbub"
    secure_protocol = "bbubs"
    request_rate_per_sec = 1.0
    body_maxlen = LIMIT
    title_maxlen = 0

    def __init__(self, targets: list[str], method: str, chat: str, **options: Any) -> None:
        super().__init__(**options)
        self.targets = [_recipient(target, chats=True) for target in targets]
        self.method = _one_of(method, METHODS, "method")
        self.chat = _one_of(chat, ("iMessage", "SMS", "any"), "chat")
        self.message_id = ""
        if not self.password:
            raise TypeError("the server's password is missing before the @")

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def url_identifier(self) -> tuple[Any, ...]:
        return (self.schema, self.password, self.host, self.port)

    def url(self, privacy: bool = False, *_: Any, **__: Any) -> str:
        """The address; without the password where `privacy` is wanted."""
        port = f":{self.port}" if self.port else ""
        secret = "…" if privacy else f":{quote(self.password, safe='')}"
        rest = "" if privacy else f"?method={self.method}&chat={self.chat}"
        return f"{self.schema}://{secret}@{self.host}{port}/{'/'.join(self.targets)}{rest}"

    def send(self, body: str, title: str = "", **_: Any) -> bool:
        """Hand the text to the server. A repeat of one it is still at work on is dropped there."""
        (target,) = self.targets
        text = f"{title}\n{body}" if title else body
        try:
            response = requests.post(
                f"{'https' if self.secure else 'http'}://{self.host}"
                f"{f':{self.port}' if self.port else ''}/api/v1/message/text",
                params={"password": self.password},
                json={
                    "chatGuid": target if CHAT.fullmatch(target) else f"{self.chat};-;{target}",
                    "tempGuid": f"portcullis-{self.message_id}",
                    "message": text,
                    "method": self.method,
                },
                verify=self.verify_certificate,
                timeout=self.request_timeout,
                allow_redirects=False,
            )
        except requests.RequestException as problem:
            self.logger.warning("BlueBubbles gave no answer: %s", type(problem).__name__)
            return False
        return bool(response.status_code == requests.codes.ok)

    @staticmethod
    def parse_url(url: str) -> dict[str, Any] | None:
        """The parts of the address, or None."""
        parts = NotifyBase.parse_url(url)
        if not parts:
            return None
        query = parts["qsd"]
        parts["targets"] = NotifyBase.split_path(parts["fullpath"])
        parts["method"] = query.get("method") or METHODS[0]
        parts["chat"] = query.get("chat") or "iMessage"
        if parts.get("user") and not parts.get("password"):
            parts["password"] = parts.pop("user")
        return dict(parts)


class MacMessages(NotifyBase):  # type: ignore[misc]
    """`imsg://RECIPIENT`: this Mac's own Messages, by the program `imsg`.

    Options: `service` (imessage, the default, sms or auto) and `program` (where `imsg` lies, if not
    on the path). The sender must run in a session of a person who is logged in.
    """

    service_name = "iMessage by this Mac"
    service_url = "https://github.com/openclaw/imsg"
    setup_url = "docs/alerts_channels.md"
    protocol = "imsg"
    secure_protocol: ClassVar[tuple[str, ...]] = ()
    request_rate_per_sec = 1.0
    body_maxlen = LIMIT
    title_maxlen = 0

    def __init__(self, targets: list[str], service: str, program: str, **options: Any) -> None:
        super().__init__(**options)
        self.targets = [_recipient(target, chats=False) for target in targets]
        self.service = _one_of(service, SERVICES, "service")
        if Path(program).name != "imsg":
            raise TypeError("the option `program` names something other than imsg")
        self.program = program

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def url_identifier(self) -> tuple[Any, ...]:
        return (self.schema, self.service)

    def url(self, privacy: bool = False, *_: Any, **__: Any) -> str:  # noqa: ARG002
        """The address, in which nothing is secret."""
        return f"imsg://{'/'.join(self.targets)}?service={self.service}"

    def send(self, body: str, title: str = "", **_: Any) -> bool:
        """Run the program once, with the text as one argument, and end it when time is up."""
        (target,) = self.targets
        program = shutil.which(self.program)
        if program is None:
            state(Outcome("refused", "the program imsg is not on this machine"))
            return False
        text = f"{title}\n{body}" if title else body
        text = f" {text}" if text.startswith("-") else text  # else it reads as an option
        command = [program, "send", "--to", target, "--text", text, "--service", self.service]
        outcome = _run(command, self.socket_read_timeout)
        state(outcome)
        return outcome.kind == "delivered"

    @staticmethod
    def parse_url(url: str) -> dict[str, Any] | None:
        """The parts of the address, or None."""
        parts = NotifyBase.parse_url(url, verify_host=False)
        if not parts:
            return None
        query = parts["qsd"]
        first = unquote(parts["host"] or "")
        if parts.get("user"):
            first = f"{unquote(parts['user'])}@{first}"
        parts["targets"] = [first, *NotifyBase.split_path(parts["fullpath"])]
        parts["service"] = query.get("service") or SERVICES[0]
        parts["program"] = query.get("program") or "imsg"
        return dict(parts)


def _run(command: list[str], within: float) -> Outcome:
    """What became of the text; without the permission to steer Messages, the program only hangs."""
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(  # noqa: S603  (a list, no shell; the program's name is checked)
                command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as problem:
            return Outcome("refused", f"imsg cannot be run: {problem.strerror}")
        try:
            code = process.wait(within)
        except subprocess.TimeoutExpired:
            _end(process)
            return Outcome("unknown", f"imsg did not end within {within:g} s")
        said.seek(0)
        words = " ".join(said.read(2000).decode("utf-8", errors="replace").split())[:300]
    if code == 0:
        return Outcome("delivered")
    forbidden = any(sign in words.lower() for sign in NOT_ALLOWED)
    return Outcome("refused" if forbidden else "unknown", f"imsg ended with {code}: {words}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the program and everything it started, and do not wait long for it."""
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):  # this module is read on Windows too, where nothing runs it
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    with suppress(subprocess.TimeoutExpired):
        process.wait(1)


def _recipient(target: str, *, chats: bool) -> str:
    target = unquote(target)
    if HANDLE.fullmatch(target) or (chats and CHAT.fullmatch(target)):
        return target
    raise TypeError("the recipient is neither a telephone number nor a mail address")


def _one_of(value: str, allowed: tuple[str, ...], option: str) -> str:
    for known in allowed:
        if value.lower() == known.lower():
            return known
    raise TypeError(f"the option `{option}` is none of {', '.join(allowed)}")
