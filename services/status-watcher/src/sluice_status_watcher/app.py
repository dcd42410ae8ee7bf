"""The status-watcher without its adapters; fakes enter here."""

import asyncio
import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry
from structlog.contextvars import bound_contextvars

from sluice_argo.watch_health import WatchHealth
from sluice_runtime.probes import Readiness
from sluice_status_watcher.domain.work_item import WorkItem, coalescing_key, needs_of, size_of
from sluice_status_watcher.handlers.namespace_watch import NamespaceWatch
from sluice_status_watcher.handlers.namespace_watches import NamespaceWatches
from sluice_status_watcher.handlers.work_queue import WorkQueue
from sluice_status_watcher.metrics import Metrics
from sluice_status_watcher.ports import ResultsReader, StatusPublisher, WorkflowClient, Workflows
from sluice_status_watcher.services.deletion_check import DeletionCheck
from sluice_status_watcher.services.event_publication import EventPublication
from sluice_status_watcher.services.leader_election import Leadership
from sluice_status_watcher.services.outcome_lookup import OutcomeLookup
from sluice_status_watcher.services.preflight import run_preflight
from sluice_status_watcher.services.reconciler import Reconciler
from sluice_status_watcher.services.results_repair import ResultsRepair
from sluice_status_watcher.services.workflow_parsing import WorkflowParser
from sluice_status_watcher.settings import Settings

__all__ = ["StatusWatcher"]


class StatusWatcher:
    """The service without its adapters.

    Stopping is the same as being killed: work under way is dropped, and done again by the next
    process. A kill has to be harmless anyway, so there is no second way to stop.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        workflows: Sequence[Workflows],
        client: WorkflowClient,
        parser: WorkflowParser,
        publisher: StatusPublisher,
        results: ResultsReader,
        registry: CollectorRegistry,
        leadership: Leadership,
    ) -> None:
        self._publisher = publisher
        self._results = results
        self._leadership = leadership
        self._metrics = metrics = Metrics(registry)
        self._queue: WorkQueue[str, WorkItem] = WorkQueue(
            coalescing_key=coalescing_key,
            size=size_of,
            needs=needs_of,
            concurrency=settings.concurrency,
            max_pending=settings.max_pending,
            max_bytes=settings.max_bytes,
        )
        lookup = OutcomeLookup(results, publisher)
        self._deletion_check = DeletionCheck(workflows, lookup, self._queue)
        self._reconciler = Reconciler(
            client,
            EventPublication(publisher, metrics=metrics),
            lookup,
            self._deletion_check,
            self._queue,
            # A restarted process is another holder: it does not know what it has published.
            name=uuid.uuid4().hex,
            metrics=metrics,
            release_after=settings.dedupe.release_after.total_seconds(),
        )
        self._results_repair = ResultsRepair(results, publisher, metrics=metrics)
        self._preflight = WatchHealth(clock=lambda: asyncio.get_running_loop().time())
        self._watches = NamespaceWatches(
            [
                NamespaceWatch(
                    each,
                    settings.watch,
                    parser=parser,
                    on_relist=lambda reason: metrics.relists.labels(reason).inc(),
                )
                for each in workflows
            ]
        )
        metrics.gauge("is_leader", "1 if this process works.", lambda: leadership.is_leader)
        metrics.gauge(
            "watch_idle_seconds", "Since the API server sent a byte.", self._watches.idle_seconds
        )
        for watch in self._watches:
            metrics.namespace(watch.namespace, partial(_is_watched, watch))
        metrics.gauge("pending_states", "States that wait to be published.", self._queue.pending)
        metrics.gauge("held_bytes", "Memory taken by states.", self._queue.held_bytes)
        metrics.gauge("active_workers", "Workflows being worked on.", self._queue.active)
        metrics.gauge("tracked_workflows", "Workflows kept in memory.", self._reconciler.tracked)

    def tasks(self) -> Mapping[str, Coroutine[Any, Any, None]]:
        """Return the tasks of the service, by name; none of them returns."""
        return {
            "workers": self._queue.run(self._reconciler.handle),
            "deletion check": self._deletion_check.run(),
            "reflector": self._reflect(),
            "results repair": self._repair_results(),
            # Last, because it is stopped last: leadership ends after the work.
            "leader election": self._leadership.run(unhealthy=self._unhealthy),
        }

    def readiness(self) -> Readiness:
        """Return the readiness checks; a standby is ready once its preflight has passed."""
        leads = self._leadership
        return {
            "leader election": leads.unknown,
            "preflight": lambda: None if leads.is_leader else self._not_prepared(),
            "recovery": lambda: self._of_leader(NamespaceWatch.unrecovered),
            "workflows": lambda: self._of_leader(NamespaceWatch.stalled),
            "kafka": self._publisher.unavailable,
        }

    async def _reflect(self) -> None:
        if not self._leadership.is_leader:
            namespaces = [(watch.workflows, watch.health) for watch in self._watches]
            await run_preflight(namespaces, self._results, health=self._preflight)
            await self._leadership.wait()
        async with asyncio.TaskGroup() as group:
            for watch in self._watches:
                group.create_task(self._follow(watch), name=f"reflector of {watch.namespace}")

    async def _follow(self, watch: NamespaceWatch) -> None:
        with bound_contextvars(namespace=watch.namespace):
            recovered = await watch.recover(self._results)
            for record in recovered.republish:
                await self._publisher.republish(record)
            for uid, outcome in recovered.outcomes.items():
                self._reconciler.recall(uid, outcome)
            self._metrics.outcomes_recovered.inc(len(recovered.outcomes))
            watch.is_recovered = True
            await watch.run(self._queue, known=recovered.outcomes)

    async def _repair_results(self) -> None:
        await self._leadership.wait()
        await self._results_repair.run()

    def _unhealthy(self) -> str | None:
        unprepared = None if self._leadership.is_leader else self._preflight.error
        return self._publisher.unavailable() or unprepared or self._watches.unhealthy()

    def _not_prepared(self) -> str | None:
        return self._preflight.error or self._watches.error()

    def _of_leader(self, problem: Callable[[NamespaceWatch], str | None]) -> str | None:
        return self._watches.first(problem) if self._leadership.is_leader else None


def _is_watched(watch: NamespaceWatch) -> bool:
    return watch.stalled() is None
