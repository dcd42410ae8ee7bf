"""What was live, by the changes of Workflows that the API server announced."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

from sluice_argo import metadata
from sluice_argo.workflows_api import WorkflowsApi
from tests.support.client import OUTCOME_SECONDS

__all__ = ["Audit"]

Json = dict[str, Any]


class Audit:
    """Every change of a Workflow that the API server announced."""

    def __init__(self, workflows: WorkflowsApi) -> None:
        self._workflows = workflows
        self._live: dict[str, Json] = {}
        self.created: list[Json] = []
        self.most_live = 0
        self.most_live_of_a_key = 0
        self._changed = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Audit"]:
        """Follow the changes from now on."""
        page = await self._workflows.list_page(limit=1, continue_token=None)
        # A group, so that the test fails with the watch.
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self._follow(page.resource_version))
            yield self
            task.cancel()

    async def until_created(self, count: int) -> None:
        """Wait until so many Workflows were created."""
        async with asyncio.timeout(OUTCOME_SECONDS), self._changed:
            await self._changed.wait_for(lambda: len(self.created) >= count)

    async def until_nothing_is_live(self, *, after: int) -> None:
        """Wait until nothing is live, after so many were created."""
        async with asyncio.timeout(OUTCOME_SECONDS), self._changed:
            await self._changed.wait_for(lambda: len(self.created) >= after and not self._live)

    async def _follow(self, version: str) -> None:
        buffered = b""
        async with self._workflows.watch(resource_version=version, timeout_seconds=600) as chunks:
            async for chunk in chunks:
                *lines, buffered = (buffered + chunk).split(b"\n")
                async with self._changed:
                    for event in map(json.loads, lines):
                        self._note(event["type"], event["object"])
                    self._changed.notify_all()

    def _note(self, kind: str, obj: Json) -> None:
        if kind == "BOOKMARK":
            return
        assert kind in {"ADDED", "MODIFIED", "DELETED"}, obj
        found = obj["metadata"]
        if kind == "ADDED":
            self.created.append(found)
        is_live = kind != "DELETED" and found["labels"].get(metadata.COMPLETED) != "true"
        if is_live:
            self._live[found["uid"]] = found
        else:
            self._live.pop(found["uid"], None)
        keys = Counter(
            slot
            for each in self._live.values()
            if (slot := each["annotations"].get(metadata.SLOT)) is not None
        )
        self.most_live = max(self.most_live, len(self._live))
        self.most_live_of_a_key = max(self.most_live_of_a_key, *keys.values(), 0)

    def tenants(self) -> list[str]:
        """Return the tenants of all Workflows, in the order of their creates."""
        return [each["labels"][metadata.TENANT] for each in self.created]
