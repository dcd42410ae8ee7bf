"""Wires the dispatcher: the only module that knows every part."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from importlib.metadata import entry_points

import structlog
from prometheus_client import CollectorRegistry

from sluice_argo.workflows_api import WorkflowsApi
from sluice_dispatcher.adapters.ledger import SqliteLedger, open_ledger_store
from sluice_dispatcher.adapters.outcome_publisher import KafkaOutcomePublisher
from sluice_dispatcher.adapters.request_consumer import RequestConsumer
from sluice_dispatcher.app import create_record_handler, new_budget
from sluice_dispatcher.domain.workflow_builder import WorkflowBuilder
from sluice_dispatcher.gate import create_gate
from sluice_dispatcher.metrics import Metrics
from sluice_dispatcher.services.assignment import Assignment
from sluice_dispatcher.services.queue_notices import QueueNotices
from sluice_dispatcher.services.queued_runs import QueuedRuns
from sluice_dispatcher.services.run_workflows import RunWorkflows
from sluice_dispatcher.settings import DispatcherSettings
from sluice_runtime.backoff import Backoff
from sluice_runtime.clocks import boot_time
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kafka.consumer import make_consumer
from sluice_runtime.kafka.producer import RecordProducer
from sluice_runtime.kafka.topics import TopicMismatchError, TopicWatch, ensure_topics
from sluice_runtime.kubernetes.client import ClusterConfigurationError, KubernetesClient
from sluice_runtime.loop_delay import LoopDelay
from sluice_runtime.probes import serve_probes
from sluice_runtime.projection.projector import Projector
from sluice_runtime.projection.sqlite_file import StoreUnusableError
from sluice_runtime.service import StartupError, wait_for_kafka
from sluice_runtime.supervision import run_tasks
from sluice_workflows.catalogue import ENTRY_POINT_GROUP, load_catalogue
from sluice_workflows.compiler import compile_entry
from sluice_workflows.errors import WorkflowsError
from sluice_workflows.settings import CompileSettings

__all__ = ["load_builder", "serve"]

_log = structlog.get_logger(__name__)

_NAME = "sluice-dispatcher"
# Kept of the shutdown grace after draining, for the last commit and for leaving the group.
_LAST_STEPS = timedelta(seconds=5)


def load_builder(settings: DispatcherSettings) -> WorkflowBuilder:
    """Compile the catalogue and return a builder for its Workflows.

    Raises:
        StartupError: an entry is wrong; the message names it.
    """
    try:
        catalogue = load_catalogue(
            file=settings.workflows.catalogue_file,
            entry_points=entry_points(group=ENTRY_POINT_GROUP),
        )
        compiling = CompileSettings(
            python_image=settings.workflows.python_image,
            service_account=settings.workflows.service_account,
            ttl_seconds=int(settings.workflows.ttl.total_seconds()),
        )
        skeletons = {entry.name: compile_entry(entry, settings=compiling) for entry in catalogue}
    except WorkflowsError as e:
        raise StartupError(f"The catalogue cannot be used: {e}") from e
    return WorkflowBuilder(
        catalogue,
        skeletons,
        namespaces=settings.kubernetes.namespaces,
        instance_ids=settings.workflows.instance_ids,
    )


async def serve(settings: DispatcherSettings, stop: asyncio.Event) -> None:
    """Run the dispatcher until `stop` is set.

    Raises:
        TenantFileError: the file of signing keys cannot be used.
        StartupError: the catalogue, the topics or the connection to the cluster cannot work.
        TaskEndedError: a task ended by itself.
    """
    kafka, dispatch, sets = settings.kafka, settings.dispatch, settings.kafka.topic_sets
    requests = sets.requests_of(dispatch.cluster)
    builder = load_builder(settings)
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    async with AsyncExitStack() as stack:
        try:
            cluster = await stack.enter_async_context(KubernetesClient.connect(settings.kubernetes))
            store = await stack.enter_async_context(
                open_ledger_store(settings.data_dir / "ledger.sqlite")
            )
        except ClusterConfigurationError as e:
            raise StartupError(str(e)) from e
        except (StoreUnusableError, OSError) as e:
            raise StartupError(f"SLUICE_DATA_DIR: {e}") from e
        producer = RecordProducer(kafka, client_id=_NAME)
        stack.push_async_callback(producer.close)
        projector = Projector(
            name="ledger",
            topics=sets.results,
            store=store,
            make_consumer=lambda: make_consumer(kafka, client_id=f"{_NAME}-ledger"),
            clock=boot_time,
        )
        ledger = SqliteLedger(store, projector, freshness=settings.dedupe.ledger_freshness)
        budget = new_budget(dispatch, topics=len(requests))
        publisher = KafkaOutcomePublisher(producer, topics=sets, timeout=kafka.request_timeout)
        assignment = Assignment(_now)
        queued = QueuedRuns(clock=boot_time, is_first_reader_of=assignment.is_first_reader_of)
        namespaces = settings.kubernetes.namespaces
        workflows = RunWorkflows(
            namespaces,
            {
                namespace: WorkflowsApi(
                    cluster,
                    namespace=namespace,
                    request_timeout=settings.kubernetes.request_timeout,
                    create_timeout=settings.dedupe.create_timeout,
                )
                for namespace in namespaces.all
            },
        )
        gate = create_gate(
            settings,
            client_id=_NAME,
            cluster=cluster,
            counts_keys=builder.limits_concurrency,
            workflows=workflows,
            ledger=ledger,
            metrics=metrics,
            budget=budget,
            queued=queued,
            now=_now,
        )
        handler = create_record_handler(
            settings,
            builder=builder,
            workflows=workflows,
            ledger=ledger,
            publisher=publisher,
            metrics=metrics,
            budget=budget,
            queued=queued,
            admission=gate.admission,
            origins=kafka.origins,
            slots=gate.slots,
            now=_now,
        )
        request_consumer = RequestConsumer(
            topics=requests,
            make_consumer=lambda: make_consumer(
                kafka, client_id=_NAME, group=dispatch.consumer_group
            ),
            handle=handler.handle,
            on_assigned=assignment.restart,
            budget=budget,
            most_uncommitted=dispatch.max_uncommitted,
            commit_interval=dispatch.commit_interval,
            drain_grace=max(timedelta(seconds=1), settings.shutdown_grace - _LAST_STEPS),
        )
        metrics.observe(
            in_flight=lambda: request_consumer.in_flight,
            waiting=lambda reason: budget.waiting[reason],
            lag=lambda: request_consumer.lag,
            staleness=projector.staleness,
        )
        notices = QueueNotices(
            queued=queued,
            budget=budget,
            publisher=publisher,
            after=dispatch.queue_notice_after,
            now=_now,
            explain=gate.admission.explain,
        )
        topics = TopicWatch(kafka, client_id=_NAME, registry=registry, more=gate.topics)
        # Before Kafka answers, so that a process that waits for it is alive and says so.
        port = await stack.enter_async_context(
            serve_probes(
                settings.health,
                readiness={
                    "ledger": ledger.waiting_for,
                    "requests": request_consumer.waiting_for,
                    "topics": topics.broken,
                    **gate.readiness,
                },
                degraded={"requests": request_consumer.degraded},
                registry=registry,
            )
        )
        _log.info("dispatcher started", health_port=port)
        try:
            await wait_for_kafka(
                lambda: ensure_topics(
                    kafka,
                    client_id=_NAME,
                    deadline=Deadline("verify topics", kafka.request_timeout),
                    more=gate.topics,
                ),
                backoff=Backoff(longest=timedelta(seconds=5)),
                stop=stop,
            )
        except TopicMismatchError as e:
            raise StartupError(str(e)) from e
        await run_tasks(
            {
                "request consumer": request_consumer.run(),
                "queue notices": notices.run(),
                **{name: task() for name, task in gate.tasks.items()},
                "loop delay": LoopDelay(registry).run(),
                "ledger": projector.run(),
                "ledger file": store.watch_for_damage(),
                "topics": topics.run(),
            },
            stop=stop,
            grace=settings.shutdown_grace,
        )


def _now() -> datetime:
    return datetime.now(UTC)
