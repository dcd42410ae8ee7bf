"""The status-watcher, put together: the one place that knows every part."""

import asyncio
import socket
import uuid
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack, aclosing
from typing import Any, Protocol

import structlog
from prometheus_client import CollectorRegistry

from sluice_argo.workflows_api import WorkflowsApi
from sluice_runtime.backoff import Backoff
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kafka.consumer import make_consumer
from sluice_runtime.kafka.producer import Producer, RecordProducer
from sluice_runtime.kafka.topics import TopicMismatchError, TopicWatch, ensure_topics
from sluice_runtime.kubernetes.client import ClusterConfigurationError, KubernetesClient
from sluice_runtime.kubernetes.leases import LeaseApi
from sluice_runtime.loop_delay import LoopDelay
from sluice_runtime.probes import Readiness, serve_probes
from sluice_runtime.service import StartupError, wait_for_kafka
from sluice_runtime.supervision import run_tasks
from sluice_status_watcher.adapters.results_reader import KafkaResultsReader
from sluice_status_watcher.adapters.status_publisher import KafkaStatusPublisher
from sluice_status_watcher.domain.work_item import WorkItem, coalescing_key, needs_of, size_of
from sluice_status_watcher.handlers.event_router import route_events
from sluice_status_watcher.handlers.reflector import Reflector, WatchHealth
from sluice_status_watcher.handlers.work_queue import WorkQueue
from sluice_status_watcher.metrics import Metrics
from sluice_status_watcher.ports import ResultsReader, Workflows
from sluice_status_watcher.services.leader_election import AlwaysLeader, Leadership, LeaseElector
from sluice_status_watcher.services.preflight import run_preflight
from sluice_status_watcher.services.reconciler import Reconciler
from sluice_status_watcher.services.recovery import recover
from sluice_status_watcher.services.results_repair import ResultsRepair
from sluice_status_watcher.settings import Settings

__all__ = ["StatusProducer", "StatusWatcher", "serve"]

_log = structlog.get_logger(__name__)

_NAME = "sluice-status-watcher"


class StatusProducer(Producer, Protocol):
    """A producer that knows how it fares."""

    def unavailable(self) -> str | None:
        """Say why the last send failed; None if it did not."""


