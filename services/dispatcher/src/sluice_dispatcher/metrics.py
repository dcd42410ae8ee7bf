"""The dispatcher's metrics, by Prometheus' conventions."""

from collections.abc import Callable
from functools import partial
from math import nan

from prometheus_client import CollectorRegistry, Counter, Gauge

from sluice_dispatcher.domain.verdict import Verdict
from sluice_dispatcher.domain.wait_reason import WaitReason

__all__ = ["Metrics"]


class Metrics:
    """Counts finished records and retries, and shows the records in flight."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._records = Counter(
            "sluice_dispatcher_records",
            "Request records finished, by verdict.",
            ["verdict"],
            registry=registry,
        )
        for verdict in Verdict:
            self._records.labels(verdict=verdict)
        self._retries = Counter(
            "sluice_dispatcher_retries",
            "Retries of steps to which Kafka or Kubernetes gave no clear answer, by step.",
            ["step"],
            registry=registry,
        )
        self._in_flight = Gauge(
            "sluice_dispatcher_records_in_flight",
            "Request records that are being handled, waiting ones included.",
            registry=registry,
        )
        self._waiting = Gauge(
            "sluice_dispatcher_records_waiting",
            "Request records in flight that cannot proceed yet, by reason.",
            ["reason"],
            registry=registry,
        )
        self._lag = Gauge(
            "sluice_dispatcher_consumer_lag_records",
            "Request records on the assigned partitions that have not been read yet.",
            registry=registry,
        )
        self._staleness = Gauge(
            "sluice_dispatcher_ledger_staleness_seconds",
            "Seconds since the ledger was known to be complete; NaN before it has caught up.",
            registry=registry,
        )

    def record_finished(self, verdict: Verdict) -> None:
        """Count a finished record."""
        self._records.labels(verdict=verdict).inc()

    def step_retried(self, step: str) -> None:
        """Count a retry of a step."""
        self._retries.labels(step=step).inc()

    def observe(
        self,
        *,
        in_flight: Callable[[], int],
        waiting: Callable[[WaitReason], int],
        lag: Callable[[], int],
        staleness: Callable[[], float | None],
    ) -> None:
        """Read the gauges from these functions whenever the metrics are scraped."""
        self._in_flight.set_function(in_flight)
        for reason in WaitReason:
            self._waiting.labels(reason=reason).set_function(partial(waiting, reason))
        self._lag.set_function(lag)
        self._staleness.set_function(lambda: nan if (age := staleness()) is None else age)
