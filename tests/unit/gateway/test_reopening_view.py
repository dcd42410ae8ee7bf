"""A view whose file is full, damaged or not usable: runs are started all the same."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from sluice_contracts.records import IncomingRecord
from sluice_contracts.status import Phase
from sluice_gateway.adapters.run_view.reopening import OpenView, ReopeningView
from sluice_gateway.adapters.run_view.store import NotifyingStore
from sluice_gateway.app import create_app
from sluice_gateway.domain.allowed_hosts import AllowedHosts
from sluice_gateway.domain.dead_letters import DeadLetters
from sluice_gateway.domain.trusted_proxies import TrustedProxies
from sluice_gateway.handlers.app_keys import Limits
from sluice_gateway.metrics import Metrics
from sluice_gateway.services.audit import Audit
from sluice_gateway.services.event_frames import EventFrames
from sluice_gateway.services.identification import AnonymousIdentification
from sluice_gateway.services.load_shedding import LoadShedder
from sluice_gateway.services.response_budget import ResponseBudget, ResponseLimits
from sluice_gateway.services.shared_pages import SharedPages
from sluice_gateway.services.subscriptions import RunSubscriptions
from sluice_runtime.backoff import Backoff
from sluice_runtime.projection.sqlite_file import StoreUnusableError
from sluice_runtime.projection.sqlite_store import SqliteStore
from tests.support.fake_letters import FakeLetterTopics
from tests.support.fake_producer import FakeProducer
from tests.support.projections import apply
from tests.unit.gateway.harness import (
    CATALOGUE,
    GREET,
    GREETING,
    SETS,
    TOPICS,
    opened_store,
    published,
    request_producer_of,
    status_record,
    view_of,
)

AT_ONCE = Backoff(uniform=lambda _low, _high: 0.0)
STATE = "/v1/runs/order-1"


@dataclass
class ImaginaryTopic:
    """What a projector reads: records in order, from the store's offsets on."""

    records: list[IncomingRecord] = field(default_factory=list)
    more: asyncio.Event = field(default_factory=asyncio.Event)
    read: asyncio.Event = field(default_factory=asyncio.Event)

    def append_for_test(self, *records: IncomingRecord) -> None:
        self.records += records
        self.read.clear()
        self.more.set()


@dataclass
class ImaginaryProjector:
    """A `Projector` of an imaginary topic."""

    topic: ImaginaryTopic
    store: NotifyingStore
    is_complete: bool = False

    async def run(self) -> None:
        while True:
            self.topic.more.clear()
            offsets = await self.store.offsets()
            next_offset = offsets.get((TOPICS.status, 1), 0)
            for record in self.topic.records[next_offset:]:
                await apply(self.store, [record])
            self.is_complete = True
            self.topic.read.set()
            await self.topic.more.wait()

    def staleness(self) -> float | None:
        return 0.0 if self.is_complete else None

    def waiting_for(self) -> str | None:
        return None if self.is_complete else "the topics are still being read"


async def limit_pages(store: SqliteStore, most: int) -> None:
    """Make the file full once it has so many pages, for the connection that writes."""
    pragma = f"PRAGMA max_page_count = {most}"
    await store.transact(lambda connection: connection.execute(pragma).fetchall())


@dataclass(kw_only=True)
class Files:
    """Opens the view's file; tests make it small, or not usable."""

    path: Path
    subscriptions: RunSubscriptions
    metrics: Metrics
    topic: ImaginaryTopic = field(default_factory=ImaginaryTopic)
    may_open: asyncio.Event = field(default_factory=asyncio.Event)
    """Each opening waits for it."""
    unusable: bool = False
    pages: int | None = None
    """More than these the file may not have; None: any number."""
    store: SqliteStore | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[OpenView]:
        await self.may_open.wait()
        if self.unusable:
            raise StoreUnusableError("view.sqlite cannot be opened: unable to open database file.")
        async with opened_store(self.path) as store:
            if self.pages is not None:
                await limit_pages(store, self.pages)
            self.store = store
            notifying = NotifyingStore(
                store,
                status_topics=[TOPICS.status],
                subscriptions=self.subscriptions,
                metrics=self.metrics,
            )
            projector = ImaginaryProjector(self.topic, notifying)
            yield OpenView(
                view=view_of(store, subscriptions=self.subscriptions),
                projection=projector,
                tasks=(projector.run, store.watch_for_damage),
            )


