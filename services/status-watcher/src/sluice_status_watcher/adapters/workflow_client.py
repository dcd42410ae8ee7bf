"""Reads and patches one Workflow through the API, as the state that the domain works on."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from sluice_status_watcher.domain.workflow_state import ForeignWorkflowError, WorkflowState
from sluice_status_watcher.ports import Workflows
from sluice_status_watcher.services.workflow_parsing import WorkflowParser

__all__ = ["ApiWorkflowClient"]

Json = dict[str, Any]


class ApiWorkflowClient:
    """The `WorkflowClient` on top of the API; `now` dates the states."""

    def __init__(
        self,
        workflows: Workflows,
        parser: WorkflowParser,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._workflows = workflows
        self._parser = parser
        self._now = now

    async def read(self, name: str, *, uid: str) -> WorkflowState | None:
        """See `WorkflowClient.read`."""
        document = await self._workflows.get(name)
        return await self._parse(document) if document["metadata"]["uid"] == uid else None

    async def patch(self, name: str, operations: Sequence[Json]) -> WorkflowState | None:
        """See `WorkflowClient.patch`; the patch itself tests the uid."""
        return await self._parse(await self._workflows.patch(name, operations))

    async def _parse(self, document: Json) -> WorkflowState | None:
        try:
            return await self._parser.parse(document, observed_at=self._now())
        except ForeignWorkflowError:
            # The labels or annotations of the run were removed.
            return None
