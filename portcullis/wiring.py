"""The one place that joins ports to adapters."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from portcullis import __version__
from portcullis.clock import SystemClock
from portcullis.config.files import FILES, read_configuration
from portcullis.config.settings import PREFIX, Settings
from portcullis.domain.events import HostStated
from portcullis.domain.model import SECOND
from portcullis.domain.money import duration
from portcullis.domain.plan import Plan
from portcullis.errors import ConfigError, StoreAway, StoreError, UsageError
from portcullis.ports import ObservedVenue, Venue
from portcullis.store import credential
from portcullis.store.database import explained
from portcullis.store.inbox import StoredInbox
from portcullis.store.ledger import StoredLedger
from portcullis.store.opening import open_inbox, open_ledger, open_reader
from portcullis.store.writer import GroupCommit
from portcullis.venues.projectx import host
from portcullis.venues.projectx.observed import ObservedGateway
from portcullis.venues.projectx.rest import Login
from portcullis.venues.projectx.spent import SpentFile
from portcullis.venues.projectx.wire import HttpWire
from portcullis.venues.simulated.client import SimulatedVenue
from portcullis.venues.simulated.token import token_in
from portcullis.worker.dead_man import DeadManTerms
from portcullis.worker.last_words import LastWords
from portcullis.worker.ping_targets import targets
from portcullis.worker.service import Ports, Terms, Worker

DEAD_MAN_LEAST = 5 * SECOND
DERIVE_SECONDS_MAX = 3_600.0
STORE_SECONDS = 60.0
"""As long as a restart of the store's server takes: a worker that ended too often is given up."""

STORE_PAUSE_SECONDS = 0.5
GC_THRESHOLD = (50_000, 20, 100)


def prepare_home(settings: Settings) -> Path:
    """The home with its folders, made where missing; raises StoreError when it cannot be."""
    home = settings.home_path
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not settings.config and not settings.config_path.exists():
            shutil.copytree(defaults_folder(), settings.config_path)
    except OSError as error:
        raise StoreError(
            f"{home}: the home cannot be made: {error.strerror}",
            remedy="set PORTCULLIS_HOME to a folder that this user may write",
        ) from error
    return home


def defaults_folder() -> Path:
    """Where the shipped configuration lies: in the package, or in the checkout beside it."""
    packaged = Path(__file__).parent / "config" / "defaults"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "config"


def configured_plan(settings: Settings) -> Plan:
    """The plan of the configuration files; raises ConfigError with every fault."""
    folder = settings.config_path if settings.config_path.exists() else defaults_folder()
    return read_configuration(folder).plan


def is_default(settings: Settings) -> bool:
    """Whether the configuration in force is the shipped one, letter for letter."""
    with contextlib.suppress(OSError):
        return all(
            (settings.config_path / name).read_bytes() == (defaults_folder() / name).read_bytes()
            for name in FILES
        )
    return False


def refuse_demonstration(settings: Settings) -> None:
    """Raises UsageError where a real gateway would be watched by the demonstration's accounts."""
    if settings.venue != "projectx" or settings.simulate:
        return
    if is_default(settings) or not settings.config_path.exists():
        raise UsageError(
            f"{settings.config_path}: the accounts are those of the demonstration",
            remedy="write your own with `portcullis init`",
        )


def run_worker(settings: Settings, say: Callable[[str], None]) -> None:
    """Run the worker until SIGTERM or Control-C; raises the error that ended it."""
    configured_plan(settings)  # judged before a file is opened or a connection made
    host_stated(settings)
    dead_man(settings)
    refuse_demonstration(settings)
    home = prepare_home(settings)
    venue = make_venue(settings)
    if credential.establish(home):
        say(
            f"the administrator's credential is {home / credential.PRIVATE_FILE}: "
            "move it to where only an administrator reads it"
        )
    ledger = _ledger_when_there(settings, say)
    writer = GroupCommit(ledger, on_idle=ledger.tidy)
    inbox = open_inbox(settings)
    try:
        asyncio.run(_work(settings, ledger, writer, inbox, venue, say))
    finally:
        writer.close()
        inbox.close()
        ledger.close()


