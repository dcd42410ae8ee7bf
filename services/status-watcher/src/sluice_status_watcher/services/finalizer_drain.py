"""Let all Workflows go, when there will be no status-watcher any more to take its finalizer off.

Whoever is drained keeps running; what becomes of it is told to nobody.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import structlog

from sluice_runtime.backoff import Backoff
from sluice_runtime.kubernetes.errors import (
    ApiUnavailableError,
    ConflictError,
    GoneError,
    NotFoundError,
)
from sluice_status_watcher.domain.patches import finalizer_removal_patch
from sluice_status_watcher.ports import Workflows

__all__ = ["drain"]

_log = structlog.get_logger(__name__)

Json = dict[str, Any]


async def drain(workflows: Workflows, *, page_size: int, backoff: Backoff) -> int:
    """Take the finalizer off all of Sluice's Workflows, until a list shows none that has it.

    Gives how many were let go. The API server may be away for any time.

    Raises:
        ApiError: it will not let us.
    """
    total = failures = 0
    while True:
        try:
            held = [each async for each in _held(workflows, page_size=page_size)]
            if not held:
                return total
            let_go_now = sum([await _patched(workflows, name, patch) for name, patch in held])
        except (ApiUnavailableError, GoneError) as e:
            why, pause = str(e), getattr(e, "retry_after", 0.0)
        else:
            total += let_go_now
            _log.info("let go", workflows=total)
            if let_go_now:
                continue
            why, pause = "they change all the time", 0.0
        failures += 1
        pause = backoff.delay(failures, at_least=pause)
        _log.warning("not all could be let go yet", error=why, retry_in=pause)
        await asyncio.sleep(pause)


async def _held(workflows: Workflows, *, page_size: int) -> AsyncIterator[tuple[str, list[Json]]]:
    continue_token: str | None = None
    while True:
        page = await workflows.list_page(limit=page_size, continue_token=continue_token)
        for document in page.items:
            if patch := finalizer_removal_patch(document["metadata"]):
                yield document["metadata"]["name"], patch
        continue_token = page.continue_token
        if continue_token is None:
            return


async def _patched(workflows: Workflows, name: str, patch: list[Json]) -> bool:
    try:
        await workflows.patch(name, patch)
    except (ConflictError, NotFoundError):
        # Changed or gone meanwhile: the next list tells.
        return False
    return True
