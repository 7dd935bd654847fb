"""What ends by itself, for monitors: the certificate that is served, and the keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from portcullis.api.keys import Standing
from portcullis.domain.model import MICRO
from portcullis.errors import StoreError

KEYS_SHOWN = 50


class Ending(Collector):
    """Until when they hold, and how often what holds no more was sent. For one thread at a time."""

    def __init__(self, keys: Callable[[], Standing], certificate_ends: int | None) -> None:
        """`certificate_ends` in microseconds; None where none is served."""
        self._keys, self._certificate_ends = keys, certificate_ends
        self._used = 0

    def used(self) -> None:
        """Somebody sent a key that holds no more."""
        self._used += 1

    def describe(self) -> list[Metric]:
        """Nothing is read while registering."""
        return []

    def collect(self) -> Iterator[Metric]:
        """What is so now; of the keys nothing where their file cannot be read."""
        yield CounterMetricFamily(
            "portcullis_api_ended_keys_used",
            "Requests with a key that has expired or was revoked.",
            value=self._used,
        )
        if self._certificate_ends is not None:
            yield GaugeMetricFamily(
                "portcullis_certificate_expiry_timestamp_seconds",
                "When the certificate that the API serves ends.",
                value=self._certificate_ends / MICRO,
            )
        try:
            found = self._keys()
        except StoreError:
            return
        yield GaugeMetricFamily(
            "portcullis_api_keys", "API keys that hold.", value=len(found.valid)
        )
        ends = GaugeMetricFamily(
            "portcullis_api_key_expiry_timestamp_seconds",
            "When an API key ends that nothing replaces; those that end first.",
            labels=["key"],
        )
        for key in found.ending[:KEYS_SHOWN]:
            ends.add_metric([key.id], key.expires_at / MICRO)
        yield ends
