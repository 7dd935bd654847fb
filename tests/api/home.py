"""A home with a real worker on a real ledger, in a thread, for the API to look at."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from portcullis.api.app import build
from portcullis.api.guard import Asked
from portcullis.api.here import make_here
from portcullis.api.keys import ROLES, KeyFile, signing_id
from portcullis.clock import SystemClock
from portcullis.config.settings import Settings
from portcullis.domain.events import Quote
from portcullis.domain.model import MICRO
from portcullis.domain.plan import AccountPlan, Plan, Requirement
from portcullis.domain.rules import max_contracts
from portcullis.store import credential
from portcullis.store.inbox import StoredInbox
from portcullis.store.ledger import SqliteLedger
from portcullis.store.opening import open_inbox
from portcullis.store.writer import GroupCommit
from portcullis.venues.simulated import Exchange, LocalVenue, instrument
from portcullis.worker import requests
from portcullis.worker.service import Ports, Terms, Worker

ES = instrument("ES")
NOW = SystemClock().now
UNLIMITED = 1_000_000


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def settings_of(folder: Path, **more: Any) -> Settings:
    folder.mkdir(parents=True, exist_ok=True)
    terms = {"api_rate": UNLIMITED, "api_port": free_port(), "gate_port": free_port()} | more
    return Settings(home=str(folder), **terms)


class RunningWorker:
    """A worker with its gate and its inbox, in a thread of its own."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

        credential.establish(settings.home_path)
        self._ready, self._failure = threading.Event(), None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        assert self._ready.wait(20)

    async def _run(self) -> None:
        known = self.settings
        exchange = Exchange(SystemClock(), instruments=[ES])
        for name in ("A", "B"):
            exchange.open_account(name, balance=50_000 * MICRO)
        exchange.on_quote(Quote(ES.id, 20_000, 20_001, 20_000, NOW()))
        ledger = SqliteLedger(known.home_path)
        writer, inbox = GroupCommit(ledger), open_inbox(known)
        rules = (max_contracts.Params(limit=2),)
        self.plan = Plan(
            tuple(AccountPlan(name, rules, days=tuple(range(7))) for name in ("A", "B")),
            (Requirement("operations"),),
        )
        gate = ("127.0.0.1", known.gate_port, None)
        self.worker = Worker(
            self._ports(ledger, writer, inbox, exchange),
            Terms("test", ledger.ledger_id[:8], 60 * MICRO, 20 * MICRO, 10**9, 0, gate),
        )
        self._loop = asyncio.get_running_loop()
        self.worker.feed.when_ready.append(self._ready.set)
        try:
            await self.worker.run()
        finally:
            writer.close()
            inbox.close()
            ledger.close()

    def _ports(
        self,
        ledger: SqliteLedger,
        writer: GroupCommit,
        inbox: StoredInbox,
        exchange: Exchange,
    ) -> Ports:
        home = self.settings.home_path
        return Ports(
            SystemClock(),
            ledger,
            writer,
            inbox,
            LocalVenue(exchange),
            lambda text, signature: credential.verify(home, text, signature),
            lambda: self.plan,
            asyncio.to_thread,
        )

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self.worker.stop)
            self._thread.join(20)


class Api:
    """The API over a home, asked in this process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.lines: list[Asked] = []
        self.here = make_here(settings)
        file = KeyFile(settings.home_path)
        self.keys: dict[str, str] = {role: file.create(role, role, NOW()).text for role in ROLES}
        self.app = build(self.here, self.lines.append)
        self.clients: dict[bool, TestClient] = {}
        self.stop_worker: Callable[[], None] = lambda: None
        self.worker: RunningWorker | None = None

    def ask(
        self, method: str, path: str, role: str | None = "admin", *, local: bool = True, **more: Any
    ) -> Any:
        headers = dict(more.pop("headers", {}))
        if role is not None:
            headers["Authorization"] = f"Bearer {self.keys[role]}"
        return self.clients[local].request(method, path, headers=headers, **more)

    def get(self, path: str, role: str | None = "readonly", **more: Any) -> Any:
        return self.ask("GET", path, role, **more)

    def post(self, path: str, role: str | None = "admin", **body: Any) -> Any:
        return self.ask("POST", path, role, json=body)


@contextlib.contextmanager
def asked(settings: Settings) -> Iterator[Api]:
    """An API whose answers to failures are answers, as over a socket."""
    api = Api(settings)
    with contextlib.ExitStack() as stack:
        for local, address in ((True, "127.0.0.1"), (False, "192.0.2.7")):
            client = TestClient(
                api.app,
                base_url="http://127.0.0.1:4200",
                client=(address, 50_000),
                raise_server_exceptions=False,
            )
            api.clients[local] = stack.enter_context(client) if local else client
        yield api


def signed(
    settings: Settings,
    verb: str,
    reason: str,
    account: str | None = None,
    *,
    at: int | None = None,
    **more: Any,
):
    """The body of a request that loosens, as `portcullis key sign` makes it."""
    request_id = signing_id(NOW() if at is None else at)
    text = requests.signed_text(request_id, verb, requests.Asked(reason, account, more))
    signature = credential.sign(settings.home_path / credential.PRIVATE_FILE, text)
    return {"reason": reason, **more, "request_id": request_id, "signature": signature}
