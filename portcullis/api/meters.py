"""What the API measures of itself, and what it reads for monitors in the ledger and the outbox.

A registry of its own. What is counted from the ledger counts from where the API started, as
counters do. Labels are bounded: rules, outcomes, channels, routes by their pattern.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Histogram, Summary
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from portcullis.alerts.alert_reader import AlertReader, is_begun
from portcullis.alerts.kinds import SEVERITIES
from portcullis.api.ending import Ending
from portcullis.domain.events import BreachFound, CommandConcluded, decode
from portcullis.domain.model import MICRO
from portcullis.errors import StoreError
from portcullis.store.reading import EventFilter, LedgerReader

HTTP_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
FLAT_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 20.0, 60.0)
DELIVERY_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0, 300.0, 3600.0)
ROUTES_MAX = 200
_READ = EventFilter(kinds=("breach_found", "command_concluded"))


class Answered(NamedTuple):
    """A request that was answered: `route` is the pattern, never the path that was asked for."""

    method: str
    route: str
    status: int
    seconds: float
    size: int
    trace: str = ""


class Meters:
    """The API's meters. For one thread at a time."""

    def __init__(
        self,
        home: Path,
        open_ledger: Callable[[], LedgerReader | None],
        now: Callable[[], int],
        ending: Ending,
    ) -> None:
        """`open_ledger` gives a reader that is closed here, or None while there is no ledger; `now`
        is in microseconds.
        """
        self.registry = CollectorRegistry()
        self.ending = ending
        self._home, self._open_ledger = home, open_ledger
        self._position: int | None = None
        self._delivered_to: int | None = None
        self._routes: set[str] = set()
        self._requests = Counter(
            "portcullis_http_requests_total",
            "Requests to the API.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "portcullis_http_request_seconds",
            "From a request to the end of its answer.",
            ["route"],
            buckets=HTTP_BUCKETS,
            registry=self.registry,
        )
        self._sizes = Summary(
            "portcullis_http_response_bytes", "Sizes of answers.", registry=self.registry
        )
        self._watched = _watched_seconds(self.registry)
        self._breaches = Counter(
            "portcullis_breaches_total", "Limits broken.", ["rule"], registry=self.registry
        )
        self._commands = Counter(
            "portcullis_commands_total",
            "Commands that ended, by outcome.",
            ["outcome"],
            registry=self.registry,
        )
        self._flat = Histogram(
            "portcullis_enforcement_seconds",
            "From a breach detected to its command confirmed by the venue.",
            buckets=FLAT_BUCKETS,
            registry=self.registry,
        )
        self._delivery = Histogram(
            "portcullis_alert_delivery_seconds",
            "From a message planned to its being accepted by a channel.",
            ["severity"],
            buckets=DELIVERY_BUCKETS,
            registry=self.registry,
        )
        self._begin_at_zero()
        self.registry.register(_Home(home, now))
        self.registry.register(ending)

    def _begin_at_zero(self) -> None:
        """What is bounded is there from the start: a rate needs a first value."""
        for severity in SEVERITIES:
            self._delivery.labels(severity)
        for outcome in ("confirmed", "refused", "unconfirmed", "superseded"):
            self._commands.labels(outcome)

    def answered(self, request: Answered) -> None:
        """Count a request."""
        known = request.route in self._routes or len(self._routes) < ROUTES_MAX
        route = request.route if known else "other"
        self._routes.add(route)
        self._requests.labels(request.method, route, str(request.status)).inc()
        exemplar = {"trace_id": request.trace[:64]} if request.trace else None
        self._seconds.labels(route).observe(request.seconds, exemplar)
        self._sizes.observe(request.size)

    def watched(self, seconds: float, *, good: bool) -> None:
        """Count time that was looked at."""
        self._watched.labels("good" if good else "bad").inc(seconds)

    def follow(self) -> None:
        """Take in what is new of the ledger and of the deliveries; what cannot be read now is
        counted when it can be, and must not hide the rest from who watches.
        """
        for follow in (self._follow_ledger, self._follow_deliveries):
            with suppress(StoreError):
                follow()

    def _follow_ledger(self) -> None:
        reader = self._open_ledger()
        if reader is None:
            return
        with reader:
            head = reader.head().position
            if self._position is None or head < self._position:
                self._position = head
            for row in reader.events(_READ, after=self._position, through=head):
                event = decode(row.payload)
                if isinstance(event, BreachFound):
                    self._breaches.labels(event.rule).inc()
                elif isinstance(event, CommandConcluded):
                    self._concluded(event, row.trace)
            self._position = head

    def _concluded(self, event: CommandConcluded, trace: str) -> None:
        self._commands.labels(event.outcome).inc()
        if event.outcome == "confirmed":
            took = max(0, event.confirmed_at - event.detected_at) / MICRO
            self._flat.observe(took, {"trace_id": trace[:64]})

    def _follow_deliveries(self) -> None:
        if not is_begun(self._home):
            return
        with AlertReader(self._home) as store:
            if self._delivered_to is None:
                self._delivered_to = store.delivered_until()
            for severity, made, ended in store.delivered_since(self._delivered_to):
                self._delivery.labels(severity).observe(max(0, ended - made) / MICRO)
                self._delivered_to = max(self._delivered_to, ended)


def _watched_seconds(registry: CollectorRegistry) -> Counter:
    made = Counter(
        "portcullis_watched_seconds_total",
        "Time that was looked at: good while the worker turned on fresh data.",
        ["state"],
        registry=registry,
    )
    for state in ("good", "bad"):
        made.labels(state)
    return made


class _Home(Collector):
    """What lies in the home: alerts, deliveries, room on the disk."""

    def __init__(self, home: Path, now: Callable[[], int]) -> None:
        self._home, self._now = home, now

    def describe(self) -> list[Metric]:
        """Nothing is read while registering."""
        return []

    def collect(self) -> Iterator[Metric]:
        disk = shutil.disk_usage(self._home)
        yield GaugeMetricFamily(
            "portcullis_disk_free_ratio",
            "Share of the home's disk that is free.",
            value=disk.free / disk.total,
        )
        try:
            yield from self._alerts()
        except StoreError:
            return  # its absence says so

    def _alerts(self) -> Iterator[Metric]:
        opened = dict.fromkeys(SEVERITIES, 0)
        waiting = dict.fromkeys(SEVERITIES, 0.0)
        dead = _gauge("portcullis_alert_dead_letters", "Messages given up.", "channel")
        last = _gauge(
            "portcullis_alert_last_success_timestamp_seconds",
            "When a channel last took a message.",
            "channel",
        )
        if is_begun(self._home):
            with AlertReader(self._home) as store:
                for alert in store.alerts(limit=10_000):
                    opened[alert.severity] += 1
                for severity, age in store.oldest_waiting(self._now()).items():
                    waiting[severity] = age / MICRO
                for channel, figures in store.figures().items():
                    dead.add_metric([channel], figures.dead)
                    if figures.last_success:
                        last.add_metric([channel], figures.last_success / MICRO)
        yield dead
        yield last
        family = _gauge("portcullis_alerts_open", "Open alerts.", "severity")
        for severity, count in opened.items():
            family.add_metric([severity], count)
        yield family
        family = _gauge(
            "portcullis_alert_oldest_waiting_seconds",
            "How long the oldest message has waited for its channel.",
            "severity",
        )
        for severity, seconds in waiting.items():
            family.add_metric([severity], seconds)
        yield family


def _gauge(name: str, words: str, label: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, words, labels=[label])
