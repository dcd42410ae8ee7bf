"""What the status-watcher counts."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["Metrics"]

_PREFIX = "sluice_status_watcher"


class Metrics:
    """All metrics of the process, `sluice_status_watcher_*`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.published = Counter(
            f"{_PREFIX}_events_published",
            "Events acknowledged by Kafka, by phase.",
            ["phase"],
            registry=registry,
        )
        self.latency = Histogram(
            f"{_PREFIX}_publish_latency_seconds",
            "From seeing a state to the acknowledgement of its event.",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
            registry=registry,
        )
        self.without_details = Counter(
            f"{_PREFIX}_told_in_brief",
            "Workflows that could not be told of in full; the log says why.",
            registry=registry,
        )
        self.relists = Counter(
            f"{_PREFIX}_relists",
            "Times that the watch was given up for a new list, by reason.",
            ["reason"],
            registry=registry,
        )
        self.released = Counter(
            f"{_PREFIX}_finalizers_released", "Finalizers removed.", registry=registry
        )
        self.reopened = Counter(
            f"{_PREFIX}_reopened", "Finished Workflows seen to go on.", registry=registry
        )
        self.taken_over = Counter(
            f"{_PREFIX}_claims_taken_over",
            "Outcomes that another process was about to tell.",
            registry=registry,
        )
        self.unclaimed = Counter(
            f"{_PREFIX}_unclaimed_outcomes",
            "Outcomes told though they could not be claimed; another process may tell them, too.",
            registry=registry,
        )
        self.patch_failures = Counter(
            f"{_PREFIX}_patch_failures",
            "Patches not made, by reason; all are tried again.",
            ["reason"],
            registry=registry,
        )
        self.restored = Counter(
            f"{_PREFIX}_outcomes_restored",
            "Outcomes written again, because one of an earlier attempt was appended behind them.",
            registry=registry,
        )
        self.recovered = Counter(
            f"{_PREFIX}_outcomes_recovered",
            "Outcomes that the results topic held already when the process started.",
            registry=registry,
        )

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Show what `value` gives whenever somebody looks."""
        Gauge(f"{_PREFIX}_{name}", text, registry=self._registry).set_function(value)
