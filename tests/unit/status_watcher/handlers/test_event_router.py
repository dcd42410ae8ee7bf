"""WorkItem reach the worker that they concern."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry

from sluice_status_watcher.adapters.status_publisher import KafkaStatusPublisher
from sluice_status_watcher.domain.work_item import (
    Missing,
    Resync,
    WorkItem,
    coalescing_key,
    needs_of,
    size_of,
)
from sluice_status_watcher.domain.workflow_state import WorkflowState, parse_workflow
from sluice_status_watcher.handlers.event_router import route_events
from sluice_status_watcher.handlers.reflector import ListComplete, WatchEvent
from sluice_status_watcher.handlers.work_queue import WorkQueue
from sluice_status_watcher.metrics import Metrics
from sluice_status_watcher.services.reconciler import Reconciler
from tests.support.fake_workflows import FakeWorkflows
from tests.unit.status_watcher.manifests import FINISHED, Json, manifest, name_of, stored
from tests.unit.status_watcher.world import TOPICS, FakeKafka, moments

pytestmark = pytest.mark.looptime


async def followed(
    *changes: WatchEvent | ListComplete, known_uids: tuple[str, ...] = ()
) -> list[object]:
    """Give what the workers were handed: the phase of a state, or the kind of other news."""
    handed: list[object] = []

    async def handle(uid: str, news: WorkItem) -> None:
        what = news.lifecycle.phase if isinstance(news, WorkflowState) else type(news)
        handed.append((uid, what))

    async def come() -> AsyncIterator[WatchEvent | ListComplete]:
        for change in changes:
            yield change
            await moments(5)

    workers: WorkQueue[str, WorkItem] = WorkQueue(
        handle,
        stage=coalescing_key,
        size=size_of,
        needs=needs_of,
        concurrency=4,
        max_pending=100,
        max_bytes=1000,
    )
    running = asyncio.create_task(workers.run())
    await route_events(come(), workers, known_uids=known_uids)
    running.cancel()
    await asyncio.wait({running})
    return handed


def listed(*uids: str) -> ListComplete:
    return ListComplete("9", frozenset(uids))


async def test_what_a_list_does_not_hold_has_vanished() -> None:
    handed = await followed(
        WatchEvent(stored("a")),
        WatchEvent(stored("b")),
        listed("uid-of-a", "uid-of-b"),
        WatchEvent(stored("b")),
        WatchEvent(stored("c")),
        listed("uid-of-b"),
        listed("uid-of-b"),
    )
    assert sorted(handed[4:], key=str) == [("uid-of-a", Missing), ("uid-of-c", Missing)]


async def test_what_was_recalled_and_is_not_there_has_vanished() -> None:
    assert await followed(listed(), known_uids=("uid-of-a",)) == [("uid-of-a", Missing)]


def test_a_newer_state_supersedes_those_of_the_same_phase_alone() -> None:
    def state(**status: str) -> WorkflowState:
        return parse_workflow(stored(status=status), observed_at=datetime.now(UTC))

    assert coalescing_key(state(phase="Running")) == coalescing_key(
        state(phase="Running", progress="1")
    )
    assert coalescing_key(state(phase="Running")) != coalescing_key(state(phase="Pending"))
    one, other = (
        state(phase="Failed", finishedAt=moment) for moment in (FINISHED, "2026-01-02T00:00:00Z")
    )
    assert coalescing_key(one) != coalescing_key(other)
    assert (
        len({coalescing_key(one), coalescing_key(Resync()), coalescing_key(Missing(sequence=9))})
        == 3
    )


async def test_a_state_older_than_what_is_known_is_not_acted_on() -> None:
    workflows, kafka = FakeWorkflows(), FakeKafka()
    reconciler = Reconciler(
        workflows,
        KafkaStatusPublisher(kafka, TOPICS, send_timeout=timedelta(seconds=1)),
        kafka,
        name="ada",
        metrics=Metrics(CollectorRegistry()),
        release_after=timedelta(seconds=10),
        requeue=lambda _uid, _news: None,
    )

    async def handle(document: Json) -> None:
        await reconciler.handle("uid-1", parse_workflow(document, observed_at=datetime.now(UTC)))

    before = await workflows.create(manifest(status={"phase": "Running"}))
    after = await workflows.set_status_for_test(
        name_of("order-1"), phase="Failed", finishedAt=FINISHED
    )
    await handle(after)
    patches = workflows.calls_for_test("patch")
    await handle(before)
    assert workflows.calls_for_test("patch") == patches == 2
    assert kafka.phases_for_test() == ["1/Failed"]
