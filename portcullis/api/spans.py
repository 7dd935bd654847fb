"""A request as a span, and where spans go: nowhere, until PORTCULLIS_OTLP_URL names a collector."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from portcullis.api.guard import OTHER, Asked
from portcullis.config.collector import collector
from portcullis.config.settings import Settings
from portcullis.trace_context import Span


class Export(Protocol):
    """Takes spans and never keeps anybody waiting."""

    def record(self, span: Span) -> None:
        """A span that has ended."""

    def close(self) -> None:
        """Send what is left, in a bounded time."""


def opened(settings: Settings, say: Callable[[str], None]) -> Export | None:
    """The way to the collector that is set, if any. Raises UsageError as `collector`."""
    url = collector(settings)
    if not url:
        return None
    from portcullis.api.otlp import SpanExport  # the extra: loaded only where it is asked for

    return SpanExport(url, say)


def span_of(asked: Asked, ended: int, scheme: str) -> Span:
    """A request in the words of OpenTelemetry's conventions. `ended` in microseconds. No query and
    nothing of a header: either may hold what is nobody's business.
    """
    attributes: dict[str, str | int] = {
        "http.request.method": asked.known_method,
        "url.path": asked.path,
        "url.scheme": scheme,
        "http.response.status_code": asked.status,
        "portcullis.request_id": asked.request_id,
    }
    name = asked.known_method if asked.known_method != OTHER else "HTTP"
    if asked.route != "none":
        name = f"{name} {asked.route}"
        attributes["http.route"] = asked.route
    fault = str(asked.status) if asked.status >= 500 else ""
    if not asked.status:
        del attributes["http.response.status_code"]
        fault = "no answer"
    began = ended - round(asked.took * 1_000_000)
    return Span(name, "server", asked.trace, asked.parent, began, ended, attributes, fault)
