"""`portcullis up`: everything on this machine under one roof, by circus as a library.

Circus starts, watches and stops the processes; what is here is when to start one again, what a
person sees, and that nothing is left running. Its own sockets are files in a private folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shlex
import signal
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from rich.console import Console

from portcullis.cli.children import (
    Child,
    Restarts,
    api_address,
    checkout,
    children,
    refuse_taken_ports,
)
from portcullis.cli.gate_watch import GateWatch
from portcullis.cli.relay import Relay, say
from portcullis.cli.single import OnlyOne
from portcullis.clock import SystemClock
from portcullis.config.exposure import refuse_exposed
from portcullis.config.orchestrator import prefect_address
from portcullis.config.settings import Settings
from portcullis.daily_log import DailyLog
from portcullis.errors import Fatal
from portcullis.wiring import configured_plan, prepare_home

CHECK_SECONDS = 0.5
SCHEDULED = ("operations", "prefect")
STOP_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")


class GaveUp(Fatal):
    """A process that nothing works without ends again and again."""


def run_everything(settings: Settings, messages: Console) -> None:
    """Run until Control-C or SIGTERM; whatever happens, nothing is left running.

    Before anything starts: ConfigError for the configuration, UsageError without the flows, for an
    API that would be reached as it must not and for one port for two, Declined when it runs
    already, PortTaken for addresses. GaveUp when the worker cannot live.
    """
    configured_plan(settings)
    refuse_exposed(settings)
    if settings.operations:
        checkout()
    home = prepare_home(settings)
    with OnlyOne(home, addresses(settings)):
        refuse_taken_ports(settings)
        (home / "prefect").mkdir(mode=0o700, exist_ok=True)
        with _endpoints() as endpoints:
            asyncio.run(Supervisor(settings, messages).run(*endpoints))


def addresses(settings: Settings) -> dict[str, str]:
    """Where to find what runs."""
    found = {
        "gate": f"http://{settings.host}:{settings.gate_port}",
        "API": api_address(settings),
        "venue": settings.venue_url if settings.has_simulator else settings.projectx_url,
    }
    if settings.operations:
        found["Prefect"] = prefect_address(settings)
    return found


@contextlib.contextmanager
def _endpoints() -> Iterator[tuple[str, str]]:
    """Addresses of circus's own sockets: files where there are such, loopback elsewhere."""
    with tempfile.TemporaryDirectory(prefix="pc-") as folder:
        if sys.platform == "win32":
            yield "tcp://127.0.0.1:0", "tcp://127.0.0.1:0"
        else:
            yield f"ipc://{folder}/control", f"ipc://{folder}/events"