class StatusWatcher:
    """The service without its adapters; fakes enter here.

    Stopping is the same as being killed: work in hand is dropped where it stands, and done again
    by the next process. That path has to be right anyway, so there is no second one.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        workflows: Workflows,
        producer: StatusProducer,
        published: ResultsReader,
        registry: CollectorRegistry,
        leadership: Leadership,
    ) -> None:
        self._settings = settings
        self._leadership = leadership
        self._workflows = workflows
        self._producer = producer
        self._published = published
        self._recovered = False
        self._metrics = metrics = Metrics(registry)
        self._publisher = KafkaStatusPublisher(
            producer, settings.kafka.topics, send_timeout=settings.send_timeout
        )
        self._reconciler = Reconciler(
            workflows,
            self._publisher,
            published,
            # To tell its own claims from others'; whoever starts anew is another.
            name=uuid.uuid4().hex,
            metrics=metrics,
            release_after=settings.dedupe.release_after,
            requeue=self._requeue,
        )
        self._superseded = ResultsRepair(published, self._publisher, metrics=metrics)
        self._workers: WorkQueue[str, WorkItem] = WorkQueue(
            self._reconciler.handle,
            stage=coalescing_key,
            size=size_of,
            needs=needs_of,
            concurrency=settings.concurrency,
            max_pending=settings.max_pending,
            max_bytes=settings.max_bytes,
        )
        self._health = WatchHealth(clock=lambda: asyncio.get_running_loop().time())
        self._watching = Reflector(
            workflows,
            settings.watch,
            health=self._health,
            relisting=lambda reason: metrics.relists.labels(reason).inc(),
        )
        metrics.watch(
            "leading", "1 if it is this one's turn to watch.", lambda: leadership.is_leader
        )
        metrics.watch("last_byte_age_seconds", "Since the API was heard.", self._health.age)
        metrics.watch("pending_states", "States that wait to be told.", self._workers.pending)
        metrics.watch("held_bytes", "Of states in memory.", self._workers.held_bytes)
        metrics.watch("active_workers", "Workflows being worked on.", self._workers.active)
        metrics.watch("known_workflows", "Workflows kept in memory.", self._reconciler.known)

    def tasks(self) -> Mapping[str, Coroutine[Any, Any, None]]:
        """Give what is to run for ever, by name."""
        return {
            "workers": self._workers.run(),
            "vanishing": self._reconciler.vanishing.run(),
            "watcher": self._watch(),
            "superseded": self._restore(),
            # Last: it is our turn until the work has stopped.
            "lease": self._leadership.run(unhealthy=self._unfit),
        }

    def readiness(self) -> Readiness:
        """Tell what is waited for; who stands by, for what shows that it could do the work."""
        return {
            "lease": self._leadership.unknown,
            "rehearsal": lambda: None if self._leadership.is_leader else self._health.trouble,
            "recovery": lambda: self._unaware() if self._leadership.is_leader else None,
            "workflows": lambda: self._deaf() if self._leadership.is_leader else None,
            "kafka": self._producer.unavailable,
        }

    async def _watch(self) -> None:
        if not self._leadership.is_leader:
            await run_preflight(self._workflows, self._published, health=self._health)
            await self._leadership.wait()
        recovered = await recover(
            self._workflows,
            self._published,
            page_size=self._settings.watch.page_size,
            health=self._health,
        )
        for record in recovered.republish:
            await self._publisher.republish(record)
        for uid, outcome in recovered.outcomes.items():
            self._reconciler.recall(uid, outcome)
        self._metrics.recovered.inc(len(recovered.outcomes))
        self._recovered = True
        async with aclosing(self._watching.run()) as changes:
            await route_events(changes, self._workers, known_uids=recovered.outcomes)

    def _requeue(self, uid: str, news: WorkItem) -> None:
        self._workers.put_now(uid, news)

    async def _restore(self) -> None:
        await self._leadership.wait()
        await self._superseded.run()

    def _unfit(self) -> str | None:
        return self._producer.unavailable() or self._health.trouble

    def _unaware(self) -> str | None:
        return None if self._recovered else "the results topic is not read yet"

    def _deaf(self) -> str | None:
        if not self._health.listed:
            return "the Workflows are not listed yet"
        watch = self._settings.watch
        limit = (watch.silence + watch.backoff_longest).total_seconds()
        age = self._health.age()
        return f"the API server was last heard {age:.0f} s ago" if age > limit else None


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Run the status-watcher until told to stop.

    Raises:
        StartupError: the topics or the way to the cluster cannot work.
        StoppedError: told to stop while Kafka was still away.
        TaskEndedError: a task ended by itself.
    """
    kafka = settings.kafka
    registry = CollectorRegistry()
    async with AsyncExitStack() as stack:
        try:
            cluster = await stack.enter_async_context(KubernetesClient.connect(settings.kubernetes))
        except ClusterConfigurationError as e:
            raise StartupError(str(e)) from e
        turn = _leadership(settings, cluster)
        stack.push_async_callback(turn.release)
        producer = RecordProducer(kafka, client_id=_NAME)
        # Before the turn is given up: what is on its way to Kafka would come after the next one.
        stack.push_async_callback(producer.close)
        watcher = StatusWatcher(
            settings,
            workflows=WorkflowsApi(
                cluster,
                namespace=settings.kubernetes.namespace,
                request_timeout=settings.kubernetes.request_timeout,
            ),
            producer=producer,
            published=KafkaResultsReader(
                lambda: make_consumer(kafka, client_id=_NAME), topic=kafka.topics.results
            ),
            registry=registry,
            leadership=turn,
        )
        topics = TopicWatch(kafka, client_id=_NAME, registry=registry)
        # Before Kafka is there: who waits for it is alive, and says what it waits for.
        port = await stack.enter_async_context(
            serve_probes(
                settings.health,
                readiness={**watcher.readiness(), "topics": topics.broken},
                registry=registry,
            )
        )
        _log.info("status-watcher started", health_port=port)
        try:
            await wait_for_kafka(
                lambda: _reach_kafka(settings, producer), backoff=Backoff(), stop=stop
            )
        except TopicMismatchError as e:
            raise StartupError(str(e)) from e
        await run_tasks(
            {
                "topics": topics.run(),
                "loop delay": LoopDelay(registry).run(),
                **watcher.tasks(),
            },
            stop=stop,
            grace=settings.shutdown_grace,
        )
    _log.info("status-watcher stopped")


def _leadership(settings: Settings, cluster: KubernetesClient) -> Leadership:
    name = settings.lease.name
    if name is None:
        return AlwaysLeader()
    lease = LeaseApi(
        cluster,
        namespace=settings.lease.namespace or settings.kubernetes.namespace,
        name=name,
        # Asked for longer than that, there would be time for one look before it has run out.
        request_timeout=min(settings.kubernetes.request_timeout, settings.lease.renew_every),
    )
    holder = settings.lease.holder or f"{socket.gethostname()}_{uuid.uuid4().hex}"
    return LeaseElector(lease, settings.lease, holder=holder)


async def _reach_kafka(settings: Settings, producer: RecordProducer) -> None:
    deadline = Deadline("reach Kafka", settings.kafka.request_timeout * 2)
    await ensure_topics(settings.kafka, client_id=_NAME, deadline=deadline)
    await producer.start(deadline=deadline)
