"""Whether anybody would be told: addresses, subscriptions, and what became of messages lately."""

from __future__ import annotations

from portcullis.alerts.alert import Subscription
from portcullis.alerts.alert_reader import AlertReader, ChannelFigures, is_begun
from portcullis.alerts.channels import describe
from portcullis.alerts.configured import read_addresses, read_alerts
from portcullis.alerts.message import Described
from portcullis.config.settings import Settings
from portcullis.doctor.row import Row, checked


def examine(settings: Settings) -> Row:
    """One row. Nothing is sent: `portcullis alert test` does that."""
    return checked("alerts", lambda: _alerts(settings))


def _alerts(settings: Settings) -> Row:
    addresses = read_addresses(settings)
    described = {name: describe(address) for name, address in addresses.items()}
    subscriptions = [*read_alerts(settings.config_path).terms.subscriptions]
    figures: dict[str, ChannelFigures] = {}
    if is_begun(settings.home_path):
        with AlertReader(settings.home_path) as store:
            subscriptions += store.kept().book.subscriptions
            figures = store.figures()
    return judge(described, subscriptions, figures)


def judge(
    described: dict[str, Described],
    subscriptions: list[Subscription],
    figures: dict[str, ChannelFigures],
) -> Row:
    """The worst of what is wrong, of the channels that there are."""
    told = [each for each in subscriptions if each.channel in described]
    gone = sorted({each.channel for each in subscriptions} - described.keys())
    if gone:
        remedy = f"portcullis alert connect {gone[0]}, or end its subscription"
        return Row("alerts", "fail", f"subscribed without an address: {', '.join(gone)}", remedy)
    if not told:
        remedy = "portcullis alert connect phone; portcullis alert subscribe phone --accounts all"
        return Row("alerts", "warn", "nobody is told of anything", remedy)
    dead = [name for name, each in figures.items() if each.dead and name in described]
    if dead:
        remedy = "portcullis alert list --dead; mend it, then portcullis alert redeliver ALERT"
        return Row("alerts", "warn", f"messages were given up: {', '.join(dead)}", remedy)
    failing = [each for name, each in figures.items() if name in described and each.failing]
    if failing:
        said = ", ".join(f"{each.channel} ({each.last_detail})" for each in failing)
        return Row("alerts", "warn", f"messages wait: {said}", "portcullis alert channels; mend it")
    if all(described[each.channel].best_effort for each in told):
        remedy = "subscribe a channel of another service as well"
        return Row("alerts", "warn", "what is critical goes by a best-effort service only", remedy)
    channels = ", ".join(sorted({each.channel for each in told}))
    return Row("alerts", "ok", f"told are: {channels}; `portcullis alert test` tries one")
