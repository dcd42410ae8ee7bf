"""The Workflows API that dispatcher and status-watcher need, for the real one and its fake.

The suite needs a fixture `workflows`: a `WorkflowsApi` or its fake, in an empty namespace. All
Workflows are suspended, so that no controller changes them.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sluice_argo.metadata import FINALIZER, MANAGED_BY, MANAGED_BY_VALUE
from sluice_argo.workflows_api import WorkflowsApi
from sluice_runtime.kubernetes.errors import (
    AlreadyExistsError,
    ConflictError,
    NotFoundError,
)

Json = dict[str, Any]


def manifest(name: str, *, ours: bool = True) -> Json:
    labels = {MANAGED_BY: MANAGED_BY_VALUE} if ours else {"app": "other"}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name, "labels": labels, "finalizers": [FINALIZER]},
        "spec": {
            "suspend": True,
            "entrypoint": "main",
            "templates": [{"name": "main", "suspend": {}}],
        },
    }


async def lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[Json]:
    buffered = b""
    async for chunk in chunks:
        *whole, buffered = (buffered + chunk).split(b"\n")
        for line in whole:
            yield json.loads(line)


async def settled(workflows: WorkflowsApi, name: str) -> Json:
    """Return the object once two reads in a row are equal."""
    before: Json = {}
    async with asyncio.timeout(30):
        while before != (now := await workflows.get(name)):
            before = now
    return now


class WorkflowsPortSuite:
    async def test_a_created_workflow_can_be_read(self, workflows: WorkflowsApi) -> None:
        created = await workflows.create(manifest("run-a"))
        found = await workflows.get("run-a")
        assert created["metadata"]["uid"] == found["metadata"]["uid"]
        assert found["spec"]["entrypoint"] == "main"
        assert int(found["metadata"]["resourceVersion"]) > 0

    async def test_a_name_is_taken_once(self, workflows: WorkflowsApi) -> None:
        await workflows.create(manifest("run-a"))
        with pytest.raises(AlreadyExistsError):
            await workflows.create(manifest("run-a"))

    async def test_a_missing_workflow_is_not_found(self, workflows: WorkflowsApi) -> None:
        with pytest.raises(NotFoundError):
            await workflows.get("run-a")
        with pytest.raises(NotFoundError):
            await workflows.patch("run-a", [{"op": "add", "path": "/spec/suspend", "value": True}])

    async def test_a_pod_that_is_not_there_need_not_be_deleted(
        self, workflows: WorkflowsApi
    ) -> None:
        assert await workflows.delete_pod("run-a-nobody-1") is False

    async def test_a_patch_changes_its_paths_and_the_version(self, workflows: WorkflowsApi) -> None:
        await workflows.create(manifest("run-a"))
        before = await settled(workflows, "run-a")
        after = await workflows.patch(
            "run-a",
            [
                {"op": "test", "path": "/metadata/finalizers/0", "value": FINALIZER},
                {"op": "add", "path": "/metadata/annotations", "value": {"a/b": "c"}},
            ],
        )
        assert after["metadata"]["annotations"]["a/b"] == "c"
        assert int(after["metadata"]["resourceVersion"]) > int(
            before["metadata"]["resourceVersion"]
        )
        escaped = [{"op": "remove", "path": "/metadata/annotations/a~1b"}]
        without = await workflows.patch("run-a", escaped)
        assert "a/b" not in (without["metadata"].get("annotations") or {})

    @pytest.mark.parametrize(
        "test",
        [
            {"op": "test", "path": "/metadata/finalizers/0", "value": "other"},
            {"op": "test", "path": "/metadata/finalizers/7", "value": FINALIZER},
            {"op": "test", "path": "/metadata/resourceVersion", "value": "1"},
        ],
    )
    async def test_a_failed_test_is_a_conflict_and_changes_nothing(
        self, workflows: WorkflowsApi, test: Json
    ) -> None:
        await workflows.create(manifest("run-a"))
        with pytest.raises(ConflictError):
            await workflows.patch("run-a", [test, {"op": "remove", "path": "/spec/suspend"}])
        assert (await workflows.get("run-a"))["spec"]["suspend"] is True

    async def test_a_list_has_selected_objects_in_pages(self, workflows: WorkflowsApi) -> None:
        for number in range(5):
            await workflows.create(manifest(f"run-{number}"))
        await workflows.create(manifest("foreign", ours=False))
        names: list[str] = []
        token = None
        versions = set()
        while True:
            page = await workflows.list_page(limit=2, continue_token=token)
            names += [item["metadata"]["name"] for item in page.items]
            versions.add(page.resource_version)
            token = page.continue_token
            if token is None:
                break
        assert names == [f"run-{number}" for number in range(5)]
        assert len(versions) == 1

    async def test_a_watch_reports_changes_after_the_list(self, workflows: WorkflowsApi) -> None:
        await workflows.create(manifest("run-before"))
        await settled(workflows, "run-before")
        page = await workflows.list_page(limit=10, continue_token=None)
        await workflows.create(manifest("foreign", ours=False))
        await workflows.create(manifest("run-a"))
        async with workflows.watch(
            resource_version=page.resource_version, timeout_seconds=30
        ) as chunks:
            async for event in lines(chunks):
                if event["type"] == "BOOKMARK":
                    continue
                seen = event["type"], event["object"]["metadata"]["name"]
                # A controller may still change this one.
                if seen != ("MODIFIED", "run-before"):
                    assert seen == ("ADDED", "run-a")
                    break
            else:
                pytest.fail("the watch ended")

    async def test_a_finalizer_keeps_the_object_until_it_is_removed(
        self, workflows: WorkflowsApi
    ) -> None:
        await workflows.create(manifest("run-a"))
        page = await workflows.list_page(limit=10, continue_token=None)
        await self.delete(workflows, "run-a")
        assert (await workflows.get("run-a"))["metadata"]["deletionTimestamp"]
        await workflows.patch(
            "run-a",
            [
                {"op": "test", "path": "/metadata/finalizers/0", "value": FINALIZER},
                {"op": "remove", "path": "/metadata/finalizers/0"},
            ],
        )
        with pytest.raises(NotFoundError):
            await workflows.get("run-a")
        async with workflows.watch(
            resource_version=page.resource_version, timeout_seconds=30
        ) as chunks:
            async for event in lines(chunks):
                if event["type"] == "DELETED":
                    assert event["object"]["metadata"]["deletionTimestamp"]
                    break
            else:
                pytest.fail("the watch ended")

    async def test_a_watch_from_an_expired_version_is_an_error(
        self, workflows: WorkflowsApi
    ) -> None:
        await workflows.create(manifest("run-a"))
        page = await workflows.list_page(limit=10, continue_token=None)
        await workflows.create(manifest("run-b"))
        await settled(workflows, "run-b")
        await self.expire_history(workflows)
        async with workflows.watch(
            resource_version=page.resource_version, timeout_seconds=30
        ) as chunks:
            async for event in lines(chunks):
                assert event["type"] == "ERROR"
                assert event["object"]["code"] == 410
                break
            else:
                pytest.fail("the watch ended")

    async def test_a_watch_ends_at_its_timeout(self, workflows: WorkflowsApi) -> None:
        page = await workflows.list_page(limit=10, continue_token=None)
        async with workflows.watch(
            resource_version=page.resource_version, timeout_seconds=1
        ) as chunks:
            assert [e async for e in lines(chunks) if e["type"] != "BOOKMARK"] == []

    async def delete(self, workflows: WorkflowsApi, name: str) -> None:
        """Delete a Workflow as an administrator; no part of Sluice may."""
        raise NotImplementedError

    async def expire_history(self, workflows: WorkflowsApi) -> None:
        """Compact the history."""
        raise NotImplementedError
