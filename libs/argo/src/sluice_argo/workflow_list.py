"""Lists Sluice's Workflows page by page."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from sluice_argo.watch_event import ListComplete, WatchEvent
from sluice_argo.workflows_api import WorkflowPage
from sluice_runtime.kubernetes.errors import AnswerTooLargeError

__all__ = ["WatchableWorkflows", "list_workflows"]


class WatchableWorkflows(Protocol):
    """Sluice's Workflows in one namespace, as `WorkflowsApi` lists and watches them."""

    namespace: str

    async def list_page(self, *, limit: int, continue_token: str | None) -> WorkflowPage:
        """Return one page of the list."""

    def watch(
        self, *, resource_version: str, timeout_seconds: int
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open a watch, and yield the bytes of its stream."""


async def list_workflows(
    workflows: WatchableWorkflows, *, limit: int
) -> AsyncGenerator[WatchEvent | ListComplete, None]:
    """Yield all Workflows, at most `limit` per request, and then the end of the list.

    Pages that are too large to be read become smaller, down to one Workflow.

    Raises:
        ApiError: GoneError if reading took so long that the list has expired.
        ApiUnavailableError: no clear answer.
    """
    token: str | None = None
    uids: set[str] = set()
    while True:
        try:
            page = await workflows.list_page(limit=limit, continue_token=token)
        except AnswerTooLargeError:
            if limit == 1:
                raise
            limit //= 2
            continue
        for item in page.items:
            uids.add(item["metadata"]["uid"])
            yield WatchEvent(item)
        token = page.continue_token
        if token is None:
            yield ListComplete(page.resource_version, frozenset(uids))
            return
