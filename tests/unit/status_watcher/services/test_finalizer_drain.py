"""Before an uninstall all Workflows lose the finalizer, in whatever state they are."""

import pytest

from sluice_argo.metadata import FINALIZER
from sluice_runtime.backoff import Backoff
from sluice_runtime.kubernetes.errors import ApiUnavailableError, ConflictError, RefusedError
from sluice_status_watcher.services.finalizer_drain import drain_finalizers
from tests.support.fake_workflows import FakeWorkflows, Operation
from tests.unit.status_watcher.manifests import manifest

pytestmark = pytest.mark.looptime

OTHER = "example.org/other"


async def with_runs(*phases: str) -> FakeWorkflows:
    workflows = FakeWorkflows()
    for number, phase in enumerate(phases):
        await workflows.create(manifest(f"order-{number}", status={"phase": phase}))
    return workflows


async def drained(workflows: FakeWorkflows) -> int:
    return await drain_finalizers(workflows, page_size=2, backoff=Backoff())


def held(workflows: FakeWorkflows) -> list[str]:
    return [
        name
        for name in workflows.names_for_test()
        if FINALIZER in workflows.object_for_test(name)["metadata"].get("finalizers", [])
    ]


async def test_all_finalizers_are_removed_and_no_workflow() -> None:
    workflows = await with_runs("", "Pending", "Running", "Succeeded", "Failed")
    assert len(held(workflows)) == 5
    assert await drained(workflows) == 5
    assert held(workflows) == []
    assert len(workflows.names_for_test()) == 5


async def test_drain_without_workflows_ends_at_once() -> None:
    assert await drained(FakeWorkflows()) == 0


async def test_finalizers_of_others_stay() -> None:
    workflows = FakeWorkflows()
    document = manifest()
    document["metadata"]["finalizers"] = [OTHER, FINALIZER, "example.org/third"]
    name = (await workflows.create(document))["metadata"]["name"]
    assert await drained(workflows) == 1
    finalizers = workflows.object_for_test(name)["metadata"]["finalizers"]
    assert finalizers == [OTHER, "example.org/third"]
    assert await drained(workflows) == 0


async def test_workflow_being_deleted_goes() -> None:
    workflows = await with_runs("Running")
    [name] = workflows.names_for_test()
    await workflows.delete_for_test(name)
    assert workflows.names_for_test() == {name}
    assert await drained(workflows) == 1
    assert workflows.names_for_test() == set()


@pytest.mark.parametrize("operation", ["list_page", "patch"])
async def test_unavailable_api_server_is_retried(operation: Operation) -> None:
    workflows = await with_runs("Running", "Running", "Running")
    workflows.fail_for_test(operation, *[ApiUnavailableError("away")] * 3)
    await drained(workflows)
    assert held(workflows) == []


async def test_changed_workflow_is_patched_after_the_next_list() -> None:
    workflows = await with_runs("Running", "Running")
    changed = ConflictError("changed", status=409, reason="Conflict")
    workflows.fail_for_test("patch", changed, changed, changed)
    assert await drained(workflows) == 2
    assert held(workflows) == []


async def test_refused_patch_is_raised() -> None:
    workflows = await with_runs("Running")
    workflows.fail_for_test("patch", RefusedError("no", status=403, reason="Forbidden"))
    with pytest.raises(RefusedError):
        await drained(workflows)
