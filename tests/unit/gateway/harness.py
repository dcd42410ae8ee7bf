"""The gateway over HTTP, with a Kafka in memory and its real view."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import structlog
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from sluice_contracts.ids import RunKey, workflow_name
from sluice_contracts.record_origins import RecordOrigins
from sluice_contracts.records import IncomingRecord, OutgoingRecord, Position
from sluice_contracts.request_codec import ReceivedRun, decode_request
from sluice_contracts.signatures import KeyRing
from sluice_contracts.status import Phase, StatusEvent, event_id
from sluice_contracts.status_codec import PublishedEvent, encode_status
from sluice_contracts.steps import Step
from sluice_contracts.topic_sets import Door, TopicSets
from sluice_contracts.topics import TopicNames
from sluice_gateway.adapters.dead_letters.store import DeadLetterStore
from sluice_gateway.adapters.request_producer import KafkaRequestProducer
from sluice_gateway.adapters.run_view.reader import SqliteRunView
from sluice_gateway.adapters.run_view.store import NotifyingStore, open_view
from sluice_gateway.adapters.topic_set_producers import StartableProducer, TopicSetProducers
from sluice_gateway.adapters.written_requests import WrittenRequests
from sluice_gateway.app import create_app
from sluice_gateway.domain.allowed_hosts import AllowedHosts
from sluice_gateway.domain.browser_access import BrowserAccess
from sluice_gateway.domain.dead_letters import DeadLetters
from sluice_gateway.domain.trusted_proxies import TrustedProxies
from sluice_gateway.handlers.app_keys import Limits
from sluice_gateway.metrics import Metrics
from sluice_gateway.services.audit import Audit, AuditSink
from sluice_gateway.services.controls import Controls
from sluice_gateway.services.event_frames import EventFrames
from sluice_gateway.services.identification import AnonymousIdentification, Identification
from sluice_gateway.services.load_shedding import LoadShedder
from sluice_gateway.services.request_quotas import RequestQuotas
from sluice_gateway.services.response_budget import ResponseBudget, ResponseLimits
from sluice_gateway.services.shared_pages import SharedPages
from sluice_gateway.services.shown_limits import ShownLimits
from sluice_gateway.services.sign_in import SignIn
from sluice_gateway.services.step_logs import StepLogs
from sluice_gateway.services.subscriptions import RunSubscriptions
from sluice_gateway.services.watch_links import WatchLinks
from sluice_runtime.backoff import Backoff
from sluice_runtime.deadlines import Deadline
from sluice_runtime.projection.sqlite_store import SqliteStore
from sluice_workflows.catalogue import Catalogue
from sluice_workflows.entries import Entry, TemplateRef
from sluice_workflows.parameters import Parameters, Text
from tests.support.fake_letters import FakeLetterTopics
from tests.support.fake_producer import FakeProducer
from tests.support.projections import apply

TOPICS = TopicNames()
SETS = TopicSets(TOPICS, [Door(name="globex", tenants=("globex",))])
DOOR = SETS.of_tenant("globex").topics
NOW = datetime(2026, 9, 1, 12, 0, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
GREETING = "Grüß Gott"
GREET = {"workflow": "greet", "parameters": {"name": "Ada"}}
PRIVATE = "greet-in-private"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


class GreetParameters(Parameters):
    """What `greet` takes."""

    name: Annotated[str, Text(max_bytes=300_000)]
    times: int = 1


CATALOGUE = Catalogue(
    [
        Entry(
            name="greet",
            description="Greets somebody.",
            parameters=GreetParameters,
            template=TemplateRef(name="greet"),
        ),
    ]
)


def keeps_parameters(workflow: str) -> bool:
    """Return whether parameters may be kept: those of the workflows of tests."""
    return workflow in {"greet", "count"}


def load_shedder_of(
    *,
    max_requests: int = 100,
    max_bytes: int = 10_000_000,
    max_bodies: int = 100,
    peer_share: float = 1.0,
    topics: TopicSets = SETS,
) -> LoadShedder:
    """Give an admission that by default lets one peer take everything."""
    return LoadShedder(
        max_requests=max_requests,
        max_bytes=max_bytes,
        max_bodies=max_bodies,
        peer_share=peer_share,
        topics=topics,
    )


def sending_by(
    producer: StartableProducer, topics: TopicSets, *, max_bytes: int = 32 * 1024 * 1024
) -> TopicSetProducers:
    """Send what goes to any topic set by one producer."""
    return TopicSetProducers(
        {each.name: producer for each in topics},
        max_bytes=max_bytes,
        timeout=timedelta(seconds=10),
        backoff=Backoff(uniform=lambda _, longest: longest),
    )


def request_producer_of(
    producer: StartableProducer,
    *,
    topics: TopicSets = SETS,
    timeout: timedelta = timedelta(seconds=10),
    unsafe: Callable[[str], str | None] = lambda _: None,
    keys: KeyRing | None = None,
) -> KafkaRequestProducer:
    """Write requests by one producer, to whichever topic."""
    return KafkaRequestProducer(
        sending_by(producer, topics), topics=topics, timeout=timeout, unsafe=unsafe, keys=keys
    )


async def caught_up() -> str | None:
    """Say that a view lacks nothing."""
    return None


def opened_store(
    path: Path,
    *,
    history: timedelta = timedelta(0),
    now: Callable[[], datetime] = lambda: LATER,
    trusts_authors: bool = False,
) -> AbstractAsyncContextManager[SqliteStore]:
    """Open a view's file, by default one that keeps runs no longer than the topics do."""
    return open_view(
        path,
        origins=RecordOrigins(SETS, trusts_authors=trusts_authors),
        keeps_parameters=keeps_parameters,
        history=history,
        now=now,
    )


