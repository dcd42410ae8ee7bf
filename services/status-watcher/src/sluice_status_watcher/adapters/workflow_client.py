"""Reads and patches one Workflow through the API, as the state that the domain works on."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sluice_status_watcher.domain.workflow_state import ForeignWorkflowError, WorkflowState
from sluice_status_watcher.ports import Workflows
from sluice_status_watcher.services.workflow_parsing import WorkflowParser

__all__ = ["ApiWorkflowClient"]

Json = dict[str, Any]


class ApiWorkflowClient:
    """The `WorkflowClient` on top of the API of each namespace; `now` dates the states."""

    def __init__(
        self,
        workflows: Iterable[Workflows],
        parser: WorkflowParser,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._within = {each.namespace: each for each in workflows}
        self._parser = parser
        self._now = now

    async def read(self, state: WorkflowState) -> WorkflowState | None:
        """See `WorkflowClient.read`."""
        document = await self._of(state).get(state.lifecycle.name)
        same = document["metadata"]["uid"] == state.lifecycle.uid
        return await self._parse(document) if same else None

    async def patch(self, state: WorkflowState, operations: Sequence[Json]) -> WorkflowState | None:
        """See `WorkflowClient.patch`; the patch itself tests the uid."""
        return await self._parse(await self._of(state).patch(state.lifecycle.name, operations))

    def _of(self, state: WorkflowState) -> Workflows:
        return self._within[state.identity.namespace]

    async def _parse(self, document: Json) -> WorkflowState | None:
        try:
            return await self._parser.parse(document, observed_at=self._now())
        except ForeignWorkflowError:
            # The labels or annotations of the run were removed.
            return None