@dataclass(kw_only=True)
class Gateway:
    """A gateway with its view, whose file is what `files` says."""

    client: TestClient[web.Request, web.Application]
    view: ReopeningView
    files: Files
    viewing: asyncio.Task[None]
    failed: asyncio.Event
    registry: CollectorRegistry

    async def post(self, run_id: str = "order-1") -> int:
        async with self.client.post("/v1/runs", json={"id": run_id, **GREET}) as response:
            return response.status

    async def get(self, path: str = STATE) -> tuple[int, str]:
        async with self.client.get(path) as response:
            document = await response.json(content_type=None)
            return response.status, document.get("detail", "")


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    registry, subscriptions, producer = CollectorRegistry(), RunSubscriptions(), FakeProducer()
    metrics = Metrics(registry)
    failed = asyncio.Event()
    files = Files(path=tmp_path / "view.sqlite", subscriptions=subscriptions, metrics=metrics)

    def note_failure() -> None:
        metrics.view_failures.inc()
        # The next opening waits until the test has seen what it is like in between.
        files.may_open.clear()
        failed.set()

    view = _reopening(files, failed=note_failure)
    app = create_app(
        catalogue=CATALOGUE,
        request_producer=request_producer_of(producer),
        view=view,
        subscriptions=subscriptions,
        metrics=metrics,
        load_shedder=LoadShedder(
            max_requests=100, max_bytes=10_000_000, max_bodies=100, peer_share=0.5, topics=SETS
        ),
        trusted_proxies=TrustedProxies(trusted=()),
        allowed_hosts=AllowedHosts(()),
        limits=Limits(),
        greeting=GREETING,
        topics=TOPICS,
        identification=AnonymousIdentification(),
        audit=Audit(None),
        letters=DeadLetters(topics=SETS, most=100),
        letter_topics=FakeLetterTopics(producer),
        response_budget=ResponseBudget(ResponseLimits()),
        frames=EventFrames(view=view, max_bytes=4_000_000),
        shared_pages=SharedPages(view=view, max_bytes=4_000_000),
    )
    viewing = asyncio.create_task(view.run())
    async with TestClient(TestServer(app)) as client:
        yield Gateway(
            client=client,
            view=view,
            files=files,
            viewing=viewing,
            failed=failed,
            registry=registry,
        )
        assert not viewing.done()
    viewing.cancel()
    await asyncio.wait({viewing})


def _reopening(files: Files, *, failed: Callable[[], None]) -> ReopeningView:
    return ReopeningView(
        files.open,
        subscriptions=files.subscriptions,
        start_patience=timedelta(minutes=2),
        failed=failed,
        backoff=AT_ONCE,
    )


async def started(gateway: Gateway) -> None:
    """Let the view be read to its end for the first time."""
    gateway.files.topic.append_for_test(status_record(published(1), offset=0))
    gateway.files.may_open.set()
    await gateway.files.topic.read.wait()
    assert await gateway.get() == (200, "")
    assert (gateway.view.waiting_for(), gateway.view.degraded()) == (None, None)


async def failure(gateway: Gateway) -> None:
    """Wait until the view has failed, which ends nothing."""
    failed = asyncio.create_task(gateway.failed.wait())
    await asyncio.wait({failed, gateway.viewing}, return_when=asyncio.FIRST_COMPLETED)
    failed.cancel()
    assert not gateway.viewing.done()


async def assert_only_posts_are_served(gateway: Gateway, *, why: str) -> None:
    assert await gateway.post() == 202
    for path in (STATE, f"{STATE}/events"):
        status, detail = await gateway.get(path)
        assert (status, why in detail) == (503, True), detail
    assert gateway.view.waiting_for() is None
    assert why in (gateway.view.degraded() or "")
    assert not gateway.viewing.done()