def view_of(
    store: SqliteStore,
    *,
    subscriptions: RunSubscriptions | None = None,
    catch_up: Callable[[], Coroutine[Any, Any, str | None]] = caught_up,
    written: WrittenRequests | None = None,
    now: Callable[[], datetime] = lambda: NOW,
) -> SqliteRunView:
    """Give a view of the file, whose clock stands still."""
    return SqliteRunView(
        store,
        topics=SETS,
        subscriptions=subscriptions or RunSubscriptions(),
        catch_up=catch_up,
        keeps_parameters=keeps_parameters,
        written=written,
        now=now,
    )


@dataclass(kw_only=True)
class Gateway:
    """What a test holds of a gateway."""

    client: TestClient[web.Request, web.Application]
    producer: FakeProducer
    store: NotifyingStore
    view: SqliteRunView
    subscriptions: RunSubscriptions
    registry: CollectorRegistry
    admission: LoadShedder
    outgoing: ResponseBudget
    letters: DeadLetterStore
    letter_topics: FakeLetterTopics
    letters_staleness: dict[str, float | None]
    """How old the dead letters of each topic set are that are known, if they are."""
    behind: list[str] = field(default_factory=list)
    """The reason why the view is behind, if it is."""
    coming: list[IncomingRecord] = field(default_factory=list)
    """Records that the topics hold and the view does not, until it catches up."""
    unsafe: list[str] = field(default_factory=list)
    """Why the request topic cannot be trusted with a request, if it cannot."""
    _offset: int = 0

    async def post(self, document: object, **headers: str) -> ClientResponse:
        """POST a document to /v1/runs; underscores in header names become dashes."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post("/v1/runs", json=document, headers=named)

    def requests(self) -> list[ReceivedRun]:
        """Give what was written to the request topic."""
        received = [decode_request(r) for r in self.producer.records_for_test(TOPICS.requests)]
        assert all(isinstance(each, ReceivedRun) for each in received)
        return [each for each in received if isinstance(each, ReceivedRun)]

    async def project_requests(self) -> None:
        """Let the view catch up with the request topic."""
        await apply(self.store, self.producer.records_for_test(TOPICS.requests))

    async def publish(self, *events: PublishedEvent, partition: int = 1) -> list[IncomingRecord]:
        """Put events on the status topic and project them."""
        records = []
        for each in events:
            records.append(status_record(each, offset=self._offset, partition=partition))
            self._offset += 1
        await apply(self.store, records)
        return records

    async def bury(self, record: OutgoingRecord, *, topic: str = TOPICS.dlq) -> IncomingRecord:
        """Put a record on a dead letter topic, and let it be read."""
        await self.producer.send(topic, record, deadline=Deadline("send", timedelta(seconds=10)))
        written = self.producer.records_for_test(topic)[-1]
        await apply(self.letters, [written])
        return written

    def metric(self, name: str, **labels: str) -> float:
        """Give a metric's value, 0 if it was never counted."""
        return self.registry.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def running_gateway(
    folder: Path,
    *,
    limits: Limits | None = None,
    admission: LoadShedder | None = None,
    peers: TrustedProxies | None = None,
    allowed_hosts: AllowedHosts | None = None,
    outgoing: ResponseLimits | None = None,
    catalogue: Catalogue = CATALOGUE,
    identification: Identification | None = None,
    audit: AuditSink | None = None,
    trusts_authors: bool = False,
    browser_access: BrowserAccess | None = None,
    sign_in: SignIn | None = None,
    watch_links: WatchLinks | None = None,
    quotas: RequestQuotas | None = None,
    controls: Controls | None = None,
    step_logs: StepLogs | None = None,
    shown_limits: ShownLimits | None = None,
) -> AsyncIterator[Gateway]:
    """Run a gateway on a free port; by default it lets everybody do everything."""
    producer = FakeProducer()
    subscriptions = RunSubscriptions()
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    admission = admission or load_shedder_of()
    behind: list[str] = []
    coming: list[IncomingRecord] = []
    unsafe: list[str] = []
    letters = DeadLetters(topics=SETS, most=3000)
    letters_staleness: dict[str, float | None] = {each.name: 0.0 for each in SETS}
    letter_topics = FakeLetterTopics(producer)
    async with opened_store(folder / "view.sqlite", trusts_authors=trusts_authors) as sqlite:
        written = WrittenRequests()
        store = NotifyingStore(
            sqlite,
            status_topics=SETS.status,
            subscriptions=subscriptions,
            metrics=metrics,
            written=written,
        )

        async def catch_up() -> str | None:
            if behind:
                return behind[0]
            await apply(store, coming)
            return await caught_up()

        view = view_of(sqlite, subscriptions=subscriptions, catch_up=catch_up, written=written)
        app = create_app(
            catalogue=catalogue,
            request_producer=request_producer_of(
                producer,
                unsafe=lambda _: " ".join(unsafe) or None,
            ),
            view=view,
            subscriptions=subscriptions,
            metrics=metrics,
            load_shedder=admission,
            trusted_proxies=peers or TrustedProxies(trusted=()),
            allowed_hosts=allowed_hosts or AllowedHosts(("a",)),
            limits=limits or Limits(),
            greeting=GREETING,
            topics=TOPICS,
            identification=identification or AnonymousIdentification(),
            audit=Audit(audit, now=lambda: NOW),
            trusts_authors=trusts_authors,
            browser_access=browser_access or BrowserAccess(),
            sign_in=sign_in,
            watch_links=watch_links,
            quotas=quotas,
            controls=controls,
            step_logs=step_logs,
            shown_limits=shown_limits,
            letters=letters,
            letter_topics=letter_topics,
            letters_staleness={
                name: partial(letters_staleness.__getitem__, name) for name in letters_staleness
            },
            response_budget=(held := ResponseBudget(outgoing or ResponseLimits())),
            frames=EventFrames(view=view, max_bytes=4_000_000),
            shared_pages=SharedPages(view=view, max_bytes=4_000_000),
        )
        async with TestClient(TestServer(app)) as client:
            yield Gateway(
                client=client,
                producer=producer,
                store=store,
                view=view,
                subscriptions=subscriptions,
                registry=registry,
                admission=admission,
                outgoing=held,
                letters=DeadLetterStore(letters),
                letter_topics=letter_topics,
                letters_staleness=letters_staleness,
                behind=behind,
                coming=coming,
                unsafe=unsafe,
            )


