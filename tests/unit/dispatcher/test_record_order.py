"""At a revocation, no record overtakes an earlier one of its run that is abandoned."""

import pytest

from sluice_argo import metadata
from sluice_dispatcher.domain.wait_reason import WaitReason
from sluice_runtime.kubernetes.errors import ApiUnavailableError
from tests.support.dispatcher import Desk, hello
from tests.unit.dispatcher.test_overload import command, in_flight_records, until, workflow_of

pytestmark = pytest.mark.looptime


class Scene:
    """A quota forbids a Workflow until it is lifted; its record waits."""

    def __init__(self) -> None:
        self.desk, self.forbidden = Desk(), True
        self.desk.before_create(self._refuse)

    async def _refuse(self, _: str) -> None:
        if self.forbidden:
            raise ApiUnavailableError("CREATE: 403 Forbidden: exceeded quota", status=403)


async def test_a_command_is_not_refused_because_its_run_waits_for_the_next_owner() -> None:
    scene = Scene()
    desk = scene.desk
    start, stop = desk.record(hello("order-1")), command(desk, "stop", "order-1")
    first = in_flight_records(desk)
    first.start(start)
    await until(lambda: desk.budget.waiting[WaitReason.FORBIDDEN] == 1)
    # Read just before the revocation, and not decoded yet.
    first.start(stop)
    await first.close(grace=10)
    scene.forbidden = False
    second = in_flight_records(desk)
    second.start(start)
    second.start(stop)
    await until(lambda: second.count == 0)
    assert desk.workflows.object_for_test(workflow_of("order-1"))["spec"]["shutdown"] == "Stop"
    assert desk.publisher.log_for_test == []


@pytest.mark.parametrize("decoded", [True, False])
async def test_the_first_of_two_contents_keeps_the_id(decoded: bool) -> None:
    scene = Scene()
    desk = scene.desk
    ada, bob = desk.record(hello("order-1", name="Ada")), desk.record(hello("order-1", name="Bob"))
    first = in_flight_records(desk)
    first.start(ada)
    await until(lambda: desk.budget.waiting[WaitReason.FORBIDDEN] == 1)
    scene.forbidden = False
    first.start(bob)
    if decoded:
        await until(lambda: desk.budget.waiting[WaitReason.SAME_RUN] == 1)
    await first.close(grace=10)
    second = in_flight_records(desk)
    second.start(ada)
    second.start(bob)
    await until(lambda: second.count == 0)
    made = desk.workflows.object_for_test(workflow_of("order-1"))["metadata"]["annotations"]
    assert made[metadata.REQUEST] == str(ada.position)