def _ledger_when_there(settings: Settings, say: Callable[[str], None]) -> StoredLedger:
    """The ledger; a server that is being started again is waited for, `STORE_SECONDS` at most."""
    deadline, told = time.monotonic() + STORE_SECONDS, False
    while True:
        try:
            return open_ledger(settings)
        except StoreAway as away:
            if time.monotonic() > deadline:
                raise
            if not told:
                say(f"waiting for the store: {away}; {away.remedy}")
        told = True
        time.sleep(STORE_PAUSE_SECONDS)


async def _work(
    settings: Settings,
    ledger: StoredLedger,
    writer: GroupCommit,
    inbox: StoredInbox,
    venue: Venue | ObservedVenue,
    say: Callable[[str], None],
) -> None:
    home = settings.home_path
    last_words = LastWords(home)
    ports = Ports(
        SystemClock(),
        ledger,
        writer,
        inbox,
        venue,
        lambda text, signature: credential.verify(home, text, signature),
        lambda: configured_plan(settings),
        asyncio.to_thread,
        lambda through: derive_base(settings, through),
    )
    has_sockets = sys.platform != "win32"
    gate = (settings.host, settings.gate_port, settings.gate_socket_path if has_sockets else None)
    terms = Terms(
        __version__,
        ledger.ledger_id[:8],
        settings.reconcile_every,
        settings.enforce_within,
        settings.snapshot_every,
        os.getpid(),
        gate,
        host_stated=host_stated(settings),
        observes=settings.role == "observe",
        last_words=_said_before(last_words),
        dead_man=dead_man(settings),
    )
    worker = Worker(ports, terms)
    worker.feed.when_told.append(
        lambda connected, reason: say(
            f"venue {settings.venue} {'up' if connected else 'DOWN'}: {reason}"
        )
    )
    _heed_signals(worker, say)
    if settings.role == "observe":
        say("this worker only observes: breaches are told as alerts, nothing is sent to the venue")
    watched = f"watching {len(configured_plan(settings).accounts)} accounts"
    before = worker.recovered
    say(
        f"a new ledger in {settings.home_path}; {watched}"
        if before.is_new
        else f"recovered {before.folded} facts after snapshot {before.snapshot_position}; {watched}"
    )
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(*GC_THRESHOLD)
    await _run(worker, last_words, say)


