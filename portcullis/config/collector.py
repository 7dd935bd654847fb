"""The OpenTelemetry collector that the settings name."""

from __future__ import annotations

from importlib.util import find_spec
from urllib.parse import urlsplit

from portcullis.config.scalars import UNITS, Unreadable
from portcullis.config.settings import Settings
from portcullis.errors import UsageError

NEEDED = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
REMEDY = "pip install 'portcullis[telemetry]', or in a checkout: make install"


def collector(settings: Settings) -> str:
    """The collector's address, empty where none is set. Raises UsageError for one that is none,
    and where the extra `telemetry` is missing.
    """
    if not settings.otlp_url:
        return ""
    try:
        url = str(UNITS["url"].read(settings.otlp_url))
    except Unreadable as error:
        raise UsageError(
            f"PORTCULLIS_OTLP_URL: {error}",
            remedy=f"give {error.allowed}, as http://localhost:4318",
        ) from error
    if "@" in urlsplit(url).netloc:
        raise UsageError(
            "PORTCULLIS_OTLP_URL holds a name or password, and addresses end up in logs",
            remedy="give what the collector asks for in OTEL_EXPORTER_OTLP_HEADERS",
        )
    try:
        missing = [name for name in NEEDED if find_spec(name) is None]
    except ModuleNotFoundError as error:  # of what the module lies in
        missing = [error.name or NEEDED[0]]
    if missing:
        raise UsageError(
            f"PORTCULLIS_OTLP_URL is set, and {missing[0]} is not installed", remedy=REMEDY
        )
    return url
