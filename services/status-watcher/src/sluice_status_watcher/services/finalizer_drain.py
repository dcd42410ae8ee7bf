"""Removes the finalizer from all Workflows, after Sluice was uninstalled.

Running Workflows go on; their outcomes are not published.
"""

from collections.abc import AsyncIterator
from typing import Any

import structlog

from sluice_argo.watch_event import WatchEvent
from sluice_argo.workflow_list import list_workflows
from sluice_runtime.backoff import Backoff
from sluice_runtime.kubernetes.errors import (
    ApiUnavailableError,
    ConflictError,
    GoneError,
    NotFoundError,
)
from sluice_runtime.retry import retry_forever
from sluice_status_watcher.domain.patches import finalizer_removal_patch
from sluice_status_watcher.ports import Workflows

__all__ = ["drain_finalizers"]

_log = structlog.get_logger(__name__)

Json = dict[str, Any]


class _NoProgressError(Exception):
    """Every Workflow changed between the list and its patch."""


async def drain_finalizers(workflows: Workflows, *, page_size: int, backoff: Backoff) -> int:
    """Remove the finalizer until a list shows no Workflow with it; return how many had it.

    The API server may be away for any time.

    Raises:
        ApiError: the API server refuses a request.
    """
    total = 0

    async def remove_all() -> bool:
        """Patch all Workflows of one list; return whether none is left."""
        nonlocal total
        with_finalizer = [each async for each in _with_finalizer(workflows, page_size=page_size)]
        removed = sum([await _patch(workflows, name, patch) for name, patch in with_finalizer])
        total += removed
        if removed:
            _log.info("finalizers removed", workflows=total)
        elif with_finalizer:
            raise _NoProgressError("all Workflows were changed by others meanwhile")
        return not with_finalizer

    def on_retry(error: Exception, pause: float) -> None:
        _log.warning("finalizers remain", error=str(error), retry_in=pause)

    retried = (ApiUnavailableError, GoneError, _NoProgressError)
    while not await retry_forever(remove_all, on=retried, backoff=backoff, on_retry=on_retry):
        pass
    return total


async def _with_finalizer(
    workflows: Workflows, *, page_size: int
) -> AsyncIterator[tuple[str, list[Json]]]:
    """Yield the name of each Workflow with our finalizer, and the patch that removes it."""
    async for item in list_workflows(workflows, limit=page_size):
        if isinstance(item, WatchEvent) and (
            patch := finalizer_removal_patch(item.workflow["metadata"])
        ):
            yield item.workflow["metadata"]["name"], patch


async def _patch(workflows: Workflows, name: str, patch: list[Json]) -> bool:
    try:
        await workflows.patch(name, patch)
    except (ConflictError, NotFoundError):
        # Changed or deleted meanwhile: the next list shows which.
        return False
    return True
