"""A stand-in for one watcher's connection to the API server."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from sluice_argo.workflows_api import WorkflowPage
from sluice_runtime.kubernetes.errors import ApiUnavailableError
from tests.support.fake_workflows import FakeWorkflows
from tests.unit.status_watcher.manifests import Json

T = TypeVar("T")


class ApiConnection:
    """One watcher's connection to the API server, which can be cut; the interface is `Workflows`.

    A request that is under way when it is cut has been carried out, and its answer is lost.
    """

    def __init__(self, workflows: FakeWorkflows) -> None:
        self._workflows = workflows
        self.namespace = workflows.namespace
        self.cut = False

    async def get(self, name: str) -> Json:
        """See `WorkflowsApi.get`."""
        return await self._call(lambda: self._workflows.get(name))

    async def patch(self, name: str, operations: Sequence[Json]) -> Json:
        """See `WorkflowsApi.patch`."""
        return await self._call(lambda: self._workflows.patch(name, operations))

    async def list_page(self, *, limit: int, continue_token: str | None) -> WorkflowPage:
        """See `WorkflowsApi.list_page`."""
        return await self._call(
            lambda: self._workflows.list_page(limit=limit, continue_token=continue_token)
        )

    @contextlib.asynccontextmanager
    async def watch(
        self, *, resource_version: str, timeout_seconds: int
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """See `WorkflowsApi.watch`."""
        self._check()
        async with self._workflows.watch(
            resource_version=resource_version, timeout_seconds=timeout_seconds
        ) as chunks:
            yield self._checked(chunks)

    async def _checked(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            self._check()
            yield chunk

    async def _call(self, call: Callable[[], Awaitable[T]]) -> T:
        self._check()
        answer = await call()
        self._check()
        return answer

    def _check(self) -> None:
        if self.cut:
            raise ApiUnavailableError("no route to host")
