"""`portcullis alert`: the channels, their addresses, and what each is told."""

from __future__ import annotations

import getpass
import sys
from typing import Any

import typer

from portcullis.alerts import configured
from portcullis.alerts.alert import Subscription
from portcullis.alerts.alert_reader import AlertReader, ChannelFigures, is_begun
from portcullis.alerts.channel_rows import told_of
from portcullis.alerts.kinds import SEVERITIES, TOPICS
from portcullis.alerts.quiet_hours import NotHours, quiet_hours
from portcullis.alerts.words import clock
from portcullis.cli import context
from portcullis.cli.output import Form, FormOption, console, show, table
from portcullis.clock import SystemClock
from portcullis.config.reader import parse
from portcullis.config.scalars import Unreadable
from portcullis.domain.units import SpanOrZero
from portcullis.errors import NotFound, PortcullisError, UsageError

ALL, NONE = "all", "none"


def add_to(app: typer.Typer) -> None:
    """Put the commands of this module among those of `alert`."""
    app.command("channels")(channels)
    app.command("connect")(connect)
    app.command("disconnect")(disconnect)
    app.command("subscribe")(subscribe)
    app.command("unsubscribe")(unsubscribe)


def channels(output: Form = FormOption) -> None:
    """Every channel: what it is, what it is told, and what became of its messages."""
    show(_channels(), output, _draw)


def connect(
    channel: str = typer.Argument(help="a name of yours, as phone"),
    given: list[str] | None = typer.Argument(None, hidden=True),
    output: Form = FormOption,
) -> None:
    """Keep the address of a channel: an Apprise URL, read from standard input or asked for."""
    from portcullis.alerts.channels import describe

    if given:  # not shown again: it is in the shell's history as it is
        raise UsageError(
            "an address is a secret, and not taken from the command line",
            remedy=f"give it on standard input: portcullis alert connect {channel} < file",
        )
    if sys.stdin.isatty():
        address = getpass.getpass("address (it is not shown): ").strip()
    else:
        address = sys.stdin.readline().strip()
    if not address:
        raise UsageError(
            "no address was given",
            remedy="pipe it in, so that it is in no history: "
            f"portcullis alert connect {channel} < file",
        )
    described = describe(address)
    configured.keep_address(context.settings(), channel, address)
    body = {"channel": channel, "service": described.service, "address": described.shown}
    told = [s for s in _subscriptions() if s.channel == channel]
    show(body, output, lambda _: _say_connected(channel, described.shown, bool(told)))


def _say_connected(channel: str, address: str, is_subscribed: bool) -> None:
    console.print(f"{channel} is connected: {address}", markup=False)
    console.print(f"try it:  portcullis alert test {channel}", markup=False)
    if not is_subscribed:
        console.print(
            f"it is told of nothing yet:  portcullis alert subscribe {channel} --accounts all",
            markup=False,
        )


def disconnect(channel: str, output: Form = FormOption) -> None:
    """Forget the address of a channel; what waits for it is given up."""
    refuse_unconnected(channel)
    configured.keep_address(context.settings(), channel, None)
    show({"channel": channel}, output, lambda _: console.print(f"{channel} is disconnected"))


def subscribe(
    channel: str,
    severity: str = typer.Option("warning", "--severity", help="this or worse"),
    topics: str = typer.Option(ALL, "--topics", help="with commas; " + ", ".join(TOPICS)),
    accounts: str = typer.Option(
        NONE, "--accounts", help="whose alerts, with commas, or all: their owner's consent"
    ),
    after: str = typer.Option(None, "--after", help="only what nobody acknowledged for so long"),
    quiet: str = typer.Option(None, "--quiet", help="as '22:00-07:00 Europe/Berlin'"),
    reason: str = typer.Option("asked for", "--reason", help="kept in the ledger"),
    output: Form = FormOption,
) -> None:
    """Have a channel told of alerts; kept in the ledger, with who asked for it."""
    refuse_unconnected(channel)
    _refuse_unknown("severity", [severity], SEVERITIES)
    _refuse_unknown("topic", [] if topics == ALL else _listed(topics), TOPICS)
    if accounts not in (ALL, NONE):
        known = [row["account"] for row in context.status()["accounts"]]
        _refuse_unknown("account", _listed(accounts), known)
    if quiet is not None:
        try:
            quiet_hours(quiet)
        except NotHours as error:
            raise UsageError(f"--quiet: {error}", remedy="give both times and the zone") from error
    told = context.ask_sender(
        "subscribe",
        reason,
        channel=channel,
        severity=severity,
        topics=topics,
        accounts=None if accounts == NONE else accounts,
        after_us=_after(after),
        quiet=quiet,
    )
    show(told, output, lambda _: console.print(f"{channel} is told of {severity} and worse"))


