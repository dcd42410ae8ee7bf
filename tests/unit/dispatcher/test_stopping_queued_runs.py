"""A run that is stopped before it is a Workflow never becomes one."""

import asyncio
from typing import Any

import pytest

from sluice_contracts.ids import RunKey
from sluice_contracts.problems import ProblemType
from sluice_contracts.records import IncomingRecord
from sluice_contracts.status import Phase
from sluice_dispatcher.domain.models import LedgerEntry
from sluice_dispatcher.domain.verdict import Verdict
from sluice_dispatcher.domain.wait_reason import WaitReason
from sluice_runtime.dedupe import DedupeSettings
from sluice_runtime.kubernetes.errors import ApiUnavailableError
from tests.support.dispatcher import Desk, hello
from tests.support.slow_creates import SlowWorkflows, Way
from tests.unit.dispatcher.test_overload import command, in_flight_records, until, workflow_of

pytestmark = pytest.mark.looptime

KEY = RunKey("default", "order-1")
WORKFLOW = workflow_of("order-1")
LONGEST_S = DedupeSettings().least_release_after.total_seconds()


def virtual() -> float:
    return asyncio.get_running_loop().time()


class Scene:
    """A cluster that refuses every create until it allows them."""

    def __init__(self, *, first_reader: bool = True, ledger: Any = None) -> None:
        self.desk = Desk(first_reader=first_reader, clock=virtual, ledger=ledger)
        self.allowed = False
        self.creates = 0
        self.desk.before_create(self._refuse)

    async def _refuse(self, _: str) -> None:
        self.creates += 1
        if not self.allowed:
            raise ApiUnavailableError("CREATE: 403 Forbidden: exceeded quota", status=403)

    def queued(self) -> tuple[IncomingRecord, asyncio.Task[Verdict]]:
        record = self.desk.record(hello("order-1"))
        return record, self.handled(record)

    def handled(self, record: IncomingRecord) -> asyncio.Task[Verdict]:
        return asyncio.create_task(self.desk.handler.handle(record))


@pytest.fixture
async def scene() -> Scene:
    return Scene()


@pytest.mark.parametrize("kind", ["stop", "terminate"])
async def test_a_stop_ends_a_queued_run_at_once(scene: Scene, kind: Any) -> None:
    desk = scene.desk
    _, run = scene.queued()
    await until(lambda: scene.creates == 8)
    began, creates = virtual(), scene.creates
    stop = desk.record({"type": kind, "id": "order-1", "reason": "a mistake"})
    assert await scene.handled(stop) is Verdict.APPLIED
    assert virtual() == began
    assert await run is Verdict.CANCELLED
    assert scene.creates == creates
    [published] = desk.publisher.outcomes_for_test
    event = published.event
    assert event.phase is Phase.REJECTED
    assert event.problem is not None
    assert event.problem.type is ProblemType.CANCELLED
    assert event.last_command is not None
    assert (event.last_command.type, event.last_command.reason) == (kind, "a mistake")
    # What keeps others from starting the run comes first; no dead letter, no refusal.
    assert desk.publisher.log_for_test == ["result", "status"]
    scene.allowed = True
    assert await desk.handler.handle(desk.record(hello("order-1"))) is Verdict.REPLAYED
    assert desk.workflows.names_for_test() == set()


async def test_another_stop_of_the_same_run_is_applied_as_well(scene: Scene) -> None:
    _, run = scene.queued()
    await until(lambda: scene.creates == 3)
    stops = [scene.handled(command(scene.desk, "stop", "order-1")) for _ in range(3)]
    assert await run is Verdict.CANCELLED
    assert [await stop for stop in stops] == [Verdict.APPLIED] * 3
    assert len(scene.desk.publisher.outcomes_for_test) == 1
    assert scene.desk.publisher.refusals_for_test == []


async def test_other_commands_do_not_end_a_queued_run(scene: Scene) -> None:
    _, run = scene.queued()
    await until(lambda: scene.creates == 3)
    suspend = scene.handled(command(scene.desk, "suspend", "order-1"))
    await until(lambda: scene.creates == 6)
    scene.allowed = True
    assert await run is Verdict.CREATED
    assert await suspend is Verdict.APPLIED


