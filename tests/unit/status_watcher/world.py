"""A world for the status-watcher: an API server and a Kafka that outlive the watchers in it."""

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from prometheus_client import CollectorRegistry

from sluice_contracts.records import IncomingRecord, OutgoingRecord, Position
from sluice_contracts.status import StatusEvent
from sluice_contracts.status_codec import PublishedEvent, decode_status
from sluice_contracts.topics import TopicNames
from sluice_runtime.deadlines import Deadline
from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_runtime.supervision import run_eternally
from sluice_status_watcher.adapters.results_topic import outcome_of
from sluice_status_watcher.bootstrap import StatusWatcher
from sluice_status_watcher.leading import Alone, Turn
from sluice_status_watcher.outcomes import Published
from sluice_status_watcher.settings import Settings
from tests.support.fake_workflows import FakeWorkflows

TOPICS = TopicNames()
PATIENCE = 2 * 3600.0
"""Seconds, on the virtual clock, after which what has not happened will not happen."""


class FakeKafka:
    """The producer and the results topic's reader in one; every record written stays."""

    def __init__(self) -> None:
        self.records: list[tuple[str, OutgoingRecord, int]] = []
        self._failures: deque[tuple[Exception, str | None]] = deque()
        self._lost = 0
        self._away = False
        self._held: asyncio.Event | None = None
        self._changed = asyncio.Condition()
        self._scan_failures = 0
        self.scans: list[datetime] = []

    async def send(self, topic: str, record: OutgoingRecord, *, deadline: Deadline) -> Position:
        """See `Producer.send`."""
        await asyncio.sleep(0)
        if self._held is not None:
            await self._held.wait()
        if self._away:
            raise KafkaUnavailableError(f"{topic}: nobody is there")
        if self._failures and self._failures[0][1] in {None, topic}:
            raise self._failures.popleft()[0]
        self.records.append((topic, record, _ms(datetime.now(UTC))))
        async with self._changed:
            self._changed.notify_all()
        await asyncio.sleep(0)
        if self._lost:
            self._lost -= 1
            raise KafkaUnavailableError(f"{topic}: the acknowledgement was lost")
        return Position(topic, 0, len(self.records))

    def unavailable(self) -> str | None:
        """See `RecordProducer.unavailable`."""
        return "Kafka: away" if self._away else None

    async def find(self, wanted: Mapping[str, bytes], *, since: datetime) -> dict[str, Published]:
        """See `PublishedOutcomes.find`."""
        await asyncio.sleep(0)
        self.scans.append(since)
        if self._scan_failures or self._away:
            self._scan_failures = max(0, self._scan_failures - 1)
            raise KafkaUnavailableError("results: nobody is there")
        found: dict[str, Published] = {}
        for record in self._incoming(TOPICS.results):
            told = outcome_of(record)
            if told is None or told[0] not in wanted or record.timestamp_ms < _ms(since):
                continue
            uid, published = told
            if uid not in found or published.outcome.attempt > found[uid].outcome.attempt:
                found[uid] = published
        return found

    # What only tests may do.

    def fail_for_test(self, *errors: Exception, topic: str | None = None) -> None:
        """Answer the next sends (to this topic) with these errors, having written nothing."""
        self._failures.extend((error, topic) for error in errors)

    def lose_acknowledgements_for_test(self, *, times: int) -> None:
        """Write the next records, and let their acknowledgements get lost."""
        self._lost += times

    def go_away_for_test(self) -> None:
        """Refuse everything."""
        self._away = True

    def come_back_for_test(self) -> None:
        """Take records again."""
        self._away = False

    def heal_for_test(self) -> None:
        """End every fault that was asked for."""
        self._away = False
        self._failures.clear()
        self._lost = 0

    def age_for_test(self, age: timedelta) -> None:
        """Let all records have been written so much earlier."""
        ms = int(age.total_seconds() * 1000)
        self.records = [(topic, record, written - ms) for topic, record, written in self.records]

    def hold_for_test(self) -> asyncio.Event:
        """Keep sends waiting until the returned event is set."""
        self._held = asyncio.Event()
        return self._held

    def fail_scans_for_test(self, *, times: int) -> None:
        """Let the next readings of the results topic fail."""
        self._scan_failures = times

    def events_for_test(self, topic: str = TOPICS.status) -> list[StatusEvent]:
        """Give what a topic holds."""
        events = []
        for record in self._incoming(topic):
            published = decode_status(record)
            assert isinstance(published, PublishedEvent)
            events.append(published.event)
        return events

    def phases_for_test(self, topic: str = TOPICS.status, *, run_id: str = "order-1") -> list[str]:
        """Give the phases that a topic holds of one run, `attempt/phase`."""
        return [
            f"{event.attempt}/{event.phase}"
            for event in self.events_for_test(topic)
            if event.run_id == run_id
        ]

    async def wait_for_test(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds; looked at after each record."""
        async with self._changed:
            await self._changed.wait_for(condition)

    def _incoming(self, topic: str) -> list[IncomingRecord]:
        return [
            IncomingRecord(
                position=Position(name, 0, offset),
                timestamp_ms=timestamp,
                key=record.key,
                value=record.value,
                headers=record.headers,
            )
            for offset, (name, record, timestamp) in enumerate(self.records)
            if name == topic
        ]


class World:
    """All that stays when a watcher dies."""

    def __init__(self, **settings: Any) -> None:
        self.workflows = FakeWorkflows()
        self.kafka = FakeKafka()
        self.settings = Settings(**settings)
        self.registry = CollectorRegistry()
        self.watcher: StatusWatcher | None = None
        self._numbers = itertools.count(1)

    @property
    def release_after(self) -> float:
        """Seconds for which a finished Workflow is held after its outcome is acknowledged."""
        return self.settings.dedupe.release_after.total_seconds()

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
        turn: Turn | None = None,
        *,
        workflows: FakeWorkflows | None = None,
        kafka: FakeKafka | None = None,
    ) -> AsyncIterator["World"]:
        """Run a watcher in the world; leaving is a SIGKILL. Its failure fails the test.

        One that does not reach the world gets an API server or a Kafka of its own.
        """
        kafka = kafka or self.kafka
        self.registry = CollectorRegistry()
        self.watcher = watcher = StatusWatcher(
            self.settings,
            workflows=workflows or self.workflows,
            producer=kafka,
            published=kafka,
            registry=self.registry,
            turn=turn or Alone(),
        )
        stop = asyncio.Event()
        name = f"watcher {next(self._numbers)}"
        running = asyncio.create_task(
            run_eternally(watcher.tasks(), stop=stop, grace=timedelta(seconds=1)), name=name
        )
        try:
            yield self
        finally:
            stop.set()
            await running

    def metric(self, name: str, **labels: str) -> float:
        """Give the value of a metric of the watcher that runs or ran last."""
        return self.registry.get_sample_value(f"sluice_status_watcher_{name}", labels) or 0.0

    async def told(self, *phases: str, run_id: str = "order-1") -> None:
        """Wait until the status topic holds exactly these phases of the run."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self.kafka.wait_for_test(
                    lambda: self.kafka.phases_for_test(run_id=run_id) == list(phases)
                )
        except TimeoutError:
            # Says what is missing.
            assert self.kafka.phases_for_test(run_id=run_id) == list(phases)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the API server is in this state."""
        async with asyncio.timeout(PATIENCE):
            await self.workflows.wait_for_test(condition)

    def results(self, *, run_id: str = "order-1") -> list[str]:
        """Give what the results topic holds of the run."""
        return self.kafka.phases_for_test(TOPICS.results, run_id=run_id)


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


async def moments(count: int = 30) -> None:
    """Let everything run that is ready to."""
    for _ in range(count):
        await asyncio.sleep(0)


async def later(seconds: float) -> None:
    """Let virtual time pass; only on looptime's clock."""
    done = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, done.set)
    await done.wait()