class Supervisor:
    """The processes of one home, for the time of one `run`."""

    def __init__(self, settings: Settings, console: Console) -> None:
        self._settings = settings
        self._console = console
        self._children = {child.name: child for child in children(settings)}
        logs, now = settings.home_path / "logs", SystemClock().now
        self._logs = {name: DailyLog(logs / f"{name}.log", now) for name in self._children}
        self._relays = {name: Relay(name, console, log) for name, log in self._logs.items()}
        self._down: set[str] = set()
        """Processes whose end is known: they are started again, or were given up."""
        self._restarts = {name: Restarts() for name in self._children}
        self._watchers: dict[str, Any] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._failure: GaveUp | None = None

    async def run(self, control: str, events: str) -> None:
        """Start, watch, stop; raises GaveUp when the worker was given up."""
        # Only now: circus sets up logging when it is imported, and is not installed everywhere.
        from circus.arbiter import Arbiter
        from circus.exc import ConflictError
        from circus.watcher import Watcher

        logging.getLogger("circus").setLevel(logging.ERROR)
        # On a slow machine its look at the children falls into their start; it looks again soon.
        logging.getLogger("tornado.application").addFilter(
            lambda record: not (record.exc_info and record.exc_info[0] is ConflictError)
        )
        self._watchers = {
            name: Watcher(**self._terms(child)) for name, child in self._children.items()
        }
        # Started in the opposite order of stopping: the venue first.
        arbiter = Arbiter(
            list(self._watchers.values()),
            control,
            events,
            check_delay=CHECK_SECONDS,
            loop=_tornado_loop(),
            proc_name="portcullis up",
        )
        self._take_signals()
        self._banner()
        try:
            await arbiter.start()
            gate = GateWatch(self._settings, self._console)
            self._spawn(gate.run())
            self._spawn(self._look_after(arbiter))
            await self._stopping.wait()
        finally:
            await self._stop(arbiter)
        if self._failure is not None:
            raise self._failure

    def _terms(self, child: Child) -> dict[str, Any]:
        """A process in circus's words."""
        streams: dict[str, Any] = {}
        if sys.platform != "win32":  # circus cannot read pipes there; lines go out as they are
            stream = {"stream": self._relays[child.name]}
            streams = {"stdout_stream": stream, "stderr_stream": stream}
        order = list(self._children).index(child.name)
        return {
            "name": child.name,
            "cmd": shlex.quote(sys.executable),
            "args": ["-m", *child.module],
            "working_dir": str(child.folder),
            "env": child.environment,
            "graceful_timeout": child.stop_seconds,
            "priority": order,
            "respawn": False,
            "hooks": {"after_reap": (self._ended, False)},
            **streams,
        }

    def _take_signals(self) -> None:
        """After circus has put its own in place: ours stop in order, theirs all at once.

        A handler is also what gives the children default handling when we were started with
        signals ignored, as shells do for background jobs.
        """
        loop = asyncio.get_running_loop()
        for name in STOP_SIGNALS:
            number = getattr(signal, name, None)
            if number is not None:
                with contextlib.suppress(NotImplementedError):
                    loop.add_signal_handler(number, self._stopping.set)

    def _banner(self) -> None:
        for name, address in addresses(self._settings).items():
            say(self._console, "up", f"{name:<8} {address}")
        say(self._console, "up", f"home     {self._settings.home_path}")
        say(self._console, "up", "look     portcullis status -w      stop     Control-C")

    def _ended(self, watcher: Any, arbiter: Any, exit_code: int | None = None, **_: Any) -> bool:
        """Circus reaped a process; start it again after a while, or give it up."""
        if self._stopping.is_set() or watcher.is_stopping():
            return True
        name = watcher.name
        self._down.add(name)
        wait = self._restarts[name].after(exit_code)
        how = f"by signal {-exit_code}" if exit_code and exit_code < 0 else f"with {exit_code}"
        how = "unseen" if exit_code is None else how
        if wait is not None:
            say(self._console, name, f"ended {how}; starting again in {wait:g} s", "yellow")
            self._spawn(self._again(arbiter, watcher, wait))
            return True
        said = "\n".join(self._relays[name].last)
        if self._children[name].essential:
            self._failure = GaveUp(
                f"{name} ended {how} again and again; it said last:\n{said}",
                remedy="mend what it says, then start again; everything else was stopped",
            )
            self._stopping.set()
        else:
            say(
                self._console,
                name,
                f"ended {how}, and is not started again; the gate falls",
                "bold red",
            )
        return True

    async def _again(self, arbiter: Any, watcher: Any, wait: float) -> None:
        await asyncio.sleep(wait)
        while not watcher.is_stopped():  # noqa: ASYNC110 - circus has no event for it
            await asyncio.sleep(CHECK_SECONDS / 5)
        if not self._stopping.is_set():
            await arbiter.start_watcher(watcher)
            self._down.discard(watcher.name)

    async def _look_after(self, arbiter: Any) -> None:
        """Notice an end that circus did not tell of: it calls no hook for a process that dies
        between its two looks at its children. Seen twice, so that a hook on its way comes first.
        """
        seen: set[str] = set()
        while True:
            await asyncio.sleep(2 * CHECK_SECONDS)
            stopped = {
                name
                for name, watcher in self._watchers.items()
                if watcher.is_stopped() and name not in self._down
            }
            for name in sorted(stopped & seen):
                self._ended(self._watchers[name], arbiter)
            seen = stopped - self._down

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _stop(self, arbiter: Any) -> None:
        """One after the other; circus kills what does not end in its time."""
        self._stopping.set()
        for task in list(self._tasks):
            task.cancel()
        say(self._console, "up", "stopping")
        for name in SCHEDULED:  # a run that is cut short says so at length
            if name in self._relays:
                self._relays[name].only_logs = True
        arbiter.ctrl.caller.stop()  # its looking after them would collide with ours
        for name, watcher in self._watchers.items():
            if not watcher.is_stopped():
                await watcher.stop()
                say(self._console, name, "stopped", "dim")
        await arbiter.stop()
        arbiter.stop_controller_and_close_sockets()
        arbiter.context.destroy(linger=0)
        for log in self._logs.values():
            log.close()


def _tornado_loop() -> Any:
    from tornado.ioloop import IOLoop

    return IOLoop.current()
