"""The metrics of the status-watcher."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["Metrics"]

_PREFIX = "sluice_status_watcher"


class Metrics:
    """All metrics of the process, `sluice_status_watcher_*`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"{_PREFIX}_{name}", text, labels, registry=registry)

        self.events_published = counter(
            "events_published", "Events acknowledged by Kafka, by phase.", "phase"
        )
        self.latency = Histogram(
            f"{_PREFIX}_publish_latency_seconds",
            "From seeing a state to the acknowledgement of its event.",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
            registry=registry,
        )
        self.events_truncated = counter(
            "events_truncated",
            "Workflows with events that lack details, because these could not be read or written.",
        )
        self.relists = counter("relists", "New lists in place of a watch, by reason.", "reason")
        self.finalizers_removed = counter("finalizers_removed", "Finalizers removed.")
        self.workflows_retried = counter(
            "workflows_retried", "Finished Workflows seen to run again."
        )
        self.claims_taken_over = counter(
            "claims_taken_over", "Claims of other processes that were taken over."
        )
        self.unclaimed_outcomes = counter(
            "unclaimed_outcomes",
            "Outcomes published without a claim; another process may publish them as well.",
        )
        self.patch_failures = counter(
            "patch_failures",
            "Failed requests for a Workflow, by reason; they are repeated.",
            "reason",
        )
        self.outcomes_restored = counter(
            "outcomes_restored",
            "Outcomes appended again, because one of an earlier attempt was appended behind them.",
        )
        self.outcomes_recovered = counter(
            "outcomes_recovered", "Outcomes that the results topic held at the start."
        )

        self._namespaces = Gauge(
            f"{_PREFIX}_namespace_watched",
            "1 if the states of a namespace are known, 0 if its watch fails.",
            # A scrape adds `namespace`: that of the pod.
            ["workflow_namespace"],
            registry=registry,
        )

    def namespace(self, name: str, is_watched: Callable[[], bool]) -> None:
        """Show whether the states of a namespace are known."""
        self._namespaces.labels(workflow_namespace=name).set_function(is_watched)

    def gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Show the return value of `value` at every scrape."""
        Gauge(f"{_PREFIX}_{name}", text, registry=self._registry).set_function(value)