def unsubscribe(
    channel: str,
    accounts: str = typer.Option(None, "--accounts", help="only where these are named"),
    reason: str = typer.Option("asked for", "--reason", help="kept in the ledger"),
    output: Form = FormOption,
) -> None:
    """End what was subscribed by command. Rows of alerts.yaml are ended in the file."""
    if not any(each.channel == channel for each in _asked_for()):
        names = ", ".join(sorted({each.channel for each in _asked_for()})) or "none"
        raise NotFound(
            f"{channel} has no subscription by command", remedy=f"such channels are: {names}"
        )
    told = context.ask_sender("unsubscribe", reason, channel=channel, accounts=accounts)
    show(told, output, lambda _: console.print(f"{channel} is no longer told"))


def refuse_unconnected(channel: str) -> None:
    """Raises NotFound naming the channels there are."""
    known = configured.read_addresses(context.settings())
    if channel not in known:
        names = ", ".join(known) or "none"
        raise NotFound(
            f"no channel {channel!r} is connected",
            remedy=f"connected are: {names}; `portcullis alert connect {channel}` adds it",
        )


def _after(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return int(parse(SpanOrZero, text))
    except Unreadable as error:
        raise UsageError(f"--after: {text!r}: {error}", remedy=f"give {error.allowed}") from error


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _refuse_unknown(what: str, given: list[str], known: Any) -> None:
    for each in given:
        if each not in known:
            raise UsageError(
                f"no {what} is named {each!r}", remedy=f"give one of {', '.join(known)}"
            )


def _asked_for() -> list[Subscription]:
    home = context.settings().home_path
    if not is_begun(home):
        return []
    with AlertReader(home) as store:
        return store.kept().book.subscriptions


def _subscriptions() -> list[Subscription]:
    return [
        *configured.read_alerts(context.settings().config_path).terms.subscriptions,
        *_asked_for(),
    ]


def _spared() -> dict[str, int]:
    """Until when a storm keeps from each channel what is not critical (microseconds)."""
    home = context.settings().home_path
    if not is_begun(home):
        return {}
    with AlertReader(home) as store:
        storms = store.kept().book.storms
    now = SystemClock().now()
    return {channel: until for channel, until in storms.items() if until > now}


def _figures() -> dict[str, ChannelFigures]:
    home = context.settings().home_path
    if not is_begun(home):
        return {}
    with AlertReader(home) as store:
        return store.figures()


def _channels() -> list[dict[str, Any]]:
    from portcullis.alerts.channels import describe

    addresses = configured.read_addresses(context.settings())
    subscriptions, figures, spared = _subscriptions(), _figures(), _spared()
    names = {*addresses, *(each.channel for each in subscriptions), *figures}
    found = []
    for name in sorted(names):
        row: dict[str, Any] = {"channel": name, "connected": name in addresses}
        try:
            described = describe(addresses[name]) if name in addresses else None
            row |= {"service": described.service if described else None}
            row |= {"address": described.shown if described else "not connected"}
        except PortcullisError as error:
            row |= {"service": None, "address": f"faulty: {error}"}
        row["told_of"] = [told_of(each) for each in subscriptions if each.channel == name]
        row |= _numbers(figures.get(name))
        row["spared_until"] = clock(spared[name]) if name in spared else None
        found.append(row)
    return found


def _numbers(figures: ChannelFigures | None) -> dict[str, Any]:
    if figures is None:
        return {"delivered": 0, "waiting": 0, "dead": 0, "last_success": None, "last_detail": ""}
    last = clock(figures.last_success) if figures.last_success else None
    return {
        "delivered": figures.delivered,
        "waiting": figures.waiting,
        "dead": figures.dead,
        "last_success": last,
        "last_detail": figures.last_detail,
    }


def _says(row: dict[str, Any]) -> str:
    until = row["spared_until"]
    spared = f"a storm: what is not critical waits until {until}" if until else ""
    return "\n".join(part for part in (row["last_detail"], spared) if part)


def _draw(rows: list[dict[str, Any]]) -> None:
    if not rows:
        console.print("no channel: nobody is told. `portcullis alert connect phone` adds one")
        return
    columns = ("channel", "address", "told of", "delivered", "waiting", "dead", "last", "says")
    console.print(
        table(
            "",
            columns,
            (
                (
                    r["channel"],
                    r["address"],
                    "\n".join(r["told_of"]) or "nothing",
                    r["delivered"],
                    r["waiting"],
                    r["dead"],
                    r["last_success"],
                    _says(r),
                )
                for r in rows
            ),
        )
    )
