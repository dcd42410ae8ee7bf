"""Reads a Workflow of many nodes in a thread: the event loop would stand still for it."""

import asyncio
from datetime import datetime
from functools import partial
from typing import Any

from sluice_argo.status_nodes import has_many_nodes
from sluice_status_watcher.domain.workflow_state import WorkflowState, parse_workflow

__all__ = ["parse_workflow_aside"]


async def parse_workflow_aside(
    document: dict[str, Any], *, observed_at: datetime, gone: bool = False
) -> WorkflowState:
    """Give what `parse_workflow` gives, in a thread if there are many nodes.

    Raises:
        ForeignWorkflowError: see `parse_workflow`.
    """
    read = partial(parse_workflow, document, observed_at=observed_at, gone=gone)
    return await asyncio.to_thread(read) if has_many_nodes(document) else read()
