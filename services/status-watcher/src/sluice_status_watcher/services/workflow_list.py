"""Lists Sluice's Workflows page by page."""

from collections.abc import AsyncGenerator

from sluice_runtime.kubernetes.errors import AnswerTooLargeError
from sluice_status_watcher.domain.watch_event import ListComplete, WatchEvent
from sluice_status_watcher.ports import Workflows

__all__ = ["list_workflows"]


async def list_workflows(
    workflows: Workflows, *, limit: int
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
