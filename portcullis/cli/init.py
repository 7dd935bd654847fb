"""`portcullis init`: from a user name and an API key to a configuration that was tried."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from portcullis.cli import context, doctor
from portcullis.cli.output import console, messages
from portcullis.cli.processes import VENUES
from portcullis.clock import SystemClock
from portcullis.config.settings import Settings
from portcullis.domain.events import AccountReported
from portcullis.domain.money import money
from portcullis.errors import PortcullisError, UsageError, VenueRefused
from portcullis.venues.projectx import host
from portcullis.venues.projectx.observed import ObservedGateway
from portcullis.venues.projectx.rest import Login
from portcullis.venues.projectx.wire import HttpWire
from portcullis.wiring import KEY_FILE, defaults_folder
from portcullis.wizard.choices import Choice, Limits, accounts_file, proposed
from portcullis.wizard.files import (
    refuse_existing,
    write_configuration,
    write_secret,
    write_settings,
)


def init(
    venue: Annotated[str, typer.Option("--venue", help="projectx (TopstepX) or simulated")] = "",
    user: Annotated[str, typer.Option("--user", help="login name at the platform")] = "",
    accounts: Annotated[
        list[str] | None, typer.Option("--account", help="watch this one; again for more")
    ] = None,
    products: Annotated[str, typer.Option("--products", help="tickers you trade: MNQ, MES")] = "",
    key_file: Annotated[
        Path | None, typer.Option("--key-file", help="where the API key is read from")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="put a configuration that is there aside")
    ] = False,
    asks: Annotated[
        bool,
        typer.Option("--interactive/--non-interactive", help="ask, or take options and defaults"),
    ] = True,
) -> None:
    """Write a configuration: venue, accounts, limits with their origin; then try the connection.

    Nothing is in force before it was judged. The API key is kept in the home, for you alone.
    """
    settings = context.settings()
    if asks and not sys.stdin.isatty():
        raise UsageError(
            "nobody can answer here", remedy="use a terminal, or --non-interactive with options"
        )
    refuse_existing(settings.config_path, replace=replace)
    venue = venue or (_ask("Venue: projectx (TopstepX) or simulated", "projectx") if asks else "")
    if venue not in VENUES:
        raise UsageError(f"there is no venue {venue!r}", remedy="--venue projectx or simulated")
    if venue == "simulated":
        _simulated(settings, replace=replace)
        return
    login = _login(settings, user, key_file, asks=asks)
    listed, tickers = _tried(settings, login)
    chosen = _choose(listed, accounts, asks=asks)
    balances = {told.account: told.balance for told in listed}
    choices = [Choice(name, _limits(name, balances[name], asks=asks)) for name in chosen]
    products = products or (_ask("Tickers you trade, as MNQ, MES", "MNQ, MES") if asks else "")
    products = _known(products, tickers)
    _write(settings, login, choices, products, replace=replace)
    try:
        doctor.doctor(offline=False)
    except typer.Exit:
        console.print("it is written; mend what fails, or begin again with --replace")
        raise
    console.print("begin with `portcullis up`")


def _ask(what: str, default: str) -> str:
    return str(typer.prompt(what, default=default)).strip()


def _ask_number(what: str, default: int) -> int:
    """A whole number above 0; asked again until it is one."""
    while (number := int(typer.prompt(what, default=default, type=int))) < 1:
        console.print("  it must be above 0")
    return number


def _simulated(settings: Settings, *, replace: bool) -> None:
    """The demonstration needs no choices."""
    shipped = defaults_folder()
    accounts = (shipped / "accounts.yaml").read_text(encoding="utf-8")
    home = settings.home_path
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    _told(write_configuration(settings.config_path, shipped, accounts, replace=replace))
    write_settings(home, {"venue": "simulated"})
    if (home / KEY_FILE).exists():
        messages.print(f"the API key is still in {home / KEY_FILE}; nothing reads it", markup=False)
    console.print(f"{settings.config_path}: the demonstration. Begin with `portcullis up`.")


def _login(settings: Settings, user: str, key_file: Path | None, *, asks: bool) -> Login:
    """User and key, from options, settings, or a person; the key is not shown while it is typed."""
    user = user or settings.projectx_user
    key = settings.projectx_key
    if key_file is not None:
        try:
            key = key_file.expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "this is no text"
            raise UsageError(
                f"--key-file {key_file}: {why}", remedy="name a file with the key in it"
            ) from error
    if asks:
        _explain()
        user = user or _ask("Login name at the platform (not the e-mail)", "")
        key = key or str(typer.prompt("API key (it is not shown)", hide_input=True)).strip()
    if len(key.splitlines()) > 1:
        raise UsageError(
            "the API key has more than one line",
            remedy="give the key alone, as the platform shows it",
        )
    if not user or not key:
        what = "user name" if not user else "API key"
        raise UsageError(
            f"the {what} is missing",
            remedy="--user and --key-file, or PORTCULLIS_PROJECTX_USER and PORTCULLIS_PROJECTX_KEY",
        )
    return Login(user, key)


def _explain() -> None:
    """The venue's rule, before anything else is asked."""
    found = host.host()
    console.print(f"{host.POLICY}. This machine: {found.looks_like}.", markup=False)
    if found.kind == "rented":
        console.print(
            "The worker will refuse to enforce here unless you state that it is your own device "
            "(PORTCULLIS_OWN_DEVICE=true, recorded).",
            markup=False,
        )
    console.print("An API key is made on the platform under Settings, API.", markup=False)