def published(
    sequence: int,
    phase: Phase = Phase.RUNNING,
    *,
    run_id: str = "order-1",
    tenant: str = "default",
    workflow: str = "greet",
    attempt: int = 1,
    steps: tuple[Step, ...] = (),
    fingerprint: str | None = None,
    **changes: Any,
) -> PublishedEvent:
    """Make a status event."""
    key = RunKey(tenant, run_id)
    event = StatusEvent(
        event_id=event_id(str(key), str(sequence), phase),
        run_id=run_id,
        tenant=tenant,
        workflow=workflow,
        workflow_name=workflow_name(key),
        attempt=attempt,
        phase=phase,
        terminal=phase.terminal,
        steps=steps,
        observed_at=NOW + timedelta(seconds=sequence),
        sequence=sequence,
        **changes,
    )
    return PublishedEvent(event=event, fingerprint=fingerprint, traceparent=None)


def set_on(message: str, event: asyncio.Event) -> structlog.typing.Processor:
    """Set the event once something is logged that begins so."""

    def processor(
        _: object, __: str, entry: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        if entry["event"].startswith(message):
            event.set()
        return entry

    return processor


def step(name: str, phase: str = "Running") -> Step:
    """Make a step."""
    return Step(id=f"node-{name}", name=name, phase=phase)


def status_record(each: PublishedEvent, *, offset: int, partition: int = 1) -> IncomingRecord:
    """Give an event as it is read from the status topic of its tenant."""
    topic = SETS.of_tenant(each.event.tenant).topics.status
    return read_back(encode_status(each, source="/test"), Position(topic, partition, offset))


def read_back(record: OutgoingRecord, position: Position) -> IncomingRecord:
    """Give a written record as it is read."""
    return IncomingRecord(
        position=position,
        timestamp_ms=int(NOW.timestamp() * 1000) + position.offset,
        key=record.key,
        value=record.value,
        headers=record.headers,
    )
