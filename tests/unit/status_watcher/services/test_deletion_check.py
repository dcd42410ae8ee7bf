"""A Workflow that is gone unseen was deleted, unless its outcome is published."""

from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from sluice_argo import metadata
from sluice_argo.outcomes import Outcome
from sluice_contracts.status import Phase
from sluice_contracts.topic_sets import TopicSets
from sluice_runtime.kubernetes.errors import ApiUnavailableError, RefusedError
from sluice_status_watcher.adapters.status_publisher import KafkaStatusPublisher
from sluice_status_watcher.domain.transitions import PublishedState, transition
from sluice_status_watcher.domain.workflow_state import WorkflowState, parse_workflow
from sluice_status_watcher.services.deletion_check import DeletionCheck, MissingWorkflow
from sluice_status_watcher.services.outcome_lookup import OutcomeLookup
from tests.support.fake_workflows import FakeWorkflows
from tests.unit.status_watcher.manifests import FINISHED, Json, manifest, name_of
from tests.unit.status_watcher.scenes import NAME, finish, submit
from tests.unit.status_watcher.world import TOPICS, FakeKafka, World, later, make_queue

pytestmark = pytest.mark.looptime

ENDED = datetime(2026, 1, 1, 0, 5, tzinfo=UTC)
FAILED = Outcome(attempt=1, phase=Phase.FAILED, finished_at=ENDED)


class Scene:
    """A Workflow that was seen running, and that a list does not hold any more."""

    def __init__(self) -> None:
        self.workflows = FakeWorkflows()
        self.kafka = FakeKafka()
        self.publisher = KafkaStatusPublisher(
            self.kafka, TopicSets(TOPICS), send_timeout=timedelta(seconds=10)
        )

    async def seen(self) -> WorkflowState:
        return read(await self.workflows.create(manifest(status={"phase": "Running"})))

    async def publish(self, document: Json, *, outcome: Outcome | None = None) -> None:
        """Publish as another watcher does."""
        event, _ = transition(read(document), PublishedState(outcome=outcome))
        assert event is not None
        await self.publisher.publish(event, read(document).identity)

    async def deleted_state(
        self, last: WorkflowState, *, outcome: Outcome | None = None
    ) -> WorkflowState | None:
        lookup = OutcomeLookup(self.kafka, self.publisher)
        check = DeletionCheck([self.workflows], lookup, make_queue())
        return await check.deleted_state(MissingWorkflow(last, outcome, sequence=500))


def read(document: Json) -> WorkflowState:
    return parse_workflow(document, observed_at=ENDED)


async def test_missing_workflow_without_outcome_was_deleted() -> None:
    scene = Scene()
    last = await scene.seen()
    await scene.workflows.remove_for_test(NAME)
    state = await scene.deleted_state(last)
    assert state is not None
    event, _ = transition(state, PublishedState(sequence=last.sequence))
    assert event is not None
    assert (event.phase, event.attempt, event.sequence) == (Phase.DELETED, 1, 500)
    assert event.finished_at is None
    # The margin allows for clocks that differ.
    assert scene.kafka.scans == [datetime(2025, 12, 31, 23, 55, tzinfo=UTC)]


async def test_missing_workflow_that_was_seen_to_end_has_that_end() -> None:
    """It could not be claimed, and then somebody removed its finalizer."""
    scene = Scene()
    await scene.seen()
    last = read(
        await scene.workflows.set_status_for_test(NAME, phase="Succeeded", finishedAt=FINISHED)
    )
    await scene.workflows.remove_for_test(NAME)
    state = await scene.deleted_state(last)
    assert state is not None
    event, _ = transition(state, PublishedState(sequence=last.sequence))
    assert event is not None
    assert (event.phase, event.finished_at, event.sequence) == (Phase.SUCCEEDED, ENDED, 500)


async def test_recreated_workflow_was_deleted_before() -> None:
    scene = Scene()
    last = await scene.seen()
    await scene.workflows.remove_for_test(NAME)
    await scene.workflows.create(manifest())
    assert await scene.deleted_state(last) is not None


async def test_outcome_of_another_watcher_is_found() -> None:
    scene = Scene()
    last = await scene.seen()
    await scene.publish(
        await scene.workflows.set_status_for_test(NAME, phase="Failed", finishedAt=FINISHED)
    )
    await scene.workflows.remove_for_test(NAME)
    assert await scene.deleted_state(last) is None


