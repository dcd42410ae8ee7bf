"""The composition root: makes the adapters and runs the service."""

import asyncio
import socket
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack

import structlog
from prometheus_client import CollectorRegistry

from sluice_argo.workflows_api import WorkflowsApi
from sluice_runtime.backoff import Backoff
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kafka.consumer import make_consumer
from sluice_runtime.kafka.producer import RecordProducer
from sluice_runtime.kafka.topics import TopicMismatchError, TopicWatch, ensure_topics
from sluice_runtime.kubernetes.client import ClusterConfigurationError, KubernetesClient
from sluice_runtime.kubernetes.leases import LeaseApi
from sluice_runtime.kubernetes.shallow_json import parse_shallow
from sluice_runtime.loop_delay import LoopDelay
from sluice_runtime.probes import serve_probes
from sluice_runtime.service import StartupError, wait_for_kafka
from sluice_runtime.supervision import run_tasks
from sluice_status_watcher.adapters.results_reader import KafkaResultsReader
from sluice_status_watcher.adapters.status_publisher import KafkaStatusPublisher
from sluice_status_watcher.adapters.workflow_client import ApiWorkflowClient
from sluice_status_watcher.app import StatusWatcher
from sluice_status_watcher.services.leader_election import AlwaysLeader, Leadership, LeaseElector
from sluice_status_watcher.services.workflow_parsing import WorkflowParser
from sluice_status_watcher.settings import Settings

__all__ = ["serve"]

_log = structlog.get_logger(__name__)

_NAME = "sluice-status-watcher"


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Run the status-watcher until `stop` is set.

    Raises:
        StartupError: the topics or the connection to the cluster are configured wrongly.
        StoppedError: stopped while Kafka was still away.
        TaskEndedError: a task has ended.
    """
    kafka = settings.kafka
    registry = CollectorRegistry()
    # Each thread has a heap of its own, which keeps the memory of the largest Workflow that it has
    # processed. With the default of several threads, the largest Workflows took 520 MiB, now 300.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(max_workers=1))
    async with AsyncExitStack() as stack:
        try:
            cluster = await stack.enter_async_context(KubernetesClient.connect(settings.kubernetes))
        except ClusterConfigurationError as e:
            raise StartupError(str(e)) from e
        leadership = _leadership(settings, cluster)
        stack.push_async_callback(leadership.release)
        producer = RecordProducer(kafka, client_id=_NAME)
        # Before the release: records under way would be appended behind those of the next leader.
        stack.push_async_callback(producer.close)
        workflows = [
            WorkflowsApi(
                cluster,
                namespace=namespace,
                request_timeout=settings.kubernetes.request_timeout,
                parse=parse_shallow,
            )
            for namespace in settings.kubernetes.namespaces.all
        ]
        parser = WorkflowParser()
        watcher = StatusWatcher(
            settings,
            workflows=workflows,
            client=ApiWorkflowClient(workflows, parser),
            parser=parser,
            publisher=KafkaStatusPublisher(
                producer, kafka.topic_sets, send_timeout=settings.send_timeout
            ),
            results=KafkaResultsReader(
                lambda: make_consumer(kafka, client_id=_NAME), topics=kafka.topic_sets
            ),
            registry=registry,
            leadership=leadership,
        )
        topics = TopicWatch(kafka, client_id=_NAME, registry=registry)
        # Before Kafka answers: a process that waits for Kafka is alive, and its readiness says so.
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
        # With a longer timeout a single request could take until the Lease has expired.
        request_timeout=min(settings.kubernetes.request_timeout, settings.lease.renew_every),
    )
    holder = settings.lease.holder or f"{socket.gethostname()}_{uuid.uuid4().hex}"
    return LeaseElector(lease, settings.lease, holder=holder)


async def _reach_kafka(settings: Settings, producer: RecordProducer) -> None:
    deadline = Deadline("reach Kafka", settings.kafka.request_timeout * 2)
    await ensure_topics(settings.kafka, client_id=_NAME, deadline=deadline)
    await producer.start(deadline=deadline)
