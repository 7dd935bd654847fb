"""`portcullis alert`: what a person must know, who was told, and answering it."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import typer
from rich.text import Text

from portcullis.alerts.alert import Alert
from portcullis.alerts.alert_reader import AlertReader, is_begun
from portcullis.alerts.asked import silence_name
from portcullis.alerts.kinds import BY_NAME, TOPICS
from portcullis.alerts.outbox import Delivery
from portcullis.alerts.shown import as_shown
from portcullis.alerts.words import clock
from portcullis.cli import alert_channels, context
from portcullis.cli.output import (
    Declined,
    Form,
    FormOption,
    WaitedTooLong,
    console,
    show,
    table,
)
from portcullis.clock import SystemClock
from portcullis.config.reader import parse
from portcullis.config.scalars import Unreadable
from portcullis.domain.money import duration
from portcullis.domain.units import Span
from portcullis.errors import NotFound, UsageError

TEST_SECONDS = 45.0
POLL_SECONDS = 0.1
FOR = typer.Option("1h", "--for", help="how long, as 30min or 4h")
STYLES = {"critical": "bold red", "warning": "yellow", "info": "dim"}

app = typer.Typer(no_args_is_help=True, help="Look at alerts, answer them, and say who is told.")
silences = typer.Typer(no_args_is_help=True, help="Keep alerts back for a while.")
app.add_typer(silences, name="silence")
alert_channels.add_to(app)


def reader() -> AlertReader:
    """What the sender keeps; raises NotFound where no sender has run yet."""
    home = context.settings().home_path
    if not is_begun(home):
        raise NotFound(
            f"there are no alerts in {home}: no sender has run yet",
            remedy="start it with `portcullis up` or `portcullis send`",
        )
    return AlertReader(home)


@app.command("list")
def list_alerts(
    everything: bool = typer.Option(False, "--all", help="also those that are over"),
    dead: bool = typer.Option(False, "--dead", help="messages that were given up instead"),
    limit: int = typer.Option(50, "--limit", min=1, max=10_000),
    output: Form = FormOption,
) -> None:
    """Open alerts, the newest first."""
    with reader() as store:
        if dead:
            given_up = [row._asdict() for row in store.dead(limit)]
            show(given_up, output, _draw_deliveries)
            return
        found = store.alerts(everything=everything, limit=limit)
    show([as_shown(alert) for alert in found], output, _draw_alerts)


@app.command("show")
def show_alert(alert: str, output: Form = FormOption) -> None:
    """One alert whole: why, what to do, who was told and when."""
    with reader() as store:
        found = _existing(store, alert)
        told = [row._asdict() for row in store.deliveries(found.id)]
    show({**as_shown(found), "deliveries": told}, output, _draw_alert)


@app.command("ack")
def acknowledge(
    alert: str,
    note: str = typer.Option("seen", "--note", help="what you say to it; kept in the ledger"),
    over: bool = typer.Option(False, "--over", help="it is mended, and nothing else will say so"),
    output: Form = FormOption,
) -> None:
    """Say that you have seen it: no reminder comes, and no further channel is told."""
    with reader() as store:
        found = _existing(store, alert)
    if not found.is_open:
        show(as_shown(found), output, lambda _: console.print(f"{alert} is over already"))
        return
    told = context.ask_sender("acknowledge", note, alert=alert, over=over or None)
    show(told, output, lambda _: console.print(f"{alert} acknowledged: {found.title}"))


@app.command("redeliver")
def redeliver(
    alert: str,
    channel: str = typer.Option(None, "--channel", help="one channel; otherwise all"),
    reason: str = typer.Option("asked for", "--reason"),
    output: Form = FormOption,
) -> None:
    """Send again what was given up of an alert."""
    with reader() as store:
        _existing(store, alert)
        dead = [r for r in store.deliveries(alert) if r.state == "dead"]
    if not any(channel in (None, row.channel) for row in dead):
        raise NotFound(
            f"nothing of {alert} was given up" + (f" on {channel}" if channel else ""),
            remedy="see `portcullis alert show ALERT`",
        )
    told = context.ask_sender("redeliver", reason, alert=alert, channel=channel)
    show(told, output, lambda _: console.print(f"{alert} is sent again"))


@app.command("test")
def try_channel(
    channel: str,
    reason: str = typer.Option("a test", "--reason"),
    output: Form = FormOption,
) -> None:
    """Send a test to a channel the way alerts go, and wait for what becomes of it."""
    alert_channels.refuse_unconnected(channel)
    told = context.ask_sender("alert_test", reason, channel=channel)
    deadline = time.monotonic() + TEST_SECONDS
    last: Delivery | None = None
    while time.monotonic() < deadline:
        with reader() as store:
            last = _test_delivery(store, told["request_id"]) or last
        if last is not None and last.state in ("delivered", "dead"):
            break
        time.sleep(POLL_SECONDS)
    if last is None or last.state not in ("delivered", "dead"):
        said = f": {last.detail}" if last is not None and last.detail else ""
        raise WaitedTooLong(
            f"{channel} has not taken the test within {TEST_SECONDS:.0f} s{said}",
            remedy="see `portcullis alert channels`; it goes on being tried",
        )
    if last.state == "dead":
        raise Declined(
            f"{channel} did not take it: {last.detail}",
            remedy="mend the address with `portcullis alert connect`",
        )
    took = duration((last.ended_at or 0) - last.created_at)
    show(last._asdict(), output, lambda _: console.print(f"{channel} took it within {took}"))


def _test_delivery(store: AlertReader, request_id: str) -> Delivery | None:
    for alert in store.tests():
        if alert.subject == request_id:
            return next(iter(store.deliveries(alert.id)), None)
    return None


# --- silences -------------------------------------------------------------------------------------


@silences.command("add")
def silence(
    reason: str = typer.Option(..., "--reason", help="why; kept in the ledger"),
    span: str = FOR,
    alert: str = typer.Option(None, "--alert"),
    kind: str = typer.Option(None, "--kind"),
    topic: str = typer.Option(None, "--topic", help=", ".join(TOPICS)),
    account: str = typer.Option(None, "--account"),
    critical: bool = typer.Option(
        False, "--critical", help="what is critical too, for four hours at most"
    ),
    start: str = typer.Option(None, "--start", help="in so long, as 2h; a maintenance to come"),
    output: Form = FormOption,
) -> None:
    """Keep alerts back. They are listed, and told when the silence ends."""
    _refuse_unknown("kind", kind, tuple(BY_NAME))
    _refuse_unknown("topic", topic, TOPICS)
    told = context.ask_sender(
        "silence",
        reason,
        for_us=a_span(span, "--for"),
        start_at=SystemClock().now() + a_span(start, "--start") if start else None,
        alert=alert,
        kind=kind,
        topic=topic,
        account=account,
        critical=critical or None,
    )
    name = silence_name(told["request_id"])
    show({**told, "silence": name}, output, lambda _: console.print(f"silence {name}"))


@silences.command("list")
def list_silences(output: Form = FormOption) -> None:
    """Silences that are in force or to come."""
    now = SystemClock().now()
    with reader() as store:
        found = [s for s in store.kept().book.silences.values() if s.end > now]
    columns = ("silence", "what", "from", "to", "by", "reason", "kept back")
    show(
        [msgspec.to_builtins(each) for each in found],
        output,
        lambda rows: console.print(
            table("", columns, (_silence_cells(row) for row in rows)) if rows else "no silence"
        ),
    )


@silences.command("end")
def end_silence(
    silence: str,
    reason: str = typer.Option("over", "--reason"),
    output: Form = FormOption,
) -> None:
    """End a silence now; what it kept back is told."""
    with reader() as store:
        known = store.kept().book.silences
    if silence not in known:
        names = ", ".join(known) or "none"
        raise NotFound(f"there is no silence {silence!r}", remedy=f"there are: {names}")
    told = context.ask_sender("unsilence", reason, silence=silence)
    show(told, output, lambda _: console.print(f"silence {silence} is over"))


def _silence_cells(row: dict[str, Any]) -> tuple[Any, ...]:
    what = [f"{name} {row[name]}" for name in ("kind", "topic", "account", "alert") if row[name]]
    what += ["critical too"] if row["critical"] else []
    times = (clock(row["start"]), clock(row["end"]))
    return (row["id"], ", ".join(what), *times, row["by"], row["reason"], len(row["kept_back"]))


# --- common ---------------------------------------------------------------------------------------


def a_span(text: str, option: str) -> int:
    """Microseconds of a duration; raises UsageError."""
    try:
        return int(parse(Span, text))
    except Unreadable as error:
        raise UsageError(f"{option}: {text!r}: {error}", remedy=f"give {error.allowed}") from error


def _refuse_unknown(what: str, given: str | None, known: tuple[str, ...]) -> None:
    if given is not None and given not in known:
        raise UsageError(f"no {what} is named {given!r}", remedy=f"give one of {', '.join(known)}")


def _existing(store: AlertReader, name: str) -> Alert:
    found = store.alert(name)
    if found is None:
        known = ", ".join(alert.id for alert in store.alerts(limit=10)) or "none"
        raise NotFound(f"there is no alert {name!r}", remedy=f"open are: {known}")
    return found


def _draw_alerts(rows: list[dict[str, Any]]) -> None:
    if not rows:
        console.print("no alert is open")
        return
    columns = ("alert", "since", "severity", "state", "times", "account", "what", "told")
    console.print(
        table(
            "",
            columns,
            (
                (
                    r["alertId"],
                    r["timestamp"],
                    r["severity"],
                    r["state"],
                    r["count"],
                    r["account"],
                    f"{r['title']}: {r['message']}",
                    ", ".join(r["told"]) or _not_yet(r["due"]) or "nobody",
                )
                for r in rows
            ),
        )
    )


def _not_yet(due: dict[str, str]) -> str:
    """Whom a window, quiet hours, a silence or a storm keep it from, and until when."""
    return ", ".join(f"not yet: {channel} at {at}" for channel, at in sorted(due.items()))


def _draw_alert(body: dict[str, Any]) -> None:
    style = STYLES[body["severity"].lower()]
    console.print(Text(f"{body['severity']}  {body['title']}", style=style))
    rows = (
        ("alert", f"{body['alertId']} ({body['state']}, {body['count']} times)"),
        ("since", f"{body['timestamp']}; last {body['lastSeen']}"),
        ("account", body["account"]),
        ("message", body["message"]),
        ("why", body["rootCause"]),
        *body["metadata"].items(),
        ("do", body["recommendedAction"]),
        ("acknowledged", body["acknowledgedBy"]),
        ("read", body["runbook"]),
        ("trace", body["traceId"]),
    )
    for name, value in rows:
        if value:
            console.print(Text(f"{name:<13}{value}"))
    if body["deliveries"]:
        _draw_deliveries(body["deliveries"])
    else:
        waits = _not_yet(body["due"]) or "see `portcullis alert channels`"
        console.print(f"nobody was told; {waits}", markup=False)


def _draw_deliveries(rows: list[dict[str, Any]]) -> None:
    columns = ("number", "channel", "why", "state", "attempts", "made", "took", "alerts", "says")
    console.print(
        table("Messages", columns, (_delivery_cells(row) for row in rows))
        if rows
        else "nothing was given up"
    )


def _delivery_cells(row: dict[str, Any]) -> tuple[Any, ...]:
    ended = row["ended_at"]
    took = duration(max(0, ended - row["created_at"])) if ended else None
    return (
        *(row["number"], row["channel"], row["why"], row["state"], row["attempts"]),
        *(clock(row["created_at"]), took, " ".join(row["alerts"]), row["detail"]),
    )
