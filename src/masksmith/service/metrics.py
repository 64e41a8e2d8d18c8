"""What the service counts, for Prometheus.

Rule: labels have few values: the path as it is declared, never as it was asked for.
"""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from masksmith.service.queue import Line

CONTENT_TYPE = CONTENT_TYPE_LATEST

# Seconds: from a health check to the usual deadline.
_BUCKETS = (0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)


class Metrics:
    """Counters of one service; a registry of its own, so that two in one process do not mix."""

    def __init__(self, line: Line) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "masksmith_requests", "Requests that were answered.", ["route", "code"], registry=registry
        )
        self.seconds = Histogram(
            "masksmith_request_seconds", "Time to answer.", ["route"], buckets=_BUCKETS, registry=registry
        )
        self.pictures = Counter("masksmith_pictures", "Pictures that the network answered for.", registry=registry)
        self.pixels = Counter("masksmith_pixels", "Their pixels.", registry=registry)
        Gauge("masksmith_queue_length", "Requests that wait or are worked on.", registry=registry).set_function(
            lambda: line.length
        )

    def count(self, route: str, code: int, seconds: float) -> None:
        """One request."""
        self.requests.labels(route, str(code)).inc()
        self.seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self._registry)
