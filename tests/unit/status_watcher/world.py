"""A world for the status-watcher: an API server and a Kafka that outlive the watchers in it."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from prometheus_client import CollectorRegistry

from sluice_contracts.topic_sets import TopicSets
from sluice_runtime.supervision import run_tasks
from sluice_status_watcher.adapters.status_publisher import KafkaStatusPublisher
from sluice_status_watcher.adapters.workflow_client import ApiWorkflowClient
from sluice_status_watcher.app import StatusWatcher
from sluice_status_watcher.domain.work_item import WorkItem, coalescing_key, needs_of, size_of
from sluice_status_watcher.handlers.work_queue import WorkQueue
from sluice_status_watcher.ports import Workflows
from sluice_status_watcher.services.leader_election import AlwaysLeader, Leadership
from sluice_status_watcher.services.workflow_parsing import WorkflowParser
from sluice_status_watcher.settings import Settings
from tests.support.fake_workflows import FakeWorkflows
from tests.unit.status_watcher.api_connection import ApiConnection
from tests.unit.status_watcher.fake_kafka import TOPICS, FakeKafka

__all__ = [
    "PATIENCE",
    "TOPICS",
    "Connection",
    "FakeKafka",
    "World",
    "later",
    "make_queue",
    "make_watcher",
    "moments",
]

PATIENCE = 2 * 3600.0
"""Seconds of the virtual clock after which a test gives up."""


@dataclass(frozen=True, kw_only=True)
class Connection:
    """The connections of one watcher."""

    kafka: FakeKafka
    api: ApiConnection
    elsewhere: Sequence[ApiConnection] = ()
    """To the Workflows of other namespaces."""

    def cut(self, *, is_cut: bool) -> None:
        """Cut the connection to the API server, or join it again."""
        for api in (self.api, *self.elsewhere):
            api.cut = is_cut


class World:
    """Everything that outlives a watcher."""

    def __init__(self, **settings: Any) -> None:
        self.workflows = FakeWorkflows()
        self.elsewhere: list[FakeWorkflows] = []
        """The Workflows of other namespaces."""
        self.kafka = FakeKafka()
        self.settings = Settings(**settings)
        self.registry = CollectorRegistry()
        self.watcher: StatusWatcher | None = None
        self._numbers = itertools.count(1)

    @property
    def release_after(self) -> float:
        """Seconds for which a finished Workflow is held after its outcome is acknowledged."""
        return self.settings.dedupe.release_after.total_seconds()

    def connection(self) -> Connection:
        """Return connections with faults of their own."""
        return Connection(
            kafka=FakeKafka(same_as=self.kafka),
            api=ApiConnection(self.workflows),
            elsewhere=[ApiConnection(each) for each in self.elsewhere],
        )

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator["World"]:
        """Run a watcher, as `starting`, and wait until it watches."""
        streams = self.workflows.streams_for_test()
        async with self.starting():
            await self.until(lambda: self.workflows.streams_for_test() > streams)
            yield self

    @contextlib.asynccontextmanager
    async def starting(
        self,
        leadership: Leadership | None = None,
        *,
        workflows: Workflows | None = None,
        elsewhere: Sequence[Workflows] | None = None,
        kafka: FakeKafka | None = None,
    ) -> AsyncIterator["World"]:
        """Run a watcher in the world; leaving is a SIGKILL. Its failure fails the test.

        A watcher with its own connections gets its own API server or Kafka.
        """
        kafka = kafka or self.kafka
        self.registry = CollectorRegistry()
        self.watcher = watcher = make_watcher(
            self.settings,
            workflows=[
                workflows or self.workflows,
                *(self.elsewhere if elsewhere is None else elsewhere),
            ],
            kafka=kafka,
            registry=self.registry,
            leadership=leadership or AlwaysLeader(),
        )
        stop = asyncio.Event()
        name = f"watcher {next(self._numbers)}"
        running = asyncio.create_task(
            run_tasks(watcher.tasks(), stop=stop, grace=timedelta(seconds=1)), name=name
        )
        try:
            yield self
        finally:
            stop.set()
            await running

    def metric(self, name: str, **labels: str) -> float:
        """Return the value of a metric of the last watcher."""
        return self.registry.get_sample_value(f"sluice_status_watcher_{name}", labels) or 0.0

    async def published(self, *phases: str, run_id: str = "order-1") -> None:
        """Wait until the status topic holds exactly these phases of the run."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self.kafka.wait_for_test(
                    lambda: self.kafka.phases_for_test(run_id=run_id) == list(phases)
                )
        except TimeoutError:
            # The message shows the difference.
            assert self.kafka.phases_for_test(run_id=run_id) == list(phases)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the API server is in this state."""
        async with asyncio.timeout(PATIENCE):
            await self.workflows.wait_for_test(condition)

    def results(self, *, run_id: str = "order-1") -> list[str]:
        """Return the phases that the results topic holds of the run."""
        return self.kafka.phases_for_test(TOPICS.results, run_id=run_id)


def make_watcher(
    settings: Settings,
    *,
    workflows: Sequence[Workflows],
    kafka: FakeKafka,
    registry: CollectorRegistry,
    leadership: Leadership,
) -> StatusWatcher:
    """Return a watcher with its real adapters on fake clients."""
    parser = WorkflowParser()
    return StatusWatcher(
        settings,
        workflows=workflows,
        client=ApiWorkflowClient(workflows, parser),
        parser=parser,
        publisher=KafkaStatusPublisher(
            kafka, TopicSets(TOPICS), send_timeout=settings.send_timeout
        ),
        results=kafka,
        registry=registry,
        leadership=leadership,
    )


def make_queue() -> WorkQueue[str, WorkItem]:
    """Return a work queue as the service makes it, with small bounds."""
    return WorkQueue(
        coalescing_key=coalescing_key,
        size=size_of,
        needs=needs_of,
        concurrency=4,
        max_pending=100,
        max_bytes=1000,
    )


async def moments(count: int = 30) -> None:
    """Let everything run that is ready to."""
    for _ in range(count):
        await asyncio.sleep(0)


async def later(seconds: float) -> None:
    """Let virtual time pass; only on looptime's clock."""
    done = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, done.set)
    await done.wait()
