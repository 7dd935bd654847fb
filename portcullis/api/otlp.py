"""Spans to a collector by OTLP over HTTP: needs the extra `telemetry`, and spans.py loads it.

Nothing waits for it: spans go into a bounded queue, a thread sends them in batches, and a collector
that does not answer costs spans and a line in a while.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
)

from portcullis import __version__
from portcullis.trace_context import Span

PATH = "/v1/traces"
QUEUE_MAX, BATCH_MAX = 2_048, 512
BATCH_MS = 2_000.0
EXPORT_SECONDS = 5.0
STOP_SECONDS = 3.0
SAID_EVERY = 600.0
COMPLAINS = "opentelemetry"
"""The logger that has a line for every batch that a collector did not take."""

KINDS = {"server": SpanKind.SERVER, "client": SpanKind.CLIENT}


class SpanExport:
    """Spans on their way to a collector; from any thread."""

    def __init__(self, url: str, say: Callable[[str], None]) -> None:
        """`url` without the path of traces; `say` hears, not often, of what could not be sent."""
        self._ids = _Given()
        self._complaints = _Seldom(url, say)
        logger = logging.getLogger(COMPLAINS)
        logger.addHandler(self._complaints)
        logger.propagate = False
        exporter = OTLPSpanExporter(url + PATH, timeout=EXPORT_SECONDS)
        self._provider = TracerProvider(
            ALWAYS_ON,
            Resource.create({"service.name": "portcullis-api", "service.version": __version__}),
            shutdown_on_exit=False,
            id_generator=self._ids,
        )
        batches = BatchSpanProcessor(exporter, QUEUE_MAX, BATCH_MS, BATCH_MAX)
        self._provider.add_span_processor(batches)
        self._tracer = self._provider.get_tracer("portcullis", __version__)

    def record(self, span: Span) -> None:
        """Put a span into the queue; dropped where that is full or its trace unsampled."""
        if not span.context.sampled:
            return
        self._ids.take(span)
        made = self._tracer.start_span(
            span.name,
            _parent(span),
            KINDS[span.kind],
            span.attributes,
            start_time=span.began * 1_000,
        )
        if span.fault:
            made.set_attribute("error.type", span.fault)
            made.set_status(Status(StatusCode.ERROR))
        made.end(span.ended * 1_000)

    def close(self) -> None:
        """Send what is left, for `STOP_SECONDS` at most."""
        ending = threading.Thread(target=self._provider.shutdown, name="spans", daemon=True)
        ending.start()
        ending.join(STOP_SECONDS)
        logger = logging.getLogger(COMPLAINS)
        logger.removeHandler(self._complaints)
        logger.propagate = True


def _parent(span: Span) -> Context:
    """Where a span hangs: nowhere at the beginning of a trace."""
    if not span.parent:
        return Context()
    context = SpanContext(
        int(span.context.trace_id, 16),
        int(span.parent, 16),
        is_remote=span.kind == "server",
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
    return trace.set_span_in_context(NonRecordingSpan(context), Context())


class _Given(IdGenerator):
    """The ids that a span has already: headers and logs have named them."""

    def __init__(self) -> None:
        self._of = threading.local()

    def take(self, span: Span) -> None:
        self._of.span = span

    def generate_span_id(self) -> int:
        return int(self._of.span.context.span_id, 16)

    def generate_trace_id(self) -> int:
        return int(self._of.span.context.trace_id, 16)


class _Seldom(logging.Handler):
    """Says that spans are lost, once in `SAID_EVERY`, and not how for each batch."""

    def __init__(self, url: str, say: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._url, self._say, self._next = url, say, 0.0

    def emit(self, record: logging.LogRecord) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + SAID_EVERY
        said = record.getMessage()[:300]
        self._say(f"traces: spans are lost; is there a collector at {self._url}? {said}")
