"""The dispatcher's metrics, by Prometheus' conventions."""

from collections.abc import Callable
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge

from sluice_dispatcher.domain.verdict import Verdict
from sluice_dispatcher.domain.wait_reason import WaitReason

__all__ = ["Metrics"]


class Metrics:
    """Counts what becomes of records, and shows what is in hand."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._records = Counter(
            "sluice_dispatcher_records",
            "Request records finished, by what became of them.",
            ["verdict"],
            registry=registry,
        )
        for verdict in Verdict:
            self._records.labels(verdict=verdict)
        self._retries = Counter(
            "sluice_dispatcher_retries",
            "Steps tried again because Kafka or Kubernetes gave no clear answer.",
            ["step"],
            registry=registry,
        )
        self._in_hand = Gauge(
            "sluice_dispatcher_records_in_hand",
            "Request records being worked on, those that wait included.",
            registry=registry,
        )
        self._waiting = Gauge(
            "sluice_dispatcher_records_waiting",
            "Request records that cannot go on yet, by what they wait for.",
            ["reason"],
            registry=registry,
        )
        self._lag = Gauge(
            "sluice_dispatcher_lag_records",
            "Request records on our partitions that nobody has begun to work on.",
            registry=registry,
        )
        self._staleness = Gauge(
            "sluice_dispatcher_ledger_staleness_seconds",
            "Since when the ledger is known to hold every outcome; NaN before it has caught up.",
            registry=registry,
        )

    def finished(self, verdict: Verdict) -> None:
        """Count a finished record."""
        self._records.labels(verdict=verdict).inc()

    def retried(self, step: str) -> None:
        """Count a step that is tried again."""
        self._retries.labels(step=step).inc()

    def watch(
        self,
        *,
        in_flight: Callable[[], int],
        waiting: Callable[[WaitReason], int],
        lag: Callable[[], int],
        staleness: Callable[[], float | None],
    ) -> None:
        """Read these whenever the metrics are."""
        self._in_hand.set_function(in_flight)
        for reason in WaitReason:
            self._waiting.labels(reason=reason).set_function(partial(waiting, reason))
        self._lag.set_function(lag)

        def stale() -> float:
            seconds = staleness()
            return float("nan") if seconds is None else seconds

        self._staleness.set_function(stale)