async def test_a_stop_of_other_content_under_the_id_leaves_the_run(scene: Scene) -> None:
    """The second request is the queued one; the first one's Workflow is what gets stopped."""
    scene.allowed = True
    assert await scene.queued()[1] is Verdict.CREATED
    scene.desk.workflows.hold_for_test("get")
    other = scene.handled(scene.desk.record(hello("order-1", name="Bob")))
    stop = scene.handled(command(scene.desk, "stop", "order-1"))
    await until(lambda: scene.desk.workflows.calls_for_test("get") >= 1)
    scene.desk.workflows.heal_for_test()
    assert await other is Verdict.REFUSED
    assert await stop is Verdict.APPLIED
    assert scene.desk.workflows.object_for_test(WORKFLOW)["spec"]["shutdown"] == "Stop"


async def test_a_create_under_way_is_finished_and_then_stopped(scene: Scene) -> None:
    scene.allowed = True
    held = scene.desk.workflows.hold_for_test("create")
    _, run = scene.queued()
    await until(lambda: scene.creates == 1)
    stop = scene.handled(command(scene.desk, "stop", "order-1"))
    await until(lambda: any(queued.stopped_by for queued in scene.desk.queued))
    held.set()
    assert await run is Verdict.CREATED
    assert await stop is Verdict.APPLIED
    assert scene.desk.workflows.object_for_test(WORKFLOW)["spec"]["shutdown"] == "Stop"
    assert scene.desk.publisher.log_for_test == []


async def test_a_create_whose_answer_was_lost_is_found_and_stopped(scene: Scene) -> None:
    scene.allowed = True
    scene.desk.workflows.lose_answers_for_test("create")
    scene.desk.workflows.fail_for_test("get", ApiUnavailableError("no answer"))
    _, run = scene.queued()
    await until(lambda: scene.desk.workflows.calls_for_test("get") == 1)
    stop = scene.handled(command(scene.desk, "stop", "order-1"))
    assert await run is Verdict.SAME_RUN
    assert await stop is Verdict.APPLIED
    assert scene.desk.workflows.object_for_test(WORKFLOW)["spec"]["shutdown"] == "Stop"


async def test_a_run_ends_only_once_no_create_of_it_can_land_any_more() -> None:
    """A create that hangs in admission lands long after its client gave it up."""
    workflows = SlowWorkflows(create_timeout=DedupeSettings().create_timeout)
    workflows.slow_for_test(Way(travel=10.0, admission=14.0))
    desk = Desk(workflows=workflows, clock=virtual, first_reader=True)
    run = asyncio.create_task(desk.handler.handle(desk.record(hello("order-1"))))
    await until(lambda: workflows.calls_for_test("get") == 1)
    stop = asyncio.create_task(desk.handler.handle(command(desk, "stop", "order-1")))
    assert await run is Verdict.SAME_RUN
    assert await stop is Verdict.APPLIED
    assert desk.publisher.outcomes_for_test == []
    assert workflows.object_for_test(WORKFLOW)["spec"]["shutdown"] == "Stop"


async def test_a_record_that_another_dispatcher_may_know_waits_for_its_creates() -> None:
    scene = Scene(first_reader=False)
    began = virtual()
    _, run = scene.queued()
    await until(lambda: scene.creates == 3)
    stop = scene.handled(command(scene.desk, "stop", "order-1"))
    assert await run is Verdict.CANCELLED
    assert await stop is Verdict.APPLIED
    assert LONGEST_S <= virtual() - began <= LONGEST_S + 31


async def test_a_stop_reaches_a_run_that_waits_behind_another_record(scene: Scene) -> None:
    held = scene.desk.workflows.hold_for_test("get")
    early = scene.handled(command(scene.desk, "stop", "order-1"))
    await until(lambda: scene.desk.workflows.calls_for_test("get") == 1)
    _, run = scene.queued()
    stop = scene.handled(command(scene.desk, "stop", "order-1"))
    await until(lambda: any(queued.stopped_by for queued in scene.desk.queued))
    held.set()
    # The first one came before there was a run.
    assert await early is Verdict.REFUSED
    assert await run is Verdict.CANCELLED
    assert await stop is Verdict.APPLIED
    assert scene.creates == 0


