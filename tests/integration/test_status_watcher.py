"""The status-watcher on real Kafka and, over HTTP, on the local engine."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from sluice_argo.workflows_api import WorkflowsApi
from sluice_contracts.status import Phase, StatusEvent
from sluice_contracts.status_codec import PublishedEvent, decode_status, encode_status
from sluice_contracts.topic_sets import Door
from sluice_engine.engine import Engine
from sluice_engine.settings import EngineSettings
from sluice_local.kafka import EmbeddedKafka
from sluice_local.ports import free_ports
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kafka.consumer import incoming, make_consumer
from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_runtime.kafka.producer import RecordProducer
from sluice_runtime.kafka.settings import KafkaSettings
from sluice_runtime.kafka.topics import ensure_topics
from sluice_runtime.kubernetes.client import KubernetesClient
from sluice_runtime.kubernetes.errors import NotFoundError
from sluice_runtime.kubernetes.settings import KubernetesSettings
from sluice_runtime.probes import HealthSettings
from sluice_runtime.service import StartupError, StoppedError
from sluice_status_watcher.adapters.results_reader import KafkaResultsReader
from sluice_status_watcher.adapters.status_publisher import KafkaStatusPublisher
from sluice_status_watcher.bootstrap import serve
from sluice_status_watcher.metrics import Metrics
from sluice_status_watcher.ports import ResultsReader
from sluice_status_watcher.services.results_repair import ResultsRepair
from sluice_status_watcher.settings import LeaseSettings, Settings
from tests.behaviour.results_reader_port import LONG_AGO, Append, ResultsReaderPortSuite, outcome
from tests.support.kafka import WAIT_SECONDS, create_topic, read_all, read_until, topic_names
from tests.support.margins import releasing_after
from tests.unit.status_watcher.manifests import manifest, name_of

pytestmark = pytest.mark.integration

ENDED = datetime(2026, 1, 1, 0, 5, tzinfo=UTC)
NOW = datetime(2026, 1, 1, 0, 6, tzinfo=UTC)


def kafka_settings(kafka: EmbeddedKafka) -> KafkaSettings:
    return KafkaSettings(
        bootstrap_servers=kafka.bootstrap_servers,
        topics=topic_names(),
        partitions=3,
        replication_factor=1,
    )


async def write(settings: KafkaSettings, *events: StatusEvent, topic: str | None = None) -> None:
    producer = RecordProducer(settings, client_id="test")
    try:
        for event in events:
            record = encode_status(
                PublishedEvent(event=event, fingerprint=None, traceparent=None), source="/test"
            )
            deadline = Deadline("write a result", timedelta(seconds=WAIT_SECONDS))
            await producer.send(topic or settings.topics.results, record, deadline=deadline)
    finally:
        await producer.close()


def results_topic(settings: KafkaSettings, *, patience: float = WAIT_SECONDS) -> KafkaResultsReader:
    return KafkaResultsReader(
        lambda: make_consumer(settings, client_id="test"),
        topics=settings.topic_sets,
        patience=timedelta(seconds=patience),
    )


@pytest.fixture
async def settings(kafka: EmbeddedKafka) -> KafkaSettings:
    settings = kafka_settings(kafka)
    deadline = Deadline("make the topics", timedelta(seconds=WAIT_SECONDS))
    await ensure_topics(settings, client_id="test", deadline=deadline)
    return settings


async def test_unreadable_topic_raises_kafka_unavailable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        unreachable = KafkaSettings(bootstrap_servers=f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(KafkaUnavailableError, match="could not be read to the end"):
            await results_topic(unreachable).find({"uid-1": b"k"}, since=LONG_AGO)


class TestKafkaResultsReader(ResultsReaderPortSuite):
    @pytest.fixture
    def results(self, settings: KafkaSettings) -> ResultsReader:
        return results_topic(settings)

    @pytest.fixture
    def append(self, settings: KafkaSettings) -> Append:
        async def append(*events: StatusEvent) -> None:
            await write(settings, *events)

        return append


async def test_a_tenant_s_outcomes_are_found_on_its_own_topic_and_where_it_was_before(
    kafka: EmbeddedKafka,
) -> None:
    doors = [Door(name=name, tenants=(name,)) for name in ("acme", "globex")]
    settings = KafkaSettings.model_validate(kafka_settings(kafka).model_dump() | {"doors": doors})
    deadline = Deadline("make the topics", timedelta(seconds=WAIT_SECONDS))
    await ensure_topics(settings, client_id="test", deadline=deadline)
    own = settings.topic_sets.of_tenant("acme").topics.results
    foreign = settings.topic_sets.of_tenant("globex").topics.results
    before, now, elsewhere = (
        outcome(name, uid=name).model_copy(update={"tenant": "acme"})
        for name in ("before", "now", "elsewhere")
    )
    await write(settings, before)
    await write(settings, now, topic=own)
    await write(settings, elsewhere, topic=foreign)
    wanted = {name: f"acme/{name}".encode() for name in ("before", "now", "elsewhere")}
    reader = results_topic(settings)
    assert set(await reader.find(wanted, since=LONG_AGO)) == {"before", "now"}
    seen: set[str] = set()
    async with contextlib.aclosing(reader.tail(since=LONG_AGO)) as tail:
        async for appended in tail:
            if appended is None:
                break
            seen.add(appended.uid)
    assert seen == {"before", "now", "elsewhere"}


async def test_late_record_of_an_earlier_attempt_is_repaired(
    settings: KafkaSettings, kafka: EmbeddedKafka
) -> None:
    attempts = [outcome("order-1", uid="uid-1", attempt=number) for number in (1, 2, 1)]
    await write(settings, *attempts)
    producer = RecordProducer(settings, client_id="test")
    superseded = ResultsRepair(
        results_topic(settings),
        KafkaStatusPublisher(
            producer, settings.topic_sets, send_timeout=timedelta(seconds=WAIT_SECONDS)
        ),
        metrics=Metrics(CollectorRegistry()),
    )
    running = asyncio.create_task(superseded.run())
    try:
        records = await read_until(kafka, settings.topics.results, lambda held: len(held) >= 4)
    finally:
        running.cancel()
        await asyncio.wait({running})
        await producer.close()
    assert records[3].value == records[1].value


class Cluster:
    """A local engine, a Kafka, and status-watchers in this process."""

    def __init__(self, engine: Engine, api: WorkflowsApi, settings: Settings) -> None:
        self.engine = engine
        self.api = api
        self.settings = settings
        self.topics = settings.kafka.topics

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        serving = asyncio.create_task(serve(self.settings, stop))
        try:
            yield
        finally:
            stop.set()
            with contextlib.suppress(StoppedError):
                await serving

    async def submit(self, run_id: str, *, seconds: str = "0") -> None:
        container = {"image": "none", "command": ["sleep", seconds]}
        templates = [{"name": "main", "container": container}]
        await self.api.create(manifest(run_id, spec={"entrypoint": "main", "templates": templates}))

    async def delete(self, run_id: str) -> None:
        workflows = "apis/argoproj.io/v1alpha1/namespaces/argo/workflows"
        url = f"{self.engine.url}/{workflows}/{name_of(run_id)}"
        async with aiohttp.ClientSession() as http, http.delete(url) as response:
            assert response.status == 200

    async def until_status(self, kafka: EmbeddedKafka, run_id: str, phase: Phase) -> list[str]:
        """Wait until the run is in this phase; return all its phases so far."""
        records = await read_until(
            kafka, self.topics.status, lambda held: phases(held, run_id)[-1:] == [phase]
        )
        return phases(records, run_id)

    async def until_gone(self, run_id: str) -> None:
        """Watch the Workflow until it is deleted."""
        page = await self.api.list_page(limit=500, continue_token=None)
        if name_of(run_id) not in {item["metadata"]["name"] for item in page.items}:
            return
        async with (
            asyncio.timeout(WAIT_SECONDS),
            self.api.watch(resource_version=page.resource_version, timeout_seconds=60) as chunks,
        ):
            async for chunk in chunks:
                if b'"DELETED"' in chunk and name_of(run_id).encode() in chunk:
                    return


def phases(records: list[Any], run_id: str) -> list[str]:
    """Return the phases of one run in the records of a topic, without repeats."""
    found: list[str] = []
    for record in records:
        published = decode_status(incoming(record))
        assert isinstance(published, PublishedEvent)
        if published.event.run_id == run_id and found[-1:] != [published.event.phase]:
            found.append(published.event.phase)
    return found


@pytest.fixture
async def cluster(settings: KafkaSettings, tmp_path: Path) -> AsyncIterator[Cluster]:
    async with Engine(EngineSettings(data_dir=tmp_path, port=0)) as engine:
        kubernetes = KubernetesSettings(kubeconfig=tmp_path / "kubeconfig")
        async with KubernetesClient.connect(kubernetes) as client:
            api = WorkflowsApi(client, namespace="argo", request_timeout=timedelta(seconds=15))
            yield Cluster(
                engine,
                api,
                releasing_after(
                    Settings(
                        kafka=settings,
                        kubernetes=kubernetes,
                        health=HealthSettings(port=0),
                        data_dir=tmp_path,
                    ),
                    timedelta(milliseconds=200),
                ),
            )


async def test_run_is_published_in_order_once_and_released(
    cluster: Cluster, kafka: EmbeddedKafka
) -> None:
    async with cluster.watching():
        # Once this one is published, the watch is open.
        await cluster.submit("first")
        await cluster.until_status(kafka, "first", Phase.SUCCEEDED)
        await cluster.submit("order-1", seconds="0.3")
        seen = await cluster.until_status(kafka, "order-1", Phase.SUCCEEDED)
        assert seen == ["Submitted", "Running", "Succeeded"]
        await cluster.delete("order-1")
        await cluster.until_gone("order-1")
    results = await read_all(kafka, cluster.topics.results)
    assert sorted(record.key for record in results) == [b"default/first", b"default/order-1"]


async def test_runs_that_end_while_the_watcher_is_down_are_published_and_released(
    cluster: Cluster, kafka: EmbeddedKafka
) -> None:
    async with cluster.watching():
        await cluster.submit("first")
        await cluster.until_status(kafka, "first", Phase.SUCCEEDED)
    for number in range(10):
        await cluster.submit(f"order-{number}")
        await cluster.delete(f"order-{number}")
    async with cluster.watching():
        for number in range(10):
            await cluster.until_gone(f"order-{number}")
    results = await read_all(kafka, cluster.topics.results)
    assert sorted(record.key for record in results) == [
        b"default/first",
        *(f"default/order-{number}".encode() for number in range(10)),
    ]
    with pytest.raises(NotFoundError):
        await cluster.api.get(name_of("order-0"))


async def test_repeatedly_killed_watcher_publishes_each_outcome_once(
    cluster: Cluster, kafka: EmbeddedKafka
) -> None:
    runs = [f"order-{number}" for number in range(30)]
    async with cluster.watching():
        for run_id in runs[:10]:
            await cluster.submit(run_id)
        await read_until(kafka, cluster.topics.results, lambda held: len(held) >= 2)
    async with cluster.watching():
        for run_id in runs[10:]:
            await cluster.submit(run_id)
        await read_until(kafka, cluster.topics.results, lambda held: len(held) >= 12)
    async with cluster.watching():
        await read_until(kafka, cluster.topics.results, lambda held: len(held) >= 18)
    async with cluster.watching():
        for run_id in runs:
            await cluster.until_status(kafka, run_id, Phase.SUCCEEDED)
    results = await read_all(kafka, cluster.topics.results)
    assert sorted(record.key for record in results) == sorted(
        f"default/{run_id}".encode() for run_id in runs
    )


async def test_two_watchers_with_a_lease_publish_each_outcome_once(
    cluster: Cluster, kafka: EmbeddedKafka
) -> None:
    # A Lease that is not released would expire after an hour.
    lease = LeaseSettings(
        name="leader", duration=timedelta(hours=1), renew_every=timedelta(milliseconds=200)
    )
    cluster.settings = cluster.settings.model_copy(update={"lease": lease})
    runs = [f"order-{number}" for number in range(20)]
    async with contextlib.AsyncExitStack() as first:
        await first.enter_async_context(cluster.watching())
        await cluster.submit(runs[0])
        await cluster.until_status(kafka, runs[0], Phase.SUCCEEDED)
        async with cluster.watching():
            for run_id in runs[1:]:
                await cluster.submit(run_id)
            await read_until(kafka, cluster.topics.results, lambda held: len(held) >= 3)
            await first.aclose()
            for run_id in runs:
                await cluster.until_status(kafka, run_id, Phase.SUCCEEDED)
    results = await read_all(kafka, cluster.topics.results)
    assert sorted(record.key for record in results) == sorted(
        f"default/{run_id}".encode() for run_id in runs
    )


async def test_topics_that_break_a_promise_stop_the_start(
    cluster: Cluster, kafka: EmbeddedKafka
) -> None:
    broken = kafka_settings(kafka)
    await create_topic(kafka, broken.topics.results, config={"cleanup.policy": "delete"})
    with pytest.raises(StartupError, match=r"cleanup\.policy"):
        await serve(cluster.settings.model_copy(update={"kafka": broken}), asyncio.Event())


async def test_missing_kubeconfig_stops_the_start(tmp_path: Path) -> None:
    settings = Settings(
        kubernetes=KubernetesSettings(kubeconfig=tmp_path / "missing"),
        health=HealthSettings(port=0),
    )
    with pytest.raises(StartupError, match="SLUICE_KUBERNETES__KUBECONFIG"):
        await serve(settings, asyncio.Event())


async def test_watcher_without_kafka_is_alive_but_not_ready(cluster: Cluster) -> None:
    health, unreachable = free_ports(2)
    settings = cluster.settings.model_copy(
        update={
            "kafka": KafkaSettings(bootstrap_servers=f"127.0.0.1:{unreachable}"),
            "health": HealthSettings(port=health),
        }
    )
    serving = asyncio.create_task(serve(settings, asyncio.Event()))
    try:
        async with aiohttp.ClientSession() as http, asyncio.timeout(WAIT_SECONDS):
            status = 0
            while not status:
                with contextlib.suppress(aiohttp.ClientConnectionError):
                    async with http.get(f"http://127.0.0.1:{health}/livez") as response:
                        status = response.status
                await asyncio.sleep(0)
            assert status == 200
            async with http.get(f"http://127.0.0.1:{health}/readyz") as response:
                assert response.status == 503
                waiting = (await response.json())["waiting_for"]
        assert waiting["recovery"] == "the results topic is not read yet"
    finally:
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
