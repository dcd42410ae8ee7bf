"""News reach the worker that they concern."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry

from sluice_status_watcher.adapters.status_publisher import StatusPublisher
from sluice_status_watcher.domain.work_item import Due, News, Vanished, needs_of, size_of, stage_of
from sluice_status_watcher.domain.workflow_state import Observed, observe
from sluice_status_watcher.handlers.event_router import follow
from sluice_status_watcher.handlers.reflector import Change, Listed
from sluice_status_watcher.handlers.work_queue import Workers
from sluice_status_watcher.metrics import Metrics
from sluice_status_watcher.services.reconciler import Reconciler
from tests.support.fake_workflows import FakeWorkflows
from tests.unit.status_watcher.manifests import FINISHED, Json, manifest, name_of, stored
from tests.unit.status_watcher.world import TOPICS, FakeKafka, moments

pytestmark = pytest.mark.looptime


async def followed(*changes: Change | Listed, recalled: tuple[str, ...] = ()) -> list[object]:
    """Give what the workers were handed: the phase of a state, or the kind of other news."""
    handed: list[object] = []

    async def handle(uid: str, news: News) -> None:
        what = news.standing.phase if isinstance(news, Observed) else type(news)
        handed.append((uid, what))

    async def come() -> AsyncIterator[Change | Listed]:
        for change in changes:
            yield change
            await moments(5)

    workers: Workers[str, News] = Workers(
        handle,
        stage=stage_of,
        size=size_of,
        needs=needs_of,
        concurrency=4,
        max_pending=100,
        max_bytes=1000,
    )
    running = asyncio.create_task(workers.run())
    await follow(come(), workers, recalled=recalled)
    running.cancel()
    await asyncio.wait({running})
    return handed


def listed(*uids: str) -> Listed:
    return Listed("9", frozenset(uids))


async def test_what_a_list_does_not_hold_has_vanished() -> None:
    handed = await followed(
        Change(stored("a")),
        Change(stored("b")),
        listed("uid-of-a", "uid-of-b"),
        Change(stored("b")),
        Change(stored("c")),
        listed("uid-of-b"),
        listed("uid-of-b"),
    )
    assert sorted(handed[4:], key=str) == [("uid-of-a", Vanished), ("uid-of-c", Vanished)]


async def test_what_was_recalled_and_is_not_there_has_vanished() -> None:
    assert await followed(listed(), recalled=("uid-of-a",)) == [("uid-of-a", Vanished)]


def test_a_newer_state_supersedes_those_of_the_same_phase_alone() -> None:
    def observed(**status: str) -> Observed:
        return observe(stored(status=status), observed_at=datetime.now(UTC))

    assert stage_of(observed(phase="Running")) == stage_of(observed(phase="Running", progress="1"))
    assert stage_of(observed(phase="Running")) != stage_of(observed(phase="Pending"))
    one, other = (
        observed(phase="Failed", finishedAt=moment) for moment in (FINISHED, "2026-01-02T00:00:00Z")
    )
    assert stage_of(one) != stage_of(other)
    assert len({stage_of(one), stage_of(Due()), stage_of(Vanished(sequence=9))}) == 3


async def test_a_state_older_than_what_is_known_is_not_acted_on() -> None:
    workflows, kafka = FakeWorkflows(), FakeKafka()
    reconciler = Reconciler(
        workflows,
        StatusPublisher(kafka, TOPICS, send_timeout=timedelta(seconds=1)),
        kafka,
        name="ada",
        metrics=Metrics(CollectorRegistry()),
        release_after=timedelta(seconds=10),
        requeue=lambda _uid, _news: None,
    )

    async def handle(document: Json) -> None:
        await reconciler.handle("uid-1", observe(document, observed_at=datetime.now(UTC)))

    before = await workflows.create(manifest(status={"phase": "Running"}))
    after = await workflows.set_status_for_test(
        name_of("order-1"), phase="Failed", finishedAt=FINISHED
    )
    await handle(after)
    patches = workflows.calls_for_test("patch")
    await handle(before)
    assert workflows.calls_for_test("patch") == patches == 2
    assert kafka.phases_for_test() == ["1/Failed"]