async def test_a_request_behind_the_stop_is_not_stopped(scene: Scene) -> None:
    stop = scene.handled(command(scene.desk, "stop", "order-1"))
    _, run = scene.queued()
    assert await stop is Verdict.REFUSED
    scene.allowed = True
    assert await run is Verdict.CREATED


async def test_a_run_whose_expiry_was_decided_before_the_stop_expires(scene: Scene) -> None:
    scene.desk.ledger.outcomes_for_test[KEY] = LedgerEntry(fingerprint="f", phase=Phase.EXPIRED)
    assert await scene.handled(command(scene.desk, "stop", "order-1")) is Verdict.REFUSED


@pytest.mark.parametrize("failing", ["result", "status"])
async def test_the_outcome_is_published_until_kafka_has_both_records(
    scene: Scene, failing: str
) -> None:
    publisher = scene.desk.publisher
    _, run = scene.queued()
    await until(lambda: scene.creates == 3)
    if failing == "status":
        send = publisher.publish_status

        async def flaky(published: Any) -> None:
            publisher.publish_status = send  # type: ignore[method-assign]
            publisher.fail_for_test(times=3)
            await send(published)

        publisher.publish_status = flaky  # type: ignore[method-assign]
    else:
        publisher.fail_for_test(times=3)
    scene.allowed = True
    stop = scene.handled(command(scene.desk, "stop", "order-1"))
    assert await run is Verdict.CANCELLED
    assert await stop is Verdict.APPLIED
    assert publisher.log_for_test == ["result", "status"]
    assert scene.creates == 3


async def test_a_crash_between_the_two_records_is_made_up_for(scene: Scene) -> None:
    """The ledger has the outcome and the status topic lacks it: no Workflow, the same event."""
    first = scene.desk
    record, run = scene.queued()
    await until(lambda: scene.creates == 3)
    answers = asyncio.Event()

    async def never(published: Any) -> None:
        assert published
        await answers.wait()

    first.publisher.publish_status = never  # type: ignore[method-assign]
    stop_record = command(first, "stop", "order-1")
    stop = scene.handled(stop_record)
    await until(lambda: first.publisher.log_for_test == ["result"])
    run.cancel()
    stop.cancel()
    after = Scene(first_reader=False, ledger=first.ledger)
    after.allowed = True
    assert await after.handled(record) is Verdict.REPLAYED
    assert await after.handled(stop_record) is Verdict.APPLIED
    assert after.creates == 0
    [again] = after.desk.publisher.outcomes_for_test
    assert again.event == first.publisher.results_for_test[0].event
    assert after.desk.publisher.log_for_test == ["status"]
    # Another request of that content is another record: it publishes nothing.
    assert await after.handled(after.desk.record(hello("order-1"), offset=99)) is Verdict.REPLAYED
    assert after.desk.publisher.log_for_test == ["status"]


async def test_a_revocation_abandons_a_run_that_is_being_stopped() -> None:
    scene = Scene(first_reader=False)
    desk = scene.desk
    start, stop = desk.record(hello("order-1")), command(desk, "stop", "order-1")
    records = in_flight_records(desk)
    records.start(start)
    await until(lambda: scene.creates == 5)
    records.start(stop)
    await until(lambda: desk.budget.waiting[WaitReason.LATE_CREATE] == 1)
    await records.close(grace=10)
    assert desk.publisher.log_for_test == []
    assert list(desk.queued) == []


async def test_a_stop_ends_a_run_while_kafka_keeps_its_ledger_behind(scene: Scene) -> None:
    """The lookup is interrupted; the outcome is decided once the ledger answers."""
    desk, fresh = scene.desk, asyncio.Event()
    find = desk.ledger.get

    async def slow(key: RunKey) -> Any:
        await fresh.wait()
        return await find(key)

    desk.ledger.get = slow  # type: ignore[method-assign]
    _, run = scene.queued()
    stop = scene.handled(command(desk, "stop", "order-1"))
    scene.allowed = True
    await until(lambda: len(list(desk.queued)) == 1)
    fresh.set()
    assert await run is Verdict.CANCELLED
    assert await stop is Verdict.APPLIED
    assert scene.creates == 0
