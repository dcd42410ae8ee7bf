"""The last outcome of each run on the results topic is that of its last attempt."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from sluice_contracts.records import OutgoingRecord
from sluice_contracts.topic_sets import TopicSets
from sluice_runtime.kafka.errors import KafkaUnavailableError
from sluice_status_watcher.adapters.status_publisher import KafkaStatusPublisher
from sluice_status_watcher.domain.transitions import PublishedState, transition
from sluice_status_watcher.domain.workflow_state import parse_workflow
from sluice_status_watcher.metrics import Metrics
from sluice_status_watcher.services import results_repair
from sluice_status_watcher.services.results_repair import ResultsRepair
from tests.unit.status_watcher.manifests import FINISHED, FINISHED_AGAIN, stored
from tests.unit.status_watcher.world import TOPICS, FakeKafka, later

pytestmark = pytest.mark.looptime


class Scene:
    """A results topic, and its repair."""

    def __init__(self) -> None:
        self.kafka = FakeKafka()
        self.passed = timedelta()
        """By how much the clock of the repair is ahead."""
        self.publisher = KafkaStatusPublisher(
            self.kafka, TopicSets(TOPICS), send_timeout=timedelta(seconds=10)
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        repair = ResultsRepair(
            self.kafka,
            self.publisher,
            metrics=Metrics(CollectorRegistry()),
            now=lambda: datetime.now(UTC) + self.passed,
        )
        task = asyncio.create_task(repair.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def write(
        self,
        attempt: int,
        run_id: str = "order-1",
        *,
        observed_at: datetime | None = None,
        **metadata: Any,
    ) -> None:
        """Append the outcome of an attempt, observed now by default."""
        at = FINISHED if attempt == 1 else FINISHED_AGAIN
        document = stored(run_id, status={"phase": "Failed", "finishedAt": at})
        document["metadata"]["annotations"]["sluice.dev/attempt"] = str(attempt)
        document["metadata"] |= metadata
        state = parse_workflow(document, observed_at=observed_at or datetime.now(UTC))
        event, _ = transition(state, PublishedState())
        assert event is not None
        await self.publisher.publish(event, state.identity)

    def attempts(self, run_id: str = "order-1") -> list[int]:
        events = self.kafka.events_for_test(TOPICS.results)
        return [event.attempt for event in events if event.run_id == run_id]


async def test_outcome_behind_a_later_attempt_is_followed_by_a_copy() -> None:
    scene = Scene()
    async with scene.running():
        for attempt in (1, 2, 3, 1):
            await scene.write(attempt)
            await later(1)
        assert scene.attempts() == [1, 2, 3, 1, 3]
        await scene.write(2)
        await later(1)
        assert scene.attempts() == [1, 2, 3, 1, 3, 2, 3]
        # Readers of the status topic have it already, and ignore repeats.
        assert len(scene.kafka.records) == 7 + 5


async def test_copy_is_the_same_record() -> None:
    scene = Scene()
    async with scene.running():
        for attempt in (1, 2, 1):
            await scene.write(attempt)
        await later(1)
    results = [record for topic, record, _ in scene.kafka.records if topic == TOPICS.results]
    assert results[3] == results[1]


async def test_records_in_order_are_left_alone() -> None:
    scene = Scene()
    for attempt in (1, 1, 2, 2):
        await scene.write(attempt)
    await scene.write(1, "order-2")
    async with scene.running():
        await scene.write(3)
        await scene.write(1, "order-2")
        await later(100)
    assert scene.attempts() == [1, 1, 2, 2, 3]
    assert scene.attempts("order-2") == [1, 1]


async def test_order_is_judged_at_the_end_of_the_topic() -> None:
    scene = Scene()
    for attempt in (1, 2, 1, 2):
        await scene.write(attempt)
    async with scene.running():
        await later(100)
    assert scene.attempts() == [1, 2, 1, 2]


async def test_other_workflow_of_the_same_run_is_not_an_earlier_attempt() -> None:
    """The id was used again, after the dedupe window."""
    scene = Scene()
    async with scene.running():
        await scene.write(2)
        await scene.write(1, uid="uid-of-another")
        await later(100)
    assert scene.attempts() == [2, 1]


@pytest.mark.parametrize("hidden", [2, 3])
async def test_outcome_from_before_the_read_is_restored(hidden: int) -> None:
    """An earlier outcome was observed long before, and is appended once no watcher knows more."""
    scene = Scene()
    observed_at = datetime.now(UTC) - timedelta(hours=5)
    await scene.write(hidden)
    scene.kafka.age_for_test(timedelta(hours=4))
    async with scene.running():
        await later(1)
        await scene.write(hidden - 1, observed_at=observed_at)
        await later(1)
        assert scene.attempts() == [hidden, hidden - 1, hidden]
        await scene.write(hidden - 1, observed_at=observed_at)
        await later(1)
    assert scene.attempts() == [hidden, hidden - 1, hidden, hidden - 1, hidden]


async def test_outcome_hidden_before_the_start_is_restored() -> None:
    scene = Scene()
    await scene.write(2)
    scene.kafka.age_for_test(timedelta(hours=4))
    await scene.write(1, observed_at=datetime.now(UTC) - timedelta(hours=5))
    await scene.write(1, "order-2", observed_at=datetime.now(UTC) - timedelta(hours=5))
    async with scene.running():
        await later(1)
        assert len(scene.kafka.scans) == 2
    async with scene.running():
        await later(1)
    assert scene.attempts() == [2, 1, 2]
    assert scene.attempts("order-2") == [1]


async def test_outcome_observed_since_the_start_of_the_read_needs_no_search() -> None:
    scene = Scene()
    async with scene.running():
        for number in range(10):
            await scene.write(1, f"order-{number}")
            await later(1)
    assert scene.kafka.scans == []


async def test_outcomes_from_an_outage_need_no_search() -> None:
    """The read goes on from where it was, so all since its first start is known."""
    scene = Scene()
    async with scene.running():
        for attempt in (1, 2):
            await scene.write(attempt)
        await later(1)
        scene.passed = timedelta(hours=5)
        scene.kafka.fail_scans_for_test(times=1)
        await scene.write(1)
        await later(100)
        assert scene.attempts() == [1, 2, 1, 2]
        searched = len(scene.kafka.scans)
        await scene.write(1, "order-2")
        await later(1)
        assert len(scene.kafka.scans) == searched


async def test_forgotten_retry_is_searched_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results_repair, "_MAX_RETRIED", 1)
    scene = Scene()
    observed_at = datetime.now(UTC) - timedelta(minutes=5)
    async with scene.running():
        await scene.write(2)
        await later(1)
        await scene.write(2, "order-2")
        await later(1)
        await scene.write(1, observed_at=observed_at)
        await later(1)
    assert scene.attempts() == [2, 1, 2]


async def test_repair_is_retried_while_kafka_is_away() -> None:
    scene = Scene()
    async with scene.running():
        for attempt in (1, 2):
            await scene.write(attempt)
        await later(1)
        scene.kafka.fail_scans_for_test(times=3)
        await scene.write(1)
        scene.kafka.fail_for_test(*[KafkaUnavailableError("no leader")] * 3)
        await later(100)
    assert scene.attempts() == [1, 2, 1, 2]


async def test_lost_outcome_of_a_later_attempt_is_logged() -> None:
    scene = Scene()
    async with scene.running():
        for attempt in (1, 2):
            await scene.write(attempt)
        await later(1)
        # Compaction was faster.
        kept: list[tuple[str, OutgoingRecord, int]] = [
            record for record in scene.kafka.records if record[0] != TOPICS.results
        ]
        scene.kafka.records[:] = [("other", record, at) for _, record, at in scene.kafka.records]
        assert kept
        await scene.write(1)
        await later(100)
        assert scene.attempts() == [1]
        await scene.write(2)
        await scene.write(1)
        await later(100)
    assert scene.attempts() == [1, 2, 1, 2]