async def test_outcome_of_an_earlier_attempt_does_not_count() -> None:
    scene = Scene()
    await scene.seen()
    failed = await scene.workflows.set_status_for_test(NAME, phase="Failed", finishedAt=FINISHED)
    await scene.publish(failed)
    running = await scene.workflows.set_status_for_test(NAME, phase="Running", finishedAt=None)
    await scene.workflows.remove_for_test(NAME)
    state = await scene.deleted_state(read(running), outcome=FAILED)
    assert state is not None
    event, _ = transition(state, PublishedState(outcome=FAILED))
    assert event is not None
    assert (event.phase, event.attempt) == (Phase.DELETED, 2)


async def test_published_end_needs_no_check() -> None:
    scene = Scene()
    await scene.seen()
    failed = await scene.workflows.set_status_for_test(NAME, phase="Failed", finishedAt=FINISHED)
    await scene.workflows.remove_for_test(NAME)
    assert await scene.deleted_state(read(failed), outcome=FAILED) is None
    assert scene.workflows.calls_for_test("get") == 0


async def test_workflow_without_its_label_is_not_deleted() -> None:
    scene = Scene()
    last = await scene.seen()
    await scene.workflows.change_for_test(
        NAME, lambda obj: obj["metadata"]["labels"].pop(metadata.MANAGED_BY)
    )
    with capture_logs() as logs:
        assert await scene.deleted_state(last) is None
    assert [log["event"] for log in logs] == ["Workflow lost its label"]


async def test_check_is_repeated_until_there_is_an_answer() -> None:
    scene = Scene()
    last = await scene.seen()
    await scene.workflows.remove_for_test(NAME)
    scene.workflows.fail_for_test("get", ApiUnavailableError("503"), ApiUnavailableError("503"))
    scene.kafka.fail_scans_for_test(times=2)
    assert await scene.deleted_state(last) is not None
    assert len(scene.kafka.scans) == 3


async def test_refused_check_gives_no_event() -> None:
    scene = Scene()
    last = await scene.seen()
    forbidden = RefusedError("403", status=403, reason="Forbidden")
    scene.workflows.fail_for_test("get", forbidden)
    assert await scene.deleted_state(last) is None
    assert scene.kafka.scans == []


async def test_two_reads_answer_for_a_thousand_missing_workflows() -> None:
    world, count = World(), 1000
    async with world.watching():
        for number in range(count):
            await submit(world, f"order-{number}")
        await world.kafka.wait_for_test(lambda: len(world.kafka.records) == count)
        scans = len(world.kafka.scans)
        world.kafka.slow_scans_for_test(10)
        world.workflows.go_silent_for_test()
        for number in range(count):
            await world.workflows.remove_for_test(name_of(f"order-{number}"))
        world.workflows.expire_history_for_test()
        world.workflows.drop_streams_for_test()
        world.workflows.speak_again_for_test()
        await world.kafka.wait_for_test(lambda: len(world.kafka.records) == 3 * count)
        await later(60)
        assert len(world.kafka.scans) - scans <= 2
        assert world.metric("tracked_workflows") == 0
    deleted = [event for event in world.kafka.events_for_test() if event.terminal]
    assert {event.phase for event in deleted} == {Phase.DELETED}
    assert len({event.run_id for event in deleted}) == len(deleted) == count


async def test_deletion_checks_do_not_delay_other_workflows() -> None:
    """More Workflows are missing than there are workers, and Kafka does not answer."""
    world = World(concurrency=2)
    async with world.watching():
        for number in range(5):
            await submit(world, f"order-{number}")
        await world.kafka.wait_for_test(lambda: len(world.kafka.records) == 5)
        world.kafka.fail_scans_for_test(times=1000)
        world.workflows.go_silent_for_test()
        for number in range(4):
            await world.workflows.remove_for_test(name_of(f"order-{number}"))
        world.workflows.expire_history_for_test()
        world.workflows.drop_streams_for_test()
        world.workflows.speak_again_for_test()
        await later(60)
        await finish(world, name=name_of("order-4"))
        await world.published("1/Submitted", "1/Succeeded", run_id="order-4")
        world.kafka.fail_scans_for_test(times=0)
        await world.published("1/Submitted", "1/Deleted", run_id="order-0")
