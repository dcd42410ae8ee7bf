"""Parses a Workflow of many nodes in a thread, so that the event loop goes on meanwhile."""

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
    """Return what `parse_workflow` returns; with many nodes, that is done in a thread.

    Raises:
        ForeignWorkflowError: the Workflow is not a run of Sluice.
    """
    parse = partial(parse_workflow, document, observed_at=observed_at, gone=gone)
    return await asyncio.to_thread(parse) if has_many_nodes(document) else parse()
