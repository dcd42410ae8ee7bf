"""Parses a Workflow of many nodes in a thread, so that the event loop goes on meanwhile."""

import asyncio
from datetime import datetime
from functools import partial
from typing import Any

from sluice_argo.status_nodes import has_many_nodes
from sluice_status_watcher.domain.workflow_state import WorkflowState, parse_workflow

__all__ = ["WorkflowParser"]


class WorkflowParser:
    """Parses Workflows; those of many nodes in a thread, one at a time.

    32 MiB of nodes take 200 MB of memory until they are parsed. Every part of a process shares one
    parser, so that this memory is taken once.
    """

    def __init__(self) -> None:
        self._parsing = asyncio.Lock()

    async def parse(
        self, document: dict[str, Any], *, observed_at: datetime, gone: bool = False
    ) -> WorkflowState:
        """Return what `parse_workflow` returns.

        Raises:
            ForeignWorkflowError: the Workflow is not a run of Sluice.
        """
        parse = partial(parse_workflow, document, observed_at=observed_at, gone=gone)
        if not has_many_nodes(document):
            return parse()
        async with self._parsing:
            return await asyncio.to_thread(parse)
