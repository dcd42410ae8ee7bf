"""What the gateway counts."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["Metrics"]

# Seconds; an acknowledged record takes a few milliseconds, the deadline ends it at 10 s.
_ACCEPT_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The gateway's metrics, in a registry of their own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "sluice_gateway_requests",
            "Requests answered.",
            ["method", "route", "status"],
            registry=registry,
        )
        self._requests_by_labels: dict[tuple[str, str, int], Counter] = {}
        self.accept_seconds = Histogram(
            "sluice_gateway_accept_seconds",
            "From the first look at a request to its acknowledged record.",
            buckets=_ACCEPT_BUCKETS,
            registry=registry,
        )
        self.streams = Gauge(
            "sluice_gateway_streams", "Event streams being followed.", registry=registry
        )
        self.events_projected = Counter(
            "sluice_gateway_events_projected",
            "Status records applied to the view.",
            registry=registry,
        )
        self._in_flight = Gauge(
            "sluice_gateway_in_flight_requests", "Requests for runs in flight.", registry=registry
        )
        self.view_bytes = Gauge(
            "sluice_gateway_view_bytes",
            "Size of the view's file: pages in use, and its write-ahead log.",
            registry=registry,
        )
        self.view_limit_bytes = Gauge(
            "sluice_gateway_view_limit_bytes",
            "What the view's file may have; beyond it the oldest finished runs go.",
            registry=registry,
        )
        self.view_trimmed_runs = Counter(
            "sluice_gateway_view_trimmed_runs",
            "Finished runs whose events but the last were dropped to save room.",
            registry=registry,
        )
        self.view_dropped_runs = Counter(
            "sluice_gateway_view_dropped_runs",
            "Finished runs that were dropped to save room.",
            registry=registry,
        )
        self.audit_lost = Counter(
            "sluice_gateway_audit_records_lost",
            "Audit records that are in the log alone, because the audit topic did not take them.",
            registry=registry,
        )
        self.view_failures = Counter(
            "sluice_gateway_view_failures",
            "Times that the view's file could not be used; it is opened again.",
            registry=registry,
        )
        self._outgoing = Gauge(
            "sluice_gateway_outgoing_bytes",
            "Held for the readers of event streams and of large states.",
            registry=registry,
        )
        self._identity_file_refused = Gauge(
            "sluice_gateway_identity_file_refused",
            "1 while the newest version of the file cannot be used, and an older one is in use.",
            ["setting"],
            registry=registry,
        )
        self._dead_letters = Gauge(
            "sluice_gateway_dead_letters",
            "Dead letters of the topic that are known, and neither replayed nor dropped.",
            ["topic"],
            registry=registry,
        )
        self._view_staleness = Gauge(
            "sluice_gateway_view_staleness_seconds",
            "Since the view was known to hold all that the topics held; NaN before that.",
            registry=registry,
        )

        self._key_fetches = Counter(
            "sluice_gateway_key_fetches",
            "Fetches of the keys of issuers of tokens.",
            ["issuer", "result"],
            registry=registry,
        )

    def count_request(self, method: str, route: str, status: int) -> None:
        """Count an answer; there must be a bounded number of methods and routes."""
        labels = method, route, status
        counter = self._requests_by_labels.get(labels)
        if counter is None:
            counter = self._requests_by_labels[labels] = self._requests.labels(*labels)
        counter.inc()

    def count_key_fetch(self, issuer: str, success: bool) -> None:  # noqa: FBT001 - a result
        """Count a fetch of the issuer's keys."""
        self._key_fetches.labels(issuer, "success" if success else "failure").inc()

    def watch_in_flight(self, in_flight: Callable[[], int]) -> None:
        """Read the requests in flight from here."""
        self._in_flight.set_function(in_flight)

    def watch_outgoing(self, held: Callable[[], int]) -> None:
        """Read the bytes held for readers from here."""
        self._outgoing.set_function(held)

    def watch_identity_file(self, setting: str, refused: Callable[[], bool]) -> None:
        """Read from here whether the newest version of the file is refused."""
        self._identity_file_refused.labels(setting).set_function(refused)

    def watch_dead_letters(self, topic: str, open_on: Callable[[str], int]) -> None:
        """Read from here how many letters of the topic are open."""
        self._dead_letters.labels(topic).set_function(lambda: open_on(topic))

    def watch_view_staleness(self, staleness: Callable[[], float | None]) -> None:
        """Read the view's lag from here."""

        def lag() -> float:
            seconds = staleness()
            return float("nan") if seconds is None else seconds

        self._view_staleness.set_function(lag)