def _tried(settings: Settings, login: Login) -> tuple[list[AccountReported], frozenset[str]]:
    """As `_offered`. Raises PortcullisError saying with what it was tried, by which settings."""
    try:
        return asyncio.run(_offered(settings, login))
    except PortcullisError as error:
        refused = isinstance(error, VenueRefused) and error.code != "NotFound"
        raise PortcullisError(
            f"{settings.projectx_url} as user {login.user}: {error}",
            remedy="check user name and API key (--user, --key-file), then begin again"
            if refused
            else "check the network and PORTCULLIS_PROJECTX_URL, then begin again; nothing was "
            "written",
        ) from error


async def _offered(
    settings: Settings, login: Login
) -> tuple[list[AccountReported], frozenset[str]]:
    """The user's accounts, and the tickers there are. Nothing that could trade is made."""
    wire = HttpWire(settings.projectx_url, settings.projectx_hubs)
    venue = ObservedGateway(wire, login, SystemClock())
    await venue.gateway.open()
    try:
        listed = await venue.instruments()
        return await venue.accounts(), frozenset(each.ticker for each in listed)
    finally:
        await venue.gateway.close()


def _known(products: str, tickers: frozenset[str]) -> str:
    """The products as they are kept. Raises UsageError for one that the gateway does not list."""
    wanted = [part.strip().upper() for part in products.split(",") if part.strip()]
    unknown = [name for name in wanted if name not in tickers]
    if unknown:
        raise UsageError(
            f"the gateway lists no contract of {', '.join(unknown)}",
            remedy="name tickers without a month, such as " + ", ".join(sorted(tickers)[:12]),
        )
    return ", ".join(wanted)


def _choose(listed: list[AccountReported], wanted: list[str] | None, *, asks: bool) -> list[str]:
    """The accounts to be watched: those named, or those that may trade."""
    names = [told.account for told in listed]
    tradable = [told.account for told in listed if told.can_trade]
    if asks and not wanted:
        for told in listed:
            state = "" if told.can_trade else ", may not trade"
            balance = money(told.balance, told.currency)
            console.print(f"  {told.account}: {balance}{state}", markup=False)
        answer = _ask("Accounts to watch, with commas between", ", ".join(tradable))
        wanted = [part.strip() for part in answer.split(",") if part.strip()]
    chosen = list(dict.fromkeys(wanted or tradable))
    unknown = [name for name in chosen if name not in names]
    if unknown or not chosen:
        raise UsageError(
            f"no such account: {', '.join(unknown)}" if unknown else "no account may trade",
            remedy="the user has: " + (", ".join(names) or "none"),
        )
    return chosen


def _limits(account: str, balance: int, *, asks: bool) -> Limits:
    """Limits of an account, each with its default; a person may change the two that matter most."""
    limits = proposed(account, balance)
    if not asks:
        return limits
    console.print(f"{account}: {limits.why}", markup=False)
    daily = _ask_number("  the day is over at a loss of", limits.daily_loss)
    contracts = _ask_number("  contracts (minis) at most", limits.contracts)
    changed = (daily, contracts) != (limits.daily_loss, limits.contracts)
    why = f"{limits.why}; changed by you" if changed else limits.why
    return limits._replace(daily_loss=daily, contracts=contracts, why=why)


def _write(
    settings: Settings, login: Login, choices: list[Choice], products: str, *, replace: bool
) -> None:
    """Configuration, then the key, then the settings that name them."""
    home = settings.home_path
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = write_configuration(
        settings.config_path, defaults_folder(), accounts_file(choices), replace=replace
    )
    _told(aside)
    key = write_secret(home, KEY_FILE, login.key)
    values = {"venue": "projectx", "projectx_user": login.user, "products": products}
    if settings.projectx_url != Settings().projectx_url:
        values |= {"projectx_url": settings.projectx_url, "projectx_hubs": settings.projectx_hubs}
    path = write_settings(home, {name: value for name, value in values.items() if value})
    console.print(f"limits    {settings.config_path / 'accounts.yaml'}", markup=False)
    console.print(f"settings  {path}", markup=False)
    console.print(f"API key   {key}, readable by you alone", markup=False)


def _told(aside: Path | None) -> None:
    if aside is not None:
        messages.print(f"the configuration that was there is now {aside}", markup=False)
