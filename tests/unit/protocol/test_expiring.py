"""A run expires, or its Workflow is created, and never both."""

import asyncio
from datetime import timedelta

import pytest

from sluice_dispatcher.domain.verdict import Verdict
from sluice_dispatcher.domain.wait_reason import WaitReason
from sluice_runtime.dedupe import DedupeSettings
from tests.support.dispatcher import NOW, Desk, hello
from tests.support.slow_creates import SlowWorkflows, Way
from tests.unit.dispatcher.test_overload import in_flight_records

pytestmark = pytest.mark.looptime

# Received by the API server after 8 s, and admitted by a webhook 9 s later: within its 15 s.
LATE = Way(travel=8.0, admission=9.0)


class Scene:
    """A dispatcher whose wall clock goes with the virtual one."""

    def __init__(self, *, expires_after: float) -> None:
        self.workflows = SlowWorkflows(create_timeout=DedupeSettings().create_timeout)
        self.desk = Desk(workflows=self.workflows)
        self._began = asyncio.get_running_loop().time()
        self._tick()
        expires_at = (NOW + timedelta(seconds=expires_after)).isoformat()
        self.record = self.desk.record(hello("order-1", expires_at=expires_at))

    def _tick(self) -> None:
        passed = asyncio.get_running_loop().time() - self._began
        self.desk.now_for_test = NOW + timedelta(seconds=passed)

    async def until_done(self, task: asyncio.Task[Verdict]) -> Verdict:
        while not task.done():
            await asyncio.wait({task}, timeout=0.1)
            self._tick()
        return task.result()

    async def handled(self) -> Verdict:
        return await self.until_done(asyncio.create_task(self.desk.handler.handle(self.record)))

    async def outcomes(self) -> int:
        await self.workflows.landed_for_test()
        return len(self.desk.publisher.outcomes_for_test) + len(self.workflows.uids_for_test)


async def test_a_run_that_expires_while_its_create_is_under_way_has_one_outcome() -> None:
    scene = Scene(expires_after=10)
    scene.workflows.slow_for_test(LATE)
    assert await scene.handled() is Verdict.SAME_RUN
    assert await scene.outcomes() == 1


async def test_a_rebalance_in_the_middle_of_a_create_leaves_one_outcome() -> None:
    """The grace of the first owner ends its create; the next one finds nothing, and it lands."""
    scene = Scene(expires_after=5)
    scene.workflows.slow_for_test(LATE)
    first = in_flight_records(scene.desk)
    first.start(scene.record)
    await asyncio.wait({asyncio.create_task(asyncio.Event().wait())}, timeout=0.1)
    await first.close(grace=6)
    scene._tick()
    assert await scene.handled() is Verdict.SAME_RUN
    assert await scene.outcomes() == 1


async def test_a_run_expires_once_no_create_can_be_under_way_any_more() -> None:
    scene = Scene(expires_after=-1)
    handling = asyncio.create_task(scene.desk.handler.handle(scene.record))
    began = asyncio.get_running_loop().time()
    while not scene.desk.publisher.outcomes_for_test and not handling.done():
        await asyncio.wait({handling}, timeout=0.1)
        scene._tick()
    assert await scene.until_done(handling) is Verdict.EXPIRED
    waited = asyncio.get_running_loop().time() - began
    assert waited >= DedupeSettings().least_release_after.total_seconds() - 1
    assert scene.desk.budget.waiting[WaitReason.LATE_CREATE] == 0
