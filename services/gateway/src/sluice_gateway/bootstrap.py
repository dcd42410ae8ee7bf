"""The gateway, put together: the one place that knows every part, and how they stop."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.metadata import entry_points

from prometheus_client import CollectorRegistry

from sluice_contracts.topics import TopicSpec
from sluice_gateway.adapters.audit_topic import opened_audit
from sluice_gateway.adapters.control_reading import control_reading
from sluice_gateway.adapters.dead_letters.reading import letter_reading
from sluice_gateway.adapters.http_server import log_address, serve_http
from sluice_gateway.adapters.identification import opened_identification
from sluice_gateway.adapters.limits_reading import limits_reading
from sluice_gateway.adapters.log_relay import opened_step_logs
from sluice_gateway.adapters.request_producer import KafkaRequestProducer
from sluice_gateway.adapters.topic_set_producers import TopicSetProducers
from sluice_gateway.adapters.view_opening import view_of
from sluice_gateway.app import create_app
from sluice_gateway.domain.allowed_hosts import AllowedHosts
from sluice_gateway.domain.trusted_proxies import TrustedProxies
from sluice_gateway.handlers.app_keys import Limits
from sluice_gateway.metrics import Metrics
from sluice_gateway.services.audit import Audit
from sluice_gateway.services.event_frames import EventFrames
from sluice_gateway.services.lifetimes import delay_shutdown, end_of, running
from sluice_gateway.services.load_shedding import LoadShedder
from sluice_gateway.services.request_quotas import RequestQuotas
from sluice_gateway.services.response_budget import ResponseBudget, ResponseLimits
from sluice_gateway.services.shared_pages import SharedPages
from sluice_gateway.services.subscriptions import RunSubscriptions
from sluice_gateway.settings import GatewaySettings, WorkflowSettings
from sluice_runtime.backoff import Backoff
from sluice_runtime.deadlines import Deadline
from sluice_runtime.durations import seconds
from sluice_runtime.kafka.producer import RecordProducer
from sluice_runtime.kafka.settings import KafkaSettings
from sluice_runtime.kafka.topics import TopicMismatchError, TopicWatch, ensure_topics
from sluice_runtime.loop_delay import LoopDelay
from sluice_runtime.probes import Readiness, serve_probes
from sluice_runtime.service import StartupError, wait_for_kafka
from sluice_runtime.supervision import run_tasks
from sluice_workflows.catalogue import ENTRY_POINT_GROUP, Catalogue, load_catalogue
from sluice_workflows.errors import WorkflowsError

__all__ = ["Listening", "load_workflows", "serve"]

_NAME = "sluice-gateway"


@dataclass(frozen=True, kw_only=True)
class Listening:
    """Where the gateway can be reached."""

    host: str
    port: int
    health_port: int


@dataclass(kw_only=True)
class _Waiting:
    """What the process waits for; None is nothing."""

    topics: str | None = "the topics are not verified yet"
    view: Callable[[], str | None] = field(default=lambda: "the view is not open yet")
    kafka: Callable[[], str | None] = field(default=lambda: None)
    degraded: Callable[[], str | None] = field(default=lambda: None)


def load_workflows(settings: WorkflowSettings) -> Catalogue:
    """Put the catalogue together.

    Raises:
        StartupError: an entry is wrong; the message names it.
    """
    try:
        return load_catalogue(
            file=settings.catalogue_file, entry_points=entry_points(group=ENTRY_POINT_GROUP)
        )
    except WorkflowsError as e:
        raise StartupError(f"The catalogue cannot be used: {e}") from e


async def serve(
    settings: GatewaySettings,
    stop: asyncio.Event,
    *,
    listening: Callable[[Listening], None] = lambda _: None,
) -> None:
    """Run the gateway until `stop` is set; `listening` is called once it accepts requests.

    Raises:
        TenantFileError: the file of signing keys cannot be used.
        StartupError: catalogue, topics, ports or the data folder cannot work.
        TaskEndedError: a task ended by itself.
    """
    kafka = settings.kafka
    catalogue = load_workflows(settings.workflows)
    limits = limits_reading(settings.workflows.limits_file)
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    subscriptions = RunSubscriptions()
    waiting = _Waiting()
    async with AsyncExitStack() as stack:
        identity = await stack.enter_async_context(
            opened_identification(settings.auth, metrics=metrics)
        )
        with _startup_errors("SLUICE_HEALTH__PORT"):
            health_port = await stack.enter_async_context(
                serve_probes(
                    settings.health,
                    readiness=_readiness(waiting, stop),
                    degraded={"view": lambda: waiting.degraded()},  # noqa: PLW0108 - replaced, too
                    registry=registry,
                )
            )
        try:
            settings.data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise StartupError(f"SLUICE_DATA_DIR: {e}") from e
        producers = {
            each.name: RecordProducer(
                kafka, client_id=f"{_NAME}-{each.name}" if each.name else _NAME
            )
            for each in kafka.topic_sets
        }
        control_producer = RecordProducer(kafka, client_id=f"{_NAME}-controls")
        for producer in (*producers.values(), control_producer):
            stack.push_async_callback(producer.close)
        reading = control_reading(
            kafka, control_producer, client_id=f"{_NAME}-controls", timeout=settings.send_timeout
        )
        await _verify_topics(kafka, reading.topics, stop=stop)
        waiting.topics = None

        letters = letter_reading(
            kafka,
            producers,
            client_id=f"{_NAME}-dead-letters",
            most=settings.dead_letters,
            timeout=settings.send_timeout,
        )
        for each in kafka.topic_sets:
            metrics.watch_dead_letters(each.topics.dlq, letters.letters.open_on)
        watch = TopicWatch(kafka, client_id=_NAME, registry=registry, more=reading.topics)
        sending = TopicSetProducers(
            producers,
            max_bytes=2 * settings.admission.max_bytes,
            timeout=settings.send_timeout,
        )
        waiting.kafka = sending.unavailable
        request_producer = KafkaRequestProducer(
            sending,
            topics=kafka.topic_sets,
            timeout=settings.send_timeout,
            unsafe=watch.broken,
            keys=kafka.signing_keys,
        )
        view = view_of(
            settings,
            subscriptions=subscriptions,
            metrics=metrics,
            keeps_parameters=catalogue.keeps_parameters,
        )
        waiting.view, waiting.degraded = view.waiting_for, view.degraded
        metrics.watch_view_staleness(view.staleness)
        # Left after the server, whose requests still read.
        viewing = await stack.enter_async_context(running(view.run(), name="view"))

        trail = await stack.enter_async_context(
            opened_audit(settings.auth, kafka, client_id=f"{_NAME}-audit", metrics=metrics)
        )
        step_logs = await stack.enter_async_context(opened_step_logs(settings.step_logs))
        app = create_app(
            catalogue=catalogue,
            request_producer=request_producer,
            view=view,
            subscriptions=subscriptions,
            metrics=metrics,
            load_shedder=LoadShedder(
                max_requests=settings.admission.max_requests,
                max_bytes=settings.admission.max_bytes,
                # One connection brings one body at a time. This bounds those behind a proxy.
                max_bodies=settings.http.max_connections,
                topics=kafka.topic_sets,
                peer_share=settings.http.peer_share,
            ),
            trusted_proxies=TrustedProxies(trusted=settings.http.trusted_proxies),
            browser_access=settings.browser_access(),
            sign_in=identity.sign_in,
            watch_links=identity.watch_links,
            allowed_hosts=AllowedHosts((*settings.http.allowed_hosts, settings.http.host)),
            limits=Limits(
                body_timeout=seconds(settings.http.body_timeout),
                body_rate=settings.http.body_rate,
                body_grace=seconds(settings.http.body_grace),
                write_timeout=seconds(settings.http.write_timeout),
                keepalive=seconds(settings.http.keepalive),
            ),
            greeting=settings.http.greeting,
            topics=kafka.topics,
            controls_topic=kafka.controls_topic,
            audit_topic=settings.auth.audit_topic if settings.auth.mode == "required" else None,
            identification=identity.identification,
            audit=Audit(trail),
            trusts_authors=kafka.trust_requested_by,
            controls=reading.controls,
            step_logs=step_logs.logs,
            shown_limits=limits.limits,
            letters=letters.letters,
            letter_topics=letters.topics,
            letters_staleness=letters.staleness,
            quotas=RequestQuotas(
                per_principal=settings.rates.of_principal, per_tenant=settings.rates.of_tenant
            ),
            response_budget=ResponseBudget(
                ResponseLimits(
                    max_bytes=settings.outgoing.max_bytes,
                    max_bytes_per_peer=settings.outgoing.max_bytes_per_peer,
                    max_streams=settings.outgoing.max_streams,
                    max_streams_per_peer=settings.outgoing.max_streams_per_peer,
                )
            ),
            frames=EventFrames(view=view, max_bytes=settings.outgoing.shared_bytes // 2),
            shared_pages=SharedPages(view=view, max_bytes=settings.outgoing.shared_bytes // 2),
        )
        gone, grace = asyncio.Event(), settings.shutdown_grace - settings.http.farewell
        # Left last, so stopped first: half of the grace is for requests in flight.
        with _startup_errors("SLUICE_HTTP__HOST and SLUICE_HTTP__PORT"):
            host, port = await stack.enter_async_context(
                serve_http(app, settings.http, leaving=stop, grace=seconds(grace) / 2)
            )
        log_address(host, port, identified=settings.auth.mode == "required")
        listening(Listening(host=host, port=port, health_port=health_port))
        tasks = {**letters.tasks, **reading.tasks, **step_logs.tasks, **limits.tasks}
        await run_tasks(
            {
                "view": end_of(viewing),
                "topics": watch.run(),
                "identity files": identity.run(),
                "reconnecting": sending.reconnect(),
                **{name: run() for name, run in tasks.items()},
                "loop delay": LoopDelay(registry).run(),
                "farewell": delay_shutdown(stop, gone, after=seconds(settings.http.farewell)),
            },
            stop=gone,
            grace=grace / 4,
        )


def _readiness(waiting: _Waiting, stop: asyncio.Event) -> Readiness:
    return {
        "topics": lambda: waiting.topics,
        "view": lambda: waiting.view(),  # noqa: PLW0108 - replaced as the start goes on
        "kafka": lambda: waiting.kafka(),  # noqa: PLW0108
        "process": lambda: "stopping" if stop.is_set() else None,
    }


@contextmanager
def _startup_errors(setting: str) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        raise StartupError(f"{setting}: {e.strerror or e}") from e


async def _verify_topics(
    kafka: KafkaSettings, more: Sequence[TopicSpec], *, stop: asyncio.Event
) -> None:
    try:
        await wait_for_kafka(
            lambda: ensure_topics(
                kafka,
                client_id=_NAME,
                deadline=Deadline("verify topics", kafka.request_timeout),
                more=more,
            ),
            backoff=Backoff(longest=timedelta(seconds=5)),
            stop=stop,
        )
    except TopicMismatchError as e:
        raise StartupError(str(e)) from e
