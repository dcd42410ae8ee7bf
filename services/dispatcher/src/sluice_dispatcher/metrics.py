"""The dispatcher's metrics, by Prometheus' conventions."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from math import nan

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from sluice_dispatcher.domain.fair_queue import FairQueue
from sluice_dispatcher.domain.pauses import Pauses
from sluice_dispatcher.domain.verdict import Verdict
from sluice_dispatcher.domain.wait_reason import WaitReason
from sluice_runtime.live_limits import Limits

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

        self._limits_refused = Gauge(
            "sluice_dispatcher_limits_refused",
            "1 if the limits file has changed into something that cannot be used.",
            registry=registry,
        )
        self._paused = Gauge(
            "sluice_dispatcher_paused",
            "Tenants and workflows that a record of the controls topic pauses or drains, by kind.",
            ["kind"],
            registry=registry,
        )
        self._invalid_controls = Gauge(
            "sluice_dispatcher_invalid_controls",
            "Tenants and workflows that are paused because their last control cannot be read.",
            registry=registry,
        )
        self._unswept_slots = Gauge(
            "sluice_dispatcher_unswept_slots",
            "Leases of concurrency keys that the last sweep could not read or free.",
            registry=registry,
        )
        self._failed_sweeps = Counter(
            "sluice_dispatcher_slot_sweep_failures",
            "Sweeps of the Leases of concurrency keys that ended before the last Lease.",
            registry=registry,
        )
        self._namespaces = Gauge(
            "sluice_dispatcher_namespace_watched",
            "1 if the live runs of a namespace are known, 0 if its watch fails.",
            # A scrape adds `namespace`: that of the pod.
            ["workflow_namespace"],
            registry=registry,
        )
        self._registry = registry

    def record_finished(self, verdict: Verdict) -> None:
        """Count a finished record."""
        self._records.labels(verdict=verdict).inc()

    def step_retried(self, step: str) -> None:
        """Count a retry of a step."""
        self._retries.labels(step=step).inc()

    def slots_swept(self, unswept: int | None) -> None:
        """Note how many slots a sweep could not read or free; None: the sweep failed."""
        if unswept is None:
            self._failed_sweeps.inc()
        else:
            self._unswept_slots.set(unswept)

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

    def observe_namespaces(self, known: Mapping[str, Callable[[], bool]]) -> None:
        """Show of which namespaces the live runs are known."""
        for namespace, is_known in known.items():
            self._namespaces.labels(workflow_namespace=namespace).set_function(is_known)

    def observe_admission(
        self,
        *,
        limits: Callable[[], Limits],
        queue: FairQueue,
        unserved_seconds: Callable[[], Mapping[str, float]],
        refused: Callable[[], bool],
        pauses: Callable[[], Pauses],
        invalid_controls: Callable[[], int],
    ) -> None:
        """Show live and waiting runs by tenant, for the tenants that the limits name."""
        self._limits_refused.set_function(lambda: int(refused()))
        self._paused.labels(kind="tenant").set_function(lambda: len(pauses().tenants))
        self._paused.labels(kind="workflow").set_function(lambda: len(pauses().workflows))
        self._invalid_controls.set_function(invalid_controls)
        self._registry.register(_TenantCollector(limits, queue, unserved_seconds))


class _TenantCollector(Collector):
    """Live and waiting runs by tenant; those that no limit names are one: `other`.

    So an operator's file bounds the number of series, whatever tenants clients make up.
    """

    def __init__(
        self,
        limits: Callable[[], Limits],
        queue: FairQueue,
        unserved_seconds: Callable[[], Mapping[str, float]],
    ) -> None:
        self._limits = limits
        self._queue = queue
        self._unserved_seconds = unserved_seconds

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """See `Collector.collect`."""
        queue, named = self._queue, self._limits().named_tenants
        yield _by_tenant(
            "sluice_dispatcher_live_runs",
            "Runs of all dispatchers that are live, as this one sees them, by tenant.",
            {tenant: queue.live_of(tenant) for tenant in named},
            other=queue.live - sum(map(queue.live_of, named)),
        )
        yield _by_tenant(
            "sluice_dispatcher_held_requests",
            "Requests that a limit or a pause holds, by tenant.",
            {tenant: queue.waiting_of(tenant) for tenant in named},
            other=len(queue) - sum(map(queue.waiting_of, named)),
        )
        unserved = self._unserved_seconds()
        yield _by_tenant(
            "sluice_dispatcher_unserved_seconds",
            "How long a tenant below its own limits has waited without a start, by tenant; of the "
            "others the longest.",
            {tenant: unserved.get(tenant, 0.0) for tenant in named},
            other=max((unserved[each] for each in unserved.keys() - set(named)), default=0.0),
        )


def _by_tenant(
    name: str, text: str, values: Mapping[str, float], *, other: float
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=["tenant"])
    for tenant, value in values.items():
        family.add_metric([tenant], value)
    family.add_metric(["other"], other)
    return family