def _heed_signals(worker: Worker, say: Callable[[str], None]) -> None:
    """Stop, or read the files again: which tightens, since nobody knows who sent the signal."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows: Control-C ends it anyway
            loop.add_signal_handler(number, worker.stop)
    with contextlib.suppress(NotImplementedError, AttributeError):  # Windows has no such signal
        loop.add_signal_handler(signal.SIGHUP, lambda: say(f"reload: {worker.reload()}"))


def dead_man(settings: Settings) -> DeadManTerms | None:
    """Who outside is pinged. Raises UsageError, without any address, for what cannot be."""
    if settings.dead_man_every < DEAD_MAN_LEAST:
        raise UsageError(
            "PORTCULLIS_DEAD_MAN_EVERY is shorter than the worker's own cycle",
            remedy=f"give {duration(DEAD_MAN_LEAST)} or more",
        )
    found = targets(settings.dead_man)
    if not found:
        return None
    return DeadManTerms(found, settings.dead_man_every, lambda: _checkpoint(settings))


def _checkpoint(settings: Settings) -> str:
    with open_reader(settings) as reader:
        return reader.checkpoint()


def _said_before(last_words: LastWords) -> str:
    """What the run before said. Raises StoreError where its file cannot be used."""
    with explained(last_words.path):
        return last_words.prepare()


async def _run(worker: Worker, last_words: LastWords, say: Callable[[str], None]) -> None:
    """Run the worker; what ends it is said once more at the next start."""
    clearing = asyncio.create_task(_begun(worker, last_words, say), name="begun")
    try:
        await worker.run()
    except Exception as error:  # whatever it is, it must not be forgotten
        if worker.begun.is_set():
            last_words.leave(f"{type(error).__name__}: {error}")
        raise
    finally:
        clearing.cancel()


async def derive_base(settings: Settings, through: int) -> bytes:
    """A base of the ledger, derived in a process that knows no secret but where the store is.
    Raises StoreError where it could not be.
    """
    own = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    if settings.store_url:
        own[f"{PREFIX}STORE_URL"] = settings.store_url
    home = str(settings.home_path)
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "portcullis.worker.deriving", home, str(through)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=own,
        )
    except OSError as error:
        raise StoreError(
            f"no base could be derived: {error.strerror or error}",
            remedy="let this user start processes; nothing was retired",
        ) from error
    try:
        async with asyncio.timeout(DERIVE_SECONDS_MAX):
            body, problem = await process.communicate()
    except TimeoutError:
        body, problem = b"", b"it took too long"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise StoreError(
            f"no base could be derived: {problem.decode(errors='replace').strip()}",
            remedy="run `portcullis ledger verify`; nothing was retired",
        )
    return body


async def _begun(worker: Worker, last_words: LastWords, say: Callable[[str], None]) -> None:
    """Once the start is durable: say what it did with the rules, forget the words of the last."""
    await worker.begun.wait()
    if not worker.recovered.is_new:
        say(f"rules: {worker.loaded}")
    if not worker.core.failed.done():
        last_words.clear()


KEY_FILE = "projectx.key"
"""Where the home keeps the API key that `portcullis init` was given."""

SIMULATED_USER = "trader"
"""Who logs in at the simulated gateway; the key is the token of the home."""


def make_venue(settings: Settings) -> Venue | ObservedVenue:
    """The adapter of the venue that the settings name. Raises ConfigError without credentials."""
    if settings.venue == "projectx":
        return _projectx(settings)
    if settings.role == "observe":
        raise ConfigError(
            ("  environment: PORTCULLIS_ROLE: observe is for projectx; given: simulated",)
        )
    token = settings.venue_token or token_in(settings.home_path)
    return SimulatedVenue(settings.venue_url, token)


def _kept(path: Path) -> str:
    """A secret of the home; empty where there is none."""
    return path.read_text(encoding="utf-8").strip() if path.exists() else ""


def host_stated(settings: Settings) -> HostStated | None:
    """What is recorded of the machine. Raises UsageError where the venue's policy forbids it to
    enforce and no person has stated otherwise.
    """
    if settings.venue != "projectx" or settings.simulate or settings.role == "observe":
        return None
    found = host.host()
    if settings.own_device and found.kind != "own":
        return HostStated(found.looks_like, "PORTCULLIS_OWN_DEVICE=true")
    if found.kind == "rented":
        raise UsageError(
            f"this machine looks like {found.looks_like}, and {host.POLICY}",
            remedy="run the worker on your own device; if this is yours, set "
            "PORTCULLIS_OWN_DEVICE=true, which is recorded",
        )
    return None


def _projectx(settings: Settings) -> Venue | ObservedVenue:
    url, hubs = settings.projectx_url, settings.projectx_hubs
    key = settings.projectx_key or _kept(settings.home_path / KEY_FILE)
    login = Login(settings.projectx_user, key)
    if settings.simulate:
        url = hubs = settings.venue_url
        login = Login(SIMULATED_USER, settings.venue_token or token_in(settings.home_path))
    if len(login.key.splitlines()) > 1:
        raise ConfigError(("  environment: PORTCULLIS_PROJECTX_KEY: it has more than one line",))
    missing = [
        f"  environment: PORTCULLIS_PROJECTX_{name}: missing; needed with PORTCULLIS_VENUE=projectx"
        for name, value in (("USER", login.user), ("KEY", login.key))
        if not value
    ]
    if missing:
        raise ConfigError(tuple(missing))
    wire = HttpWire(url, hubs)
    home = settings.home_path
    spent = SpentFile(home / "requests.sent") if home.is_dir() else None
    kind = ObservedGateway
    if settings.role == "enforce":
        # What can reach an order is loaded by who enforces, and by nobody else.
        from portcullis.venues.projectx.venue import ProjectXVenue as kind  # noqa: N813
    return kind(wire, login, SystemClock(), tickers=settings.product_list, spent=spent)
