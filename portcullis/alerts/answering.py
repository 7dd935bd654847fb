"""What an operator asks for by a channel, asked of the worker through the inbox like anything else.

So it is recorded, with who asked. Nothing here can release or loosen: the verbs below are all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from portcullis import gate_client
from portcullis.alerts.alert_reader import AlertReader
from portcullis.alerts.conversation import Action
from portcullis.alerts.words import clock, masked
from portcullis.clock import SystemClock
from portcullis.config.settings import Settings
from portcullis.domain.money import duration
from portcullis.errors import NotFound
from portcullis.store.opening import is_own, open_inbox
from portcullis.worker.requests import Asked

GATE_SECONDS = 4.0
ANSWER_SECONDS = 6.0
POLL_SECONDS = 0.1
LISTED_MAX = 15


class Answering:
    """Carries out what an operator wants; the answer is a sentence for that person."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._verbs: dict[str, Callable[[Action], str]] = {
            "acknowledge": self._acknowledge,
            "silence": self._silence,
            "status": self._status,
            "alerts": self._alerts,
            "lock": self._lock,
        }

    def handle(self, action: Action) -> str:
        """Raises PortcullisError where it cannot be done."""
        return self._verbs[action.verb](action)

    # --- what tightens or answers -----------------------------------------------------------------

    def _acknowledge(self, action: Action) -> str:
        self._refuse_unknown(action.alerts)
        for alert in action.alerts:
            self._ask(action, "acknowledge", alert, alert=alert)
        return ""

    def _silence(self, action: Action) -> str:
        self._refuse_unknown(action.alerts)
        for alert in action.alerts:
            self._ask(action, "silence", alert, alert=alert, for_us=action.for_us)
        return ""

    def _refuse_unknown(self, alerts: Sequence[str]) -> None:
        with AlertReader(self._settings.home_path) as store:
            unknown = [each for each in alerts if store.alert(each) is None]
        if unknown:
            raise NotFound(f"there is no alert {', '.join(unknown)}", remedy="see /alerts")

    def _lock(self, action: Action) -> str:
        account = self._account(action.account)
        name = self._ask(action, "lock", account, account=account)
        answer = self._answer(name)
        shown = masked(account)
        return f"{shown}: {answer}" if answer else f"{shown}: asked; the worker has not answered"

    def _account(self, given: str) -> str:
        """An account by its id, or as messages show it. Raises NotFound."""
        with AlertReader(self._settings.home_path) as store:
            known = store.kept().memory.accounts
        found = [each for each in known if given in (each, masked(each))]
        if len(found) != 1:
            names = ", ".join(masked(each) for each in known) or "none"
            raise NotFound(f"{len(found)} accounts are {given!r}", remedy=f"known are: {names}")
        return found[0]

    def _ask(
        self,
        action: Action,
        verb: str,
        what: str,
        *,
        account: str | None = None,
        **arguments: Any,
    ) -> str:
        """Once, however often Telegram repeats an update."""
        name = f"{action.key}-{verb}-{what}"
        by, now = f"telegram:{action.by}", SystemClock().now()
        body = Asked(f"{verb} by Telegram user {action.user}", account, arguments)
        inbox = open_inbox(self._settings)
        try:
            inbox.ask(name, verb, by, "operator", msgspec.msgpack.encode(body), now)
        finally:
            inbox.close()
        return name

    def _answer(self, name: str) -> str:
        deadline = time.monotonic() + ANSWER_SECONDS
        inbox = open_inbox(self._settings)
        try:
            while time.monotonic() < deadline:
                answer = inbox.answer_to(name)
                if answer is not None:
                    return answer.detail
                time.sleep(POLL_SECONDS)
        finally:
            inbox.close()
        return ""

    # --- what only looks --------------------------------------------------------------------------

    def _status(self, _action: Action) -> str:
        try:
            found = gate_client.health(self._settings, GATE_SECONDS, is_own)
        except gate_client.NoAnswer:
            return "No worker answers: the gate is shut. See /alerts."
        rows = [f"{found['mode']}: {found['why']}"]
        rows += [f"lacking {each}" for each in found["lacking"]]
        rows += [f"venue {name}: {'up' if up else 'DOWN'}" for name, up in found["venues"].items()]
        rows.append(f"{found['accounts_monitored']} accounts")
        return "\n".join(rows)

    def _alerts(self, _action: Action) -> str:
        with AlertReader(self._settings.home_path) as store:
            found = store.alerts(limit=LISTED_MAX)
        now = SystemClock().now()
        rows = [
            f"{a.id} {a.severity} {a.title}{f' {masked(a.account)}' if a.account else ''}, "
            f"{a.state}, {duration(max(0, now - a.first_at))} old"
            for a in found
        ]
        return "\n".join(rows) or f"No alert is open ({clock(now)})."
