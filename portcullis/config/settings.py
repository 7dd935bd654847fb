"""Settings of the processes: environment variables with the prefix PORTCULLIS_, and `.env`.

`PORTCULLIS_<NAME>_FILE` reads a value from a file instead, for secrets. Unknown names are refused
with the nearest known one. The table in docs/settings.md is compared with this class by a test.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import Meta

from portcullis.config.reader import parse
from portcullis.config.scalars import Unreadable
from portcullis.config.source import nearest
from portcullis.domain.model import SECOND
from portcullis.domain.units import Count, Span, Ticker, Url
from portcullis.errors import ConfigError

PREFIX = "PORTCULLIS_"
HOME_SETTINGS = "settings.env"
"""Settings that are kept in the home, for every process of it."""

CHANNELS_FILE = "channels.env"
"""Addresses of channels in the home: secrets, a line `name=address` each."""

DEFAULT_HOME = "~/.portcullis"

Port = Annotated[int, Meta(ge=1, le=65_535)]


class Settings(msgspec.Struct, frozen=True):
    """Everything a process can be told besides the configuration files. All state is in `home`."""

    home: str = DEFAULT_HOME
    config: str = ""
    store_url: str = ""
    host: Literal["127.0.0.1", "::1", "localhost"] = "127.0.0.1"
    gate_port: Port = 4180
    venue_port: Port = 4190
    prefect_port: Port = 4210
    api_port: Port = 4200
    api_host: str = "127.0.0.1"
    api_names: str = ""
    api_origins: str = ""
    api_certificate: str = ""
    api_certificate_key: str = ""
    api_rate: Count = 100
    api_body_max: Count = 65_536
    venue: Literal["simulated", "projectx"] = "simulated"
    venue_token: str = ""
    simulate: bool = False
    projectx_url: Url = "https://api.topstepx.com"
    projectx_hubs: Url = "https://rtc.topstepx.com"
    projectx_user: str = ""
    projectx_key: str = ""
    products: str = ""
    own_device: bool = False
    role: Literal["enforce", "observe"] = "enforce"
    market_data: str = ""
    market_instrument: Ticker = "ES"
    demo_seed: Count = 7
    demo_speed: Count = 1
    administrator_key: str = ""
    backup_target: str = ""
    backup_recipients: str = ""
    backup_identity: str = ""
    ship_every: Span = SECOND
    channels: str = ""
    reconcile_every: Span = 5 * SECOND
    enforce_within: Span = 20 * SECOND
    snapshot_every: Count = 20_000
    operations: bool = True
    heartbeat_lasts: Span = 120 * SECOND
    otlp_url: str = ""
    dead_man: str = ""
    dead_man_every: Span = 60 * SECOND
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def home_path(self) -> Path:
        return Path(self.home).expanduser()

    @property
    def config_path(self) -> Path:
        """The folder of the configuration files: as set, or `config` in the home."""
        return Path(self.config).expanduser() if self.config else self.home_path / "config"

    @property
    def backup_address(self) -> str:
        """Where backups are kept: as set, or `backups` in the home."""
        return self.backup_target or str(self.home_path / "backups")

    @property
    def channels_path(self) -> Path:
        """The addresses of the channels that alerts go to: as set, or a file of the home."""
        return Path(self.channels).expanduser() if self.channels else self.home_path / CHANNELS_FILE

    @property
    def venue_url(self) -> str:
        """Where a simulated venue of this machine listens."""
        return f"http://{self.host}:{self.venue_port}"

    @property
    def has_simulator(self) -> bool:
        """Whether `portcullis up` brings the venue along."""
        return self.venue == "simulated" or self.simulate

    @property
    def product_list(self) -> tuple[str, ...]:
        """Tickers whose prices are wanted whether an account holds them or not."""
        return tuple(part.upper() for part in _parts(self.products))

    @property
    def api_name_list(self) -> tuple[str, ...]:
        """Further names that the API may be called by."""
        return _parts(self.api_names)

    @property
    def api_origin_list(self) -> tuple[str, ...]:
        """Origins whose pages may call the API."""
        return _parts(self.api_origins)

    @property
    def ledger_path(self) -> Path:
        return self.home_path / "ledger.db"

    @property
    def inbox_path(self) -> Path:
        return self.home_path / "inbox.db"

    @property
    def operations_path(self) -> Path:
        """What the scheduled side remembers: its beat and its marks. It is the only writer."""
        return self.home_path / "operations"

    @property
    def reports_path(self) -> Path:
        """The newest page of every verdict, as HTML for people and JSON for programs."""
        return self.operations_path / "reports"

    @property
    def snapshots_path(self) -> Path:
        """The daily record of every account, for people and spreadsheets."""
        return self.home_path / "snapshots"

    @property
    def request_log_path(self) -> Path:
        """A line for each request to the API."""
        return self.home_path / "logs" / "api.jsonl"

    @property
    def keys_path(self) -> Path:
        return self.home_path / "keys"

    @property
    def gate_socket_path(self) -> Path:
        return self.home_path / "gate.sock"


SECRETS = frozenset(("venue_token", "projectx_key", "administrator_key", "store_url", "dead_man"))


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process: the environment before `.env` before those of the home. Raises
    ConfigError with every fault.
    """
    environment = os.environ if environment is None else environment
    given = {name: text for _, values in _sources(environment) for name, text in values.items()}
    hints = get_type_hints(Settings, include_extras=True)
    faults: list[str] = []
    values: dict[str, Any] = {}
    for variable in sorted(name for name in given if name.startswith(PREFIX)):
        name, text = variable.removeprefix(PREFIX).lower(), given[variable]
        if name.endswith("_file") and name.removesuffix("_file") in hints:
            name, text = name.removesuffix("_file"), _secret(text, variable, faults)
        if name not in hints:
            close = nearest(name, tuple(hints))
            hint = f"; did you mean {PREFIX}{close.upper()}?" if close else ""
            faults.append(f"  environment: {variable}: unknown setting{hint}")
            continue
        try:
            values[name] = parse(hints[name], text)
        except Unreadable as error:
            shown = "(secret)" if name in SECRETS else repr(text)
            faults.append(
                f"  environment: {variable}: {error}; given: {shown}; allowed: {error.allowed}"
            )
    if faults:
        raise ConfigError(tuple(faults))
    return Settings(**values)


