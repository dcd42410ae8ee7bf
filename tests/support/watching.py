"""Observes Workflows as they are created and deleted."""

import asyncio
import json
from collections.abc import AsyncIterator, Collection
from typing import Any

from sluice_argo.workflows_api import WorkflowsApi

Json = dict[str, Any]


async def run_ids_of(workflows: WorkflowsApi) -> list[str]:
    """Return the run ids of all Workflows."""
    found, token = [], None
    while True:
        page = await workflows.list_page(limit=500, continue_token=token)
        found += [_run_id(workflow) for workflow in page.items]
        token = page.continue_token
        if token is None:
            return found


async def deletions(workflows: WorkflowsApi) -> AsyncIterator[str]:
    """Yield the names of the present Workflows as they are deleted."""
    page = await workflows.list_page(limit=5000, continue_token=None)
    left = {workflow["metadata"]["name"] for workflow in page.items}
    version = page.resource_version
    while left:
        async with workflows.watch(resource_version=version, timeout_seconds=60) as chunks:
            buffered = b""
            async for chunk in chunks:
                *lines, buffered = (buffered + chunk).split(b"\n")
                for event in map(json.loads, lines):
                    assert event["type"] != "ERROR", event
                    metadata = event["object"]["metadata"]
                    version = metadata["resourceVersion"]
                    if event["type"] == "DELETED":
                        left.discard(metadata["name"])
                        yield metadata["name"]
                if not left:
                    return


async def until_leaving(workflows: WorkflowsApi, run_ids: Collection[str], *, count: int) -> None:
    """Wait until `count` of the runs' Workflows are deleted but kept by a finalizer."""
    async with asyncio.timeout(180):
        while True:
            page = await workflows.list_page(limit=5000, continue_token=None)
            leaving = [w for w in page.items if "deletionTimestamp" in w["metadata"]]
            if len(set(map(_run_id, leaving)) & set(run_ids)) >= count:
                return
            async with workflows.watch(
                resource_version=page.resource_version, timeout_seconds=10
            ) as chunks:
                async for _ in chunks:
                    break


def _run_id(workflow: Json) -> str:
    run_id: str = workflow["metadata"]["annotations"]["sluice.dev/run-id"]
    return run_id
