"""Reads a Workflow of many nodes in a thread: the event loop would stand still for it."""

import asyncio
from datetime import datetime
from functools import partial
from typing import Any

from sluice_argo.status_nodes import has_many_nodes
from sluice_status_watcher.domain.workflow_state import Observed, observe

__all__ = ["observe_aside"]


async def observe_aside(
    document: dict[str, Any], *, observed_at: datetime, gone: bool = False
) -> Observed:
    """Give what `observe` gives, in a thread if there are many nodes.

    Raises:
        ForeignWorkflowError: see `observe`.
    """
    read = partial(observe, document, observed_at=observed_at, gone=gone)
    return await asyncio.to_thread(read) if has_many_nodes(document) else read()