async def test_a_file_that_is_full_stops_no_request(gateway: Gateway) -> None:
    await started(gateway)
    assert gateway.files.store is not None
    [(pages,)] = await gateway.files.store.read("PRAGMA page_count")
    await limit_pages(gateway.files.store, pages)
    large = published(2, Phase.SUCCEEDED, message="x" * 100_000)
    gateway.files.topic.append_for_test(status_record(large, offset=1))
    await failure(gateway)
    await assert_only_posts_are_served(gateway, why="database or disk is full")

    # Still full when it is opened again: no more than before is lost, and nothing ends.
    gateway.failed.clear()
    gateway.files.pages = pages
    gateway.files.may_open.set()
    await failure(gateway)
    await assert_only_posts_are_served(gateway, why="database or disk is full")
    assert gateway.registry.get_sample_value("sluice_gateway_view_failures_total") == 2

    # Once there is room, the view goes on from where it stood.
    gateway.files.pages = None
    gateway.files.may_open.set()
    await gateway.files.topic.read.wait()
    async with gateway.client.get(STATE) as response:
        assert (await response.json())["phase"] == "Succeeded"
    assert gateway.view.degraded() is None


async def test_a_damaged_file_is_replaced_without_an_end_of_the_process(gateway: Gateway) -> None:
    await started(gateway)
    assert gateway.files.store is not None
    await gateway.files.store.truncate_log()
    size = gateway.files.path.stat().st_size
    with gateway.files.path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))
    await gateway.files.store.read("PRAGMA shrink_memory")
    await gateway.files.store.transact(lambda writer: writer.execute("PRAGMA shrink_memory"))
    gateway.files.topic.append_for_test(status_record(published(2), offset=1))
    await failure(gateway)
    await assert_only_posts_are_served(gateway, why="malformed")

    gateway.files.may_open.set()
    await gateway.files.topic.read.wait()
    assert await gateway.get() == (200, "")


async def test_a_file_that_cannot_be_opened_stops_no_request(gateway: Gateway) -> None:
    gateway.files.unusable = True
    gateway.files.may_open.set()
    await failure(gateway)
    await assert_only_posts_are_served(gateway, why="unable to open database file")
    gateway.files.unusable = False
    gateway.files.may_open.set()
    await gateway.files.topic.read.wait()
    assert (await gateway.get())[0] == 404


async def test_a_view_that_cannot_be_read_is_unavailable_and_nothing_worse(
    gateway: Gateway,
) -> None:
    await started(gateway)
    assert gateway.files.store is not None
    rename = "ALTER TABLE runs RENAME TO others"
    await gateway.files.store.transact(lambda connection: connection.execute(rename))
    assert await gateway.post() == 202
    for path in (STATE, f"{STATE}/events"):
        status, detail = await gateway.get(path)
        assert (status, "no such table" in detail) == (503, True), detail


async def test_a_stream_is_cut_for_its_reader_to_come_back(gateway: Gateway) -> None:
    await started(gateway)
    assert gateway.files.store is not None
    async with gateway.client.get(f"{STATE}/events") as response:
        assert response.status == 200
        await response.content.readuntil(b"\n\nid: 1:0\n")
        [(pages,)] = await gateway.files.store.read("PRAGMA page_count")
        await limit_pages(gateway.files.store, pages)
        large = published(2, Phase.SUCCEEDED, message="x" * 100_000)
        gateway.files.topic.append_for_test(status_record(large, offset=1))
        await failure(gateway)
        gateway.files.subscriptions.publish(["default/order-1"])
        with pytest.raises(Exception, match="payload"):
            await response.read()
    assert gateway.registry.get_sample_value("sluice_gateway_streams") == 0


async def after(seconds: float) -> None:
    """Let the virtual clock go on."""
    come = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, come.set)
    await come.wait()


@pytest.mark.looptime
async def test_a_start_waits_for_the_view_but_not_forever(tmp_path: Path) -> None:
    files = Files(
        path=tmp_path / "view.sqlite",
        subscriptions=RunSubscriptions(),
        metrics=Metrics(CollectorRegistry()),
    )
    view = _reopening(files, failed=lambda: None)
    assert view.waiting_for() == "the view is not open yet"
    viewing = asyncio.create_task(view.run())
    await after(119)
    assert view.waiting_for() == "the view is not open yet"
    await after(1)
    assert view.waiting_for() is None
    assert view.degraded() == "the view is not open yet"
    assert view.staleness() is None
    viewing.cancel()
    await asyncio.wait({viewing})