def _sources(environment: Mapping[str, str]) -> list[tuple[str, Mapping[str, str]]]:
    """Where settings come from, each with its name; the later before the earlier."""
    local = _dotenv(Path(".env"))
    named = environment.get(f"{PREFIX}HOME") or local.get(f"{PREFIX}HOME")
    home = Path(named or DEFAULT_HOME).expanduser()
    return [
        (HOME_SETTINGS, _dotenv(home / HOME_SETTINGS)),
        (".env", local),
        ("environment", environment),
    ]


def origins(environment: Mapping[str, str]) -> dict[str, str]:
    """Where each setting that is set came from: a file of settings, the environment, or through
    either the file that `..._FILE` names.
    """
    found = {}
    for source, values in _sources(environment):
        for variable in values:
            if variable.startswith(PREFIX):
                name = variable.removeprefix(PREFIX).lower()
                plain = name.removesuffix("_file")
                through = name != plain and plain in Settings.__struct_fields__
                found[plain if through else name] = f"{source} ({variable})" if through else source
    return found


def as_environment(settings: Settings) -> dict[str, str]:
    """The variables that make another process read these settings, wherever it runs.

    Secrets are left out: whoever needs one has it from the same place as this process.
    """
    hints = get_type_hints(Settings, include_extras=True)
    folders = {"home": settings.home_path.resolve(), "config": settings.config_path.resolve()}
    variables = {}
    for name in settings.__struct_fields__:
        value = getattr(settings, name)
        if name in folders and value:
            value = folders[name]
        elif isinstance(value, bool):
            value = str(value).lower()
        elif hints[name] == Span:
            value = f"{value // 1000} ms"
        if name not in SECRETS:
            variables[f"{PREFIX}{name.upper()}"] = str(value)
    return variables


def _secret(path: str, variable: str, faults: list[str]) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8").strip()
    except OSError as error:
        faults.append(f"  environment: {variable}: cannot be read: {error}")
        return ""


def _dotenv(path: Path) -> dict[str, str]:
    """`NAME=value` lines; comments and empty lines are passed over."""
    if not path.is_file():
        return {}
    found = {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ConfigError((f"  {path}: this is no UTF-8 text: {error.reason}",)) from error
    for line in lines:
        name, separator, value = line.strip().removeprefix("export ").partition("=")
        if separator and not name.startswith("#"):
            found[name.strip()] = value.strip().strip("\"'")
    return found
